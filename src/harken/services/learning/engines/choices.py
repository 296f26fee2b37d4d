"""Choices of a log as relations: what readers took, and what they could have taken.

A choice is an impression of `impressions.Window`, with the same candidates: the K-Blocks that first
occurred in the last 14 days and that the reader did not touch. A choice is known by the id of its
event, `request`, and has `asked_at` (microseconds since 1970), `who` and `chosen`, the K-Block.
"""

from typing import NamedTuple

import narwhals as nw

from harken.domain.feedback import GUEST, FeedbackAction
from harken.services.learning.engines.log_relations import Frame, LogRelations, before
from harken.services.learning.impressions import FEWEST, INTEREST, NEWS
from harken.services.learning.objectives.outcomes import LONG_DWELL
from harken.services.learning.ranker import DISMISSED, ENGAGED, PASSED, READ, VIEWED

KEY = ("request", "kblock")
"""The columns that identify a candidate of a choice."""
_PRIME = 2_147_483_647  # products of two numbers below it fit into 64 bits


class ChoiceRange(NamedTuple):
    """Which choices to learn from: the latest `most` from `since` on and before `until`.

    The log's first `warm_up` has none. All times are in microseconds; `since` and `until` since
    1970. Of the candidates that were not chosen, `others` are sampled by `seed`.
    """

    since: int
    until: int
    most: int
    others: int
    seed: int
    warm_up: int


def choices_of(log: LogRelations, extent: ChoiceRange) -> Frame:
    """Return the choices in a range."""
    start = log.events.select(start=nw.col("at").min() + extent.warm_up)
    first = log.events.filter(
        nw.col("previous").is_null(),
        nw.col("reader") != GUEST,
        nw.col("action").is_in(sorted(INTEREST)),
        nw.col("at") >= extent.since,
        nw.col("at") < extent.until,
    )
    known = (
        first.join(start, how="cross")
        .join(log.kblocks, on="kblock")
        .filter(
            nw.col("at") >= nw.col("start"),
            nw.col("born_id") != nw.col("id"),
            nw.col("born_at") >= nw.col("at") - NEWS,
        )
    )
    named = known.select(
        request=nw.col("id"), asked_at=nw.col("at"), who=nw.col("reader"), chosen=nw.col("kblock")
    )
    return named.sort("asked_at", "request", descending=True).head(extent.most)


def candidates_of(log: LogRelations, choices: Frame, extent: ChoiceRange) -> Frame:
    """Return the sampled candidates of choices.

    The columns are `request`, `asked_at`, `who`, `kblock`, `grade` and `is_chosen`. A choice among
    `FEWEST` candidates or fewer is none, as in the walk. The sample depends on the times of the
    choice and of the K-Block alone, so each engine draws the same.
    """
    found = _untouched(log, choices)
    is_chosen = nw.col("kblock") == nw.col("chosen")
    drawn = found.with_columns(
        draw=nw.when(is_chosen).then(nw.lit(_PRIME)).otherwise(_draw(extent.seed)),
        count=nw.len().over("request"),
    ).with_columns(place=nw.col("draw").cum_count().over("request", order_by=("draw", "kblock")))
    kept = drawn.filter(nw.col("count") > FEWEST, is_chosen | (nw.col("place") <= extent.others))
    return _graded(log, kept, extent.until).select(
        "request", "asked_at", "who", "kblock", "grade", is_chosen=is_chosen
    )


def _untouched(log: LogRelations, choices: Frame) -> Frame:
    """Return all candidates; the period of 14 days bounds the join with the K-Blocks."""
    periods = log.kblocks.select("kblock", "born_at", "born_id", period=nw.col("born_at") // NEWS)
    period = nw.col("asked_at") // NEWS
    both = nw.concat([choices.with_columns(period=period), choices.with_columns(period=period - 1)])
    recent = both.join(periods, on="period").filter(
        nw.col("born_at") >= nw.col("asked_at") - NEWS, _is_known()
    )
    touched = log.events.filter(nw.col("previous").is_null()).select(
        "at", "id", "kblock", who=nw.col("reader")
    )
    return (
        recent.join(touched, on=["who", "kblock"], how="left")
        .filter(nw.col("at").is_null() | ~before("asked_at", "request"))
        .drop("at", "id", "period", "born_id")
    )


def _is_known() -> nw.Expr:
    """Return whether the first event of the K-Block comes before the choice."""
    return (nw.col("born_at") < nw.col("asked_at")) | (
        (nw.col("born_at") == nw.col("asked_at")) & (nw.col("born_id") < nw.col("request"))
    )


def _draw(seed: int) -> nw.Expr:
    """Return a pseudo-random number: squares of the two times, modulo a prime."""
    mixed = (nw.col("asked_at") % _PRIME + nw.col("born_at") % _PRIME * 31 + seed) % _PRIME
    once = (mixed * mixed + nw.col("born_at") % _PRIME) % _PRIME
    return (once * once + mixed) % _PRIME


def _graded(log: LogRelations, candidates: Frame, until: int) -> Frame:
    """Add what is known at `until` of what the reader did with each candidate, as a grade."""
    action = nw.col("action")
    is_read = (action == FeedbackAction.VIEW.value) & (nw.col("dwell").fill_null(0) >= LONG_DWELL)
    grade = (
        nw.when(action == FeedbackAction.DISMISS.value)
        .then(nw.lit(_DISMISSAL))
        .when(action == FeedbackAction.ENGAGE.value)
        .then(nw.lit(ENGAGED))
        .when(is_read)
        .then(nw.lit(READ))
        .when(action == FeedbackAction.VIEW.value)
        .then(nw.lit(VIEWED))
        .otherwise(nw.lit(PASSED))
    )
    best = (
        log.events.filter(nw.col("at") < until)
        .select("kblock", who=nw.col("reader"), best=grade)
        .group_by("who", "kblock")
        .agg(best=nw.col("best").max())
    )
    known = candidates.join(best, on=["who", "kblock"], how="left")
    own = (
        nw.when(nw.col("best") == _DISMISSAL)
        .then(nw.lit(DISMISSED))
        .when(nw.col("kblock") == nw.col("chosen"))
        .then(nw.col("best"))
        .otherwise(nw.lit(PASSED))
    )
    return known.with_columns(grade=own.cast(nw.Int64))


_DISMISSAL = ENGAGED + 1  # it overrides any other grade

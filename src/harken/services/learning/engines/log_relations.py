"""The log as relations: its events with what was known before each, and the K-Blocks.

An event has `at` (microseconds since 1970), `id`, `reader`, `kblock`, `action` and `dwell`
(milliseconds or null). Events are ordered by `at`, then by `id`, as the walk of `point_in_time`
gets them. No event has an ordinal: to number a whole log, a cluster would need one machine.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import narwhals as nw

from harken.domain.feedback import GUEST, FeedbackAction

Frame = nw.LazyFrame[Any]
"""A relation of any engine."""

ORDER = ("at", "id")
_INTEREST = (FeedbackAction.VIEW.value, FeedbackAction.ENGAGE.value)
_OWN = ("reader", "kblock")
_LONG_BEFORE = -(2**62)


class LogRelations(NamedTuple):
    """The relations of a log.

    events: the columns above, and
        is_first: whether the reader, no guest, did not know the K-Block
        began: `at` of the event from which on the reader knew it
        next_at, next_id: the next event of the reader with it; null for none
        ordinal: the number of the reader's events up to this one
        previous: that of the reader's event before with the K-Block; null for none
    reads: the events that make the reader a recent one, with `next_at` and `next_id` of the event
        that ends this: the next view or engagement, or a dismissal
    kblocks: by `kblock`, its first event (`born_at`, `born_id`, `first_reader`) and `appeared`, in
        seconds since 1970
    """

    events: Frame
    reads: Frame
    kblocks: Frame


class Subjects(NamedTuple):
    """Readers and sessions whose events are read otherwise, as relations.

    withheld: what `reader` did before `until` (microseconds since 1970) counts as a guest's
    readers, sessions: what they did does not count (`reader`; `session`)
    """

    withheld: Frame
    readers: Frame
    sessions: Frame


def counting(events: Frame, subjects: Subjects) -> Frame:
    """Return the events that count, without names where readers chose so."""
    kept = events.join(subjects.readers, on="reader", how="anti").join(
        subjects.sessions, on="session", how="anti"
    )
    named = kept.join(subjects.withheld, on="reader", how="left").with_columns(
        reader=nw.when(nw.col("at") < nw.col("until"))
        .then(nw.lit(GUEST))
        .otherwise(nw.col("reader"))
    )
    return named.drop("until", "session")


def relations_of(events: Frame, created: Frame, touches: int) -> LogRelations:
    """Return the relations of events.

    `created` has the time of creation, `created_at` in microseconds, of those K-Blocks where it is
    known. A reader knows the last `touches` K-Blocks that they touched.
    """
    kblocks = _kblocks(events, created)
    return LogRelations(_with_memory(events, touches), _reads(events), kblocks)


def before(at: str, own_id: str) -> nw.Expr:
    """Return whether an event (`at`, `id`) comes before the one in two other columns."""
    return (nw.col("at") < nw.col(at)) | (
        (nw.col("at") == nw.col(at)) & (nw.col("id") < nw.col(own_id))
    )


def is_latest(at: str, own_id: str) -> nw.Expr:
    """Return whether no event of the same kind comes between one and that in two other columns."""
    is_later = (nw.col("next_at") > nw.col(at)) | (
        (nw.col("next_at") == nw.col(at)) & (nw.col("next_id") >= nw.col(own_id))
    )
    return nw.col("next_at").is_null() | is_later


def numbered(over: str | Sequence[str]) -> nw.Expr:
    """Return the number of each event within its group, from 1."""
    return nw.col("at").cum_count().over(over, order_by=ORDER).cast(nw.Int64)


def _with_next(events: Frame) -> Frame:
    return events.with_columns(
        next_at=nw.col("at").shift(-1).over(*_OWN, order_by=ORDER),
        next_id=nw.col("id").shift(-1).over(*_OWN, order_by=ORDER),
    )


def _kblocks(events: Frame, created: Frame) -> Frame:
    born = events.with_columns(place=numbered("kblock")).filter(nw.col("place") == 1)
    known = born.select(
        "kblock", born_at=nw.col("at"), born_id=nw.col("id"), first_reader=nw.col("reader")
    ).join(created, on="kblock", how="left")
    return known.with_columns(
        appeared=nw.coalesce(nw.col("created_at"), nw.col("born_at")) / 1_000_000
    ).drop("created_at")


def _reads(events: Frame) -> Frame:
    is_dismissal = (nw.col("action") == FeedbackAction.DISMISS.value) & (nw.col("reader") != GUEST)
    kept = events.filter(nw.col("action").is_in(_INTEREST) | is_dismissal)
    return _with_next(kept.select(*ORDER, *_OWN, "action")).filter(
        nw.col("action").is_in(_INTEREST)
    )


def _with_memory(events: Frame, touches: int) -> Frame:
    """Add what a reader with a memory of so many K-Blocks knew."""
    counted = (
        _with_next(events)
        .with_columns(
            ordinal=numbered("reader"),
        )
        .with_columns(
            previous=nw.col("ordinal").shift(1).over(*_OWN, order_by=ORDER),
        )
    )
    forgotten = _forgotten(counted, touches)
    known = counted.join(forgotten, on=["reader", "ordinal"], how="left").with_columns(
        is_new=nw.col("previous").is_null() | ~nw.col("is_forgotten").is_null(),
    )
    began = nw.when(nw.col("is_new")).then(nw.col("at")).otherwise(nw.lit(_LONG_BEFORE))
    return known.with_columns(
        is_first=nw.col("is_new") & (nw.col("reader") != GUEST),
        began=began.cum_max().over(*_OWN, order_by=ORDER),
    ).drop("is_forgotten", "is_new")


def _forgotten(counted: Frame, touches: int) -> Frame:
    """Return the events (`reader`, `ordinal`) on K-Blocks that the reader had forgotten.

    Since the previous touch, they touched at least `touches` other K-Blocks: events whose own
    previous one is not since then. Few events have as many between them, so the join is small.
    """
    again = counted.filter(
        nw.col("ordinal") - nw.col("previous") > touches, nw.col("reader") != GUEST
    ).select("reader", again=nw.col("ordinal"), since=nw.col("previous"))
    others = counted.select("reader", "ordinal", "previous")
    between = again.join(others, on="reader").filter(
        nw.col("ordinal") > nw.col("since"),
        nw.col("ordinal") < nw.col("again"),
        nw.col("previous").is_null() | (nw.col("previous") < nw.col("since")),
    )
    found = between.group_by("reader", "again").agg(between=nw.len())
    return found.filter(nw.col("between") >= touches).select(
        "reader", ordinal=nw.col("again"), is_forgotten=nw.lit(1)
    )

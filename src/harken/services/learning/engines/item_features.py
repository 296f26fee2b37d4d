"""Features of candidates by what all readers did with them, as relations.

Each is that of the same name in `features.names`, as of the choice. The events of a candidate are
joined and summed: a K-Block is a candidate for 14 days, so it has few events before. Running sums
would be cheaper, but forward decay with half-lives of minutes overflows within these days.
"""

import math

import narwhals as nw

from harken.domain.feedback import FeedbackAction
from harken.services.features.measures import LONG_AGO
from harken.services.features.names import DECAYED, EVER
from harken.services.features.traces import HALF_LIVES
from harken.services.learning.engines.choices import KEY
from harken.services.learning.engines.log_relations import Frame, LogRelations, before, is_latest
from harken.services.learning.impressions import INTEREST

MICROS = 1_000_000
_ACTIVITY_5MIN = 300.0
_LEAST_ACTIVITY = 1e-4


def ago(seconds: nw.Expr) -> nw.Expr:
    """Return ln(1 + seconds), for seconds from 0 to `LONG_AGO`; others are clipped."""
    return (seconds.clip(0.0, LONG_AGO) + 1.0).log()


def seconds_since(column: str) -> nw.Expr:
    """Return the seconds from a time in microseconds to the choice, at least 0."""
    return ((nw.col("asked_at") - nw.col(column)) / MICROS).clip(0.0, None)


def halved(age: nw.Expr, half_life: float) -> nw.Expr:
    """Return 2^(−age / half-life)."""
    return (age * (-math.log(2) / half_life)).exp()


def event_features(log: LogRelations, candidates: Frame) -> Frame:
    """Return counts, decayed counts and last times of events, by `KEY`.

    `last_touch` is the time of the last event in microseconds, no feature.
    """
    events = log.events.select("at", "id", "kblock", "action", "is_first")
    joined = (
        candidates.select(*KEY, "asked_at")
        .join(events, on="kblock")
        .filter(before("asked_at", "request"))
        .with_columns(age=seconds_since("at"))
    )
    kinds = {kind: _is_of(kind) for kind in HALF_LIVES}
    half_lives = [(kind, each) for kind, several in HALF_LIVES.items() for each in several]
    sums = {
        name: nw.when(kinds[kind]).then(halved(nw.col("age"), each)).otherwise(nw.lit(0.0))
        for name, (kind, each) in zip(DECAYED, half_lives, strict=True)
    }
    counts = {
        name: nw.when(kinds[kind]).then(nw.lit(1.0)).otherwise(nw.lit(0.0))
        for name, kind in zip(EVER, HALF_LIVES, strict=True)
    }
    ages = {
        f"time_since_{kind}": nw.when(kinds[kind]).then(nw.col("age")).otherwise(nw.lit(LONG_AGO))
        for kind in ("view", "engage")
    }
    summed = (
        joined.select(*KEY, "at", **sums, **counts, **ages)
        .group_by(*KEY)
        .agg(
            *(nw.col(name).sum() for name in (*sums, *counts)),
            *(nw.col(name).min() for name in ages),
            last_touch=nw.col("at").max(),
        )
    )
    return summed.with_columns(**{name: ago(nw.col(name)) for name in ages})


def _is_of(kind: str) -> nw.Expr:
    """Return whether an event counts as one of a kind of `HALF_LIVES`."""
    if kind == "first":
        return nw.col("is_first") & nw.col("action").is_in(sorted(INTEREST))
    return nw.col("action") == FeedbackAction(kind).value


def reader_features(
    log: LogRelations, candidates: Frame, recent_readers: int, activity_scale: float
) -> Frame:
    """Return what the recent readers of candidates say, by `KEY`.

    `candidates` also have `visited` and `touched`: when the reader's previous visit ended, and when
    they last touched anything (seconds since 1970). So many `recent_readers` of a K-Block count.
    """
    reads = log.reads.select("at", "id", "kblock", "next_at", "next_id")
    asked = candidates.select(*KEY, "asked_at", "visited", "touched")
    now = asked.join(reads, on="kblock").filter(
        before("asked_at", "request"), is_latest("asked_at", "request")
    )
    ranked = now.with_columns(
        place=nw.col("at").rank("min", descending=True).over(*KEY),
        turn=nw.col("at").rank("dense", descending=True).over(*KEY),
        age=seconds_since("at"),
    ).filter(nw.col("place") <= recent_readers)
    at, age = nw.col("at") / MICROS, nw.col("age")
    weighed = ranked.select(
        *KEY,
        time_since_reader_1=age,
        time_since_reader_2=nw.when(nw.col("turn") == 2).then(age).otherwise(nw.lit(LONG_AGO)),
        recent_activity_5min=1.0 / (age + _ACTIVITY_5MIN),
        recent_activity=1.0 / (1.0 + age / activity_scale),
        readers_since_last_visit=_one_if(at > nw.col("visited")),
        readers_since_last_interaction=_one_if(at > nw.col("touched")),
    )
    times = ("time_since_reader_1", "time_since_reader_2")
    sums = [name for name in READER_FEATURES if name not in times]
    return weighed.group_by(*KEY).agg(
        *(nw.col(name).min() for name in times), *(nw.col(name).sum() for name in sums)
    )


READER_FEATURES = (
    "time_since_reader_1", "time_since_reader_2", "recent_activity_5min", "recent_activity",
    "readers_since_last_visit", "readers_since_last_interaction",
)  # fmt: skip


def finished(found: Frame) -> Frame:
    """Finish the features of `reader_features`, where a candidate may have no reader."""
    times = {name: ago(nw.col(name).fill_null(LONG_AGO)) for name in READER_FEATURES[:2]}
    sums = {name: nw.col(name).fill_null(0.0) for name in READER_FEATURES[2:]}
    activity = (sums["recent_activity"] / _LEAST_ACTIVITY + 1.0).log()
    return found.with_columns(**times, **(sums | {"recent_activity": activity}))


def _one_if(condition: nw.Expr) -> nw.Expr:
    return nw.when(condition).then(nw.lit(1.0)).otherwise(nw.lit(0.0))

"""Features of a reader's own history, as relations.

Each is that of the same name in `features.names`, as of the choice. The history of a choice is what
the reader knew then: their last K-Blocks, with the first and the last touch of each.
"""

import math

import narwhals as nw

from harken.domain.feedback import GUEST
from harken.services.features.measures import LONG_AGO, PRIOR, SESSION
from harken.services.features.traces import DAY, HOUR
from harken.services.learning.engines.choices import KEY
from harken.services.learning.engines.item_features import MICROS, ago, halved
from harken.services.learning.engines.log_relations import (
    ORDER,
    Frame,
    LogRelations,
    before,
    is_latest,
)

_USUAL_AGE = math.log1p(4 * HOUR)
_WIDTH = 2.0
_FRESH = 300.0
_FIRST_READERS = 3.0


def histories(log: LogRelations, choices: Frame, touches: int) -> Frame:
    """Return the history of each choice: `request`, `now`, `kblock`, `first`, `last` (seconds).

    `place` is 1 for the K-Block that was touched last; `ordinal` is that of its last event;
    `appeared` and `first_reader` are those of the K-Block.
    """
    events = log.events.select(
        *ORDER, "kblock", "began", "next_at", "next_id", "ordinal", who=nw.col("reader")
    )
    known = (
        choices.select("request", "asked_at", "who")
        .join(events, on="who")
        .filter(before("asked_at", "request"), is_latest("asked_at", "request"))
    )
    latest = known.with_columns(
        place=nw.col("at").cum_count(reverse=True).over("request", order_by=ORDER)
    ).filter(nw.col("place") <= touches)
    return latest.join(
        log.kblocks.select("kblock", "appeared", "first_reader"), on="kblock"
    ).select(
        "request",
        "kblock",
        "place",
        "ordinal",
        "appeared",
        "first_reader",
        now=nw.col("asked_at") / MICROS,
        first=nw.col("began") / MICROS,
        last=nw.col("at") / MICROS,
    )


def visits(choices: Frame, history: Frame) -> Frame:
    """Return, by `request`, when the visit began and when the one before ended (seconds)."""
    times = nw.concat(
        [
            choices.select("request", time=nw.col("asked_at") / MICROS),
            history.select("request", time=nw.col("first")),
            history.select("request", time=nw.col("last")),
        ]
    ).with_columns(earlier=nw.col("time").shift(1).over("request", order_by="time"))
    is_break = nw.col("time") - nw.col("earlier") > SESSION
    nothing = nw.lit(None, nw.Float64)
    found = times.select(
        "request", "time",
        begun=nw.when(is_break).then(nw.col("time")).otherwise(nothing),
        ended=nw.when(is_break).then(nw.col("earlier")).otherwise(nothing),
    ).group_by("request").agg(
        nw.col("begun").max(), nw.col("ended").max(), start=nw.col("time").min(),
        now=nw.col("time").max(),
    )  # fmt: skip
    return found.select(
        "request",
        began=nw.coalesce("begun", "start"),
        visited=nw.coalesce(nw.col("ended"), nw.col("now") - LONG_AGO),
    )


def request_features(choices: Frame, history: Frame, visit: Frame) -> Frame:
    """Return what is the same for all candidates of a choice, by `request`.

    Besides the features there are `began` and `visited` (see `visits`), `touched`, the time of the
    reader's last touch, `last_age`, the logarithm of the age of the last K-Block, null without one,
    `interactions` and `named`, the K-Blocks whose first reader is named.
    """
    found = (
        choices.select("request", now=nw.col("asked_at") / MICROS)
        .join(_sums_of(history), on="request", how="left")
        .join(visit, on="request")
        .with_columns(
            *(nw.col(name).fill_null(0.0) for name in _SUMS),
            touched=nw.coalesce(nw.col("touched"), nw.col("now") - LONG_AGO),
            interactions=nw.col("interactions").fill_null(0),
        )
    )
    now, total = nw.col("now"), nw.col("weight") + PRIOR
    usual = (nw.col("weighted") + PRIOR * _USUAL_AGE) / total
    # The sum of weight · (age − usual)², from sums that do not know the usual age yet.
    around = nw.col("squared") - nw.col("weighted") * usual * 2.0 + nw.col("weight") * usual * usual
    return found.with_columns(
        usual_age=usual,
        usual_age_deviation=((around + PRIOR * _WIDTH**2) / total).sqrt(),
        time_since_own_interaction=ago(now - nw.col("touched")),
        time_between_visits=ago(nw.col("began") - nw.col("visited")),
        reader_kblocks_last_30min=nw.col("minutes"),
        reader_kblocks_last_7d=nw.col("week"),
        reader_kblocks=nw.col("kblocks"),
        hour_of_day=now / HOUR % 24,
    ).drop("weight", "weighted", "squared", "minutes", "week", "kblocks")


_SUMS = ("weight", "weighted", "squared", "minutes", "week", "kblocks", "named")


def _sums_of(history: Frame) -> Frame:
    """Return sums over the K-Blocks of each history, weighed by the age of the choices or not."""
    now, first = nw.col("now"), nw.col("first")
    age = ago(first - nw.col("appeared"))
    weight = halved((now - first).clip(0.0, None), 14 * DAY)
    ones = nw.lit(1.0)
    rows = history.select(
        "request", "last", "ordinal",
        weight=weight,
        weighted=weight * age,
        squared=weight * age * age,
        minutes=nw.when(first >= now - SESSION).then(ones).otherwise(nw.lit(0.0)),
        week=nw.when(first >= now - 7 * DAY).then(ones).otherwise(nw.lit(0.0)),
        kblocks=ones,
        named=nw.when(nw.col("first_reader") != GUEST).then(ones).otherwise(nw.lit(0.0)),
        last_age=nw.when(nw.col("place") == 1).then(ago(now - nw.col("appeared"))).otherwise(
            nw.lit(None, nw.Float64)
        ),
    )  # fmt: skip
    return rows.group_by("request").agg(
        *(nw.col(name).sum() for name in _SUMS),
        touched=nw.col("last").max(), interactions=nw.col("ordinal").max(),
        last_age=nw.col("last_age").max(),
    )  # fmt: skip


REQUEST_FEATURES = (
    "usual_age", "usual_age_deviation", "time_since_own_interaction", "time_between_visits",
    "reader_kblocks_last_30min", "reader_kblocks_last_7d", "reader_kblocks", "hour_of_day",
)  # fmt: skip


def compared(found: Frame, least_known: int) -> Frame:
    """Return the features that compare a candidate with the history, from joined columns.

    `least_known` interactions make a reader known, for whom `passed_over` is no 0.
    """
    age = ago(nw.col("now") - nw.col("appeared"))
    signed = (age - nw.col("usual_age")) / nw.col("usual_age_deviation")
    is_known = nw.col("interactions") >= least_known
    passed = -(nw.col("passed_over").fill_null(0) + 1.0).log()
    return found.with_columns(
        age=age,
        freshness=-((nw.col("now") - nw.col("appeared")) / _FRESH + 1.0).log(),
        age_deviation_signed=signed,
        age_deviation=signed.abs(),
        new_since_last_visit=nw.when(nw.col("appeared") > nw.col("visited"))
        .then(nw.lit(1.0))
        .otherwise(nw.lit(0.0)),
        distance_from_last_age=(age - nw.col("last_age")).fill_null(0.0),
        passed_over=nw.when(is_known).then(passed).otherwise(nw.lit(0.0)),
        same_first_reader_share=nw.col("shared").fill_null(0.0) / (nw.col("named") + PRIOR),
        first_reader_audience=nw.col("came") / (nw.col("begun") + _FIRST_READERS),
    )


def passed_over(candidates: Frame, history: Frame, requests: Frame) -> Frame:
    """Return how many K-Blocks the reader chose since each candidate appeared, by `KEY`.

    `candidates` have `appeared`. The candidates and the choices of the history are put into one
    order of time, in which running sums from the end count the choices that follow.
    """
    known = history.join(requests.select("request", "began"), on="request")
    first = nw.col("first")
    zero, one = nw.lit(0.0), nw.lit(1.0)
    chosen = known.select(
        "request", "kblock", time=first, kind=nw.lit(1), passed_over=one,
        passed_over_this_visit=nw.when(first >= nw.col("began")).then(one).otherwise(zero),
        passed_over_last_day=nw.when(first >= nw.col("now") - DAY).then(one).otherwise(zero),
    )  # fmt: skip
    names = ("passed_over", "passed_over_this_visit", "passed_over_last_day")
    appeared = candidates.select(
        "request", "kblock", time=nw.col("appeared"), kind=nw.lit(0),
        **dict.fromkeys(names, zero),
    )  # fmt: skip
    ordered = nw.concat([chosen, appeared]).with_columns(
        *(
            nw.col(name).cum_sum(reverse=True).over("request", order_by=("time", "kind"))
            for name in names
        )
    )
    return ordered.filter(nw.col("kind") == 0).select(*KEY, *names)


def audiences(log: LogRelations, candidates: Frame) -> Frame:
    """Return, by `request` and `first_reader`, what became of the K-Blocks that they touched first.

    `begun` is the number of these K-Blocks, `came` that of their later readers, as of the choice.
    """
    asked = candidates.select("request", "asked_at", "first_reader").unique()
    events = log.events.select("at", "id", "kblock", "is_first").join(
        log.kblocks.select("kblock", "born_id", "first_reader"), on="kblock"
    )
    is_begin = nw.col("id") == nw.col("born_id")
    zero, one = nw.lit(0.0), nw.lit(1.0)
    counted = events.select(
        "first_reader", "at", "id", kind=nw.lit(1),
        begun=nw.when(is_begin).then(one).otherwise(zero),
        came=nw.when(~is_begin & nw.col("is_first")).then(one).otherwise(zero),
    )  # fmt: skip
    questions = asked.select(
        "first_reader", at=nw.col("asked_at"), id=nw.col("request"), kind=nw.lit(0),
        begun=zero, came=zero,
    )  # fmt: skip
    ordered = nw.concat([counted, questions]).with_columns(
        *(
            nw.col(name).cum_sum().over("first_reader", order_by=("at", "id", "kind"))
            for name in ("begun", "came")
        )
    )
    return ordered.filter(nw.col("kind") == 0).select(
        "first_reader", "begun", "came", request=nw.col("id")
    )


def shared_first_readers(history: Frame) -> Frame:
    """Return, by `request` and `first_reader`, how many known K-Blocks have this first reader."""
    named = history.filter(nw.col("first_reader") != GUEST)
    return named.group_by("request", "first_reader").agg(shared=nw.len().cast(nw.Float64))

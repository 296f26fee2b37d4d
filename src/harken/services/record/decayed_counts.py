"""Decayed counts in SQL: their computation from the log, addition, and order.

The results agree with the functions of `harken.domain.decay`. A K-Block has one logarithm of a sum
for each of three actions and each half-life. A half-life is identified by its slot, from 1 on.
"""

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Float, FromClause, Select, case, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from harken.domain.decay import LANDMARK_MICROS, MOST_HALF_LIVES, OFFSET, TrendWeights
from harken.domain.feedback import FeedbackAction
from harken.models import FeedEngagementStats, FeedHalfLife
from harken.models.types import greatest, table, utc_micros

HALF_LIVES = table(FeedHalfLife)
_STATISTICS = table(FeedEngagementStats)

SLOTS = range(1, MOST_HALF_LIVES + 1)
_SUMS = {
    FeedbackAction.VIEW: "decayed_views",
    FeedbackAction.ENGAGE: "decayed_engagements",
    FeedbackAction.DISMISS: "decayed_dismissals",
}
NAMES = [f"{name}_{slot}" for slot in SLOTS for name in _SUMS.values()]

# The difference between logarithms that `verify` tolerates: 1e-9 of the sum.
TOLERANCE = 1e-9
# PostgreSQL raises an error where the result of exp() would be 0.
_LEAST_EXPONENT = -700.0
# No time in the range that Harken stores has a greater logarithm, with any half-life.
_MOST_LOGARITHM = 1e8


def rates() -> Select[Any]:
    """Select the decay rate of each slot per microsecond, as one row; null for an unused slot."""
    kept = HALF_LIVES.c
    nats = _float(math.log(2) / 1e6)
    columns: list[ColumnElement[Any]] = [
        (nats / func.max(kept.seconds).filter(kept.slot == slot)).label(f"rate_{slot}")
        for slot in SLOTS
    ]
    return select(*columns)


def by_kblock(
    log: FromClause, rates: FromClause, by: Sequence[str] = ("kblock_id",)
) -> Select[Any]:
    """Select the logarithms of the decayed counts for each K-Block in `log`.

    `by` are other columns to count by.
    """
    at = utc_micros(log.c.created_at) - LANDMARK_MICROS
    keys = [log.c[name] for name in by]
    # Sums are computed relative to the last event of each action, so all terms are in [0, 1].
    last = func.max(at).over(partition_by=(*keys, log.c.action))
    counted = or_(*(log.c.action == action.value for action in _SUMS))
    events = (
        select(*keys, log.c.action, at.label("at"), last.label("last"), *rates.c)
        .where(counted)
        .select_from(log.join(rates, literal(1) == 1))
        .subquery("events")
    )
    return select(
        *(events.c[name] for name in by),
        *(
            _logarithm(events, action, events.c[f"rate_{slot}"]).label(f"{name}_{slot}")
            for slot in SLOTS
            for action, name in _SUMS.items()
        ),
    ).group_by(*(events.c[name] for name in by))


def added_up(sums: FromClause) -> Select[Any]:
    """Select the logarithms of the totals for each K-Block, from rows with logarithms of parts."""
    greatest_part = [
        func.max(sums.c[name]).over(partition_by=sums.c.kblock_id).label(f"most_{name}")
        for name in NAMES
    ]
    parts = select(sums.c.kblock_id, *(sums.c[name] for name in NAMES), *greatest_part).subquery(
        "parts"
    )
    return select(parts.c.kblock_id, *(_total(parts, name).label(name) for name in NAMES)).group_by(
        parts.c.kblock_id
    )


def _total(parts: FromClause, name: str) -> ColumnElement[Any]:
    part, most = parts.c[name], parts.c[f"most_{name}"]
    apart = case((part.is_not(None), greatest(part - most, _float(_LEAST_EXPONENT))))
    return func.max(most) + func.ln(func.sum(func.exp(apart)))


def columns(slot: int, other: int | None) -> list[tuple[str, str | None]]:
    """Return the columns of a slot, each with the same one of another slot, or with None."""
    return [
        (f"{name}_{slot}", None if other is None else f"{name}_{other}") for name in _SUMS.values()
    ]


def _logarithm(
    events: FromClause, action: FeedbackAction, rate: ColumnElement[float]
) -> ColumnElement[Any]:
    is_counted = events.c.action == action.value
    exponent = greatest((events.c.at - events.c.last) * rate, _float(_LEAST_EXPONENT))
    summed = func.sum(func.exp(exponent)).filter(is_counted)
    return func.max(events.c.last * rate).filter(is_counted) + func.ln(summed)


def added(old: ColumnElement[Any], new: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the logarithm of the total of two sums, from their logarithms."""
    apart = greatest(-func.abs(old - new), _float(_LEAST_EXPONENT))
    both = greatest(old, new) + func.ln(_float(1) + func.exp(apart))
    return case((old.is_(None), new), (new.is_(None), old), else_=both)


def orders(weights: TrendWeights) -> list[ColumnElement[Any]]:
    """Return the sort key of the net sum for each slot, as `harken.domain.decay.order` does."""
    return [_order(slot, weights).label(f"trend_{slot}") for slot in SLOTS]


def _order(slot: int, weights: TrendWeights) -> ColumnElement[Any]:
    # A missing sum is replaced by e^-1e9, which is negligible compared to any other sum.
    sums = [func.coalesce(each, _float(-1e9)) for each in logarithms(slot)]
    most = greatest(sums[0], greatest(sums[1], sums[2]))
    weighed = (
        _float(weight) * func.exp(greatest(each - most, _float(_LEAST_EXPONENT)))
        for each, weight in zip(sums, weights, strict=True)
    )
    net = sum(weighed, start=_float(0))
    size = most + func.ln(func.abs(net)) + _float(OFFSET)
    there = most > _float(-1e9)
    return case(
        (there & (net > _float(0)), size), (there & (net < _float(0)), -size), else_=_float(0)
    )


def logarithms(slot: int) -> list[ColumnElement[Any]]:
    """Return the logarithms of a slot's views, engagements and dismissals, clipped to a range."""
    return [_bounded(_STATISTICS.c[f"{name}_{slot}"]) for name in _SUMS.values()]


def _bounded(kept: ColumnElement[Any]) -> ColumnElement[Any]:
    """Clip a logarithm to the values that a time can have, since PostgreSQL fails on overflows.

    PostgreSQL treats NaN as greater than any number, so NaN is clipped too.
    """
    most = _float(_MOST_LOGARITHM)
    return case((kept > most, most), (kept < -most, -most), else_=kept)


async def half_lives(connection: AsyncConnection) -> list[timedelta]:
    """Return the stored half-lives, in the order of their slots."""
    rows = await connection.execute(select(HALF_LIVES.c.seconds).order_by(HALF_LIVES.c.slot))
    return [timedelta(seconds=seconds) for seconds in rows.scalars()]


async def set_half_lives(connection: AsyncConnection, wanted: Sequence[timedelta]) -> None:
    """Replace the half-lives; afterwards all decayed counts must be rebuilt."""
    await connection.execute(HALF_LIVES.delete())
    rows = [
        {"slot": slot, "seconds": int(each.total_seconds())}
        for slot, each in zip(SLOTS, wanted, strict=False)
    ]
    await connection.execute(HALF_LIVES.insert(), rows)


def differing(recounted: FromClause) -> ColumnElement[bool]:
    """Tell whether stored logarithms differ from those of a row of `by_kblock`."""
    condition: ColumnElement[bool] = literal(value=False)
    for name in NAMES:
        kept, right = _STATISTICS.c[name], recounted.c[name]
        condition |= kept.is_(None) != right.is_(None)
        condition |= func.abs(kept - right) > _float(TOLERANCE)
    return condition


def _float(value: float) -> ColumnElement[float]:
    return literal(float(value), Float)

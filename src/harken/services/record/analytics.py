"""Queries over the statistics, whose cost does not grow with the log."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, Table, and_, cast, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from harken.models.types import Unit, utc_trunc
from harken.services.record.admission.quarantines import counts as is_counted
from harken.services.record.statistics import COUNTERS, KBLOCKS, MINUTES, TOTALS, total
from harken.services.record.transaction import LOG

MINUTE = timedelta(minutes=1)

ACTIONS = ("view_count", "engage_count", "dismiss_count", "contradict_count")


def most_engaged(limit: int, min_interactions: int) -> Select[Any]:
    """Select the K-Blocks with the highest attention score; ties in the order of their ids."""
    wanted = ("attention_score", "view_count", "engage_count", "dismiss_count", "last_engaged_at")
    return (
        select(KBLOCKS.c.kblock_id, *(KBLOCKS.c[name] for name in wanted))
        .where(interactions(KBLOCKS) >= min_interactions)
        .order_by(KBLOCKS.c.attention_score.desc(), KBLOCKS.c.kblock_id)
        .limit(limit)
    )


def totals() -> Select[Any]:
    """Select the total of every counter, as one row."""
    return total(TOTALS)


def counts() -> Select[Any]:
    """Select the total number of interactions per action, as one row."""
    return select(*(func.coalesce(func.sum(TOTALS.c[name]), 0) for name in ACTIONS))


def recent_minutes(since: datetime, until: datetime) -> Select[Any]:
    """Count interactions in the whole minutes between `since` and `until`."""
    return select(func.coalesce(func.sum(interactions(MINUTES)), 0)).where(
        MINUTES.c.minute >= _minute(since) + MINUTE, MINUTES.c.minute < _minute(until)
    )


def recent_edges(since: datetime, until: datetime) -> Select[Any]:
    """Count in the log what `recent_minutes` leaves out: the partial minutes at both ends."""
    at = LOG.c.created_at
    first_whole, last_cut = _minute(since) + MINUTE, _minute(until)
    return select(func.count()).where(
        or_(and_(at > since, at < first_whole), and_(at >= last_cut, at <= until)),
        is_counted(LOG),
    )


def timeseries(unit: Unit, since: datetime, until: datetime) -> Select[Any]:
    """Count per unit of time, from `since` to before `until`; both are starts of a unit."""
    start = utc_trunc(unit, MINUTES.c.minute)
    columns = [start.label("start"), *(func.sum(MINUTES.c[n]).label(n) for n in COUNTERS)]
    return (
        select(*columns)
        .where(MINUTES.c.minute >= since, MINUTES.c.minute < until)
        .group_by(start)
        .order_by(start)
    )


async def interactions_between(
    connection: AsyncConnection, since: datetime, until: datetime
) -> int:
    """Return the exact number of interactions after `since` and up to `until`.

    `since` and `until` must be at least an hour apart. Whole minutes come from the statistics; only
    the partial minutes at both ends are counted in the log.
    """
    whole = (await connection.execute(recent_minutes(since, until))).scalar_one()
    cut = (await connection.execute(recent_edges(since, until))).scalar_one()
    return int(whole) + int(cut)


def interactions(table: Table) -> ColumnElement[int]:
    """Return the sum of a row's counts of all actions."""
    first, *others = (table.c[name] for name in ACTIONS)
    # Each counter may be at the limit of its type, so the sum needs a greater type.
    total: ColumnElement[int] = sum(others, cast(first, BigInteger))
    return total


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)

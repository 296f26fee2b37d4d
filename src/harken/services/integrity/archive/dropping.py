"""The statements of a step: some events are added to the baseline, and leave the log."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Select, and_, delete, func, select
from sqlalchemy.dialects import postgresql as postgres
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from harken.database import Database
from harken.domain.feedback import LogEntry
from harken.domain.times import EARLIEST_TIME
from harken.models import FeedExperiment
from harken.models.types import UtcDateTime, table, utc_trunc
from harken.services.experiments.definitions import State
from harken.services.experiments.observations import BEFORE_DAYS
from harken.services.integrity.archive.event_files import COLUMNS
from harken.services.integrity.key_lists import listed
from harken.services.record import decayed_counts, statistics
from harken.services.record.admission.quarantines import SET_ASIDE, counts
from harken.services.record.baseline.definitions import (
    BASELINE_CONTRADICTIONS,
    BASELINE_MINUTES,
    BASELINE_READERS,
)
from harken.services.record.transaction import LOG

EXPERIMENTS = table(FeedExperiment)
BY_READER = ("user_id", "kblock_id")
Event = Mapping[str, Any]


class OldDay(NamedTuple):
    """The events of a day that would be dropped, and those that are set aside, and stay."""

    day: date
    events: int
    set_aside: int


async def oldest(
    connection: AsyncConnection, until: datetime, most: int, since: datetime = EARLIEST_TIME
) -> list[Event]:
    """Return the oldest events that count, of one day, at most `most`, with the files' columns.

    They happened from `since` to before `until`. Rows without a readable time are left out.
    """
    wanted = (
        select(*(LOG.c[name] for name in (*LogEntry._fields, "updated_at")))
        .where(LOG.c.created_at >= since, LOG.c.created_at < until, counts(LOG))
        .order_by(LOG.c.created_at, LOG.c.id)
        .limit(most)
    )
    rows = (await connection.execute(wanted)).all()
    events = [dict(zip(COLUMNS, row, strict=True)) for row in rows if row.created_at is not None]
    day = events[0]["occurred_at"].date() if events else None
    return [each for each in events if each["occurred_at"].date() == day]


async def old_days(connection: AsyncConnection, until: datetime) -> list[OldDay]:
    """Return the days before a time that have events in the log."""
    day = utc_trunc("day", LOG.c.created_at)
    marked = select(SET_ASIDE.c.interaction_id).distinct().subquery("marked")
    wanted = (
        select(day.label("day"), func.count(), func.count(marked.c.interaction_id))
        .select_from(LOG.outerjoin(marked, marked.c.interaction_id == LOG.c.id))
        .where(LOG.c.created_at >= EARLIEST_TIME, LOG.c.created_at < until)
        .group_by(day)
        .order_by(day)
    )
    found = (await connection.execute(wanted)).all()
    return [OldDay(at.date(), both - aside, aside) for at, both, aside in found if at is not None]


async def needed_since(connection: AsyncConnection) -> datetime | None:
    """Return since when experiments that are not decided need the log; None without any."""
    began = func.min(EXPERIMENTS.c.started_at, type_=UtcDateTime)
    wanted = select(began).where(EXPERIMENTS.c.state != State.DECIDED.value)
    first: datetime | None = (await connection.execute(wanted)).scalar_one()
    return None if first is None else first - timedelta(days=BEFORE_DAYS)


async def drop(connection: AsyncConnection, database: Database, ids: Sequence[str]) -> bool:
    """Move events from the log to the baseline; False, and no change, unless all of them count."""
    run = _statements(postgresql=database.is_postgresql)
    keys = {"ids": database.as_list(ids)}
    if (await connection.execute(run.present, keys)).scalar_one() != len(ids):
        return False
    for statement in run.move:
        await connection.execute(statement, keys)
    return True


class _Statements(NamedTuple):
    present: Select[Any]
    move: list[Any]


@cache
def _statements(*, postgresql: bool) -> _Statements:
    insert = (postgres if postgresql else sqlite).insert
    those = listed(LOG.c.id, "ids", postgresql=postgresql)
    log = select(LOG).where(those, counts(LOG)).subquery("dropped")
    contradictions = statistics.by_contradiction(log, BY_READER).subquery("contradictions")
    minutes = statistics.by_minute(log).subquery("minutes")
    # Without a WHERE, SQLite parses the ON of ON CONFLICT as a join condition.
    return _Statements(
        present=select(func.count()).select_from(LOG).where(those, counts(LOG)),
        move=[
            statistics.merge(insert, BASELINE_READERS, _readers(log)),
            statistics.merge(
                insert,
                BASELINE_CONTRADICTIONS,
                select(contradictions).where(contradictions.c.contradict_count > 0),
            ),
            statistics.merge(
                insert, BASELINE_MINUTES, select(minutes).where(minutes.c.view_count >= 0)
            ),
            delete(LOG).where(those),
        ],
    )


def _readers(log: Any) -> Select[Any]:
    first = func.min(log.c.updated_at, type_=UtcDateTime).label("first_recorded_at")
    own = statistics.by_reader(log).add_columns(first).subquery("own")
    rates = decayed_counts.rates().subquery("rates")
    sums = decayed_counts.by_kblock(log, rates, BY_READER).subquery("sums")
    same = and_(*(own.c[name] == sums.c[name] for name in BY_READER))
    return (
        select(*own.c, *(sums.c[name] for name in decayed_counts.NAMES))
        .select_from(own.outerjoin(sums, same))
        .where(own.c.view_count >= 0)
    )

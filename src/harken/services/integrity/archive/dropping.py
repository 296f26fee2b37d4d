"""The statements of a step: some events are added to the baseline, and leave the log."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, Table, and_, delete, func, select
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
from harken.services.integrity.partitions.layout import leaf
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


def old(log: Table, until: datetime, since: datetime = EARLIEST_TIME) -> ColumnElement[bool]:
    """Tell whether a row happened from `since` to before `until`, and counts.

    That is false for rows without a readable time.
    """
    return and_(log.c.created_at >= since, log.c.created_at < until, counts(log))


async def oldest(
    connection: AsyncConnection, log: Table, until: datetime, most: int, since: datetime
) -> list[Event]:
    """Return the oldest of such events, of one day, at most `most`, with the files' columns."""
    wanted = (
        select(*columns(log))
        .where(old(log, until, since))
        .order_by(log.c.created_at, log.c.id)
        .limit(most)
    )
    events = as_events(await connection.execute(wanted))
    day = events[0]["occurred_at"].date() if events else None
    return [each for each in events if each["occurred_at"].date() == day]


def columns(log: Table) -> list[ColumnElement[Any]]:
    """Return what a file has of a row."""
    return [log.c[name] for name in (*LogEntry._fields, "updated_at")]


def as_events(rows: Iterable[Sequence[Any]]) -> list[Event]:
    """Return rows of these columns as rows of a file."""
    return [dict(zip(COLUMNS, row, strict=False)) for row in rows]


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


async def drop(
    connection: AsyncConnection, database: Database, log: Table, ids: Sequence[str]
) -> bool:
    """Move events from the log to the baseline; False, and no change, unless all of them count."""
    run = _statements(log.name, postgresql=database.is_postgresql)
    keys = {"ids": database.as_list(ids)}
    if (await connection.execute(run.present, keys)).scalar_one() != len(ids):
        return False
    for statement in run.move:
        await connection.execute(statement, keys)
    return True


class _Statements(NamedTuple):
    present: Select[Any]
    move: list[Any]


@lru_cache(32)
def _statements(name: str, *, postgresql: bool) -> _Statements:
    log = leaf(name)
    those = listed(log.c.id, "ids", postgresql=postgresql)
    chosen = and_(those, counts(log))
    return _Statements(
        present=select(func.count()).select_from(log).where(chosen),
        move=[*merges(log, chosen, postgresql=postgresql), delete(log).where(those)],
    )


def merges(log: Table, chosen: ColumnElement[bool], *, postgresql: bool) -> list[Any]:
    """Return the statements that add rows of a table to the baseline."""
    insert = (postgres if postgresql else sqlite).insert
    rows = select(log).where(chosen).subquery("dropped")
    contradictions = statistics.by_contradiction(rows, BY_READER).subquery("contradictions")
    minutes = statistics.by_minute(rows).subquery("minutes")
    # Without a WHERE, SQLite parses the ON of ON CONFLICT as a join condition.
    return [
        statistics.merge(insert, BASELINE_READERS, _readers(rows)),
        statistics.merge(
            insert,
            BASELINE_CONTRADICTIONS,
            select(contradictions).where(contradictions.c.contradict_count > 0),
        ),
        statistics.merge(
            insert, BASELINE_MINUTES, select(minutes).where(minutes.c.view_count >= 0)
        ),
    ]


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

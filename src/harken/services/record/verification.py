"""Verification of the statistics against baseline and log, and their reconstruction."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, Table, delete, except_, func, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from harken.database import Database, Kind, translated
from harken.services.record import analytics, decayed_counts, statistics
from harken.services.record.admission.log_start import complete_since
from harken.services.record.admission.quarantines import counts, left_out
from harken.services.record.baseline import definitions
from harken.services.record.statistics import (
    CONTRADICTIONS,
    COUNTERS,
    KBLOCKS,
    MINUTES,
    READERS,
    SHARD,
    TOTALS,
)
from harken.services.record.transaction import LOG

MOST_EXAMPLES = 10


class Difference(NamedTuple):
    """A row of a statistics table that differs from the log; a missing row is None."""

    table: str
    key: dict[str, Any]
    kept: dict[str, Any] | None
    recounted: dict[str, Any] | None


@dataclass
class Verification:
    """The result of `verify`: numbers of events, rows and differences, and some differences.

    `set_aside` of the events are in quarantine: they count in no statistic. `archived` events were
    dropped from the log, which is complete since `complete_since`; None means from its first event.
    """

    events: int = 0
    archived: int = 0
    complete_since: datetime | None = None
    set_aside: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    differences: int = 0
    examples: list[Difference] = field(default_factory=list)


class _Statistic(NamedTuple):
    table: Table
    key: tuple[str, ...]
    recounted: Select[Any]
    kept: Select[Any]


def _all() -> list[_Statistic]:
    log = select(LOG).where(counts(LOG)).subquery("log")
    readers = definitions.readers(log)
    kblocks = definitions.kblock_counts(log)
    contradictions = definitions.contradictions(log)
    minutes = definitions.minutes(log)
    totals = definitions.totals(log)
    sums = [func.sum(MINUTES.c[name]).label(name) for name in COUNTERS]
    return [
        _Statistic(READERS, ("user_id", "kblock_id"), readers, _kept(READERS, readers)),
        _Statistic(KBLOCKS, ("kblock_id",), kblocks, _kept(KBLOCKS, kblocks)),
        _Statistic(
            CONTRADICTIONS,
            ("kblock_id", "other_id"),
            contradictions,
            _kept(CONTRADICTIONS, contradictions),
        ),
        _Statistic(
            MINUTES,
            ("minute",),
            minutes,
            # A correction may leave rows that add up to nothing, until it is folded.
            select(MINUTES.c.minute, *sums)
            .group_by(MINUTES.c.minute)
            .having(func.sum(analytics.interactions(MINUTES)) > 0),
        ),
        _Statistic(TOTALS, (), totals, statistics.total(TOTALS)),
    ]


def _kept(table: Table, like: Select[Any]) -> Select[Any]:
    return select(*(table.c[column.name] for column in like.selected_columns))


async def verify(database: Database) -> Verification:
    """Recount the log, and compare every statistic with it, in one snapshot."""
    found = Verification()
    async with database.reading(Kind.BULK_READ) as connection:
        found.events = await _count(connection, LOG)
        found.set_aside = (await left_out(connection)).events
        found.complete_since = await complete_since(connection)
        found.archived = await _archived(connection)
        for statistic in _all():
            found.rows[statistic.table.name] = await _count(connection, statistic.table)
            differences = await _compare(connection, statistic)
            if statistic.table is KBLOCKS:
                differences += await _compare_decayed(connection)
            found.differences += len(differences)
            found.examples += differences[: MOST_EXAMPLES - len(found.examples)]
    return found


async def _count(connection: AsyncConnection, table: Table) -> int:
    counted = await connection.execute(select(func.count()).select_from(table))
    return int(counted.scalar_one())


class Archived(NamedTuple):
    """How many events were dropped from the log, and since when it is complete."""

    archived: int
    complete_since: datetime | None


async def archived(database: Database) -> Archived:
    """Return how much was dropped from the log, as the baseline counts it."""
    async with database.reading(Kind.SNAPSHOT) as connection:
        return Archived(await _archived(connection), await complete_since(connection))


async def _archived(connection: AsyncConnection) -> int:
    minutes = definitions.BASELINE_MINUTES
    counted = func.coalesce(func.sum(analytics.interactions(minutes)), 0)
    return int((await connection.execute(select(counted))).scalar_one())


async def _compare(connection: AsyncConnection, statistic: _Statistic) -> list[Difference]:
    sides: dict[tuple[Any, ...], list[dict[str, Any] | None]] = {}
    pairs = (statistic.kept, statistic.recounted), (statistic.recounted, statistic.kept)
    for side, (these, those) in enumerate(pairs):
        for row in (await connection.execute(except_(these, those))).mappings():
            key = tuple(row[name] for name in statistic.key)
            sides.setdefault(key, [None, None])[side] = dict(row)
    return [
        Difference(statistic.table.name, dict(zip(statistic.key, key, strict=True)), *pair)
        for key, pair in sides.items()
    ]


async def _compare_decayed(connection: AsyncConnection) -> list[Difference]:
    """Compare decayed counts with a tolerance: rounding depends on the order of recording."""
    log = select(LOG).where(counts(LOG)).subquery("log")
    recounted = definitions.decayed(log).subquery("recounted")
    kept = [KBLOCKS.c[name] for name in decayed_counts.NAMES]
    rows = await connection.execute(
        select(KBLOCKS.c.kblock_id, *kept, *(recounted.c[name] for name in decayed_counts.NAMES))
        .select_from(KBLOCKS.outerjoin(recounted, KBLOCKS.c.kblock_id == recounted.c.kblock_id))
        .where(decayed_counts.differing(recounted))
    )
    return [
        Difference(
            KBLOCKS.name,
            {"kblock_id": kblock_id},
            dict(zip(decayed_counts.NAMES, values, strict=False)),
            dict(zip(decayed_counts.NAMES, values[len(kept) :], strict=True)),
        )
        for kblock_id, *values in rows
    ]


async def rebuild(database: Database, half_lives: Sequence[timedelta] | None = None) -> int:
    """Rebuild every statistic, in one transaction; returns the number of events in the log.

    `half_lives` replace the half-lives of the decayed counts; of dropped events, those that were
    kept before are known. Recording waits meanwhile.
    """
    with translated():
        async with database.transaction(Kind.BULK_WRITE) as connection:
            if database.is_postgresql:
                await connection.run_sync(_lock_log)
            if half_lives is not None:
                before = await decayed_counts.half_lives(connection)
                await definitions.follow_half_lives(connection, before, half_lives)
                await decayed_counts.set_half_lives(connection, half_lives)
            for statistic in reversed(_all()):
                await connection.execute(delete(statistic.table))
            dialect = postgresql if database.is_postgresql else sqlite
            for statistic in _all():
                await connection.execute(_refill(dialect, statistic), {"shard": 0})
            return await _count(connection, LOG)


def _refill(dialect: Any, statistic: _Statistic) -> Any:
    rows = statistic.recounted
    if statistic.table is KBLOCKS:
        rows = definitions.kblocks(select(LOG).where(counts(LOG)).subquery("log"))
    if "updated_at" in statistic.table.c:
        rows = statistics.stamped(rows)
    if SHARD.key in statistic.table.c:
        rows = statistics.sharded(rows)
    names = [column.name for column in rows.selected_columns]
    return dialect.insert(statistic.table).from_select(names, rows)


def _lock_log(connection: Connection) -> None:
    # Writers hold ROW EXCLUSIVE on the log until they commit. SHARE waits for them, and blocks new
    # writers.
    options = connection.get_execution_options()
    schema = (options.get("schema_translate_map") or {}).get(None)
    name = f'"{schema}".{LOG.name}' if schema else LOG.name
    connection.execute(text(f"LOCK TABLE {name} IN SHARE MODE"))

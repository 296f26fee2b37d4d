"""Removes events of one reader or K-Block, in transactions of bounded size.

A transaction removes some events, and corrects exactly the statistics that they were counted in:

    feed_interactions            the events are locked and deleted
    feed_user_engagement_stats   ┐ rows are locked in the order of recording, by table and by key;
    feed_engagement_stats        │ later statements count them again from the log, by the
    feed_contradictions          ┘ definitions that `harken rebuild` uses
    feed_dismissals              those of the same readers and K-Blocks are deleted
    feed_activity_minutes        the events' own counts are subtracted
    feed_activity_totals         the events' own counts are subtracted

A transaction that records events holds its rows of the first three tables until it commits. So when
the locks are held, all events that those rows count are visible to later statements, and events
that are not visible yet will be added to the recounted rows. Rows of the activity tables are
divided over shards, and a new shard may appear while the others are locked; so these counts, which
are plain sums, are not counted again.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Row,
    Select,
    Table,
    and_,
    bindparam,
    delete,
    func,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from harken.database import Database, is_in_list
from harken.services.record import statistics
from harken.services.record.admission.subjects import Subject
from harken.services.record.statistics import (
    CONTRADICTIONS,
    COUNTERS,
    KBLOCKS,
    MINUTES,
    READERS,
    TOTALS,
)
from harken.services.record.transaction import DISMISSALS, LOG

MOST_EVENTS = {Subject.READER: 500, Subject.KBLOCK: 5_000}
"""Events that a transaction removes. Nobody waits for the rows of an erased K-Block."""
MOST_RECOUNTED = 10_000
"""Events that a transaction counts again, unless a single K-Block has more."""

COLUMN = {Subject.READER: LOG.c.user_id, Subject.KBLOCK: LOG.c.kblock_id}


class Removal(NamedTuple):
    """What a transaction removed; `vanished` are the K-Blocks that have no events left."""

    events: int = 0
    dismissals: int = 0
    vanished: frozenset[str] = frozenset()


async def remove_events(
    connection: AsyncConnection, database: Database, subject: Subject, own_id: str
) -> Removal:
    """Remove some events of a reader or a K-Block within a transaction; none if none are left."""
    chosen = await _choose(connection, subject, own_id)
    if not chosen:
        return Removal()
    keys = {
        "ids": database.as_list([row.id for row in chosen]),
        "users": database.as_list(sorted({row.user_id for row in chosen})),
        "kblocks": database.as_list(sorted({row.kblock_id for row in chosen})),
    }
    run = _statements(postgresql=database.is_postgresql)
    minutes = (await connection.execute(run.minutes, keys)).all()
    pairs = (await connection.execute(run.pairs, keys)).all()
    await connection.execute(run.remove, keys)
    for lock in run.locks:
        await connection.execute(lock, keys)
    dismissals = (await connection.execute(run.dismissals, keys)).rowcount
    for recount in run.recounts:
        await connection.execute(recount, keys)
    await _subtract(connection, minutes)
    left = set((await connection.execute(run.left, keys)).scalars())
    vanished = {row.kblock_id for row in chosen} - left
    # A pair that was reported no more may end a conflict of both of its K-Blocks.
    vanished |= {kblock_id for pair in pairs for kblock_id in (pair.kblock_id, pair.other_id)}
    return Removal(len(chosen), dismissals, frozenset(vanished))


async def _choose(connection: AsyncConnection, subject: Subject, own_id: str) -> Sequence[Row[Any]]:
    wanted: Select[Any] = select(LOG.c.id, LOG.c.user_id, LOG.c.kblock_id).where(
        COLUMN[subject] == own_id
    )
    if subject is Subject.READER:
        wanted = wanted.order_by(LOG.c.kblock_id)
    found = await connection.execute(wanted.limit(MOST_EVENTS[subject]).with_for_update())
    chosen = found.all()
    return chosen if subject is Subject.KBLOCK else await _bounded(connection, chosen)


async def _bounded(connection: AsyncConnection, chosen: Sequence[Row[Any]]) -> Sequence[Row[Any]]:
    """Return the first events whose K-Blocks have few events enough to be counted again."""
    kblock_ids = list(dict.fromkeys(row.kblock_id for row in chosen))
    counts = KBLOCKS.c.view_count + KBLOCKS.c.engage_count + KBLOCKS.c.dismiss_count
    found = await connection.execute(
        select(KBLOCKS.c.kblock_id, counts).where(KBLOCKS.c.kblock_id.in_(kblock_ids))
    )
    sizes = {row[0]: int(row[1]) for row in found}
    kept, total = set(kblock_ids[:1]), 0
    for kblock_id in kblock_ids:
        total += sizes.get(kblock_id, 0)
        if total > MOST_RECOUNTED:
            break
        kept.add(kblock_id)
    return [row for row in chosen if row.kblock_id in kept]


class _Statements(NamedTuple):
    """The statements of a transaction, in their order."""

    minutes: Select[Any]  # counts of the chosen events by minute
    pairs: Select[Any]  # the contradictions that they reported
    remove: Any
    locks: list[Select[Any]]
    dismissals: Any
    recounts: list[Any]
    left: Select[Any]  # which K-Blocks still have statistics


@cache
def _statements(*, postgresql: bool) -> _Statements:
    def listed(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
        return is_in_list(column, name, postgresql=postgresql)

    def pair(columns: Any) -> ColumnElement[bool]:
        # One of the lists has one member, so these are exactly the pairs of the chosen events.
        return and_(listed(columns.user_id, "users"), listed(columns.kblock_id, "kblocks"))

    chosen = select(LOG).where(listed(LOG.c.id, "ids")).subquery("chosen")
    touched = {
        READERS: pair(READERS.c),
        KBLOCKS: listed(KBLOCKS.c.kblock_id, "kblocks"),
        CONTRADICTIONS: listed(CONTRADICTIONS.c.kblock_id, "kblocks"),
    }
    logged = {
        READERS: select(LOG).where(pair(LOG.c)).subquery("logged"),
        KBLOCKS: select(LOG).where(listed(LOG.c.kblock_id, "kblocks")).subquery("logged"),
    }
    logged[CONTRADICTIONS] = logged[KBLOCKS]
    recounts: list[Any] = []
    for table, condition in touched.items():
        recounts += [delete(table).where(condition), _refill(table, logged[table], postgresql)]
    return _Statements(
        minutes=statistics.by_minute(chosen),
        pairs=statistics.by_contradiction(chosen),
        remove=delete(LOG).where(listed(LOG.c.id, "ids")),
        locks=[
            select(*table.primary_key)
            .where(condition)
            .order_by(*table.primary_key)
            .with_for_update()
            for table, condition in touched.items()
        ],
        dismissals=delete(DISMISSALS).where(pair(DISMISSALS.c)),
        recounts=recounts,
        left=select(KBLOCKS.c.kblock_id).where(touched[KBLOCKS]),
    )


def _refill(table: Table, log: FromClause, is_postgresql: bool) -> Any:  # noqa: FBT001
    rows: Select[Any]
    if table is READERS:
        rows = statistics.by_reader(log)
    elif table is CONTRADICTIONS:
        rows = statistics.stamped(statistics.by_contradiction(log))
    else:
        counted = statistics.by_kblock(statistics.by_reader(log).subquery("readers"))
        rows = statistics.stamped(statistics.with_decayed(counted, log))
    names = [column.name for column in rows.selected_columns]
    dialect: Any = postgresql if is_postgresql else sqlite
    return dialect.insert(table).from_select(names, rows)


async def _subtract(connection: AsyncConnection, minutes: Sequence[Row[Any]]) -> None:
    """Subtract the counts of removed events from the activity tables."""
    wanted = [row.minute for row in minutes]
    found = await connection.execute(
        select(MINUTES)
        .where(MINUTES.c.minute.in_(wanted))
        .order_by(MINUTES.c.minute, MINUTES.c.shard)
        .with_for_update()
    )
    kept: dict[Any, list[dict[str, Any]]] = {}
    for shard in found.mappings():
        kept.setdefault(shard["minute"], []).append({str(name): shard[name] for name in shard})
    changed: list[dict[str, Any]] = []
    empty: list[dict[str, Any]] = []
    for row in minutes:
        for reduced in _reduced(kept.get(row.minute, []), row):
            into = changed if any(reduced[name] for name in COUNTERS) else empty
            into.append({f"own_{name}": value for name, value in reduced.items()})
    at = and_(
        MINUTES.c.minute == bindparam("own_minute"), MINUTES.c.shard == bindparam("own_shard")
    )
    if changed:
        values: dict[str, Any] = {name: bindparam(f"own_{name}") for name in COUNTERS}
        await connection.execute(update(MINUTES).where(at).values(values), changed)
    if empty:
        await connection.execute(delete(MINUTES).where(at), empty)
    least = select(func.min(TOTALS.c.shard)).scalar_subquery()
    sums = {name: sum(int(getattr(row, name)) for row in minutes) for name in COUNTERS}
    await connection.execute(
        update(TOTALS)
        .where(TOTALS.c.shard == least)
        .values({name: TOTALS.c[name] - value for name, value in sums.items()})
    )


def _reduced(shards: Iterable[dict[str, Any]], counts: Row[Any]) -> list[dict[str, Any]]:
    """Subtract counts from the shards of a minute, none below 0; returns the changed shards."""
    rest = {name: int(getattr(counts, name)) for name in COUNTERS}
    changed = []
    for shard in shards:
        taken = {name: min(rest[name], shard[name]) for name in COUNTERS}
        if any(taken.values()):
            changed.append(shard | {name: shard[name] - taken[name] for name in COUNTERS})
            rest = {name: rest[name] - taken[name] for name in COUNTERS}
    return changed

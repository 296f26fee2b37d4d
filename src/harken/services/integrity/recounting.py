"""Counts statistics again when events leave the count, or return to it.

Within one transaction:

    feed_user_engagement_stats   ┐ rows are locked in the order of recording, by table and by key;
    feed_engagement_stats        │ later statements count them again from the log, by the
    feed_contradictions          ┘ definitions that `harken rebuild` uses
    feed_activity_minutes        ┐ the events' own counts are subtracted or added
    feed_activity_totals         ┘

A transaction that records events holds its rows of the first three tables until it commits. So when
the locks are held, all events that those rows count are visible to later statements, and events
that are not visible yet will be added to the recounted rows. Rows of the activity tables are
divided over shards, and a new shard may appear while the others are locked; so these counts, which
are plain sums, are not counted again.

Only one transaction at a time may correct statistics: `tombstones.take_turn`.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Row,
    Select,
    String,
    Table,
    and_,
    bindparam,
    column,
    delete,
    func,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql as postgres
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from harken.database import Database, is_in_list
from harken.models.types import utc_text
from harken.services.integrity import early_recount
from harken.services.integrity.early_recount import EarlyRecount
from harken.services.record import statistics
from harken.services.record.admission.quarantines import counts
from harken.services.record.statistics import (
    CONTRADICTIONS,
    COUNTERS,
    KBLOCKS,
    MINUTES,
    READERS,
    TOTALS,
)
from harken.services.record.transaction import LOG

_SHARD = {"shard": 0}


class Event(NamedTuple):
    """An event of the log, and the keys of the statistics that it counts in."""

    id: str
    user_id: str
    kblock_id: str


class Counted(NamedTuple):
    """What some events count by themselves: rows by minute, and the contradictions they report."""

    minutes: Sequence[Row[Any]]
    contradictory: frozenset[str]


class Recount:
    """The correction of the statistics of some events, within one transaction.

    `read` is called while the events count, and `again` after the change of what counts.
    """

    def __init__(
        self, connection: AsyncConnection, database: Database, events: Sequence[Event]
    ) -> None:
        self._connection = connection
        self._run = _statements(postgresql=database.is_postgresql)
        self._is_postgresql = database.is_postgresql
        self._size = len(events)
        pairs = sorted({(each.user_id, each.kblock_id) for each in events})
        self._kblocks = sorted({each.kblock_id for each in events})
        self._keys = {
            "ids": database.as_list([each.id for each in events]),
            "kblocks": database.as_list(self._kblocks),
        }
        if database.is_postgresql:
            self._keys |= {"users": [each for each, _ in pairs], "of": [each for _, each in pairs]}
        else:
            self._keys["pairs"] = database.as_list(pairs)
        self._database = database
        self._is_early = False

    async def read(self) -> Counted:
        """Return what those of the events count that count now."""
        minutes = (await self._connection.execute(self._run.minutes, self._keys)).all()
        pairs = (await self._connection.execute(self._run.pairs, self._keys)).all()
        return Counted(minutes, frozenset(name for pair in pairs for name in pair[:2]))

    async def claim(self) -> None:
        """Make the rows that the events will count in, so that `again` locks them.

        A row that another transaction is about to make could not be locked otherwise.
        """
        if self._is_postgresql:  # SQLite has one writer
            for statement in self._run.claims:
                await self._connection.execute(statement, self._keys)

    async def early(self) -> None:
        """Count K-Blocks before `again` locks them, if there is much to count.

        Called after the change of what counts; see `early_recount`.
        """
        if self._is_postgresql and self._size >= early_recount.FROM_EVENTS:
            run = self._run.early
            for statement in (run.create, run.clear, run.count):
                await self._connection.execute(statement, self._keys)
            self._is_early = True

    async def again(self) -> frozenset[str]:
        """Count the rows again; returns the K-Blocks in which nothing counts any more.

        The rows of readers, K-Blocks and contradictions are locked in the order of recording. Few
        wait for the rows of readers, so these are recounted before K-Blocks are locked.
        """
        for table, (lock, remove, insert) in self._run.recounts.items():
            await self._connection.execute(lock, self._keys)
            wanted = self._keys
            if table is KBLOCKS and self._is_early:
                wanted = await self._stale()
            await self._connection.execute(remove, self._keys)
            if wanted is not self._keys:
                await self._connection.execute(self._run.early.fill, wanted)
            await self._connection.execute(insert, wanted)
        left = set((await self._connection.execute(self._run.left, self._keys)).scalars())
        return frozenset(each for each in self._kblocks if each not in left)

    async def _stale(self) -> dict[str, Any]:
        """Return the parameters for the K-Blocks that must be counted under the lock."""
        ids = (await self._connection.execute(self._run.early.stale, self._keys)).scalars()
        stale = self._database.as_list(list(ids))
        return self._keys | {"kblocks": stale, "stale": stale}

    async def add(self) -> None:
        """Add the events' own counts to the activity tables."""
        for statement in self._run.additions:
            await self._connection.execute(statement, self._keys | _SHARD)

    async def subtract(self, minutes: Sequence[Row[Any]]) -> None:
        """Subtract counts by minute, of `read`, from the activity tables."""
        wanted = self._database.as_list([self._minute(row.minute) for row in minutes])
        found = await self._connection.execute(self._run.shards, {"minutes": wanted})
        kept: dict[Any, list[dict[str, Any]]] = {}
        for shard in found.mappings():
            kept.setdefault(shard["minute"], []).append({str(name): shard[name] for name in shard})
        changed: list[dict[str, Any]] = []
        empty: list[dict[str, Any]] = []
        for row in minutes:
            for reduced in _reduced(kept.get(row.minute, []), row):
                into = changed if any(reduced[name] for name in COUNTERS) else empty
                into.append({f"own_{name}": value for name, value in reduced.items()})
        change = _change_at_once if self._is_postgresql else _change
        await change(self._connection, changed, empty)
        least = select(func.min(TOTALS.c.shard)).scalar_subquery()
        sums = {name: sum(int(getattr(row, name)) for row in minutes) for name in COUNTERS}
        await self._connection.execute(
            update(TOTALS)
            .where(TOTALS.c.shard == least)
            .values({name: TOTALS.c[name] - value for name, value in sums.items()})
        )

    def _minute(self, at: Any) -> Any:
        return at if self._is_postgresql else utc_text(at)


async def _change(
    connection: AsyncConnection, changed: list[dict[str, Any]], empty: list[dict[str, Any]]
) -> None:
    at = and_(
        MINUTES.c.minute == bindparam("own_minute"), MINUTES.c.shard == bindparam("own_shard")
    )
    if changed:
        values: dict[str, Any] = {name: bindparam(f"own_{name}") for name in COUNTERS}
        await connection.execute(update(MINUTES).where(at).values(values), changed)
    if empty:
        await connection.execute(delete(MINUTES).where(at), empty)


async def _change_at_once(
    connection: AsyncConnection, changed: list[dict[str, Any]], empty: list[dict[str, Any]]
) -> None:
    """Do what `_change` does, with one statement for all rows: others wait for them."""
    update_all, delete_all = _change_statements()
    for rows, statement in (changed, update_all), (empty, delete_all):
        if rows:
            names = ("minute", "shard", *COUNTERS)
            columns = {f"own_{name}": [row[f"own_{name}"] for row in rows] for name in names}
            await connection.execute(statement, columns)


@cache
def _change_statements() -> tuple[Any, Any]:
    names = ("minute", "shard", *COUNTERS)
    arrays = [bindparam(f"own_{name}", type_=ARRAY(MINUTES.c[name].type)) for name in names]
    columns = [column(name, MINUTES.c[name].type) for name in names]
    rows = func.unnest(*arrays).table_valued(*columns, name="reduced").render_derived()
    at = and_(MINUTES.c.minute == rows.c.minute, MINUTES.c.shard == rows.c.shard)
    values: dict[str, Any] = {name: rows.c[name] for name in COUNTERS}
    return update(MINUTES).where(at).values(values), delete(MINUTES).where(at)


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


class _Statements(NamedTuple):
    """The statements of a correction; parameters are ids, pairs of keys, and K-Blocks."""

    minutes: Select[Any]
    pairs: Select[Any]
    claims: list[Any]
    recounts: dict[Table, tuple[Any, Any, Any]]
    """By table: locks rows, deletes them, and inserts them as they are counted again."""
    early: EarlyRecount
    left: Select[Any]
    additions: list[Any]
    shards: Select[Any]


@cache
def _statements(*, postgresql: bool) -> _Statements:
    chosen = (
        select(LOG)
        .where(listed(LOG.c.id, "ids", postgresql=postgresql), counts(LOG))
        .subquery("chosen")
    )
    pairs = _pairs(postgresql=postgresql)

    def of_pair(columns: Any) -> ColumnElement[bool]:
        return tuple_(columns.user_id, columns.kblock_id).in_(select(pairs))

    def of_kblock(columns: Any) -> ColumnElement[bool]:
        return listed(columns.kblock_id, "kblocks", postgresql=postgresql)

    touched: dict[Table, Any] = {
        READERS: of_pair,
        KBLOCKS: of_kblock,
        CONTRADICTIONS: of_kblock,
    }
    recounts: dict[Table, tuple[Any, Any, Any]] = {}
    for table, condition in touched.items():
        log = select(LOG).where(condition(LOG.c), counts(LOG)).subquery("logged")
        insertion = _insertion(table, _recounted(table, log), postgresql=postgresql)
        if postgresql:
            # A row that was not there to be locked had no events, so that the one that another
            # transaction has made since is complete.
            insertion = insertion.on_conflict_do_nothing()
        lock = (
            select(*table.primary_key)
            .where(condition(table.c))
            .order_by(*table.primary_key)
            .with_for_update(of=table)
        )
        recounts[table] = lock, delete(table).where(condition(table.c)), insertion
    minutes = statistics.by_minute(chosen).subquery("minutes")
    return _Statements(
        minutes=statistics.by_minute(chosen),
        pairs=statistics.by_contradiction(chosen),
        claims=[
            _insertion(table, _recounted(table, chosen), postgresql=postgresql)
            .on_conflict_do_nothing()
            for table in touched
        ],
        recounts=recounts,
        early=_early(of_kblock, postgresql=postgresql),
        left=select(KBLOCKS.c.kblock_id).where(of_kblock(KBLOCKS.c)),
        additions=_additions(minutes, postgresql=postgresql),
        shards=select(MINUTES)
        .where(listed(MINUTES.c.minute, "minutes", postgresql=postgresql))
        .order_by(MINUTES.c.minute, MINUTES.c.shard)
        .with_for_update(of=MINUTES),
    )  # fmt: skip


def _early(of_kblock: Any, *, postgresql: bool) -> EarlyRecount:
    log = select(LOG).where(of_kblock(LOG.c), counts(LOG)).subquery("logged")
    counted = statistics.by_kblock(statistics.by_reader(log).subquery("readers"))

    def is_stale(columns: Any) -> ColumnElement[bool]:
        return listed(columns.kblock_id, "stale", postgresql=postgresql)

    return early_recount.early_recount(statistics.with_decayed(counted, log), of_kblock, is_stale)


def _additions(minutes: FromClause, *, postgresql: bool) -> list[Any]:
    # Without a WHERE, SQLite parses the ON of ON CONFLICT as a join condition.
    each = statistics.sharded(select(minutes)).where(minutes.c.view_count >= 0)
    whole = statistics.total(minutes).subquery("whole")
    total = statistics.sharded(select(whole)).where(whole.c.view_count >= 0)
    insert = _dialect(postgresql=postgresql).insert
    return [
        statistics.merge(insert, MINUTES, each.order_by(minutes.c.minute)),
        statistics.merge(insert, TOTALS, total),
    ]


def _recounted(table: Table, log: FromClause) -> Select[Any]:
    if table is READERS:
        readers = statistics.by_reader(log).subquery("counted")
        return select(readers).order_by(readers.c.user_id, readers.c.kblock_id)
    if table is CONTRADICTIONS:
        pairs = statistics.by_contradiction(log).subquery("counted")
        return statistics.stamped(select(pairs)).order_by(pairs.c.kblock_id, pairs.c.other_id)
    counted = statistics.by_kblock(statistics.by_reader(log).subquery("readers"))
    return statistics.stamped(statistics.with_decayed(counted, log))


def _insertion(table: Table, rows: Select[Any], *, postgresql: bool) -> Any:
    names = [column.name for column in rows.selected_columns]
    return _dialect(postgresql=postgresql).insert(table).from_select(names, rows)


def _dialect(*, postgresql: bool) -> Any:
    return postgres if postgresql else sqlite


def _pairs(*, postgresql: bool) -> FromClause:
    if postgresql:
        arrays = [bindparam(name, type_=ARRAY(String())) for name in ("users", "of")]
        named = func.unnest(*arrays).table_valued("user_id", "kblock_id", name="pairs")
        return named.render_derived()
    pair = func.json_each(bindparam("pairs", type_=String)).table_valued("value").c.value
    return select(
        func.json_extract(pair, "$[0]", type_=String).label("user_id"),
        func.json_extract(pair, "$[1]", type_=String).label("kblock_id"),
    ).subquery("pairs")


def listed(column: ColumnElement[Any], name: str, *, postgresql: bool) -> ColumnElement[bool]:
    """Tell whether a column is in a list of any length, as a join rather than a comparison."""
    if postgresql:
        return column.in_(select(func.unnest(bindparam(name, type_=ARRAY(column.type)))))
    return is_in_list(column, name, postgresql=False)

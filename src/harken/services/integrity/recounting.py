"""Counts statistics again when events are removed from the log.

Within one transaction:

    feed_user_engagement_stats   ┐ rows are locked in the order of recording, by table and by key;
    feed_engagement_stats        │ later statements count them again from log and baseline, by the
    feed_contradictions          ┘ definitions that `harken rebuild` uses
    feed_activity_minutes        ┐ the events' own counts are subtracted (see `activity`)
    feed_activity_totals         ┘

A transaction that records events holds its rows of the first three tables until it commits. So when
the locks are held, all events that those rows count are visible to later statements, and events
that are not visible yet will be added to the recounted rows. Rows of the activity tables are
divided over shards, and a new shard may appear while the others are locked; so these counts, which
are plain sums, are not counted again.

Only one transaction at a time may correct statistics: `rules_token.take_turn`. Events that cease to
count but stay in the log are many at once: see `prepared_recount`.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, FromClause, RowMapping, Select, Table, delete, select
from sqlalchemy.dialects import postgresql as postgres
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from harken.database import Database
from harken.services.integrity.activity import Activity
from harken.services.integrity.key_lists import as_pairs, listed, listed_pair
from harken.services.record import statistics
from harken.services.record.admission.quarantines import counts
from harken.services.record.baseline import definitions
from harken.services.record.baseline.definitions import Of
from harken.services.record.statistics import CONTRADICTIONS, KBLOCKS, READERS
from harken.services.record.transaction import LOG


class Event(NamedTuple):
    """An event of the log, and the keys of the statistics that it counts in."""

    id: str
    user_id: str
    kblock_id: str


class Counted(NamedTuple):
    """The own counts of some events by minute, and the K-Blocks of contradictions they report."""

    minutes: Sequence[RowMapping]
    contradictory: frozenset[str]


class Recount:
    """The correction of the statistics of some events, within one transaction.

    `read` is called while the events count, and `again` when they are removed.
    """

    def __init__(
        self, connection: AsyncConnection, database: Database, events: Sequence[Event]
    ) -> None:
        self._connection = connection
        self._run = _statements(postgresql=database.is_postgresql)
        self._kblocks = sorted({each.kblock_id for each in events})
        self._keys = {
            "ids": database.as_list([each.id for each in events]),
            "kblocks": database.as_list(self._kblocks),
            **as_pairs(
                database, "pairs", sorted({(each.user_id, each.kblock_id) for each in events})
            ),
        }
        self._activity = Activity(connection, database)

    async def read(self) -> Counted:
        """Return the counts of those events that are not set aside."""
        minutes = (await self._connection.execute(self._run.minutes, self._keys)).mappings().all()
        pairs = (await self._connection.execute(self._run.contradictions, self._keys)).all()
        return Counted(minutes, frozenset(name for pair in pairs for name in pair[:2]))

    async def again(self) -> frozenset[str]:
        """Count the rows again; returns the K-Blocks in which nothing counts any more.

        The rows of readers, K-Blocks and contradictions are locked in the order of recording. Few
        wait for the rows of readers, so these are recounted before K-Blocks are locked.
        """
        for statements in self._run.recounts:
            for statement in statements:
                await self._connection.execute(statement, self._keys)
        left = set((await self._connection.execute(self._run.left, self._keys)).scalars())
        return frozenset(each for each in self._kblocks if each not in left)

    async def subtract(self, minutes: Sequence[RowMapping]) -> None:
        """Subtract counts by minute, of `read`, from the activity tables."""
        await self._activity.subtract([{str(name): row[name] for name in row} for row in minutes])


class _Statements(NamedTuple):
    """The statements of a correction; parameters are ids, pairs of keys, and K-Blocks."""

    minutes: Select[Any]
    contradictions: Select[Any]
    recounts: list[tuple[Any, Any, Any]]
    """By table: locks rows, deletes them, and inserts them as they are counted again."""
    left: Select[Any]


@cache
def _statements(*, postgresql: bool) -> _Statements:
    chosen = (
        select(LOG)
        .where(listed(LOG.c.id, "ids", postgresql=postgresql), counts(LOG))
        .subquery("chosen")
    )

    def of_pair(columns: Any) -> ColumnElement[bool]:
        return listed_pair(columns.user_id, columns.kblock_id, "pairs", postgresql=postgresql)

    def of_kblock(columns: Any) -> ColumnElement[bool]:
        return listed(columns.kblock_id, "kblocks", postgresql=postgresql)

    touched: dict[Table, Any] = {READERS: of_pair, KBLOCKS: of_kblock, CONTRADICTIONS: of_kblock}
    recounts: list[tuple[Any, Any, Any]] = []
    for table, condition in touched.items():
        log = select(LOG).where(condition(LOG.c), counts(LOG)).subquery("logged")
        insertion = inserted(table, recounted(table, log, condition), postgresql=postgresql)
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
        recounts.append((lock, delete(table).where(condition(table.c)), insertion))
    return _Statements(
        minutes=statistics.by_minute(chosen),
        contradictions=statistics.by_contradiction(chosen),
        recounts=recounts,
        left=select(KBLOCKS.c.kblock_id).where(of_kblock(KBLOCKS.c)),
    )


def recounted(table: Table, log: FromClause, of: Of) -> Select[Any]:
    """Select the rows of a table as entries of the log, and `of` the baseline, make them."""
    if table is READERS:
        readers = definitions.readers(log, of).subquery("counted")
        return select(readers).order_by(readers.c.user_id, readers.c.kblock_id)
    if table is CONTRADICTIONS:
        pairs = definitions.contradictions(log, of).subquery("counted")
        return statistics.stamped(select(pairs)).order_by(pairs.c.kblock_id, pairs.c.other_id)
    return statistics.stamped(definitions.kblocks(log, of))


def inserted(table: Table, rows: Select[Any], *, postgresql: bool) -> Any:
    """Return an INSERT of selected rows."""
    names = [column.name for column in rows.selected_columns]
    return (postgres if postgresql else sqlite).insert(table).from_select(names, rows)

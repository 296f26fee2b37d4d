"""Counts statistics again when many events cease to count, or count again, with short locks.

`prepare` reads one snapshot, and locks nothing: for each K-Block of the events, the row that it
will have. Then, within one transaction:

    begin    the counts per minute and in total, for which nobody waits
    finish   the rows of the readers with the K-Blocks are counted again, for which only they wait.
             Then the rows of K-Blocks are locked, in the order of recording. Each gets its prepared
             row. What was recorded since the snapshot is merged into it, by the statement that
             records. Then contradictions, which are few.

No event is missed: under the lock, the counters of a row are exact. The counts of the events
themselves are subtracted from them (or added); the result is what the row must have. If the
prepared row has the same counters, it counts the same events, since each event raises a counter. If
it has not, the events since the snapshot are looked for in the K-Block. If the sum is still
different, the K-Block is counted again from its log, and so is a row that was made anew since the
snapshot (by an erasure, or by `harken rebuild`). If another act came between, the token differs
(see `acts`).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from harken.database import Database
from harken.models.types import utc_now
from harken.services.integrity.activity import CORRECTED
from harken.services.integrity.key_lists import as_pairs
from harken.services.integrity.prepared_statements import Change, reading, statements
from harken.services.integrity.recounting import Event
from harken.services.record.admission.rules_token import TOKEN

MARGIN = timedelta(seconds=30)
"""The longest transaction whose events are looked for; after a longer one, the K-Block is counted
again."""


class Preparation(NamedTuple):
    """What `prepare` found; with the values here, every K-Block is counted under the lock.

    `rows` are the K-Blocks' columns as they will be, None where nothing will count, with
    `kept_at`: when the row that was there was made. `recent` are the ids of events that were
    recorded since `since`, and are in the rows.
    """

    token: str = ""
    rows: Sequence[dict[str, Any]] = ()
    since: datetime | None = None
    recent: Sequence[str] = ()


UNPREPARED = Preparation()


async def prepare(
    connection: AsyncConnection, database: Database, change: Change, events: Sequence[Event]
) -> Preparation:
    """Count the K-Blocks of some events as they will be; `connection` reads one snapshot."""
    run = reading(change, postgresql=database.is_postgresql)
    token = (await connection.execute(select(TOKEN))).scalar_one()
    if not events:
        return Preparation(token)
    now: datetime = (await connection.execute(select(utc_now()))).scalar_one()
    keys = {
        "ids": database.as_list([each.id for each in events]),
        "kblocks": database.as_list(sorted({each.kblock_id for each in events})),
    }
    found = (await connection.execute(run.rows, keys)).mappings()
    rows = [{str(name): row[name] for name in row} for row in found]
    since = now - MARGIN
    recent = (await connection.execute(run.recent, keys | {"since": since})).scalars().all()
    return Preparation(token, rows, since, recent)


class PreparedRecount:
    """The correction of the statistics of some events, within one transaction.

    Both methods are called after the marks are set or removed.
    """

    def __init__(
        self,
        connection: AsyncConnection,
        database: Database,
        events: Sequence[Event],
        change: Change,
        prepared: Preparation,
    ) -> None:
        self._connection = connection
        self._database = database
        self._change = change
        self._prepared = prepared
        self._run = statements(postgresql=database.is_postgresql)
        self._contradictions: list[tuple[str, str]] = []
        self.late: Sequence[str] = []
        """K-Blocks with events since the snapshot, after `finish`."""
        self.again: list[str] = []
        """K-Blocks that were counted under the lock, after `finish`."""
        self._keys = {
            "ids": database.as_list([each.id for each in events]),
            "kblocks": database.as_list(sorted({each.kblock_id for each in events})),
            **as_pairs(
                database, "pairs", sorted({(each.user_id, each.kblock_id) for each in events})
            ),
            "sign": int(change),
            "since": prepared.since,
            "recent": database.as_list(prepared.recent),
            **CORRECTED,
        }

    async def begin(self) -> frozenset[str]:
        """Correct what nobody waits for; returns K-Blocks of contradictions that change."""
        await self._execute(*self._run.open)
        if self._prepared.rows:
            await self._connection.execute(self._run.load, self._prepared.rows)
        await self._execute(self._run.expect, *self._run.activity)
        found = await self._connection.execute(self._run.contradicted)
        self._contradictions = sorted((row[0], row[1]) for row in found)
        self._keys |= as_pairs(self._database, "contradictions", self._contradictions)
        return frozenset(each for pair in self._contradictions for each in pair)

    async def finish(self) -> None:
        """Correct the rows of readers, K-Blocks and contradictions: others wait for these."""
        await self._execute(*self._run.readers, *self._run.claim)
        found = (await self._connection.execute(self._run.differing)).all()
        self.again = [row.kblock_id for row in found if not row.is_usable]
        self.late = [row.kblock_id for row in found if row.is_usable]
        self._keys |= {"lost": self._list(self.again), "late": self._list(self.late)}
        await self._execute(self._run.remove, self._run.fill)
        if self.late:
            await self._execute(self._run.merge)
            wrong = (await self._connection.execute(self._run.wrong, self._keys)).scalars()
            self.again.extend(wrong)
        if self.again:
            self._keys |= {"lost": self._list(self.again)}
            await self._execute(*self._run.again)
        if self._contradictions:
            await self._execute(*self._run.contradictions)
        await self._execute(*self._run.close)

    async def _execute(self, *statements: Any) -> None:
        for statement in statements:
            await self._connection.execute(statement, self._keys)

    def _list(self, ids: Sequence[str]) -> Any:
        return self._database.as_list(ids)

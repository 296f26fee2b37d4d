"""The index of one database, refreshed before it is used.

Writes of this process are in the index at its next request. Writes of other processes are read when
the last refresh is older than `MAX_AGE_SECONDS`.

K-Blocks are read by revision, which is exact (see `harken.models.kblock`). Statistics have no
revision, since recording must not wait for a common counter. They are read by the database's clock,
from some time before the last refresh on, because a transaction that began earlier may be committed
later. If the database lost what it had (see `continuity`), the index is rebuilt.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import ColumnElement, Select, literal, select, union
from sqlalchemy.ext.asyncio import AsyncConnection

from harken.database import Database, Kind
from harken.domain.attention import attention_score
from harken.domain.decay import DEFAULT_TREND_WEIGHTS, TrendWeights, counted, place_of
from harken.domain.feedback import LogEntry
from harken.domain.slates import CURSOR_LIFETIME
from harken.domain.times import FutureItems, micros
from harken.errors import DatabaseUnavailable
from harken.services.feed.caches.changes import Changes
from harken.services.feed.caches.index_statements import index_columns, index_row, selects_of
from harken.services.index.index import Index
from harken.services.index.rows import (
    UNKNOWN,
    Columns,
    IndexRow,
    are_sound,
    columns_of,
    parted,
    rows_of,
)
from harken.services.kblocks.continuity import Continuity, DatabaseState
from harken.services.kblocks.store import VERSIONS, KBlockStore
from harken.services.record import contradictions, decayed_counts
from harken.services.record.contradictions import KBLOCKS
from harken.services.record.persistence import FeedFeedbackPersistence
from harken.services.record.statistics import CONTRADICTIONS
from harken.services.record.statistics import KBLOCKS as STATISTICS
from harken.services.record.transaction import DISMISSALS
from harken.unreadable_rows import KBLOCK, REMEDIES, VERSION, Unreadable

MAX_AGE_SECONDS = 0.25
# How far before the last refresh statistics are read: far enough for ordinary transactions each
# time, and, every `LONG_LOOK_SECONDS`, for a transaction that took long.
OVERLAP = timedelta(seconds=2)
LONG_OVERLAP = timedelta(seconds=60)
LONG_LOOK_SECONDS = 10.0
CHUNK = 500
STANDBY_SECONDS = 0.02
"""How long a request may wait for a standby to read there what other processes wrote."""


class Candidates(NamedTuple):
    """Some K-Blocks: the row of each that is known, the ids that a reader dismissed, half-lives."""

    entries: dict[str, IndexRow]
    hidden: set[str]
    half_lives: list[timedelta]


class Catalogue:
    """Keeps an `Index` up to date; belongs to the event loop that first used it."""

    def __init__(
        self,
        database: Database,
        record: FeedFeedbackPersistence,
        kblocks: KBlockStore,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        trend_weights: TrendWeights = DEFAULT_TREND_WEIGHTS,
        future: FutureItems = FutureItems.SHOW,
    ) -> None:
        self._database = database
        self._kblocks = kblocks
        self._clock = clock
        self._selects = selects_of(trend_weights, future)
        self._unreadable = Unreadable()
        self._continuity = Continuity(database)
        self._index: Index | None = None
        self._refreshing = asyncio.Lock()
        self._touched: set[str] = set()
        self._writes_seen = -1
        self._looked_at = clock()
        self._looked = self._long_looked = self._wanted = float("-inf")
        record.subscribe(self._note)

    def _note(self, entries: Iterable[LogEntry]) -> None:
        # While the index is first loaded, too: the snapshot that it is loaded from may be older.
        if self._index is not None or self._refreshing.locked():
            self._touched.update(entry.kblock_id for entry in entries)

    @property
    def age(self) -> float:
        """Seconds since the writes of other processes were read last; infinite before that."""
        return time.monotonic() - self._looked

    @property
    def breaks(self) -> int:
        """How often the index was rebuilt because the database had lost data."""
        return self._continuity.breaks

    @property
    def size(self) -> int:
        """The number of K-Blocks in the index."""
        return 0 if self._index is None else int(np.count_nonzero(self._index.is_open))

    @property
    def wanted(self) -> float:
        """The time, as of `time.monotonic()`, after which writes have to be read once more."""
        return self._wanted

    def look_after(self, at: float, kblock_id: str | None = None) -> None:
        """Let the next request wait until all is read that was committed before a time.

        `at` is of `time.monotonic()`. The statistics of one K-Block are read in any case, also if
        they changed long ago.
        """
        self._wanted = max(self._wanted, at)
        if self._index is not None and kblock_id is not None:
            self._touched.add(kblock_id)

    async def fresh(self, revision: int = 0) -> Index:
        """Return the index, at most `MAX_AGE_SECONDS` old and at least at a revision.

        It includes everything that this process committed before the call. Raises
        DatabaseUnavailable.
        """
        while self._is_stale(revision):
            async with self._refreshing:
                if self._is_stale(revision):
                    await self._refresh()
                    break
        assert self._index is not None  # noqa: S101 — for the type checker
        return self._index

    async def candidates(self, kblock_ids: Sequence[str], user_id: str) -> Candidates:
        """Return the present rows of some K-Blocks, and which of them a reader dismissed.

        Raises DatabaseUnavailable.
        """
        async with self._database.reading(Kind.SNAPSHOT) as connection:
            kept = await decayed_counts.half_lives(connection)
            known = await connection.execute(
                self._selects.present(literal(value=False))
                .add_columns(KBLOCKS.c.id)
                .where(KBLOCKS.c.id.in_(kblock_ids))
            )
            ids = {row.number: (row.id, index_row(row[:-1])) for row in known}
            sound = await self._sound(connection, [entry for _id, entry in ids.values()])
            entries = {ids[entry.number][0]: entry for entry in sound}
            counted = await connection.execute(
                select(STATISTICS.c.kblock_id, *self._selects.counted).where(
                    STATISTICS.c.kblock_id.in_([each for each in kblock_ids if each not in entries])
                )
            )
            for kblock_id, popularity, attention, *trends in counted:
                entries[kblock_id] = UNKNOWN._replace(
                    popularity=popularity, attention=attention, trends=tuple(trends)
                )
            hidden = await connection.execute(
                select(DISMISSALS.c.kblock_id).where(
                    DISMISSALS.c.user_id == user_id, DISMISSALS.c.kblock_id.in_(kblock_ids)
                )
            )
            return Candidates(entries, set(hidden.scalars()), kept)

    async def decayed_attention(
        self, numbers: Sequence[int], half_life: timedelta, now: datetime
    ) -> dict[int, float]:
        """Return the attention scores of decayed counts, by the numbers of K-Blocks.

        Raises InvalidInput for a half-life that is not kept, or DatabaseUnavailable.
        """
        async with self._database.reading() as connection:
            slot = place_of(half_life, await decayed_counts.half_lives(connection)) + 1
            found = await connection.execute(
                select(KBLOCKS.c.number, *decayed_counts.logarithms(slot))
                .join(KBLOCKS, KBLOCKS.c.id == STATISTICS.c.kblock_id)
                .where(KBLOCKS.c.number.in_(numbers))
            )
            return {
                number: attention_score(*(counted(each, half_life, now) for each in logarithms))
                for number, *logarithms in found
            }

    @property
    def _is_look_due(self) -> bool:
        return self.age > MAX_AGE_SECONDS or self._looked < self._wanted

    def _is_stale(self, revision: int) -> bool:
        return (
            self._index is None
            or bool(self._touched)
            or self._kblocks.writes != self._writes_seen
            or self._index.revision < revision
            or self._is_look_due
        )

    async def _refresh(self) -> None:
        touched, self._touched = self._touched, set()
        writes, begun = self._kblocks.writes, time.monotonic()
        now = micros(self._clock())
        is_old = self._index is None or self._index.is_worn or self._index.is_far(now)
        try:
            recent = None if is_old else await self._recent_on_standby(begun)
            async with self._database.reading(Kind.LOAD if is_old else Kind.SNAPSHOT) as connection:
                look = await self._continuity.look(connection, count=self._is_look_due)
                is_old = is_old or self._continuity.is_broken(look)
                if self._index is None or is_old or await self._new_decays(connection, self._index):
                    index = Index(now, await decayed_counts.half_lives(connection))
                    await self._load(connection, index, look.at - CURSOR_LIFETIME)
                    self._index = index
                    self._looked, self._looked_at = begun, look.at
                else:
                    await self._follow(connection, self._index, touched, look, begun, recent)
        except BaseException:
            self._touched |= touched
            raise
        self._continuity.keep(look)
        self._index.revision = look.revision
        self._writes_seen = writes

    async def _new_decays(self, connection: AsyncConnection, index: Index) -> bool:
        """Tell whether the database's half-lives differ from those of an index."""
        if not self._is_look_due:
            return False
        return tuple(await decayed_counts.half_lives(connection)) != index.half_lives

    async def _load(self, connection: AsyncConnection, index: Index, since: datetime) -> None:
        async for column in self._present(connection):
            if are_sound(column):
                index.add(column)
            else:
                index.put(await self._sound(connection, rows_of(column)))
        in_conflict = (await connection.execute(contradictions.all_in_conflict())).scalars().all()
        index.mark(np.array(in_conflict, np.int64), in_conflict=True)
        index.close(await self._versions(connection, VERSIONS.c.superseded_at > since))
        index.settle()

    async def _present(self, connection: AsyncConnection) -> AsyncIterator[Columns]:
        """Yield the present versions of all K-Blocks, some at a time."""
        after, are_columns = 0, self._database.is_postgresql
        page = self._selects.columns if are_columns else self._selects.page
        while rows := await self._database.read_within(connection, page, {"after": after}):
            if are_columns:
                if rows[0][0] is None:  # the aggregates of no rows
                    return
                column = index_columns(rows[0])
            else:
                column = columns_of([index_row(row) for row in rows])
            yield column
            after = column["number"][-1]

    async def _follow(
        self, connection: AsyncConnection, index: Index, touched: set[str],
        look: DatabaseState, begun: float, recent: Sequence[Any] | None,
    ) -> None:  # fmt: skip
        """Read all changes, then apply them at once, so that no request sees a part of them.

        `recent` are the statistics that were read on a standby, if they were.
        """
        changes = Changes()
        if look.revision > index.revision:
            await self._read_kblocks(connection, changes, index.revision)
        # The database's clock may have been set back since the last refresh.
        is_back = look.at < self._looked_at
        self._looked_at = min(self._looked_at, look.at)
        since = self._looked_at - OVERLAP
        if look.contradicted_at and look.contradicted_at >= since:
            await _read_contradicted(connection, changes, since)
        is_due = self._is_look_due
        if is_due and (recent is None or is_back):
            recent = (await connection.execute(self._recent(begun))).all()
        # What is read after them is newer, and is applied after them.
        changes.counts += recent or ()
        await self._read_counts(connection, changes, touched)
        if is_due:
            self._long_looked = begun if self._is_long(begun) else self._long_looked
            self._looked, self._looked_at = begun, look.at
        changes.apply(index)

    async def _read_kblocks(
        self, connection: AsyncConnection, changes: Changes, revision: int
    ) -> None:
        changed = KBLOCKS.c.revision > revision
        changes.ended = await self._versions(connection, VERSIONS.c.until > revision)
        gone = await connection.execute(
            select(KBLOCKS.c.number, KBLOCKS.c.version).where(changed, KBLOCKS.c.deleted)
        )
        changes.gone = [(row.number, row.version) for row in gone]
        there = await connection.execute(
            self._selects.present(contradictions.in_conflict())
            .where(changed)
            .order_by(KBLOCKS.c.number)
        )
        changes.there = await self._sound(connection, [index_row(row) for row in there])

    async def _versions(
        self, connection: AsyncConnection, condition: ColumnElement[bool]
    ) -> list[IndexRow]:
        found = await connection.execute(
            self._selects.versions.where(condition).order_by(VERSIONS.c.number, VERSIONS.c.version)
        )
        entries = [IndexRow(*row[:-1])._replace(until=row.until) for row in found]
        return await self._sound(connection, entries, VERSION)

    async def _sound(
        self, connection: AsyncConnection, entries: list[IndexRow], what: str = KBLOCK
    ) -> list[IndexRow]:
        """Return the versions that can be read; a warning names the K-Blocks of the others."""
        sound, unreadable = parted(entries)
        new = [each for each in unreadable if self._unreadable.is_new(what, each)]
        for start in range(0, len(new), CHUNK):
            some = KBLOCKS.c.number.in_(new[start : start + CHUNK])
            for row in await connection.execute(select(KBLOCKS.c.number, KBLOCKS.c.id).where(some)):
                self._unreadable.name(what, row.number, REMEDIES[what].format(row.id))
        return sound

    async def _read_counts(
        self, connection: AsyncConnection, changes: Changes, kblock_ids: Collection[str]
    ) -> None:
        ids = sorted(kblock_ids)
        for start in range(0, len(ids), CHUNK):
            some = STATISTICS.c.kblock_id.in_(ids[start : start + CHUNK])
            changes.counts += (await connection.execute(self._selects.counts.where(some))).all()

    async def _recent_on_standby(self, begun: float) -> Sequence[Any] | None:
        """Read on a standby what any process changed; None if no standby is ready, or none is due.

        A standby may even know more than the snapshot that is taken next: that of a commit which
        waits for the standby. It knows all that was committed before, so own writes are there.
        """
        standby = await self._database.standby(STANDBY_SECONDS) if self._is_look_due else None
        if standby is not None:
            with suppress(DatabaseUnavailable):
                async with standby.reading() as connection:
                    found: Sequence[Any] = (await connection.execute(self._recent(begun))).all()
                    return found
        return None

    def _recent(self, begun: float) -> Select[Any]:
        """Select the statistics that any process changed since the last refresh.

        `begun` is a moment before the snapshot: what was committed until then is in it.
        """
        overlap = LONG_OVERLAP if self._is_long(begun) else OVERLAP
        return self._selects.counts.where(STATISTICS.c.updated_at >= self._looked_at - overlap)

    def _is_long(self, begun: float) -> bool:
        return begun - self._long_looked > LONG_LOOK_SECONDS


async def _read_contradicted(
    connection: AsyncConnection, changes: Changes, since: datetime
) -> None:
    columns = CONTRADICTIONS.c
    recent = columns.updated_at >= since
    ids = union(select(columns.kblock_id).where(recent), select(columns.other_id).where(recent))
    found = await connection.execute(
        select(KBLOCKS.c.number, contradictions.in_conflict()).where(KBLOCKS.c.id.in_(ids))
    )
    changes.conflicts = [(number, in_conflict) for number, in_conflict in found]

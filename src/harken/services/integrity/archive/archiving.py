"""Drops old events from the log, in steps; see docs/retention.md.

    begin    the log begins later from now on: older events are refused, in every process
    wait     for the transactions that began before
    steps    a file is written; then one transaction moves its events to the baseline
    merge    the files of a day become one

A step takes the turn of those who correct statistics, and changes no statistic: recording does not
wait for it on PostgreSQL. A run that was interrupted is continued by the next one.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from harken.database import Database, Kind
from harken.domain.times import EARLIEST_TIME
from harken.errors import InvalidInput, Problem
from harken.services.integrity.archive import dropping, file_register
from harken.services.integrity.archive.dropping import OldDay
from harken.services.integrity.archive.event_files import EventFolder, Prepared
from harken.services.integrity.archive.merging import merge_all, tidy
from harken.services.integrity.archive.whole_partitions import WholePartitions
from harken.services.integrity.compaction import vacuum
from harken.services.integrity.partitions.bounds import day_after
from harken.services.integrity.partitions.making import Partitions
from harken.services.integrity.quarantine.marks import Marks
from harken.services.integrity.retrying import repeated
from harken.services.integrity.writers import wait_for_writers
from harken.services.record.admission.log_start import complete_since
from harken.services.record.admission.rules_token import take_turn

KEPT = timedelta(days=2)
"""The latest events, which are never dropped: the last 24 hours are counted in the log."""
MINUTE = timedelta(minutes=1)
LEAST_ROOM = 0.02
"""Seconds between two steps, at least."""


LEAST_EVENTS = 10
"""Events of a step, at least."""


class Pace(NamedTuple):
    """Events of a step at most, and the pause after it as a multiple of the time that it took.

    If a step takes longer than `seconds`, the next one has less events.
    """

    events: int
    pause: float
    seconds: float | None = None


PACE = {"postgresql": Pace(10_000, 1.0), "sqlite": Pace(100, 1.0, 0.05)}


class Plan(NamedTuple):
    """What a run would drop; `complete_since` is the present begin of the log."""

    before: datetime
    complete_since: datetime | None
    days: Sequence[OldDay]

    @property
    def events(self) -> int:
        """How many events would be dropped."""
        return sum(each.events for each in self.days)

    @property
    def set_aside(self) -> int:
        """How many older events would stay, since they are set aside."""
        return sum(each.set_aside for each in self.days)


class Archived(NamedTuple):
    """What a run did."""

    complete_since: datetime
    events: int
    set_aside: int
    files: int
    folder: Path


Progress = Callable[[int], None]
"""Called with the number of events that a run has dropped so far."""


class Archive:
    """Drops old events from the log of one database, into one folder."""

    def __init__(
        self,
        session_factory: async_sessionmaker[AsyncSession],
        folder: Path,
        *,
        schema: str | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        kept: timedelta = KEPT,
        pace: Pace | None = None,
    ) -> None:
        """Use a given session factory; `schema` as in `FeedFeedbackPersistence`.

        `kept` is how much of the log stays in any case; less than two days is for tests.
        """
        self._database = Database(session_factory, schema)
        self._folder = EventFolder(folder)
        self._clock = clock
        self._kept = kept
        self._pace = pace
        self.partitions = Partitions(self._database)

    async def plan(self, before: datetime) -> Plan:
        """Return what a run would drop now; nothing changes.

        Raises InvalidInput or DatabaseUnavailable.
        """
        await self._check(before)
        async with self._database.reading(Kind.BULK_READ) as connection:
            days = await dropping.old_days(connection, before)
            return Plan(before, await complete_since(connection), days)

    async def run(self, before: datetime, progress: Progress = lambda _events: None) -> Archived:
        """Drop all events from before a time that count; the log begins there from now on.

        Raises InvalidInput for a time that is not a whole minute, or that is too late, and for a
        folder that cannot be used; MissingExtra without pyarrow; DatabaseUnavailable. After the
        last one, the next run continues.
        """
        await self._check(before)
        archive_id = await repeated(self._open)
        await repeated(lambda: self._begin(before))
        await wait_for_writers(self._database)
        await self.make_partitions(self._clock() - before)
        dropped = await self._drop_partitions(before, progress)
        dropped += await self._thin(before, lambda events: progress(dropped + events))
        await merge_all(self._database, self._folder)
        await repeated(lambda: self._tidy(archive_id))
        if dropped:
            await vacuum(self._database)
        return await self._summary(before, dropped)

    async def shrink(self, kept: timedelta | None = None) -> None:
        """Rebuild the log, or the SQLite file, without the room of dropped events.

        With `kept`, also make the partitions that were not made since the log was too large.
        Recording waits meanwhile. Raises DatabaseUnavailable.
        """
        await vacuum(self._database, full=True)
        if kept is not None:
            await self.partitions.make(self._clock(), kept, at_any_size=True)

    async def make_partitions(self, kept: timedelta) -> int:
        """Make partitions for the events to come, if so much of the log is kept.

        Returns how many were made. Raises DatabaseUnavailable.
        """
        return await self.partitions.make(self._clock(), kept)

    async def whole_days(self, before: datetime) -> datetime:
        """Return the latest begin, at most `before`, at which no partition would be cut in two.

        Raises DatabaseUnavailable.
        """
        starts = (day_after(each.ids.start) for each in (await self.partitions.layout()).partitions)
        return max((at for at in starts if at <= before), default=before)

    async def at_most(self, before: datetime) -> datetime:
        """Return a begin that a run accepts: experiments that are not decided need the log.

        Raises DatabaseUnavailable.
        """
        async with self._database.reading() as connection:
            needed = await dropping.needed_since(connection)
        return before if needed is None else min(before, midnight(needed))

    async def _check(self, before: datetime) -> None:
        if before != before.replace(second=0, microsecond=0):
            raise InvalidInput(Problem("--before", "must be a whole minute"))
        latest = self._clock() - self._kept
        if before > latest:
            message = f"must be at least {self._kept.days} days ago; {latest:%Y-%m-%d} would be"
            raise InvalidInput(Problem("--before", message))
        if (possible := await self.at_most(before)) < before:
            message = (
                f"an experiment that is not decided needs the log since {possible:%Y-%m-%d}; "
                "decide it first, or give that day"
            )
            raise InvalidInput(Problem("--before", message))

    @property
    def _own_pace(self) -> Pace:
        return self._pace or PACE["postgresql" if self._database.is_postgresql else "sqlite"]

    async def _rest(self, took: float) -> None:
        pause = self._own_pace.pause
        await asyncio.sleep(max(took * pause, LEAST_ROOM) if pause else 0)

    async def _open(self) -> str:
        async with self._database.transaction(Kind.WRITE) as connection:
            await take_turn(connection, self._database)
            own = await file_register.archive_id(connection, self._database)
            await asyncio.to_thread(self._folder.open, own)
        await self._tidy(own)
        return own

    async def _begin(self, before: datetime) -> None:
        async with self._database.transaction(Kind.WRITE) as connection:
            await take_turn(connection, self._database)
            await file_register.begin_later(connection, self._database, before)

    async def _drop_partitions(self, before: datetime, progress: Progress) -> int:
        """Drop what is older, a whole partition at a time; returns how many events.

        Only who owns a partition may drop it; others leave its events to `_thin`.
        """
        layout = await self.partitions.layout()
        whole = WholePartitions(self._database, self._folder, self._own_pace.pause)
        dropped = 0
        for partition in layout.partitions if layout.may_change else ():
            if partition.ids.until <= before:
                dropped += await whole.drop(partition, before)
                progress(dropped)
        return dropped

    async def _thin(self, before: datetime, progress: Progress) -> int:
        """Drop what is older, some events at a time; returns how many."""
        dropped, pace = 0, self._own_pace
        for log in (await self.partitions.layout()).leaves:
            since, most = EARLIEST_TIME, pace.events
            while True:
                began = time.monotonic()
                events, since = await self._step(log, before, since, most)
                if not events:
                    break
                dropped += events
                progress(dropped)
                took = time.monotonic() - began
                await self._rest(took)
                if pace.seconds is not None:
                    fitting = int(most * pace.seconds / max(took, LEAST_ROOM))
                    most = min(max(fitting, LEAST_EVENTS), pace.events)
        return dropped

    async def _step(
        self, log: Table, before: datetime, since: datetime, most: int
    ) -> tuple[int, datetime]:
        """Drop some events; returns how many, and the time of the last one."""
        while True:
            async with self._database.reading(Kind.SNAPSHOT) as connection:
                events = await dropping.oldest(connection, log, before, most, since)
            if not events:
                return 0, since
            last: datetime = events[-1]["occurred_at"]
            day = last.date()
            prepared = await asyncio.to_thread(self._folder.prepare, day, events)
            ids = [each["interaction_id"] for each in events]
            try:
                if await repeated(lambda: self._drop(log, prepared, ids)):  # noqa: B023 — called here
                    return len(events), last
            finally:
                await asyncio.to_thread(prepared.discard)

    async def _drop(self, log: Table, prepared: Prepared, ids: Sequence[str]) -> bool:
        async with self._database.transaction(Kind.BULK_WRITE) as connection:
            await take_turn(connection, self._database)
            await Marks(connection, self._database).exclude_rebuild()
            # Some may have been erased or set aside since they were read.
            if not await dropping.drop(connection, self._database, log, ids):
                return False
            await asyncio.to_thread(prepared.place)
            await file_register.register(connection, prepared.file)
        await asyncio.to_thread(prepared.settle)
        return True

    async def _tidy(self, archive_id: str) -> None:
        """Delete remains, and write the manifest: while nobody else writes files."""
        await tidy(self._database, self._folder, archive_id)

    async def _summary(self, before: datetime, dropped: int) -> Archived:
        async with self._database.reading(Kind.SNAPSHOT) as connection:
            left = await dropping.old_days(connection, before)
            files = await file_register.registered(connection)
            since = await complete_since(connection)
        own = [each for each in files if each.folder == str(self._folder.path)]
        aside = sum(each.set_aside for each in left)
        return Archived(since or before, dropped, aside, len(own), self._folder.path)


def midnight(at: datetime) -> datetime:
    """Return the start of a time's day, in UTC."""
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)

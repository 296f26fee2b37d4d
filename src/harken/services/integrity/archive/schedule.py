"""Scheduled retention: once an hour, one server of a database drops what became too old."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from harken.services.integrity.archive.archiving import Archive, midnight
from harken.services.registry.leases import LeaseStore
from harken.services.registry.schedule import Schedule

log = logging.getLogger(__name__)

LEASE_NAME = "archive"
LEASE = timedelta(minutes=2)
LOOK = timedelta(hours=1)
RETRY = timedelta(minutes=1)
MOST_RETRY = timedelta(hours=1)


class ArchiveSchedule(Schedule):
    """Keeps the log to its latest days, in one process of a database at a time.

    The lease keeps servers from doing the same; runs at the same time would be right, too.
    """

    name = "Archiving"
    log = log
    most_retry = MOST_RETRY

    def __init__(
        self,
        archive: Archive,
        leases: LeaseStore,
        kept: timedelta,
        *,
        look: timedelta = LOOK,
        retry: timedelta = RETRY,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        super().__init__(leases, look, secrets=(), retry=retry, clock=clock)
        self._archive = archive
        self._kept = kept

    async def _turn(self) -> timedelta:
        """Drop what is too old; returns how long to wait until the next look."""
        if await self._due() is None and not await self._lacks_partitions():
            return self._every
        if not await self._leases.take(LEASE_NAME, self._holder, LEASE):
            return self._every
        try:
            await self._archive.make_partitions(self._kept)
            before = await self._due()  # another server may have been there meanwhile
            if before is None:
                return self._every
            async with self._prolonged(LEASE_NAME, LEASE):
                done = await self._archive.run(before)
        finally:
            await self._give_back(LEASE_NAME, self._holder)
        self._failures = 0
        since = f"{done.complete_since:%Y-%m-%d}"
        log.info("%d events from before %s went to %s.", done.events, since, done.folder)
        return self._every

    async def _due(self) -> datetime | None:
        """Return the begin that the log should have; None if nothing is older."""
        day = midnight(self._clock() - self._kept)
        # Whole partitions: a part of one would be dropped event by event.
        before = await self._archive.at_most(await self._archive.whole_days(day))
        return before if (await self._archive.plan(before)).events else None

    async def _lacks_partitions(self) -> bool:
        return await self._archive.partitions.lack(self._clock(), self._kept)

    def _failed(self, reason: str) -> timedelta:
        pause = self._pause_after_failure()
        log.error("Archiving failed (%s); it is tried again in %s.", reason, pause)
        return pause

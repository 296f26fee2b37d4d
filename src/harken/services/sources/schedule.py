"""Scheduled refresh: in the background, what is due is asked, by one server of a database."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from harken.services.registry.leases import LeaseStore
from harken.services.registry.schedule import Schedule
from harken.services.sources.service import Sources

log = logging.getLogger(__name__)

LEASE_NAME = "refresh"
LEASE = timedelta(minutes=2)
RETRY = timedelta(seconds=10)
MOST_RETRY = timedelta(minutes=10)
LOOK = timedelta(seconds=30)
"""The longest wait until this process looks again for what is due."""
MOST_AT_ONCE = 500
"""So many sources are asked before the list of those that are due is read again."""


class RefreshSchedule(Schedule):
    """Refreshes sources when they are due; `sources.wake` is set when there is something to do."""

    name = "Refresh"
    log = log
    most_retry = MOST_RETRY

    def __init__(
        self,
        sources: Sources,
        leases: LeaseStore,
        *,
        look: timedelta = LOOK,
        retry: timedelta = RETRY,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        super().__init__(leases, look, secrets=(), retry=retry, clock=clock)
        self._sources = sources
        self._is_begun = False

    async def _turn(self) -> timedelta:
        """Refresh what is due; returns how long to wait until the next look."""
        if not self._is_begun:
            await self._sources.resume()
            self._is_begun = True
        if not await self._sources.due(1):
            return self._every
        if not await self._leases.take(LEASE_NAME, self._holder, LEASE):
            return self._every
        try:
            async with self._prolonged(LEASE_NAME, LEASE):
                while due := await self._sources.due(MOST_AT_ONCE):
                    refreshed = await self._sources.refresher.refresh(due)
                    self._tell(Counter(each.result.value for each in refreshed))
        finally:
            await self._give_back(LEASE_NAME, self._holder)
        self._failures = 0
        return self._every

    def _tell(self, counts: Counter[str]) -> None:
        found = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
        log.info("Sources were refreshed: %s.", found)

    async def _rest(self, pause: timedelta) -> None:
        """Wait, or until there is something to do."""
        wake = self._sources.wake
        try:
            async with asyncio.timeout(pause.total_seconds()):
                await wake.wait()
        except TimeoutError:
            return
        wake.clear()

    def _failed(self, reason: str) -> timedelta:
        pause = self._pause_after_failure()
        log.error("Refresh failed (%s); it is tried again in %s.", reason, pause)
        return pause

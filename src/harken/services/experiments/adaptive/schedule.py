"""Scheduled allocation: at most daily, one worker of a database computes the next version.

When a version is due follows from the versions in the database, so neither a restart nor another
worker computes it again. A lease keeps workers from computing it at the same time, and the store
refuses a version that comes too early.
"""

import logging
import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from harken.services.experiments.adaptive.versions import EVERY
from harken.services.experiments.definitions import Experiment
from harken.services.experiments.service import Experiments
from harken.services.registry.leases import LeaseStore
from harken.services.registry.schedule import Schedule

log = logging.getLogger(__name__)

LEASE_NAME = "allocation"
LEASE = timedelta(minutes=10)
RETRY = timedelta(minutes=1)
MOST_RETRY = timedelta(hours=1)
LOOK = timedelta(minutes=10)
"""The longest wait between two looks at what runs."""
UNCHANGED = timedelta(hours=1)
"""How long to wait where a version was due, and the allocation stays as it is."""


def this_worker() -> str:
    """Return the name of this process in the record of versions: its host and its number."""
    return f"{socket.gethostname()[:80]}:{os.getpid()}"


class AllocationSchedule(Schedule):
    """Computes the allocations of running adaptive experiments when they are older than `every`."""

    name = "Allocation"
    log = log
    most_retry = MOST_RETRY

    def __init__(
        self,
        experiments: Experiments,
        leases: LeaseStore,
        every: timedelta = EVERY,
        *,
        retry: timedelta = RETRY,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        super().__init__(leases, max(every, EVERY), secrets=(), retry=retry, clock=clock)
        self._experiments = experiments
        self._not_before: dict[tuple[str, int], datetime] = {}

    async def _turn(self) -> timedelta:
        """Compute what is due; returns how long to wait until the next look."""
        if not await self._due():
            return LOOK
        if not await self._leases.take(LEASE_NAME, self._holder, LEASE):
            return LOOK
        try:
            for each in await self._due():  # another worker may have been there meanwhile
                await self._allocate(each)
        finally:
            await self._give_back(LEASE_NAME, self._holder)
        self._failures = 0
        return LOOK

    async def _due(self) -> list[Experiment]:
        now = self._clock()
        return [
            each
            for each in await self._experiments.store.running()
            if each.allocations is not None
            and each.allocations.latest.computed_at + self._every <= now
            and self._not_before.get((each.id, each.version), now) <= now
        ]

    async def _allocate(self, experiment: Experiment) -> None:
        found = await self._experiments.allocate(experiment.id, this_worker())
        if found is None:
            self._not_before[experiment.id, experiment.version] = self._clock() + UNCHANGED
            return
        shares = ", ".join(f"{name} {share:.1%}" for name, share in found.shares.items())
        log.info("The allocation of %s is now %s.", experiment.name, shares)

    def _failed(self, reason: str) -> timedelta:
        pause = self._pause_after_failure()
        log.error("Allocation failed (%s); it is tried again in %s.", reason, pause)
        return pause

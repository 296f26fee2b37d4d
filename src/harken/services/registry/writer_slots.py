"""The slot of a process that records: its writers have shards of their own in the database.

A lease gives each process another slot, on whatever machine it runs. A process that has none,
because the database did not answer or all are taken, writes to shards that it drew: that is as
exact, and may be slower.
"""

import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from harken.services.record.persistence import FeedFeedbackPersistence
from harken.services.record.writing.shards import SLOTS
from harken.services.registry.leases import LeaseStore
from harken.services.registry.schedule import Schedule

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=10)
RETRY = timedelta(seconds=10)
MOST_TRIES = 8
"""So many slots are tried in a turn; more are taken only if nearly all are."""


def lease_name(slot: int) -> str:
    """Return the name of the lease of a slot."""
    return f"writer-{slot}"


class WriterSlot(Schedule):
    """Takes a free slot, keeps it as long as the process runs, and gives it back at the end."""

    name = "Taking a writer's slot"
    log = log
    most_retry = LEASE

    def __init__(
        self, leases: LeaseStore, record: FeedFeedbackPersistence, *, every: timedelta = LEASE / 3
    ) -> None:
        super().__init__(leases, every, secrets=(), retry=RETRY)
        self._record = record
        self.slot: int | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Hold a slot within this context."""
        async with super().running():
            yield
        if self.slot is not None:
            await self._give_back(lease_name(self.slot), self._holder)

    async def _turn(self) -> timedelta:
        """Prolong the slot, or take another; returns how long to wait."""
        if self.slot is None or not await self._take(self.slot):
            self.slot = await self._free()
            if self.slot is not None:
                self._record.write_as(self.slot)
        self._failures = 0
        return self._every

    async def _free(self) -> int | None:
        # Each process begins at another slot, so the first one that it tries is usually free.
        first = random.randrange(SLOTS)  # noqa: S311 — no secret
        for number in range(first, first + MOST_TRIES):
            if await self._take(number % SLOTS):
                return number % SLOTS
        return None

    async def _take(self, slot: int) -> bool:
        return await self._leases.take(lease_name(slot), self._holder, LEASE)

    def _failed(self, reason: str) -> timedelta:
        pause = self._pause_after_failure()
        log.info("%s failed (%s); it is tried again in %s.", self.name, reason, pause)
        return pause

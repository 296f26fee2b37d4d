"""Scheduled detection: at intervals, a child process looks at what happened since the last time.

Several servers of a database may enable it. A lease that lasts as long as the interval makes sure
that one of them runs it, and that a restart does not run it again.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple
from uuid import uuid4

from harken.child_processes import run_child
from harken.domain.durations import write_duration
from harken.services.registry.leases import LeaseStore
from harken.services.registry.schedule import Schedule

log = logging.getLogger(__name__)

LEASE_NAME = "detection"
RETRY = timedelta(minutes=1)
MOST_RETRY = timedelta(hours=1)
LOOK = timedelta(seconds=30)
"""The longest wait until this process asks for the lease again."""


class DetectionStatus(NamedTuple):
    """The state of scheduled detection in this process; `last` is None before the first run."""

    every: timedelta
    is_running: bool
    last: tuple[datetime, Literal["done", "failed"]] | None


class DetectionSchedule(Schedule):
    """Runs a command at intervals, in one process of a database at a time.

    `command` is the command line without the length of time to look at. `secrets` are removed from
    the program's output before it is logged. A run that failed is tried again after a minute,
    doubled with each further failure, at most an hour.
    """

    name = "Detection"
    log = log
    most_retry = MOST_RETRY

    def __init__(
        self,
        leases: LeaseStore,
        every: timedelta,
        command: Sequence[str],
        *,
        secrets: Sequence[str] = (),
        retry: timedelta = RETRY,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        super().__init__(leases, every, secrets=secrets, retry=retry, clock=clock)
        self._command = command
        self._last: tuple[datetime, Literal["done", "failed"]] | None = None

    def status(self) -> DetectionStatus:
        """Return the current state."""
        return DetectionStatus(self._every, self._is_running, self._last)

    async def _turn(self) -> timedelta:
        """Run the command if it is due; returns how long to wait until the next look."""
        # A new name for each turn: this process's own lease is no reason to run again.
        holder = f"{self._holder}-{uuid4().hex[:8]}"
        if not await self._leases.take(LEASE_NAME, holder, self._every):
            return min(self._every, LOOK)
        self._is_running = True
        try:
            span = write_duration(self._every)
            code, last_words = await run_child([*self._command, "--last", span], self._say)
        except BaseException:
            await self._give_back(LEASE_NAME, holder)
            raise
        finally:
            self._is_running = False
        if code:
            await self._give_back(LEASE_NAME, holder)
            return self._failed(f"exit code {code}: {self._redacted(last_words)}")
        self._failures = 0
        self._last = self._clock(), "done"
        return min(self._every, LOOK)

    def _failed(self, reason: str) -> timedelta:
        pause = self._pause_after_failure()
        self._last = self._clock(), "failed"
        log.error("Detection failed (%s); it is tried again in %s.", reason, pause)
        return pause

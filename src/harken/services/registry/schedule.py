"""What scheduled work has in common: turns in the background, pauses after failures, its output."""

import asyncio
import contextlib
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from harken.errors import HarkenError
from harken.services.registry.leases import LeaseStore

ENDING_SECONDS = 2
SHORT_SECONDS = 0.5
"""A turn that takes no longer is completed at the end; others are cancelled."""


class Schedule(ABC):
    """Takes turns until its context ends; a lease lets one server of a database work.

    `secrets` are removed from a program's output before it is logged. A turn that failed is
    repeated after `retry`, doubled with each further failure, at most `most_retry`.
    """

    name: str
    """What is scheduled, as a log line begins: `Retraining`."""
    log: logging.Logger
    most_retry: timedelta

    def __init__(
        self,
        leases: LeaseStore,
        every: timedelta,
        *,
        secrets: Sequence[str],
        retry: timedelta,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._leases = leases
        self._every = every
        self._secrets = secrets
        self._retry = retry
        self._clock = clock
        self._holder = uuid4().hex
        self._failures = 0
        self._is_running = False
        self._is_resting = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Take turns within this context; child processes end with it."""
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            # A query that is cancelled may answer when its event loop is closed.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._is_resting.wait(), SHORT_SECONDS)
            task.cancel()
            # A lease that cannot be released expires.
            await asyncio.wait([task], timeout=ENDING_SECONDS)

    @abstractmethod
    async def _turn(self) -> timedelta:
        """Work if it is due; returns how long to wait until the next turn."""

    @abstractmethod
    def _failed(self, reason: str) -> timedelta:
        """Note and log a failure; returns how long to wait."""

    async def _run(self) -> None:
        while True:
            self._is_resting.clear()
            try:
                pause = await self._turn()
            except HarkenError as error:
                pause = self._failed(str(error))
            except Exception:
                self.log.exception("%s failed.", self.name)
                pause = self._failed("see above")
            self._is_resting.set()
            await self._rest(pause)

    async def _rest(self, pause: timedelta) -> None:
        await asyncio.sleep(pause.total_seconds())

    def _pause_after_failure(self) -> timedelta:
        pause: timedelta = min(self._retry * 2 ** min(self._failures, 20), self.most_retry)
        self._failures += 1
        return pause

    def _prolonged(self, lease: str, length: timedelta) -> AbstractAsyncContextManager[None]:
        """Extend a lease that this process has, until the context ends."""
        return self._leases.prolonged(lease, self._holder, length)

    async def _give_back(self, lease: str, holder: str) -> None:
        with contextlib.suppress(HarkenError):
            await self._leases.release(lease, holder)

    def _say(self, line: str) -> None:
        self.log.info("%s", self._redacted(line))

    def _redacted(self, line: str) -> str:
        for secret in self._secrets:
            line = line.replace(secret, "…")
        return line

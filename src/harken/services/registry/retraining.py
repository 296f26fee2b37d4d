"""Scheduled retraining: when the newest model is too old, a child process trains another.

Several servers of a database may enable it. Only the one with the lease trains. The schedule
depends on the age of the newest model in the database, so neither a restart nor another server
trains again.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from harken.child_processes import run_child
from harken.services.registry.leases import LeaseStore
from harken.services.registry.schedule import Schedule
from harken.services.registry.store import ModelStore

log = logging.getLogger(__name__)

LEASE_NAME = "retraining"
LEASE = timedelta(minutes=2)

RETRY = timedelta(minutes=1)
MOST_RETRY = timedelta(days=1)

# How long to wait while another server trains, and the longest wait between two checks.
BUSY = timedelta(seconds=30)
LOOK = timedelta(minutes=10)

NOT_BETTER = 1
"""Exit code of `harken train --promote` for a model that was stored but not promoted."""

Outcome = Literal["promoted", "not_better", "failed"]


class Commands(NamedTuple):
    """The command lines that train and promote a model, and that make a report."""

    train: Sequence[str]
    report: Sequence[str]


class Attempt(NamedTuple):
    """A training run that this process started."""

    began_at: datetime
    ended_at: datetime
    outcome: Outcome


class Status(NamedTuple):
    """The state of retraining; `next_at` is None at first and while a training runs."""

    every: timedelta
    is_running: bool
    next_at: datetime | None
    last: Attempt | None


class Retraining(Schedule):
    """Trains a model when the newest one is older than `every`.

    `secrets` are removed from the programs' output before it is logged. After a failure it waits
    for `retry`, doubled with each further failure, at most a day.
    """

    name = "Retraining"
    log = log
    most_retry = MOST_RETRY

    def __init__(
        self,
        models: ModelStore,
        leases: LeaseStore,
        every: timedelta,
        commands: Commands,
        *,
        secrets: Sequence[str] = (),
        retry: timedelta = RETRY,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        super().__init__(leases, every, secrets=secrets, retry=retry, clock=clock)
        self._models = models
        self._commands = commands
        self._not_before = datetime.min.replace(tzinfo=UTC)
        self._next_at: datetime | None = None
        self._last: Attempt | None = None

    def status(self) -> Status:
        """Return the current state."""
        return Status(self._every, self._is_running, self._next_at, self._last)

    async def _turn(self) -> timedelta:
        """Train if a model is due; returns how long to wait until the next check."""
        if (pause := await self._pause()) > timedelta():
            return pause
        if not await self._leases.take(LEASE_NAME, self._holder, LEASE):
            self._next_at = self._clock() + BUSY
            return BUSY
        try:
            # Another server may have trained meanwhile.
            if (pause := await self._pause()) > timedelta():
                return pause
            async with self._prolonged(LEASE_NAME, LEASE):
                return await self._train()
        finally:
            self._is_running = False
            await self._give_back(LEASE_NAME, self._holder)

    async def _pause(self) -> timedelta:
        """Return how long to wait until a model is due, at most `LOOK`; 0 if it is due."""
        now, newest = self._clock(), await self._models.newest()
        due = now if newest is None else newest + self._every
        self._next_at = max(due, self._not_before)
        return min(max(self._next_at - now, timedelta()), LOOK)

    async def _train(self) -> timedelta:
        began_at, newest = self._clock(), await self._models.newest()
        self._is_running, self._next_at = True, None
        log.info("Retraining begins.")
        code, last_words = await run_child(self._commands.train, self._say)
        # A refusal, such as a log that is too short, has the same exit code as NOT_BETTER.
        is_kept = await self._models.newest() != newest
        outcome: Outcome = "failed"
        if is_kept and code in {0, NOT_BETTER}:
            outcome = "not_better" if code else "promoted"
        self._last = Attempt(began_at, self._clock(), outcome)
        if outcome == "failed":
            return self._failed(f"exit code {code}: {self._redacted(last_words)}")
        self._failures = 0
        log.info("Retraining ended: the model is %s.", outcome.replace("_", " "))
        await self._report()
        return await self._pause()

    async def _report(self) -> None:
        code, last_words = await run_child(self._commands.report, self._say)
        if code:
            log.error("The report failed, exit code %s: %s", code, self._redacted(last_words))

    def _failed(self, reason: str) -> timedelta:
        pause = self._pause_after_failure()
        self._next_at = self._not_before = self._clock() + pause
        log.error(
            "Retraining failed (%s); it is tried again at %s.", reason, f"{self._next_at:%FT%TZ}"
        )
        return pause

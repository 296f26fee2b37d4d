"""Outages of a database: each is logged once when it begins and once when it ends."""

import logging
import time
from collections.abc import Callable
from typing import NamedTuple

from harken.failures import Obstacle, cause_of, obstacle_of

log = logging.getLogger(__name__)


class Attempt(NamedTuple):
    """When a transaction began: after how many failures, and at which time (seconds)."""

    failures: int
    at: float


class Outages:
    """Tracks whether the database of one engine can be used, from the results of transactions.

    A caller asks `begin` when a transaction begins, and hands the answer on when it has ended: a
    transaction that began before the latest failure does not prove that the outage is over, and
    the late failure of one that began during an outage does not begin another.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began_at = 0.0
        self._ended_at = float("-inf")
        self._cause = ""
        self.failures = 0
        """The number of transactions that failed because the database could not be used."""
        self.obstacle: Obstacle | None = None
        """Why the database cannot be used now; None while there is no outage."""

    def describe(self) -> str | None:
        """Return since when the database cannot be used, and why; None while it can."""
        if self.obstacle is None:
            return None
        return (
            f"the database cannot be used since {self._clock() - self._began_at:.0f} s: "
            f"{self._cause}"
        )

    def begin(self) -> Attempt:
        """Return what a transaction hands on when it has ended."""
        return Attempt(self.failures, self._clock())

    def failed(self, error: BaseException, began: Attempt | None = None) -> None:
        """Note an error; errors that mean no outage are ignored."""
        obstacle = obstacle_of(error)
        if obstacle is None or (began is not None and began.at < self._ended_at):
            return
        self.failures += 1
        if self.obstacle is None:
            self._began_at, self._cause = self._clock(), cause_of(error)
            log.error(
                "The database cannot be used: %s. Events are refused until it can.", self._cause
            )
        self.obstacle = obstacle

    def read(self, failures: int) -> None:
        """Note that a transaction could read; `failures` is the failure count when it began."""
        if self.obstacle is Obstacle.CONNECTION:
            self._ended(failures)

    def wrote(self, failures: int) -> None:
        """Note that a transaction wrote or could have; `failures` is the count when it began."""
        if self.obstacle is not None:
            self._ended(failures)

    def _ended(self, failures: int) -> None:
        if failures == self.failures:
            self.obstacle = None
            self._ended_at = self._clock()
            log.warning(
                "The database can be used again, after %.1f s: %s.",
                self._ended_at - self._began_at,
                self._cause,
            )

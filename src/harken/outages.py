"""When a database could not be used: one line in the log at the start, and one at the end."""

import logging
import time
from collections.abc import Callable

from harken.failures import Obstacle, cause_of, obstacle_of

log = logging.getLogger(__name__)


class Outages:
    """Keeps whether the database of one engine can be used, by what its transactions met.

    Whoever begins a transaction asks for `failures`, and hands that number back if it succeeded:
    one that began before the latest failure says nothing about what is now.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began_at = 0.0
        self._cause = ""
        self.failures = 0
        """How many transactions failed so far because the database could not be used."""
        self.obstacle: Obstacle | None = None
        """What is in the way now; None while there is no outage."""

    def describe(self) -> str | None:
        """Say since when the database cannot be used, and why; None while it can."""
        if self.obstacle is None:
            return None
        return (
            f"the database cannot be used since {self._clock() - self._began_at:.0f} s: "
            f"{self._cause}"
        )

    def failed(self, error: BaseException) -> None:
        """Take down an error; anything but an outage is left alone."""
        obstacle = obstacle_of(error)
        if obstacle is None:
            return
        self.failures += 1
        if self.obstacle is None:
            self._began_at, self._cause = self._clock(), cause_of(error)
            log.error(
                "The database cannot be used: %s. Events are refused until it can.", self._cause
            )
        self.obstacle = obstacle

    def read(self, failures: int) -> None:
        """Take down that something was read, in a transaction begun at so many failures."""
        if self.obstacle is Obstacle.CONNECTION:
            self._ended(failures)

    def wrote(self, failures: int) -> None:
        """Take down that something was written, or could have been, likewise."""
        if self.obstacle is not None:
            self._ended(failures)

    def _ended(self, failures: int) -> None:
        if failures == self.failures:
            self.obstacle = None
            log.warning(
                "The database can be used again, after %.1f s: %s.",
                self._clock() - self._began_at,
                self._cause,
            )

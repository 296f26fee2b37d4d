"""Limits of the number of requests, by the library `limits`: per key, user and address.

The counters are in memory, so each process counts by itself. Windows are fixed: a limit of 50 per
second lets through at most 50 in each second of the counter, and up to 100 around its end.
"""

import math
import time
from typing import NamedTuple

from limits import RateLimitItem, parse
from limits.storage import Storage

from harken.config import Settings

DEFAULT_RATE = "50/second"
"""The limit per user and address of a server that other machines reach."""
SWEEP_SECONDS = 10.0


class WindowStorage(Storage):
    """Counters of the library, in memory.

    The library's own storage in memory starts a thread for each 10 ms with requests, which looks
    at all counters. This one looks at all of them every 10 seconds, in the event loop.
    """

    STORAGE_SCHEME = None

    def __init__(self) -> None:
        super().__init__()
        self._counters: dict[str, tuple[float, int]] = {}
        self._swept_at = time.time()

    @property
    def base_exceptions(self) -> type[Exception]:
        """The errors of the storage, as the library asks for them; none are expected."""
        return ValueError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count a request and return the count; `expiry` is the length of a window in seconds."""
        now = time.time()
        if now - self._swept_at > SWEEP_SECONDS:
            self._sweep(now)
        end, count = self._counters.get(key, (0.0, 0))
        if end <= now:
            end, count = now + expiry, 0
        self._counters[key] = end, count + amount
        return count + amount

    def get(self, key: str) -> int:
        """Return the count of the present window."""
        end, count = self._counters.get(key, (0.0, 0))
        return count if end > time.time() else 0

    def get_expiry(self, key: str) -> float:
        """Return the end of the present window, in seconds since 1970."""
        return self._counters.get(key, (time.time(), 0))[0]

    def check(self) -> bool:
        """Return that the storage works."""
        return True

    def reset(self) -> int:
        """Drop all counters; returns their number."""
        count = len(self._counters)
        self._counters.clear()
        return count

    def clear(self, key: str) -> None:
        """Drop a counter."""
        self._counters.pop(key, None)

    def _sweep(self, now: float) -> None:
        self._swept_at = now
        self._counters = {key: kept for key, kept in self._counters.items() if kept[0] > now}


class Exceeded(NamedTuple):
    """A limit that a request exceeds, and the seconds until its window ends."""

    what: str
    limit: RateLimitItem
    seconds: int

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the answer."""
        return {
            "Retry-After": str(self.seconds),
            "RateLimit-Limit": str(self.limit.amount),
            "RateLimit-Remaining": "0",
            "RateLimit-Reset": str(self.seconds),
        }


class RateLimits:
    """The limits of one server."""

    def __init__(self, settings: Settings) -> None:
        usual = None if settings.loopback else DEFAULT_RATE
        given = {
            "key": settings.rate_limit_key,
            "user": settings.rate_limit_user or usual,
            "address": settings.rate_limit_address or usual,
        }
        found = {what: parse(rate) for what, rate in given.items() if rate not in {None, "off"}}
        self._limits = {what: (limit, limit.get_expiry()) for what, limit in found.items()}
        self._counters = WindowStorage()

    def __bool__(self) -> bool:
        return bool(self._limits)

    def exceeded(self, **callers: str | None) -> Exceeded | None:
        """Count a request of a key, user or address; returns the limit that it exceeds."""
        # This is the library's strategy of fixed windows; its own class takes as long as all
        # other rules together, mainly to make the names of counters.
        for what, (limit, seconds) in self._limits.items():
            name = callers.get(what)
            if name is None:
                continue
            counter = f"{what}/{name}"
            if self._counters.incr(counter, seconds) > limit.amount:
                left = self._counters.get_expiry(counter) - time.time()
                return Exceeded(what, limit, max(1, math.ceil(left)))
        return None

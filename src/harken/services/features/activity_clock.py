"""A clock that goes by what readers do: it stands still at night, and is fast in the morning.

What nobody touched since yesterday evening is old by the time, and may be new to everybody. So this
clock counts *touches*: a named reader's first view of, or engagement with, a K-Block. It knows the
latest `MOST` of them, and of each K-Block decayed counts of its own. A touch is added in constant
time. Times are in seconds since 1970.
"""

import numpy as np

from harken.services.features.traces import Floats, Numbers

MOST = 8_192
"""So many of the latest touches are known; counts of touches are no larger."""
HALF_LIVES = (20, 100)
"""The half-lives of decayed counts, in touches of any K-Block."""

_RATES = np.array([1 / each for each in HALF_LIVES])
_FIRST = 64


class ActivityClock:
    """The latest touches of everybody, and decayed counts of each K-Block, by their places."""

    def __init__(self, most: int = MOST) -> None:
        """Begin without touches; the latest `most` of them will be known."""
        self._most = most
        # Touches in the order in which they came; those before `_end` - `most` are forgotten.
        self._at = np.full(2 * most, -np.inf)
        self._is_latest = np.zeros(2 * most, np.int32)  # 1 if it is its reader's latest touch
        self._end = most
        self._count = 0
        self._latest: dict[int, int] = {}  # by reader: the ordinal of their latest touch
        self._sums = np.zeros((_FIRST, len(HALF_LIVES)))
        self._then = np.zeros(_FIRST)

    def see(self, reader: int, place: int, at: float) -> None:
        """Add a touch, which counts as no earlier than those that came before it."""
        if self._end == len(self._at):
            self._forget()
        self._count += 1
        before = self._latest.get(reader)
        if before is not None:
            self._is_latest[self._end - (self._count - before)] = 0
        self._latest[reader] = self._count
        self._at[self._end] = max(at, self._at[self._end - 1])
        self._is_latest[self._end] = 1
        self._end += 1
        while place >= len(self._then):
            self._sums = np.concatenate([self._sums, np.zeros_like(self._sums)])
            self._then = np.concatenate([self._then, np.zeros_like(self._then)])
        self._sums[place] *= np.exp2((self._then[place] - self._count) * _RATES)
        self._sums[place] += 1
        self._then[place] = self._count

    def _forget(self) -> None:
        for column in (self._at, self._is_latest):
            column[: self._most] = column[self._most :]
        self._end = self._most
        # An ordinal may not lie before what is left.
        oldest = self._count - self._most
        self._latest = {who: count for who, count in self._latest.items() if count > oldest}

    def touches(self, since: Floats) -> Floats:
        """Return how many touches came after each of some times."""
        return np.asarray(self._most - self._first_after(since), np.float64)

    def readers(self, since: Floats) -> Floats:
        """Return how many readers touched something after each of some times."""
        known = self._is_latest[self._end - self._most : self._end]
        after = np.append(np.cumsum(known[::-1])[::-1], 0)
        return np.asarray(after[self._first_after(since)], np.float64)

    def _first_after(self, since: Floats) -> Numbers:
        return np.searchsorted(self._at[self._end - self._most : self._end], since, side="right")

    def sums(self, places: Numbers) -> Floats:
        """Return the decayed counts of K-Blocks: `HALF_LIVES` × places."""
        known = np.where(places < len(self._then), places, 0)
        since = self._count - self._then[known]
        decayed: Floats = self._sums[known].T * np.exp2(-_RATES[:, None] * since)
        return decayed

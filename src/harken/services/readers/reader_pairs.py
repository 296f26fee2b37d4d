"""Who touches the same K-Blocks as whom: for each reader, the others with most in common.

A reader's pairs are updated when one of both touches a K-Block for the first time that the other
touched. So they go back further than histories and recent readers, which forget. A reader has at
most twice `width` of them; there is no table of all pairs.
"""

from collections import defaultdict
from typing import NamedTuple

import numpy as np

from harken.services.readers.co_engagement import NOBODY, Floats, Numbers

DAY = 86_400.0

# The counts of a pair are one number, which takes less room than two.
_BITS = 30
_COMMON, _BOTH = 1 << _BITS, (1 << _BITS) + 1
_MASK = (1 << _BITS) - 1
_FIRST = 64


class Pairs(NamedTuple):
    """What one reader has in common with some others, an entry for each of these.

    readers: the numbers of the others.
    common: how many K-Blocks both touched.
    ahead: of these, how many the other touched up to a day before this reader did.
    """

    readers: Numbers
    common: Floats
    ahead: Floats


class ReaderPairs:
    """The pairs of all readers, who have the numbers of `RecentReaders`; times are in seconds.

    Where a reader has more than twice `width` pairs, the `width` with most K-Blocks in common stay.
    """

    def __init__(self, width: int = 256) -> None:
        self.width = width
        self.kblocks = 0
        """The number of K-Blocks that any reader touched."""
        self._pairs: defaultdict[int, dict[int, int]] = defaultdict(dict)
        self._breadth = np.zeros(_FIRST)
        self._began = np.full(_FIRST, np.inf)
        self._active = np.full(_FIRST, -np.inf)
        self._scratch = np.zeros(_FIRST, np.intp)

    # Learning

    def see(self, reader: int, at: float) -> None:
        """Record that a reader touched something at a time."""
        self._reserve(reader)
        if at > self._active.item(reader):
            self._active[reader] = at
        if at < self._began.item(reader):
            self._began[reader] = at

    def meet(self, reader: int, at: float, others: Numbers, then: Floats) -> None:
        """Add a reader's first touch of a K-Block, at a time, after `see`.

        `others` are its other readers, each of them once, and `then` is when each touched it last.
        """
        self._breadth[reader] += 1
        if not len(others):
            self.kblocks += 1
            return
        gaps, numbers = at - then, others.tolist()
        own = self._pairs[reader]
        for other, is_ahead in zip(numbers, ((gaps >= 0) & (gaps < DAY)).tolist(), strict=True):
            own[other] = own.get(other, 0) + (_BOTH if is_ahead else _COMMON)
        if len(own) > 2 * self.width:
            self._prune(reader)
        for other, is_ahead in zip(numbers, ((gaps <= 0) & (gaps > -DAY)).tolist(), strict=True):
            theirs = self._pairs[other]
            theirs[reader] = theirs.get(reader, 0) + (_BOTH if is_ahead else _COMMON)
            if len(theirs) > 2 * self.width:
                self._prune(other)

    def _prune(self, reader: int) -> None:
        pairs = self._pairs[reader]
        kept = sorted(pairs, key=pairs.__getitem__, reverse=True)[: self.width]
        self._pairs[reader] = {other: pairs[other] for other in kept}

    def forget(self, reader: int) -> None:
        """Forget what a reader has in common with the others; they count as inactive from now on.

        Those who have the reader among theirs, and whom the reader does not have, keep the number.
        """
        for other in self._pairs.pop(reader, ()):
            self._pairs.get(other, {}).pop(reader, None)
        if reader < len(self._breadth):
            self._breadth[reader] = 0.0
            self._began[reader], self._active[reader] = np.inf, -np.inf

    def _reserve(self, reader: int) -> None:
        while reader >= len(self._breadth):
            size = len(self._breadth)
            self._breadth = np.concatenate([self._breadth, np.zeros(size)])
            self._began = np.concatenate([self._began, np.full(size, np.inf)])
            self._active = np.concatenate([self._active, np.full(size, -np.inf)])
            self._scratch = np.zeros(2 * size, np.intp)

    # What is known

    def of(self, reader: int) -> Pairs:
        """Return the pairs of a reader, in any order."""
        pairs = self._pairs.get(reader, {})
        packed = np.fromiter(pairs.values(), np.int64, len(pairs))
        return Pairs(
            np.fromiter(pairs, np.intp, len(pairs)),
            (packed >> _BITS).astype(np.float64),
            (packed & _MASK).astype(np.float64),
        )

    def among(self, pairs: Pairs, others: Numbers) -> Numbers:
        """Return, by other reader, 1 + the index of their entry in `pairs`; 0 for those without."""
        self._reserve(max(int(others.max(initial=0)), int(pairs.readers.max(initial=0))))
        scratch = self._scratch
        scratch[pairs.readers] = np.arange(1, len(pairs.readers) + 1)
        found: Numbers = scratch[others]
        scratch[pairs.readers] = 0
        return found

    def breadth(self, readers: Numbers) -> Floats:
        """Return how many K-Blocks each of some readers touched, forgotten ones included."""
        return np.asarray(self._breadth[self._known(readers)])

    def active(self, readers: Numbers) -> Floats:
        """Return when readers touched anything last, in seconds since 1970; −infinity for never."""
        return np.asarray(self._active[self._known(readers)])

    def began(self, reader: int) -> float:
        """Return the time of a reader's earliest known touch; infinity without one."""
        return float(self._began[reader]) if reader < len(self._began) else np.inf

    def _known(self, readers: Numbers) -> Numbers:
        return np.where(readers < len(self._breadth), readers, NOBODY)

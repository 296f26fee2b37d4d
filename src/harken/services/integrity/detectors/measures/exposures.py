"""Exposures of readers to K-Blocks: the touches after them, and the meetings they explain."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from harken.services.integrity.detectors.event_log import (
    DAY,
    EventLog,
    Flags,
    Floats,
    Numbers,
    Slates,
)
from harken.services.integrity.detectors.measures.touches import Meetings, Touches, ranges

PRIOR_TOUCHES, PRIOR_EXPOSURES = 1.0, 20.0
MOST_PROPENSITY = 20.0
MEMORY = DAY
"""How long after an exposure a touch counts as following it."""
TICK = 2**20
"""The resolution of times in keys: about a second, in microseconds."""
TICKS = 2**40
"""More ticks than any log has: a key is a K-Block times this, plus a time in ticks."""


@dataclass(frozen=True)
class Exposures:
    """The first exposure of each reader to each K-Block, in the order of K-Blocks, then of time.

    `shown` has the shape touches: whether the touch followed an exposure within a day. `chances`
    has the shape exposures: how likely its reader is to touch the K-Block then, from the K-Block's
    touches per exposure and the reader's own, both drawn towards the mean of all.
    """

    readers: Numbers
    kblocks: Numbers
    at: Numbers
    chances: Floats
    shown: Flags

    @classmethod
    def of(cls, slates: Slates, touches: Touches, log: EventLog) -> Self:
        """Return the exposures of a log's slates."""
        lengths = np.diff(slates.starts)
        readers, at = np.repeat(slates.readers, lengths), np.repeat(slates.at, lengths)
        size = len(log.kblock_ids)
        # Slates are in the order of time, so the first of equal keys is the first exposure.
        keys, first = np.unique(readers * size + slates.kblocks, return_index=True)
        order = first[np.lexsort((at[first], slates.kblocks[first]))]
        touched_keys = touches.readers * size + touches.kblocks
        shown = _followed(touched_keys, touches.at, keys, at[first])
        led = np.isin(readers[order] * size + slates.kblocks[order], touched_keys[shown])
        chances = _chances(readers[order], slates.kblocks[order], led)
        return cls(readers[order], slates.kblocks[order], at[order], chances, shown)

    def expected_meetings(
        self, touches: Touches, met: Meetings, within: int, readers: int
    ) -> Floats:
        """Return the meetings that exposure explains, for each pair of `met`."""
        wanted = met.first * readers + met.second
        expected = np.zeros(len(wanted))
        if not len(wanted) or not len(self.at):
            return expected
        involved = np.zeros(readers, np.bool_)
        involved[met.first] = involved[met.second] = True
        mine = np.flatnonzero(involved[touches.readers] & self.shown)
        begin = int(self.at.min()) - within
        keys = self.kblocks * TICKS + (self.at - begin) // TICK
        of_kblock = touches.kblocks[mine] * TICKS
        low = np.maximum(touches.at[mine] - within - begin, 0) // TICK
        high = np.maximum(touches.at[mine] + within - begin, 0) // TICK
        lows = np.searchsorted(keys, of_kblock + low, "left")
        highs = np.searchsorted(keys, of_kblock + high, "right")
        places = ranges(lows, highs)
        owners = np.repeat(touches.readers[mine], highs - lows)
        others = self.readers[places]
        pair = np.minimum(owners, others) * readers + np.maximum(owners, others)
        at = np.searchsorted(wanted, pair)
        at[at == len(wanted)] = 0
        hit = (wanted[at] == pair) & (owners != others)
        # Each meeting is seen from both of its readers, so a pair's sum is halved.
        total = np.bincount(at[hit], self.chances[places[hit]], minlength=len(wanted))
        return np.asarray(total / 2, np.float64)


def _followed(keys: Numbers, at: Numbers, exposed: Numbers, exposed_at: Numbers) -> Flags:
    """Return which touches have an exposure with the same key, at most a day before."""
    if not len(exposed):
        return np.zeros(len(keys), np.bool_)
    place = np.minimum(np.searchsorted(exposed, keys), len(exposed) - 1)
    delay = at - exposed_at[place]
    followed: Flags = (exposed[place] == keys) & (delay >= 0) & (delay <= MEMORY)
    return followed


def _chances(readers: Numbers, kblocks: Numbers, led: Flags) -> Floats:
    """Return how likely each exposure is to lead to a touch; `led` says which ones did."""
    if not len(led):
        return np.zeros(0)
    mean = (led.sum() + PRIOR_TOUCHES) / (len(led) + PRIOR_EXPOSURES)

    def rates(of: Numbers) -> Floats:
        hits = np.bincount(of, led) + PRIOR_EXPOSURES * mean
        shrunk = hits / (np.bincount(of) + PRIOR_EXPOSURES)
        return np.asarray(shrunk[of], np.float64)

    propensity = np.minimum(rates(readers) / mean, MOST_PROPENSITY)
    return np.asarray(np.minimum(rates(kblocks) * propensity, 1.0), np.float64)

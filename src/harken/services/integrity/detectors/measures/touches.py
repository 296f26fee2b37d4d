"""First touches of K-Blocks, by reader and by K-Block, and meetings of readers at them."""

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from harken.services.integrity.detectors.event_log import WEEK, EventLog, Floats, Numbers

MOST_PERIODS = 64


@dataclass(frozen=True)
class Touches:
    """First touches of K-Blocks by readers, in the order of K-Blocks, then of time.

    The touches of K-Block i are the places `starts[i] : starts[i + 1]`; those of reader u are
    `of_reader[reader_starts[u] : reader_starts[u + 1]]`. `readers`, `kblocks` and `at` have the
    shape touches; `reader_counts` the shape readers, `kblock_counts` the shape K-Blocks.
    """

    readers: Numbers
    kblocks: Numbers
    at: Numbers
    starts: Numbers
    of_reader: Numbers
    reader_starts: Numbers
    reader_counts: Numbers
    kblock_counts: Numbers

    @classmethod
    def of(cls, log: EventLog) -> Self:
        """Return the first touches of a log."""
        places = log.first_touches
        places = places[np.argsort(log.kblocks[places], kind="stable")]
        readers, kblocks = log.readers[places], log.kblocks[places]
        by_kblock = np.bincount(kblocks, minlength=len(log.kblock_ids))
        by_reader = np.bincount(readers, minlength=len(log.reader_ids))
        return cls(
            readers,
            kblocks,
            log.at[places],
            _starts(by_kblock),
            np.argsort(readers, kind="stable"),
            _starts(by_reader),
            by_reader,
            by_kblock,
        )

    def __len__(self) -> int:
        return len(self.at)

    def places_of_kblocks(self, kblocks: Numbers) -> Numbers:
        """Return the places of the touches of some K-Blocks."""
        return ranges(self.starts[kblocks], self.starts[kblocks + 1])

    def places_of_readers(self, readers: Numbers) -> Numbers:
        """Return the places of the touches of some readers."""
        return self.of_reader[ranges(self.reader_starts[readers], self.reader_starts[readers + 1])]

    def near(self, within: int) -> Numbers:
        """Return how many other touches of the same K-Block are within a time of each touch."""
        moments, ranks = np.unique(self.at, return_inverse=True)
        scale = len(moments) + 1
        keys = self.kblocks * scale + ranks
        low = self.kblocks * scale + np.searchsorted(moments, self.at - within, "left")
        high = self.kblocks * scale + np.searchsorted(moments, self.at + within, "right")
        counted = np.searchsorted(keys, high, "left") - np.searchsorted(keys, low, "left")
        return np.asarray(counted - 1, np.int64)


class Meetings(NamedTuple):
    """Pairs of readers who touched the same K-Blocks within a time of each other.

    `first` < `second` are readers, `counts` the number of K-Blocks; each has the shape pairs.
    """

    first: Numbers
    second: Numbers
    counts: Numbers


def meetings(touches: Touches, within: int, kept: Numbers, readers: int, most: int) -> Meetings:
    """Count how often readers met at the touches `kept` (ascending places), at most `most` times.

    With more meetings, each touch is compared with fewer of those that follow it.
    """
    readers_of, kblocks, at = touches.readers[kept], touches.kblocks[kept], touches.at[kept]
    keys: list[Numbers] = []
    alive, step, total = np.arange(len(kept)), 0, 0
    while len(alive) and total < most:
        step += 1
        alive = alive[alive + step < len(kept)]
        other = alive + step
        alive = alive[
            (kblocks[other] == kblocks[alive]) & (at[other] - at[alive] <= within)
        ]  # fmt: skip
        a, b = readers_of[alive], readers_of[alive + step]
        keys.append(np.minimum(a, b) * readers + np.maximum(a, b))
        total += len(alive)
    if not keys:
        empty = np.zeros(0, np.int64)
        return Meetings(empty, empty, empty)
    pairs, counts = np.unique(np.concatenate(keys), return_counts=True)
    return Meetings(pairs // readers, pairs % readers, counts)


def activity_shares(log: EventLog, touches: Touches) -> tuple[Numbers, Floats]:
    """Return the period of each touch, and each reader's share of the touches around each period.

    A period is a week, or longer in a log of over 64 weeks; the share is that of the period, the
    one before and the one after. Shapes: touches; readers × periods.
    """
    length = max(WEEK, log.span // MOST_PERIODS + 1)
    begin = int(log.at[0]) if len(log) else 0
    periods = (touches.at - begin) // length
    counts = np.zeros((len(log.reader_ids), int(periods.max(initial=0)) + 1))
    np.add.at(counts, (touches.readers, periods), 1)
    around = counts.copy()
    around[:, 1:] += counts[:, :-1]
    around[:, :-1] += counts[:, 1:]
    return periods, around / np.maximum(around.sum(0), 1)


def reader_spans(log: EventLog) -> tuple[Numbers, Numbers]:
    """Return the times of each reader's first and last event."""
    first = np.full(len(log.reader_ids), np.iinfo(np.int64).max)
    last = np.full(len(log.reader_ids), np.iinfo(np.int64).min)
    np.minimum.at(first, log.readers, log.at)
    np.maximum.at(last, log.readers, log.at)
    return first, last


def ranges(begins: Numbers, ends: Numbers) -> Numbers:
    """Return the numbers of all ranges `begin : end`, one range after the other."""
    lengths = ends - begins
    if not lengths.sum():
        return np.zeros(0, np.int64)
    offsets = np.cumsum(lengths) - lengths
    places = np.arange(int(lengths.sum())) - np.repeat(offsets - begins, lengths)
    return np.asarray(places, np.int64)


def _starts(counts: Numbers) -> Numbers:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

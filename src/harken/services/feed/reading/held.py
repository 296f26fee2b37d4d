"""A feed of K-Blocks that are held for one reader, the latest first."""

import dataclasses

import numpy as np

from harken.domain.feeds import Feed
from harken.services.index.index import Floats, Mask
from harken.services.index.view import Columns
from harken.services.record.reading.store import Held

_SECOND = 1_000_000


def held_feed(feed: Feed, held: Held) -> Feed:
    """Return a feed of `READER_FEEDS` with what it has for a reader.

    Its score is when a K-Block was saved or read, in seconds since 1970.
    """
    times = np.zeros(int(held.numbers.max(initial=-1)) + 2)
    times[held.numbers] = held.at / _SECOND

    def at(columns: Columns) -> Floats:
        # The last place is that of all numbers beyond, and is 0.
        return times[np.minimum(columns.number, len(times) - 1)]

    def is_held(columns: Columns) -> Mask:
        mask: Mask = at(columns) > 0
        return mask

    ranking = dataclasses.replace(feed.ranking, score=at)
    return dataclasses.replace(feed, filters=(is_held,), ranking=ranking)

"""The K-Blocks that a reader has read and saved, as feeds and as counts."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np

from harken.domain.feedback import GUEST
from harken.domain.feeds import DEFAULT_FEEDS, HISTORY, PERSONAL_FEED, READER_FEEDS, SAVED, Feed
from harken.domain.times import micros
from harken.services.feed.caches.catalogue import Catalogue
from harken.services.feed.declarations import Feeds
from harken.services.feed.reading.held import held_feed
from harken.services.index.exclusions import hidden_rows
from harken.services.index.index import Index
from harken.services.index.ordering import less
from harken.services.index.selection import select
from harken.services.record.admission.subjects import check_person
from harken.services.record.readers import ReaderStore
from harken.services.record.reading.store import NOTHING, States

COUNTED = tuple(name for name in DEFAULT_FEEDS if name != PERSONAL_FEED.name)
"""The feeds that are counted by default: the personal feed has the same K-Blocks as cosmos."""


class Counts(NamedTuple):
    """How many K-Blocks of feeds a reader has not read, and how many they saved."""

    unread: dict[str, int]
    saved: int


class Reading:
    """The feeds and counts of what the readers of one database have read and saved."""

    def __init__(
        self, readers: ReaderStore, feeds: Feeds, catalogue: Catalogue,
        clock: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self.store = readers.reading
        self._readers = readers
        self._feeds = feeds
        self._catalogue = catalogue
        self._clock = clock

    async def find(self, name: str, user_id: str) -> Feed:
        """Return a feed by its name, as it is for a reader.

        Raises UnknownFeed or DatabaseUnavailable.
        """
        return await self.held(await self._feeds.find(name), user_id)

    async def held(self, feed: Feed, user_id: str) -> Feed:
        """Return a feed; one of `READER_FEEDS` is filled with what the reader saved or read.

        For a guest these are empty. Raises DatabaseUnavailable.
        """
        if feed.name not in READER_FEEDS:
            return feed
        if user_id == GUEST:
            return held_feed(feed, NOTHING)
        look = self.store.history if feed.name == HISTORY.name else self.store.saved
        return held_feed(feed, await look(user_id))

    async def states(self, user_id: str, kblock_ids: Sequence[str]) -> States:
        """Return which of some K-Blocks a reader has read and saved; none for a guest."""
        return States() if user_id == GUEST else await self.store.states(user_id, kblock_ids)

    async def counts(self, user_id: str, names: Collection[str] = COUNTED) -> Counts:
        """Return how many K-Blocks of some feeds a reader has not read, and how many they saved.

        What the reader dismissed or muted is not counted. The counts are exact: one pass over a
        mask of each feed in memory, after one query each for what was read and saved. Raises
        InvalidInput for `guest`, UnknownFeed or DatabaseUnavailable.
        """
        check_person(user_id)
        feeds = [await self.find(name, user_id) for name in dict.fromkeys(names)]
        context = await self._readers.context(user_id)
        numbers = await self.store.read_numbers(user_id)
        saved = held_feed(SAVED, await self.store.saved(user_id))
        index, now = await self._catalogue.fresh(), micros(self._clock())
        out = np.concatenate([context.hidden, numbers])
        hidden = hidden_rows(index, out, context.muted, now)
        unread = {feed.name: _count(index, feed, hidden, now) for feed in feeds}
        kept = hidden_rows(index, context.hidden, {}, now)
        return Counts(unread, _count(index, saved, kept, now))


def _count(index: Index, feed: Feed, hidden: np.ndarray | None, now: int) -> int:
    mask = select(index, feed.sources, feed.conditions(), index.revision, now)
    return int(np.count_nonzero(less(mask, hidden)))

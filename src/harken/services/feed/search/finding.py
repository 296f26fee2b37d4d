"""Finding K-Blocks for a reader.

request ──▶ query       parsed
        ──▶ index       the K-Blocks that pass the filters, and those that the reader has hidden
        ──▶ matching    which of them match: all, or at least the latest `ENOUGH`
        ──▶ scores      relevance of at most `CANDIDATES` of them
        ──▶ page        the most relevant ones, then the rest, newest first
        ──▶ texts       of the items on the page, with their matches marked
        ──▶ SearchPage

The pages of a search fit together as those of a feed do: all are of the K-Blocks of the first
page's revision. A K-Block that is edited meanwhile so that it no longer matches is left out.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import NamedTuple

import numpy as np

from harken.domain.exploration import Order
from harken.domain.feeds import Condition, Feed, FeedFilter, FeedSource, Field, Operator, Source
from harken.domain.slates import Item
from harken.domain.times import micros
from harken.services.feed.caches.catalogue import Catalogue
from harken.services.feed.pagination import NOTHING, Page, take
from harken.services.feed.reading.reading import Reading
from harken.services.feed.search.cursors import SearchCursor, SearchCursors
from harken.services.feed.search.request import FoundItem, SearchPage, SearchRequest
from harken.services.index.exclusions import hidden_rows
from harken.services.index.index import Index, Mask
from harken.services.index.ordering import less
from harken.services.index.selection import select
from harken.services.kblocks.search.marking import marked
from harken.services.kblocks.search.matches import Numbers, SearchStore
from harken.services.kblocks.search.matching import ENOUGH, Candidates, Found, Matching, matching
from harken.services.kblocks.search.query import Query
from harken.services.record.readers import ReaderContext, ReaderStore
from harken.services.record.slates import SlateLedger

CANDIDATES = 1_000
"""K-Blocks whose relevance is computed; if more match, first those whose heading does, then the
latest."""
HEADED = 500
"""Of K-Blocks whose heading matches, so many are looked for at least, the latest."""
MOST_ORDERED = 300
"""K-Blocks that are ordered by relevance; the others follow, newest first."""
EVERYTHING = (FeedSource(Source.ALL),)


class _Search(NamedTuple):
    """A search that is under way: the request, and what the database knows of it."""

    request: SearchRequest
    query: Query | None
    feed: Feed | None
    context: ReaderContext
    of_source: Numbers | None
    """The numbers of the source that is filtered by; None for every source."""
    revision: int
    at: int
    """When the first page was served, in microseconds since 1970."""

    def rows(self, index: Index, matching: Numbers | None = None) -> tuple[Mask, Mask | None]:
        """Return the masks of the rows that are found, and of those that are hidden.

        `matching` has the numbers that match the query; without it, all rows match.
        """
        sources = EVERYTHING if self.feed is None else self.feed.sources
        conditions: tuple[Condition, ...] = () if self.feed is None else self.feed.conditions(None)
        found = select(index, sources, (*conditions, *self._filters()), self.revision, self.at)
        for numbers in (self.of_source, matching):
            if numbers is not None:
                named = np.zeros(len(index), np.bool_)
                named[index.versions(numbers)] = True
                found = found & named
        return found, hidden_rows(index, self.context.hidden, self.context.muted, self.at)

    def candidates(self, index: Index) -> Candidates:
        """Return the K-Blocks that pass the filters."""
        found, hidden = self.rows(index)
        numbers = index.number[index.is_open]
        passes = _by_number(index, found)
        least = self.request.limit + 1
        shown = passes if hidden is None else _by_number(index, less(found, hidden))
        return Candidates(np.flatnonzero(passes)[::-1], numbers, shown, least)

    def _filters(self) -> list[FeedFilter]:
        given = self.request
        filters = []
        if given.tag is not None:
            filters.append(FeedFilter(Field.TAG, Operator.CONTAINS, given.tag))
        if given.author is not None:
            filters.append(FeedFilter(Field.AUTHOR, Operator.EQ, given.author))
        return filters


class _Taken(NamedTuple):
    """A page of what is found, and how much more is hidden from the reader."""

    page: Page
    hidden: int

    @property
    def reaches_rest(self) -> bool:
        """Whether the page ends with, or after, the last item that is ordered by relevance."""
        return len(self.page.places) < len(self.page.rows) or not self.page.has_more


def _take(search: _Search, cursor: SearchCursor, index: Index, matching: Numbers | None) -> _Taken:
    found, hidden = search.rows(index, matching)
    shown = less(found, hidden)
    page = take(index, shown, Order(cursor.numbers), hidden, cursor, search.request.limit)
    return _Taken(page, int(np.count_nonzero(found)) - page.total)


class KBlockSearch:
    """Searches the K-Blocks of one database."""

    def __init__(
        self, store: SearchStore, catalogue: Catalogue, readers: ReaderStore, reading: Reading,
        ledger: SlateLedger, clock: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self._store = store
        self._catalogue = catalogue
        self._readers = readers
        self._reading = reading
        self._ledger = ledger
        self._clock = clock
        self._cursors: SearchCursors | None = None

    async def find(self, request: SearchRequest) -> SearchPage:
        """Return a page of search results.

        Raises InvalidInput, UnknownFeed, CursorExpired or DatabaseUnavailable.
        """
        request.check()
        query = request.query()
        cursors = await self._codec()
        now, cursor = self._clock(), None
        if request.cursor is not None:
            cursor = cursors.decode(request.cursor, request.digest(), now)
        feed = None
        if request.feed is not None:
            feed = await self._reading.find(request.feed, request.user_id)
        context = await self._readers.context(request.user_id)
        of_source = None
        if request.source is not None:
            of_source = await self._store.of_source(request.source)
        index = await self._catalogue.fresh(0 if cursor is None else cursor.revision)
        if cursor is None:
            cursor = SearchCursor(request.digest(), now, index.revision, 0, 0, None, NOTHING)
        search = _Search(
            request, query, feed, context, of_source, cursor.revision, micros(cursor.started_at)
        )
        scores: Mapping[int, float] = {}
        if query is None:
            found, taken = None, _take(search, cursor, index, None)
        else:
            looked = matching(self._store, query, search.candidates(index))
            found = await looked.numbers()
            if request.cursor is None:
                scores = await self._scores(search, query, index, looked, found)
                cursor = cursor._replace(numbers=_best(scores))
            taken = _take(search, cursor, index, found.numbers)
            if taken.reaches_rest and not found.is_complete:
                found = await looked.everything()
                taken = _take(search, cursor, index, found.numbers)
        return await self._page(search, cursor, cursors, index, found, taken, scores)

    async def _codec(self) -> SearchCursors:
        if self._cursors is None:
            self._cursors = SearchCursors(await self._ledger.secret("cursor"))
        return self._cursors

    async def _scores(
        self, search: _Search, query: Query, index: Index, looked: Matching, found: Found
    ) -> Mapping[int, float]:
        """Return the relevance of the candidates, by number."""
        numbers = _latest(index, less(*search.rows(index, found.numbers)))
        if len(numbers) > CANDIDATES:
            headed = await looked.headings(HEADED)
            first = _latest(index, less(*search.rows(index, headed)))
            numbers = np.concatenate([first, numbers[~np.isin(numbers, first)]])[:CANDIDATES]
        return await self._store.scores(query, numbers) if len(numbers) else {}

    async def _page(
        self, search: _Search, cursor: SearchCursor, cursors: SearchCursors, index: Index,
        found: Found | None, taken: _Taken, scores: Mapping[int, float],
    ) -> SearchPage:  # fmt: skip
        limit, page = search.request.limit, taken.page
        after = cursor._replace(
            position=cursor.position + len(page.rows), ordered=page.ordered, after=page.after
        )
        is_exact = found is None or found.is_complete
        return SearchPage(
            understood="" if search.query is None else str(search.query),
            items=await self._items(search.query, cursor.position, index, page, scores),
            total=page.total if is_exact else min(page.total, ENOUGH),
            total_is_exact=is_exact,
            hidden=taken.hidden,
            has_more=page.has_more,
            offset=cursor.position,
            limit=limit,
            next_cursor=cursors.encode(after) if page.has_more else None,
        )

    async def _items(
        self, query: Query | None, position: int, index: Index, page: Page,
        scores: Mapping[int, float],
    ) -> list[FoundItem]:  # fmt: skip
        numbers = index.number[page.rows].tolist()
        attention = dict(zip(numbers, index.attention[page.rows].tolist(), strict=True))
        if not numbers:
            return []
        shown, texts = await asyncio.gather(
            self._ledger.kblocks.of(numbers), self._store.texts(numbers)
        )
        there = [number for number in numbers if number in shown and number in texts]
        if query is not None and not scores:  # a later page
            scores = await self._store.scores(query, np.array(there, np.int64))
        marks = await asyncio.to_thread(
            lambda: {number: marked(texts[number], query) for number in there}
        )
        return [
            FoundItem(
                Item(
                    shown[number],
                    attention_score=attention[number],
                    score=scores.get(number, 0.0),
                    position=position + place,
                ),
                *marks[number],
            )
            for place, number in enumerate(there)
        ]


def _best(scores: Mapping[int, float]) -> Numbers:
    """Return the numbers with the highest scores, best first; of equal ones the latest first."""
    best = sorted(scores, key=lambda number: (-scores[number], -number))
    return np.array(best[:MOST_ORDERED], np.int64)


def _latest(index: Index, mask: Mask) -> Numbers:
    """Return the numbers of some rows, the latest first."""
    return np.flatnonzero(_by_number(index, mask))[::-1]


def _by_number(index: Index, mask: Mask) -> Mask:
    """Return a mask of rows as one by number."""
    found = np.zeros(int(index.number.max(initial=0)) + 1, np.bool_)
    found[index.number[mask]] = True
    return found

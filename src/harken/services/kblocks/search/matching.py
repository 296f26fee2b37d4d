"""Which K-Blocks a search finds, and how much of the search index is read for that.

A search needs `ENOUGH` matches, the latest. So one for a common word reads about as much as one for
a rare word, and does not count what else matches.

SQLite lists what matches from its index alone, the latest first. PostgreSQL lists it in no order
and reads a row for each match; of a phrase, for each K-Block with its words. Of a common word that
is nearly the whole table. So a sample tells which way is shorter:

    by the index    all that matches
    by rows         the latest K-Blocks, until enough of them match, or `MOST_ROWS` were read; if
                    these do not fill a page, all is read by the index after all
"""

import math
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from harken.services.kblocks.search.matches import Looked, Numbers, SearchStore
from harken.services.kblocks.search.query import Query

ENOUGH = 1_000
"""Matches that are found at least, if there are as many and not too many rows lie between them."""
MOST_ROWS = 10_000
"""The latest K-Blocks whose rows are read for one search."""
SAMPLE = 300
"""The latest K-Blocks, and as many that are spread over all, whose rows are read first."""
HEADINGS = 10
"""If there are filters, SQLite looks for so many times the headings that are needed."""
_MARGIN = 1.2
_PER_MATCH = 2.0
"""What a match costs that is found by the index, in rows that are read one after the other."""


class Found(NamedTuple):
    """Numbers that match, in no order; `is_complete` if no others do, else they are the latest."""

    numbers: Numbers
    is_complete: bool


class Candidates(NamedTuple):
    """The K-Blocks that a search is for.

    numbers: those that pass its filters, the latest first. all: those of the whole database, in any
    order. is_shown: by number, whether one passes the filters and is not hidden from the reader.
    least: how many a page needs. So many are found, if there are as many, whatever work it is.
    """

    numbers: Numbers
    all: Numbers
    is_shown: NDArray[np.bool_]
    least: int

    def count(self, numbers: Numbers) -> int:
        """Return how many of some K-Blocks are shown; one that came later is not."""
        return int(self.is_shown[numbers[numbers < len(self.is_shown)]].sum())


class Matching(Protocol):
    """What matches one query. The methods raise DatabaseUnavailable."""

    async def numbers(self) -> Found:
        """Return what matches; `ENOUGH` that are shown, if that is not too much work."""

    async def everything(self) -> Found:
        """Return all that matches."""

    async def headings(self, enough: int) -> Numbers:
        """Return matches in title, tags and author, in no order: all, or the latest.

        They are `enough` that are shown, if there are as many and that is not too much work.
        """


def matching(store: SearchStore, query: Query, candidates: Candidates) -> Matching:
    """Return what matches a query among some candidates, as the database finds it best."""
    kind = _ByRows if store.reads_rows else _Listed
    return kind(store, query, candidates)


class _Listed:
    """Matches that the index lists, the latest first."""

    def __init__(self, store: SearchStore, query: Query, candidates: Candidates) -> None:
        self._store = store
        self._query = query
        self._given = candidates
        self._is_filtered = len(candidates.numbers) < len(candidates.all)
        self._hidden = len(candidates.numbers) - int(candidates.is_shown.sum())

    async def numbers(self) -> Found:
        if self._is_filtered:
            return await self.everything()
        most = ENOUGH + self._hidden
        found = await self._store.latest(self._query, most)
        return Found(found, len(found) < most)

    async def everything(self) -> Found:
        return Found(await self._store.numbers(self._query), True)

    async def headings(self, enough: int) -> Numbers:
        most = HEADINGS * enough if self._is_filtered else 2 * enough + self._hidden
        return await self._store.latest(self._query, most, in_heading=True)


class _ByRows:
    """Matches that the index finds in no order, or that are found by reading rows."""

    def __init__(self, store: SearchStore, query: Query, candidates: Candidates) -> None:
        self._store = store
        self._query = query
        self._given = candidates
        self._read = 0
        self._seen = Looked()
        """What matches of the candidates whose rows were read, which are the latest."""
        self._shares = Looked()
        """What matches of those that are spread over all."""
        self._sampled = 1

    async def numbers(self) -> Found:
        await self._sample()
        if self._by_index(self._shares.loosely, self._seen.matching, ENOUGH):
            return await self.everything()
        while missing := self._missing(self._seen.matching, ENOUGH):
            await self._read_rows(missing, self._seen.matching)
        if self._is_short(self._seen.matching):
            return await self.everything()
        return Found(self._seen.matching, not self._left)

    async def everything(self) -> Found:
        return Found(await self._store.numbers(self._query), True)

    async def headings(self, enough: int) -> Numbers:
        if self._by_index(self._shares.headed, self._seen.headed, enough):
            return await self._store.in_heading(self._query)
        while missing := self._missing(self._seen.headed, enough):
            await self._read_rows(missing, self._seen.headed)
        if self._is_short(self._seen.headed):
            return await self._store.in_heading(self._query)
        return self._seen.headed

    async def _sample(self) -> None:
        latest = self._given.numbers[:SAMPLE]
        spread = self._given.all[:: max(1, len(self._given.all) // SAMPLE)]
        looked = await self._store.among(self._query, np.concatenate([latest, spread]))
        self._read, self._sampled = len(latest), max(len(spread), 1)
        self._seen = Looked(*(each[np.isin(each, latest)] for each in looked))
        self._shares = Looked(*(each[np.isin(each, spread)] for each in looked))

    def _by_index(self, shared: Numbers, seen: Numbers, enough: int) -> bool:
        """Tell whether the index finds all with less work than there is to do by rows."""
        missing = self._missing(seen, enough)
        matches = len(shared) / self._sampled * len(self._given.all)
        by_rows = min(self._rows(missing, seen), self._left, MOST_ROWS)
        return missing > 0 and matches * _PER_MATCH <= by_rows

    def _missing(self, seen: Numbers, enough: int) -> int:
        """Return how many matches are to be found yet, by rows; 0 if all were read that may be."""
        is_over = not self._left or self._read >= MOST_ROWS
        return 0 if is_over else max(enough - self._given.count(seen), 0)

    def _is_short(self, seen: Numbers) -> bool:
        return self._left > 0 and self._given.count(seen) < self._given.least

    async def _read_rows(self, missing: int, seen: Numbers) -> None:
        """Read on, so far that the missing ones are found if their share stays as it is."""
        count = math.ceil(self._rows(missing, seen) * _MARGIN)
        count = min(count, self._left, max(MOST_ROWS - self._read, SAMPLE))
        rows = self._given.numbers[self._read : self._read + count]
        looked = await self._store.among(self._query, rows)
        self._read += count
        parts = zip(self._seen, looked, strict=True)
        self._seen = Looked(*(np.concatenate(each) for each in parts))

    @property
    def _left(self) -> int:
        return len(self._given.numbers) - self._read

    def _rows(self, missing: int, seen: Numbers) -> float:
        """Return how many rows have so many of what was seen, if its share stays as it is."""
        return missing * self._read / max(self._given.count(seen), 1)

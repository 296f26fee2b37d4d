"""The K-Blocks of one feed and one reader, as a pool of candidates."""

from collections.abc import Callable, Hashable
from dataclasses import replace

import numpy as np

from harken.domain.feeds import Field, Signal
from harken.services.index.index import Index, Mask, Rows
from harken.services.index.ordering import Reader, leading, less

# Rows are added in order of time, so the newest with a label are among its last rows.
LATE = 500
_FIELDS = {"tags": Field.TAG, "authors": Field.AUTHOR}


class IndexPool:
    """A `CandidatePool` of the rows of a mask that are not hidden from the reader.

    `selection` identifies the mask. `numbers` returns the numbers of K-Blocks by their places in
    the affinities; it leaves out those that the database has no K-Block of.
    """

    def __init__(
        self, index: Index, selection: Hashable, mask: Mask, hidden: Mask | None, reader: Reader,
        numbers: Callable[[Rows], Rows],
    ) -> None:  # fmt: skip
        self._index = index
        self._selection = selection
        self._mask = mask
        self._hidden = hidden
        self._visible = less(mask, hidden)
        self._reader = reader
        self._numbers = numbers

    def newest(self, count: int) -> Rows:
        """Return the rows of the `count` newest K-Blocks."""
        return self._index.newest(self._visible, count)

    def trending(self, count: int) -> Rows:
        """Return the rows with the highest decayed counts, by the shortest half-life."""
        index = self._index
        if not index.half_lives:
            return np.zeros(0, np.int64)
        shortest = replace(self._reader, principles=(), half_life=min(index.half_lives))
        trending = {Signal.TRENDING: 1.0}
        return leading(index, self._selection, self._mask, self._hidden, trending, shortest, count)

    def labelled(self, kind: str, name: str, count: int) -> Rows:
        """Return the rows of the `count` newest of the last 500 with a tag or an author."""
        rows = self._index.labelled(_FIELDS[kind], name)[-LATE:]
        rows = rows[self._visible[rows]]
        return rows[np.argsort(-self._index.created[rows], kind="stable")[:count]]

    def rows(self, places: Rows) -> Rows:
        """Return the rows of K-Blocks by their places in the affinities; others are left out."""
        return self._numbered(self._numbers(places))

    def texts(self, keys: Rows) -> Rows:
        """Return the rows of K-Blocks by the keys of their texts, which are their numbers."""
        return self._numbered(keys)

    def _numbered(self, numbers: Rows) -> Rows:
        rows = self._index.present(numbers)
        rows = rows[rows >= 0]
        return rows[self._visible[rows]]

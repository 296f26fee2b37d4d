"""The sparse matrix of readers × items to which collaborative filtering is fitted."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.intp]
Floats = NDArray[np.float32]

BLOCK = 512
"""The number of readers in a dense block."""


class Interest(NamedTuple):
    """A reader's interest in an item: its `worth`, at a time in seconds.

    An interest whose worth is 0 or less is ignored. `harken.services.readers.history` gives a view
    the worth 1 and a like 2.
    """

    user_id: str
    item_id: str
    worth: float = 1.0
    at: float = 0.0


@dataclass(frozen=True)
class Interactions:
    """Readers × items in CSR form: reader u has the items `columns[starts[u] : starts[u + 1]]`.

    `weights` has the shape of `columns`. A reader's items are in ascending order, without repeats.
    """

    items: Sequence[str]
    starts: Numbers
    columns: Numbers
    weights: Floats

    @classmethod
    def from_interests(
        cls, interests: Iterable[Interest], now: float = 0.0, half_life: float = math.inf
    ) -> Self:
        """Build the matrix; a weight halves with each `half_life` (seconds) before `now`.

        Of several interests of a reader in an item, the largest weight counts. Readers and items
        are numbered in the order of their ids, so the order of interests makes no difference.
        Raises ValueError if `half_life` is not positive.
        """
        if not half_life > 0:
            raise ValueError("half_life must be more than 0")
        most: dict[tuple[str, str], float] = {}
        for user_id, item_id, worth, at in interests:
            weight = worth * 2 ** (-max(now - at, 0.0) / half_life)
            if weight > most.get((user_id, item_id), 0.0):
                most[user_id, item_id] = weight
        users, rows = _numbered([user_id for user_id, _ in most])
        items, columns = _numbered([item_id for _, item_id in most])
        order = np.lexsort((columns, rows))
        starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(users)))])
        weights = np.fromiter(most.values(), np.float32, len(most))
        return cls(items, starts.astype(np.intp), columns[order], weights[order])

    def __len__(self) -> int:
        return len(self.columns)

    @property
    def users(self) -> int:
        """The number of readers."""
        return len(self.starts) - 1

    @property
    def rows(self) -> Numbers:
        """The reader of each entry, with the shape of `columns`."""
        return np.repeat(np.arange(self.users), np.diff(self.starts))

    def blocks(self) -> Iterator[tuple[int, Floats]]:
        """Yield (first reader, dense block of at most `BLOCK` readers × all items)."""
        for first in range(0, self.users, BLOCK):
            last = min(first + BLOCK, self.users)
            part = slice(self.starts[first], self.starts[last])
            block = np.zeros((last - first, len(self.items)), np.float32)
            rows = np.repeat(np.arange(last - first), np.diff(self.starts[first : last + 1]))
            block[rows, self.columns[part]] = self.weights[part]
            yield first, block


def _numbered(ids: Sequence[str]) -> tuple[list[str], Numbers]:
    """Return the distinct ids, sorted, and the index of each of `ids` among them."""
    known = sorted(set(ids))
    numbers = {each: number for number, each in enumerate(known)}
    return known, np.fromiter((numbers[each] for each in ids), np.intp, len(ids))

"""Who touched what, as arrays: what collaborative filtering is fitted to."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.intp]
Floats = NDArray[np.float32]

BLOCK = 512
"""How many readers are looked at at once."""


class Interest(NamedTuple):
    """That a reader liked an item: how much, at a time in seconds. At 0 and below it is left out.

    Views are worth 1, by `harken.services.readers.history`, and likes 2.
    """

    user_id: str
    item_id: str
    worth: float = 1.0
    at: float = 0.0


@dataclass(frozen=True)
class Interactions:
    """Readers × items, sparse: the items of reader u are `columns[starts[u] : starts[u + 1]]`.

    `weights` lie beside `columns`. Items of one reader are in ascending order, each once.
    """

    items: Sequence[str]
    starts: Numbers
    columns: Numbers
    weights: Floats

    @classmethod
    def gather(
        cls, interests: Iterable[Interest], now: float = 0.0, half_life: float = math.inf
    ) -> Self:
        """Gather interests, each of which counts half after `half_life` (seconds before `now`).

        Of several in the same item, the one that weighs most counts. Readers and items are
        numbered in the order of their ids, so that the order of interests makes no difference.
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
        """How many readers there are."""
        return len(self.starts) - 1

    @property
    def rows(self) -> Numbers:
        """The readers that `columns` belong to."""
        return np.repeat(np.arange(self.users), np.diff(self.starts))

    def blocks(self) -> Iterator[tuple[int, Floats]]:
        """Yield dense blocks of at most `BLOCK` readers × all items, and the first reader."""
        for first in range(0, self.users, BLOCK):
            last = min(first + BLOCK, self.users)
            part = slice(self.starts[first], self.starts[last])
            block = np.zeros((last - first, len(self.items)), np.float32)
            rows = np.repeat(np.arange(last - first), np.diff(self.starts[first : last + 1]))
            block[rows, self.columns[part]] = self.weights[part]
            yield first, block


def _numbered(ids: Sequence[str]) -> tuple[list[str], Numbers]:
    """Return distinct ids in their order, and the number of each of `ids`."""
    known = sorted(set(ids))
    numbers = {each: number for number, each in enumerate(known)}
    return known, np.fromiter((numbers[each] for each in ids), np.intp, len(ids))

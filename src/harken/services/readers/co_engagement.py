"""The recent readers of candidates, and the other K-Blocks that the same readers read."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.intp]
Floats = NDArray[np.float64]

NOBODY = 0
ANYBODY = 1
"""The number that all guests share. They count as activity, and are similar to nobody."""


@dataclass(frozen=True)
class CandidateReaders:
    """The recent readers of candidates: one entry for each pair of a candidate and a reader.

    at: by entry, the index of the candidate; entries are in this order.
    person: by entry, the index of the reader in `people`.
    ages: by entry, how many seconds ago the reader read the candidate.
    kblocks: the number of candidates.
    readers: by candidate, its recent readers, without guests and with the reader themselves.
    people: the number of every reader once; all guests are the first.
    heads, filled: the first entry of each candidate that has any, and its index.
    """

    at: Numbers
    person: Numbers
    ages: Floats
    kblocks: int
    readers: Floats
    people: Numbers
    heads: Numbers
    filled: Numbers

    @classmethod
    def of(
        cls, at: Numbers, ages: Floats, kblocks: int, readers: Floats, people: Numbers,
        person: Numbers,
    ) -> Self:  # fmt: skip
        """Make it from its entries; `at` has to be in ascending order."""
        heads = np.flatnonzero(np.diff(at, prepend=-1))
        return cls(at, person, ages, kblocks, readers, people, heads, at[heads])

    def sum(self, weights: Any) -> Floats:
        """Return, by candidate, the sum of the weights of its entries."""
        if weights.dtype == np.bool_:  # numpy would return whether any is true
            weights = weights.astype(np.float32)
        return self._reduced(np.add, weights, 0.0)

    def best(self, weights: Any) -> Floats:
        """Return, by candidate, the largest weight of its entries; 0 without entries."""
        return self._reduced(np.maximum, weights, 0.0)

    @cached_property
    def since(self) -> Floats:
        """By candidate, the seconds since its latest reader; infinity without one."""
        return self._reduced(np.minimum, self.ages, np.inf)

    def latest(self, count: int) -> list[Floats]:
        """Return the seconds since the latest reader, the one before, and so on: `count` arrays.

        Each is by candidate, with infinity where there are fewer readers.
        """
        ages, found = self.ages.copy(), [self.since]
        while len(found) < count:
            ages[ages == found[-1][self.at]] = np.inf
            found.append(self._reduced(np.minimum, ages, np.inf))
        return found

    def sum_of_people(self, weights: Floats) -> Floats:
        """Return, by candidate, the sum of its readers' weights; `weights` are by `people`."""
        return self.sum(weights.take(self.person))

    def _reduced(self, how: np.ufunc, weights: Any, nothing: float) -> Floats:
        if len(self.heads) == self.kblocks > 0:  # every candidate has a reader
            return np.asarray(how.reduceat(weights, self.heads), np.float64)
        found = np.full(self.kblocks, nothing)
        if len(self.heads):
            found[self.filled] = how.reduceat(weights, self.heads)
        return found


class CoEngagements(NamedTuple):
    """The source K-Blocks that the readers of candidates read, too: an entry for each such pair.

    at: by entry, the index of the source.
    person: by entry, the index of the reader in `CandidateReaders.people`.
    ages: by entry, how many seconds ago the reader read the source.
    people: the number of these readers.
    """

    at: Numbers
    person: Numbers
    ages: Floats
    people: int

    def sum_of_sources(self, weights: Floats) -> Floats:
        """Return, by person, the sum of the weights of the sources that they read."""
        return self.sum_by_person(weights[self.at])

    def sum_by_person(self, weights: Any) -> Floats:
        """Return, by person, the sum of the weights of their entries."""
        total: Any = np.bincount(self.person, weights, self.people)
        return np.asarray(total, np.float64)

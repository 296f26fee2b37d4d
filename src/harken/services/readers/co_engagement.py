"""Who stands at some K-Blocks just now, and where else the same readers stand."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.intp]
Floats = NDArray[np.float64]

NOBODY = 0
ANYBODY = 1
"""The number that all guests share: part of the crowd, and like nobody."""


@dataclass(frozen=True)
class CandidateReaders:
    """Readers who stand at some K-Blocks: at which one, which of `people`, how many seconds ago.

    They are in the order of the K-Blocks: `heads` is where those of each in `filled` begin.
    `readers` is how many each K-Block has, whoever asks among them and guests aside. `people` has
    everybody once, guests as the first.
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
        """Find where those of each K-Block begin."""
        heads = np.flatnonzero(np.diff(at, prepend=-1))
        return cls(at, person, ages, kblocks, readers, people, heads, at[heads])

    def sum(self, weights: Any) -> Floats:
        """Add up the weights of those who stand at each K-Block."""
        if weights.dtype == np.bool_:  # whose sum would be that some of them are true
            weights = weights.astype(np.float32)
        return self._reduced(np.add, weights, 0.0)

    def best(self, weights: Any) -> Floats:
        """Return the largest weight for each K-Block, 0 for none."""
        return self._reduced(np.maximum, weights, 0.0)

    @cached_property
    def since(self) -> Floats:
        """How long ago the last reader was there, and infinity for nobody."""
        return self._reduced(np.minimum, self.ages, np.inf)

    def latest(self, count: int) -> list[Floats]:
        """Return how long ago the last readers were there, and infinity for nobody."""
        ages, found = self.ages.copy(), [self.since]
        while len(found) < count:
            ages[ages == found[-1][self.at]] = np.inf
            found.append(self._reduced(np.minimum, ages, np.inf))
        return found

    def of_people(self, weights: Floats) -> Floats:
        """Add up for each K-Block what each of the people who stand there weighs."""
        return self.sum(weights.take(self.person))

    def _reduced(self, how: np.ufunc, weights: Any, nothing: float) -> Floats:
        found = np.full(self.kblocks, nothing)
        if len(self.heads):
            found[self.filled] = how.reduceat(weights, self.heads, dtype=weights.dtype)
        return found


class CoEngagements(NamedTuple):
    """Where those who are present stand as well: at which of other K-Blocks, which person, when."""

    at: Numbers
    person: Numbers
    ages: Floats
    people: int

    def spread(self, weights: Floats) -> Floats:
        """Give the weight of each of the other K-Blocks to every person there, and add up."""
        return self.add_up(weights[self.at])

    def add_up(self, weights: Any) -> Floats:
        """Add up one weight for each time that somebody stands somewhere, by person."""
        total: Any = np.bincount(self.person, weights, self.people)
        return np.asarray(total, np.float64)

"""Compares one value with those of all candidates, in figures and in words."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NEARLY_ALL = 0.9


class Comparison(NamedTuple):
    """A value of an item among its candidates, of which it is one.

    `lower` and `higher` are shares of the `others`: those with a lower and with a higher value.
    """

    value: float
    median: float
    lower: float
    higher: float
    others: int

    @property
    def sign(self) -> int:
        """1 if the value is above the median of the candidates, -1 below it, 0 at it."""
        return int(np.sign(self.value - self.median))

    @property
    def than(self) -> str:
        """Whom the value exceeds, or stays below: all others, nine in ten of them, or most.

        An item above the median exceeds at least n/2 of the n − 1 others, which are most of them.
        """
        share = self.lower if self.sign > 0 else self.higher
        if share == 1:
            return "all others" if self.others > 1 else "the other one"
        return "nine in ten of the others" if share >= NEARLY_ALL else "most others"

    def figures(self) -> dict[str, float]:
        """Return the figures by which a sentence can be checked."""
        return {
            "value": self.value, "median_value": self.median, "share_lower": self.lower,
            "share_higher": self.higher, "others": self.others,
        }  # fmt: skip


class Candidates:
    """The values of all candidates of a page, with which each of them is compared."""

    def __init__(self, values: Floats, median: float | None = None) -> None:
        """Take the values; `median` is what values are compared with in place of their median."""
        self._sorted = np.sort(values)
        self.median = float(np.median(values)) if median is None else median

    def compare(self, value: float) -> Comparison:
        """Compare the value of one candidate with those of all."""
        count = len(self._sorted)
        others = max(count - 1, 1)
        lower = int(np.searchsorted(self._sorted, value, "left"))
        higher = count - int(np.searchsorted(self._sorted, value, "right"))
        return Comparison(value, self.median, lower / others, higher / others, count - 1)

"""Interleaving: one order of the items of two rankings, and which ranking each item is from.

Team draft by rounds (Radlinski, Kurup and Joachims, How does clickthrough data reflect retrieval
quality?, CIKM 2008), with competitive pairs (Zhang et al., Harnessing the power of interleaving and
counterfactual evaluation for Airbnb search ranking, KDD 2025): in each round both sides name the
first item of theirs that is not shown yet. If it is the same, it is shown and is nobody's. If not,
both are shown one after the other, in an order that a coin decides. So each item that is somebody's
has an opponent beside it, and is first in its pair with probability ½.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harken.domain.exploration import uniforms

BOTH, FIRST, SECOND = 0, 1, 2
"""Whose an item is. BOTH also stands for an item that was added when one side had none left."""


class Draft(NamedTuple):
    """An interleaved order: numbers, and whose each is; both of the shape (items,)."""

    numbers: NDArray[np.int64]
    sides: NDArray[np.uint8]

    def sides_of(self, numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return whose each of these numbers is; the shape is that of `numbers`, all drafted."""
        known = dict(zip(self.numbers.tolist(), self.sides.tolist(), strict=True))
        return np.array([known[number] for number in numbers.tolist()], np.uint8)


def team_draft(first: NDArray[np.int64], second: NDArray[np.int64], seed: int, most: int) -> Draft:
    """Interleave two orders of distinct numbers, best first, to at most `most` items.

    The seed determines the result. A pair is never cut: the last one is left out if only one place
    is left.
    """
    left, right = _Reading(first.tolist()), _Reading(second.tolist())
    coins = uniforms(seed, min(len(first), len(second)))
    shown: list[int] = []
    sides: list[int] = []
    taken: set[int] = set()
    for coin in coins.tolist():
        one, two = left.next(taken), right.next(taken)
        if one is None or two is None or len(shown) >= most:
            break
        pair = [(one, BOTH)] if one == two else [(one, FIRST), (two, SECOND)]
        if len(shown) + len(pair) > most:
            break
        for number, side in pair if coin < 0.5 else reversed(pair):
            shown.append(number)
            sides.append(side)
            taken.add(number)
    rest = [number for number in [*left.rest(), *right.rest()] if number not in taken]
    rest = list(dict.fromkeys(rest))[: most - len(shown)]
    return Draft(
        np.array([*shown, *rest], np.int64),
        np.array([*sides, *([BOTH] * len(rest))], np.uint8),
    )


class _Reading:
    """One side's order, as far as it was read."""

    def __init__(self, numbers: list[int]) -> None:
        self._numbers = numbers
        self._at = 0

    def next(self, taken: set[int]) -> int | None:
        """Return the first number that is not taken; None if all are."""
        while self._at < len(self._numbers) and self._numbers[self._at] in taken:
            self._at += 1
        return self._numbers[self._at] if self._at < len(self._numbers) else None

    def rest(self) -> list[int]:
        return self._numbers[self._at :]

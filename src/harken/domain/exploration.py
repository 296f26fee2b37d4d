"""Exploration: orders that are sampled by score, with the propensity of each item.

An order is sampled item by item. Each step draws one of the remaining items, with a probability
proportional to exp(score / temperature). This is the model of Plackett (1975) and Luce (1959).
The seed determines the sample.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harken.domain.feeds import FeedRanking
from harken.errors import InvalidInput, Problem

# Below this temperature, the differences between scores determine the order almost surely.
LEAST_TEMPERATURE = 0.001
MOST_TEMPERATURE = 1_000_000
SEED_BITS = 53  # every JSON parser represents integers of this size exactly
MOST_PER_LABEL = 100
THOMPSON = "thompson"
EXPLORATIONS = (THOMPSON,)
"""Ways to explore by how uncertain each score is; `services/index/thompson.py` has the formula."""
# A sum of weights below this has lost too many digits to be divided by.
FAINT = 1e-200
# Scores are clipped to this size, so that their differences are finite.
FURTHEST = 1e300

CAPS = ("most_per_author", "most_per_tag", "most_per_source")
"""The caps of a `Variety`."""

_BY_SCORE = "needs a ranking by score; a chronological ranking has no scores to sample by"

PAIRED, SECOND_OF_PAIR, TURNED = 4, 1, 2
"""Marks of an item in a swapped pair: 4 for each, 1 for the second place, 2 if it was turned."""

Floats = NDArray[np.float64]


class Variety(NamedTuple):
    """How a feed departs from the order by score: by sampling, and by caps per label."""

    temperature: float = 0.0  # in units of the score
    seed: int | None = None
    most_per_author: int | None = None  # in each window
    most_per_tag: int | None = None
    window: int | None = None  # in items: the first page's limit; None without caps
    explore: str | None = None  # `THOMPSON`, in place of a temperature
    most_per_source: int | None = None  # in each window, before the weight of the source

    @property
    def is_sampled(self) -> bool:
        """Whether the order is sampled."""
        return self.temperature > 0 or self.explore is not None

    @property
    def is_capped(self) -> bool:
        """Whether the number of items per author, tag or source is capped."""
        return any(getattr(self, name) is not None for name in CAPS)

    def settings(self) -> dict[str, Any]:
        """Return the settings for the ledger. With the scores, they determine the order."""
        chosen = {name: value for name, value in self._asdict().items() if value is not None}
        if not self.temperature:
            del chosen["temperature"]
        return chosen


class Order(NamedTuple):
    """Numbers of K-Blocks in order, shape (items,); the other arrays are of the same shape or None.

    `propensities` are those of each item if the order was sampled. `scores` are what it was made
    by, if they were computed. `sides` says whose each item of an interleaved order is. `pairs` has
    the marks of swapped pairs, 0 for other items. `windows` are the places where a window of caps
    begins; they are known only when the order is made.
    """

    numbers: NDArray[np.int64]
    propensities: Floats | None = None
    scores: Floats | None = None
    sides: NDArray[np.uint8] | None = None
    pairs: NDArray[np.uint8] | None = None
    windows: tuple[int, ...] = ()


def check_variety(variety: Variety, ranking: FeedRanking) -> None:
    """Raise InvalidInput for settings that are out of range, or do not fit the ranking."""
    problems = [*_problems_of_chance(variety, ranking), *_problems_of_exploration(variety, ranking)]
    for name in CAPS:
        most = getattr(variety, name)
        if most is not None and not 1 <= most <= MOST_PER_LABEL:
            problems.append(Problem(name, f"must be from 1 to {MOST_PER_LABEL}"))
    if problems:
        raise InvalidInput(*problems)


def _problems_of_chance(variety: Variety, ranking: FeedRanking) -> Iterator[Problem]:
    temperature = variety.temperature
    if temperature and not LEAST_TEMPERATURE <= temperature <= MOST_TEMPERATURE:
        range_ = f"must be 0, or from {LEAST_TEMPERATURE} to {MOST_TEMPERATURE}"
        yield Problem("temperature", range_)
    if variety.seed is not None and not 0 <= variety.seed < 2**SEED_BITS:
        yield Problem("seed", f"must be a whole number from 0 to {2**SEED_BITS - 1}")
    elif temperature and ranking.is_chronological:
        yield Problem("temperature", _BY_SCORE)
    if variety.seed is not None and not variety.is_sampled:
        yield Problem("seed", f"needs a temperature above 0, or explore={THOMPSON}")


def _problems_of_exploration(variety: Variety, ranking: FeedRanking) -> Iterator[Problem]:
    if variety.explore is None:
        return
    if variety.explore not in EXPLORATIONS:
        yield Problem("explore", f"must be {' or '.join(EXPLORATIONS)}")
        return
    if ranking.is_chronological:
        yield Problem("explore", _BY_SCORE)
    if variety.temperature:
        yield Problem("explore", "cannot be combined with a temperature: use one of the two")
    if variety.is_capped:
        yield Problem(
            "explore", "cannot be combined with most_per_author, most_per_tag and most_per_source"
        )


def sample(scores: Floats, temperature: float, seed: int) -> tuple[NDArray[np.int64], Floats]:
    """Sample an order of items: indices into `scores`, and the propensity of each, in that order.

    `scores` and both results have the shape (items,). Uses the Gumbel-max trick (Yellott 1977; Kool
    et al. 2019): items in descending order of score / temperature + Gumbel noise are a
    Plackett–Luce sample.
    """
    utilities = _utilities(scores, temperature)
    noise = -np.log(-np.log(uniforms(seed, len(scores))))
    # Equal scores are ordered by noise alone, even if adding it to the score rounds it away.
    order = np.lexsort((-noise, -(utilities + noise)))
    return order, propensities(scores[order], temperature)


def propensities(scores: Floats, temperature: float) -> Floats:
    """Return the probability that each item of an order was drawn, given the items before it.

    `scores` are the scores in that order, shape (items,), as is the result. The product of the
    result is the probability of the whole order.
    """
    found = []
    best, weights = -math.inf, 0.0  # of the remaining items; the sum in units of the best's weight
    for utility in reversed(_utilities(scores, temperature).tolist()):
        if utility > best:
            weights *= math.exp(best - utility)
            best = utility
        weight = math.exp(utility - best)
        weights += weight
        found.append(weight / weights)
    return np.array(found[::-1], np.float64)


def log_sum_exp(scores: Floats, temperature: float) -> float:
    """Return the logarithm of the sum of exp(score / temperature) over an order, not empty.

    The probability that an item is drawn first is exp(score / temperature − this).
    """
    finite = np.clip(scores, -FURTHEST, FURTHEST)
    best = float(finite.max())
    return best / temperature + math.log(float(np.exp((finite - best) / temperature).sum()))


class Drawing:
    """Samples items one by one, where each position allows only some of the items.

    Each draw is among the items that are allowed at that position, and independent of earlier
    draws. Gumbel noise that is fixed once per item would not have this property.
    """

    def __init__(self, scores: Floats, temperature: float, seed: int) -> None:
        self.propensities: list[float] = []
        self._utilities = _utilities(scores, temperature)
        self._weights = np.exp(self._utilities)
        self._sums = np.empty(len(scores))
        self._uniforms = uniforms(seed, len(scores)).tolist()

    def __call__(self, free: NDArray[np.bool_]) -> int:
        """Return the index of the next item; `free` has the shape (items,) and a True."""
        first = int(free.argmax())
        weights = self._weights[first:]
        sums = self._sums[first:]
        np.multiply(weights, free[first:], out=sums)
        np.add.accumulate(sums, out=sums)
        total = sums.item(-1)
        if total < FAINT:  # all free items score far below the best: rescale by their own best
            utilities = np.where(free[first:], self._utilities[first:], -np.inf)
            weights = np.asarray(np.exp(utilities - utilities.max()), np.float64)
            sums = weights.cumsum()
            total = sums.item(-1)
        chance = self._uniforms[len(self.propensities)]
        drawn = int(sums.searchsorted(min(chance * total, math.nextafter(total, 0.0)), "right"))
        self.propensities.append(weights.item(drawn) / total)
        return first + drawn


def uniforms(seed: int, count: int) -> Floats:
    """Return `count` numbers between 0 and 1, both exclusive, shape (count,).

    They are made from the generator's raw bits, which are the same in all versions of NumPy
    (NEP 19).
    """
    raw = np.random.PCG64(seed).random_raw(count)
    return ((raw >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52


def _utilities(scores: Floats, temperature: float) -> Floats:
    finite = np.clip(scores, -FURTHEST, FURTHEST)
    utilities: Floats = (finite - finite.max(initial=-FURTHEST)) / temperature
    return utilities

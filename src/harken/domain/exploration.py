"""Orders that leave something to chance, and how likely what came of it was.

An order is drawn item by item: each time, one of those that are left, with a probability that is
proportional to exp(score / temperature). That is the model of Plackett (1975) and Luce (1959).
A drawing is settled by its seed.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harken.domain.feeds import FeedRanking
from harken.errors import InvalidInput, Problem

# Below it, all differences between scores that mean anything settle the order anyway.
LEAST_TEMPERATURE = 0.001
MOST_TEMPERATURE = 1_000_000
SEED_BITS = 53  # what every reader of JSON keeps exactly
MOST_PER_LABEL = 100
# A sum of weights that has lost too much to be divided by.
FAINT = 1e-200
# Scores beyond it are taken for it, so that differences are finite.
FURTHEST = 1e300

Floats = NDArray[np.float64]


class Variety(NamedTuple):
    """How much a feed departs from the best order: by chance, and for the sake of others."""

    temperature: float = 0.0  # in units of the score
    seed: int | None = None
    most_per_author: int | None = None  # in each window
    most_per_tag: int | None = None
    window: int | None = None  # the first page's limit, where one of the caps is given

    @property
    def is_sampled(self) -> bool:
        """Whether chance has a part in the order."""
        return self.temperature > 0

    @property
    def is_capped(self) -> bool:
        """Whether there is a cap on what an author or a tag may have of a page."""
        return self.most_per_author is not None or self.most_per_tag is not None

    def settings(self) -> dict[str, Any]:
        """Return what was chosen, for the ledger: with the scores, it settles the order."""
        chosen = {name: value for name, value in self._asdict().items() if value is not None}
        if not self.is_sampled:
            del chosen["temperature"]
        return chosen


class Order(NamedTuple):
    """Numbers of K-Blocks, and how likely each was in its place; None where it was certain."""

    numbers: NDArray[np.int64]
    propensities: Floats | None = None


def check_variety(variety: Variety, ranking: FeedRanking) -> None:
    """Raise InvalidInput where it makes no sense, for this ranking or at all."""
    problems = []
    temperature = variety.temperature
    if temperature and not LEAST_TEMPERATURE <= temperature <= MOST_TEMPERATURE:
        range_ = f"must be 0, or from {LEAST_TEMPERATURE} to {MOST_TEMPERATURE}"
        problems.append(Problem("temperature", range_))
    if variety.seed is not None and not 0 <= variety.seed < 2**SEED_BITS:
        problems.append(Problem("seed", f"must be a whole number from 0 to {2**SEED_BITS - 1}"))
    elif temperature and ranking.is_chronological:
        by_score = "goes with a ranking by score; in a chronological one there is none to draw by"
        problems.append(Problem("temperature", by_score))
    if variety.seed is not None and not temperature:
        problems.append(Problem("seed", "goes with a temperature above 0 only"))
    for name in ("most_per_author", "most_per_tag"):
        most = getattr(variety, name)
        if most is not None and not 1 <= most <= MOST_PER_LABEL:
            problems.append(Problem(name, f"must be from 1 to {MOST_PER_LABEL}"))
    if problems:
        raise InvalidInput(*problems)


def sample(scores: Floats, temperature: float, seed: int) -> tuple[NDArray[np.int64], Floats]:
    """Draw an order of items: places in `scores`, and the propensity of each.

    By the Gumbel-max trick (Yellott 1977; Kool et al. 2019): those with the greatest
    score / temperature + Gumbel noise, in descending order, are a Plackett–Luce sample.
    """
    utilities = _utilities(scores, temperature)
    noise = -np.log(-np.log(uniforms(seed, len(scores))))
    # Of equal scores, the noise alone decides, also where their distance to 0 swallows its digits.
    order = np.lexsort((-noise, -(utilities + noise)))
    return order, propensities(scores[order], temperature)


def propensities(scores: Floats, temperature: float) -> Floats:
    """Return how likely each item of an order was to be drawn, given those before it.

    `scores` are those of the items in that order. The product is the probability of the order.
    """
    found = []
    best, weights = -math.inf, 0.0  # of those that are left; the sum in units of the best's weight
    for utility in reversed(_utilities(scores, temperature).tolist()):
        if utility > best:
            weights *= math.exp(best - utility)
            best = utility
        weight = math.exp(utility - best)
        weights += weight
        found.append(weight / weights)
    return np.array(found[::-1], np.float64)


class Drawing:
    """Draws items one by one where not every one may come at every place.

    Each is drawn among those that are free at its place, whatever was free before. So noise that
    is settled once for each item would not do: who waited would come with the luck they had.
    """

    def __init__(self, scores: Floats, temperature: float, seed: int) -> None:
        self.propensities: list[float] = []
        self._utilities = _utilities(scores, temperature)
        self._weights = np.exp(self._utilities)
        self._sums = np.empty(len(scores))
        self._uniforms = uniforms(seed, len(scores)).tolist()

    def __call__(self, free: NDArray[np.bool_]) -> int:
        """Return the place of the one that is drawn next; at least one has to be free."""
        first = int(free.argmax())
        weights = self._weights[first:]
        sums = self._sums[first:]
        np.multiply(weights, free[first:], out=sums)
        np.add.accumulate(sums, out=sums)
        total = sums.item(-1)
        if total < FAINT:  # all that are free lie far below the best: measured by their own best
            utilities = np.where(free[first:], self._utilities[first:], -np.inf)
            weights = np.asarray(np.exp(utilities - utilities.max()), np.float64)
            sums = weights.cumsum()
            total = sums.item(-1)
        chance = self._uniforms[len(self.propensities)]
        drawn = int(sums.searchsorted(min(chance * total, math.nextafter(total, 0.0)), "right"))
        self.propensities.append(weights.item(drawn) / total)
        return first + drawn


def uniforms(seed: int, count: int) -> Floats:
    """Return numbers between 0 and 1, exclusively.

    From the generator's raw bits: only these are the same in all versions of NumPy (NEP 19).
    """
    raw = np.random.PCG64(seed).random_raw(count)
    return ((raw >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52


def _utilities(scores: Floats, temperature: float) -> Floats:
    finite = np.clip(scores, -FURTHEST, FURTHEST)
    utilities: Floats = (finite - finite.max(initial=-FURTHEST)) / temperature
    return utilities

"""Simulated readers of pages, whose interests are known: the reader model of these benchmarks.

A page shows 10 of 30 items. An item has a quality u, normal around −1 with standard deviation 1.5;
its relevance is 1/(1 + exp(−u)). A ranking orders by u + s · noise, with noise of its own: the
smaller s, the better the ranking. A reader acts on the item at position k a Poisson number of times
(opens, likes, bookmarks); its mean is their rate · (1 + k)^−0.7 · relevance. It does not depend on
which ranking the item is from.

Heterogeneous readers differ as those of DeskDrop do before 2016-07-08: pages per reader are
lognormal (logarithms with standard deviation 1.12, 7.7 on average), rates are gamma distributed
with a squared coefficient of variation of 1.26, and a page has 3.2 acts on average. Identical
readers have 8 pages and the mean rate.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ITEMS, SHOWN = 30, 10
EXAMINED = (1.0 + np.arange(SHOWN)) ** -0.7
LOG_SPREAD, MEAN_PAGES, RATE_VARIATION = 1.12, 7.7, 1.26
ACTS_PER_PAGE = 3.2
_AT_ONCE = 20_000


class Readers(NamedTuple):
    """Pages and rate of each reader."""

    pages: NDArray[np.int64]
    rates: Floats


class Batch(NamedTuple):
    """Some pages: whose they are, the rate, the items' qualities and both rankings' scores."""

    readers: NDArray[np.int64]
    rates: Floats
    quality: Floats
    a: Floats
    b: Floats


@dataclass(frozen=True)
class World:
    """Two rankings with their noise, and whether readers differ."""

    noise_a: float
    noise_b: float
    heterogeneous: bool = True

    def readers(self, chance: np.random.Generator, count: int) -> Readers:
        rate = ACTS_PER_PAGE / _acts_at_rate_1(self.noise_a)
        if not self.heterogeneous:
            return Readers(np.full(count, 8), np.full(count, rate))
        centre = np.log(MEAN_PAGES - 0.5) - LOG_SPREAD**2 / 2
        pages = np.ceil(np.exp(centre + LOG_SPREAD * chance.standard_normal(count)))
        shape = 1 / RATE_VARIATION
        return Readers(pages.astype(np.int64), chance.gamma(shape, rate / shape, count))

    def batches(self, chance: np.random.Generator, readers: Readers) -> Iterator[Batch]:
        """Draw the pages of all readers, some thousand at a time."""
        whose = np.repeat(np.arange(len(readers.pages)), readers.pages)
        for start in range(0, len(whose), _AT_ONCE):
            some = whose[start : start + _AT_ONCE]
            quality = -1 + 1.5 * chance.standard_normal((len(some), ITEMS))
            a, b = (
                quality + noise * chance.standard_normal(quality.shape)
                for noise in (self.noise_a, self.noise_b)
            )
            yield Batch(some, readers.rates[some], quality, a, b)


def relevance(quality: Any) -> Any:
    return 1 / (1 + np.exp(-quality))


def top(scores: Floats) -> NDArray[np.int64]:
    """Return the items of a page in order (pages × 10)."""
    return np.argsort(-scores, axis=1)[:, :SHOWN]


def expected_acts(batch: Batch, shown: NDArray[np.int64]) -> Floats:
    """Return the mean acts by position (pages × 10)."""
    found = relevance(np.take_along_axis(batch.quality, shown, axis=1))
    return np.asarray(batch.rates[:, None] * EXAMINED * found)


def by_reader(batch: Batch, values: Any, count: int) -> Floats:
    """Sum a value of each page by reader."""
    return np.bincount(batch.readers, values, minlength=count).astype(np.float64)


def team_draft(batch: Batch, chance: np.random.Generator) -> tuple[Any, Any]:
    """Return items and sides (pages × 10) of interleaved pages: 0 nobody's, −1 a's, 1 b's.

    In each round both rankings name their first item that is not shown yet. If it is the same, it
    is nobody's. If not, both are shown, in an order that a coin decides. A pair without room for
    both is shown in part, for nobody.
    """
    pages = len(batch.readers)
    rows = np.arange(pages)
    a, b = batch.a.copy(), batch.b.copy()
    items, sides = np.zeros((2, pages, SHOWN + 1), np.int64)
    at = np.zeros(pages, np.int64)
    while (at < SHOWN).any():
        first, second = a.argmax(axis=1), b.argmax(axis=1)
        same = first == second
        coin = chance.random(pages) < 0.5
        whose = np.where(same, 0, np.where(coin, -1, 1))
        for item, side, is_shown in (
            (np.where(coin, first, second), whose, at < SHOWN),
            (np.where(coin, second, first), -whose, (at < SHOWN) & ~same),
        ):
            place = np.where(is_shown, np.minimum(at, SHOWN), SHOWN)
            items[rows, place], sides[rows, place] = item, side
            a[rows[is_shown], item[is_shown]] = b[rows[is_shown], item[is_shown]] = -np.inf
            at = at + is_shown
        cut = at > SHOWN
        sides[cut, SHOWN - 1] = 0
    return items[:, :SHOWN], sides[:, :SHOWN]


def credits_of(world: World, chance: np.random.Generator, count: int) -> Floats:
    """Return the credit of each reader of interleaved pages; NaN without credited acts."""
    acts = np.zeros((2, count))
    for batch in world.batches(chance, world.readers(chance, count)):
        items, sides = team_draft(batch, chance)
        counted = chance.poisson(expected_acts(batch, items))
        for row, side in enumerate((-1, 1)):
            acts[row] += by_reader(batch, (counted * (sides == side)).sum(axis=1), count)
    with np.errstate(invalid="ignore"):
        return np.asarray((acts[1] - acts[0]) / acts.sum(axis=0))


def acts_of(
    world: World, chance: np.random.Generator, count: int, *, of_b: bool
) -> tuple[Floats, Floats]:
    """Return acts and pages of each reader of one ranking's pages."""
    readers, acts = world.readers(chance, count), np.zeros(count)
    for batch in world.batches(chance, readers):
        shown = top(batch.b if of_b else batch.a)
        acts += by_reader(batch, chance.poisson(expected_acts(batch, shown)).sum(axis=1), count)
    return acts, readers.pages.astype(np.float64)


def lift(world: World, pages: int = 100_000, seed: int = 1) -> float:
    """Return the true difference of acts per page, b ÷ a − 1, by the mean acts of many pages."""
    chance = np.random.default_rng(seed)
    everyone = Readers(np.ones(pages, np.int64), np.ones(pages))
    sums = np.zeros(2)
    for batch in world.batches(chance, everyone):
        sums += [expected_acts(batch, top(scores)).sum() for scores in (batch.a, batch.b)]
    return float(sums[1] / sums[0] - 1)


def _acts_at_rate_1(noise: float) -> float:
    chance = np.random.default_rng(0)
    everyone = Readers(np.ones(5_000, np.int64), np.ones(5_000))
    world = World(noise, noise)
    [batch] = world.batches(chance, everyone)
    return float(expected_acts(batch, top(batch.a)).sum() / 5_000)

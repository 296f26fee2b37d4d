"""Today's rule of promotion on the same simulated readers: replay of a log that one order made.

The readers of `pages` read the pages of the ranking in service. Each item that they acted on is
ranked among the page's 30 candidates by both rankings. The candidate is promoted if it is
significantly better by NDCG@10 or MRR, and significantly worse by neither. 400 runs, each of 2,000
readers drawn from a pool of 20,000, who are the units.
"""

import numpy as np
from numpy.typing import NDArray

from benchmarks.experiments.lines import Line, share
from benchmarks.experiments.pages import Floats, World, by_reader, expected_acts, lift, top
from benchmarks.experiments.promotion import IN_SERVICE, POOL, TRUTHS
from harken.services.experiments.analysis.effects import mean_effect
from harken.services.experiments.analysis.moments import MetricValues, moments

SEED, RUNS, READERS = 20_266, 400, 2_000


def replay_rule() -> list[Line]:
    lines = []
    for place, (name, noise) in enumerate(TRUTHS.items()):
        world, chance = World(IN_SERVICE, noise), np.random.default_rng([SEED, place])
        apart, acted = _apart(world, chance)
        promoted = sum(_is_better(apart, acted, chance) for _ in range(RUNS))
        ndcg = apart[0].sum() / acted.sum()
        lines.append(
            Line(f"replay's rule: {name} candidate ({lift(world):+.1%} acts per page) promoted",
                 f"{share(promoted, RUNS)}; NDCG@10 {ndcg:+.3f} on the log")
        )  # fmt: skip
    return lines


def _is_better(apart: Floats, acted: Floats, chance: np.random.Generator) -> bool:
    rows = chance.integers(0, POOL, READERS)
    everyone, look = np.ones(READERS, np.bool_), np.array([READERS])
    bounds = []
    for metric in apart:
        values = MetricValues(metric[rows], acted[rows])
        found = mean_effect(moments(values, everyone, look).at(0)).numbers()
        bounds.append((found.effect - 1.96 * found.error, found.effect + 1.96 * found.error))
    is_worse = any(high < 0 for _, high in bounds)
    return any(low > 0 for low, _ in bounds) and not is_worse


def _apart(world: World, chance: np.random.Generator) -> tuple[Floats, Floats]:
    """Return candidate − in service (metrics × readers), and the acted items of each reader."""
    apart, acted = np.zeros((2, POOL)), np.zeros(POOL)
    for batch in world.batches(chance, world.readers(chance, POOL)):
        shown = top(batch.a)
        has_acts = chance.poisson(expected_acts(batch, shown)) > 0
        ranks = [
            np.take_along_axis((-scores).argsort(axis=1).argsort(axis=1) + 1, shown, axis=1)
            for scores in (batch.a, batch.b)
        ]
        for row, gain in enumerate((_ndcg, _reciprocal)):
            more = (gain(ranks[1]) - gain(ranks[0])) * has_acts
            apart[row] += by_reader(batch, more.sum(axis=1), POOL)
        acted += by_reader(batch, has_acts.sum(axis=1), POOL)
    return apart, acted


def _ndcg(ranks: NDArray[np.int64]) -> Floats:
    return np.where(ranks <= 10, 1 / np.log2(1 + ranks), 0.0)


def _reciprocal(ranks: NDArray[np.int64]) -> Floats:
    return np.asarray(1 / ranks)

"""Interleaving against an A/B test: how many readers show the same small difference?

The same simulated readers (`pages`), heterogeneous and identical. The A/B test's metric is acts per
page, a ratio by reader, without a covariate; the interleaving's is the mean credit. Both are
decided by the sequence, tuned for the readers that the closed form plans. Readers for 80 % power
are those within which 80 % of 400 experiments were decided for the better ranking, with 100 looks
until twice the plan. Experiments draw readers with replacement from pools of 20,000.
"""

from typing import Any

import numpy as np

from benchmarks.experiments.lines import Line, pieces
from benchmarks.experiments.pages import World, acts_of, credits_of, lift
from harken.services.experiments.analysis.effects import Effect, compare, mean_effect
from harken.services.experiments.analysis.moments import MetricValues, moments
from harken.services.experiments.analysis.power import readers_for_mean, readers_needed, spread
from harken.services.experiments.analysis.sequences import radius

SEED, POOL, RUNS, PIECE, ALPHA = 20_264, 20_000, 400, 10, 0.05
NOISE = (1.3, 1.2)
STEPS = 100
LEAST_FACTOR = 10.0


def interleaving() -> list[Line]:
    lines = [Line("interleaving: true difference of acts per page", f"{lift(World(*NOISE)):+.2%}")]
    for place, (name, heterogeneous) in enumerate((("heterogeneous", True), ("identical", False))):
        chance = np.random.default_rng([SEED, place])
        world = World(*NOISE, heterogeneous=heterogeneous)
        shared, left_out = _of_interleaving(world, chance)
        apart = _of_ab(world, chance)
        factor = apart / shared
        lines += [
            Line(f"{name} readers: readers for 80 % power, A/B", f"{apart:,.0f}"),
            Line(f"{name} readers: readers for 80 % power, interleaving",
                 f"{shared:,.0f}, of whom {left_out:.1%} without credited acts"),
            Line(f"{name} readers: factor", f"{factor:.1f}", "≥ 10" if heterogeneous else "",
                 factor >= LEAST_FACTOR if heterogeneous else None),
        ]  # fmt: skip
    return lines


def _of_interleaving(world: World, chance: np.random.Generator) -> tuple[float, float]:
    found = credits_of(world, chance, POOL)
    known = found[np.isfinite(found)]
    planned = readers_for_mean(float(known.var()), float(known.mean()), ALPHA)
    looks = _looks(planned)
    decided = []
    for size in pieces(RUNS, PIECE):
        drawn = chance.choice(known, (size, int(looks[-1])))
        effect = mean_effect(moments(MetricValues(drawn), np.ones(drawn.shape, np.bool_), looks))
        decided += _first(effect, looks, planned).tolist()
    # Readers without credited acts have to come too.
    left_out = 1 - len(known) / POOL
    return float(np.quantile(decided, 0.8)) / (1 - left_out), left_out


def _of_ab(world: World, chance: np.random.Generator) -> float:
    pools = [acts_of(world, chance, POOL, of_b=of_b) for of_b in (False, True)]
    # The pools' own difference, so that the plan is for what the experiments can find.
    rates = [acts.sum() / pages.sum() for acts, pages in pools]
    variance = float(np.mean([spread(MetricValues(*pool)).variance for pool in pools]))
    planned = readers_needed(variance, rates[1] - rates[0], alpha=ALPHA)
    looks = _looks(planned)
    decided = []
    for size in pieces(RUNS, max(1, 2_000_000 // int(looks[-1]))):
        arms = chance.integers(0, 2, (size, int(looks[-1])))
        rows = chance.integers(0, POOL, arms.shape)
        acts, pages = (np.where(arms == 1, pools[1][i][rows], pools[0][i][rows]) for i in (0, 1))
        values = MetricValues(acts, pages)
        effect = compare(*(moments(values, arms == arm, looks) for arm in (0, 1)))
        decided += _first(effect, looks, planned).tolist()
    return float(np.quantile(decided, 0.8))


def _looks(planned: int) -> Any:
    return np.unique(np.linspace(2 * planned / STEPS, 2 * planned, STEPS).astype(np.intp))


def _first(effect: Effect, looks: Any, planned: int) -> Any:
    """Return the readers at the first look that shows b to be better; infinite for none."""
    shown = effect.effect > radius(effect.readers, effect.error, ALPHA, planned)
    return np.where(shown.any(axis=1), looks[shown.argmax(axis=1)], np.inf)

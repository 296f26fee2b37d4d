"""The rule of promotion on simulated readers with a known truth: gate, then trial with a guardrail.

Readers are heterogeneous (`pages`). The candidate's order has less noise than the one in service
(better), the same (equal), or more (worse). Each is judged 2,000 times: first by preferences from
swapped pairs on the old order's pages, then by the credits of an interleaving, with a look after
each twentieth of the planned readers. Dismissals per reader are a guardrail with a margin of 20 %
of their mean; they do not differ. Planned sizes are those with which each of both steps passes a
better candidate with 90 %. Readers are drawn with replacement from pools of 20,000; credits of the
equal candidate get a random sign, so that their mean is 0 exactly.

The gate asks about pairs that are neighbours in the old order. There the old order has almost no
preference, so any candidate with information of its own wins them, even one that is worse as a
whole. That is why the gate alone promotes nothing.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from benchmarks.experiments.lines import Line, pieces, share
from benchmarks.experiments.pages import (
    Batch,
    World,
    by_reader,
    credits_of,
    expected_acts,
    lift,
    top,
)
from harken.services.experiments.analysis.effects import Effect, compare, mean_effect
from harken.services.experiments.analysis.guardrails import guardrail
from harken.services.experiments.analysis.moments import MetricValues, moments
from harken.services.experiments.analysis.plan import GuardrailPlan
from harken.services.experiments.analysis.power import readers_for_mean
from harken.services.experiments.analysis.promotion import (
    GATE_ALPHA,
    TRIAL_ALPHA,
    decide,
    gate_state,
)
from harken.services.experiments.analysis.sequences import one_sided_radius

SEED, POOL, RUNS, PIECE, STEPS = 20_265, 20_000, 2_000, 100, 20
IN_SERVICE = 1.3
TRUTHS = {"better": 1.0, "equal": 1.3, "worse": 1.7}
MARKS = {"better": (0.8, "≥ 80 %"), "equal": (0.05, "≤ 5 %"), "worse": (0.01, "≤ 1 %")}
DISMISSALS = GuardrailPlan("dismissals", 0.2, higher_is_better=False)


class Pools(NamedTuple):
    """Preferences and credits of readers who have any, and the cost of swaps in acts."""

    preferences: Any
    credits: Any
    cost: float


class Sizes(NamedTuple):
    """The planned readers of the gate and of the trial."""

    gate: int
    trial: int


def promotion() -> list[Line]:
    pools = {name: _pools(World(IN_SERVICE, noise), i)
             for i, (name, noise) in enumerate(TRUTHS.items())}  # fmt: skip
    chance = np.random.default_rng([SEED, 9])
    # Both sides are alike, so a credit and its opposite are equally likely.
    signs = chance.choice([-1.0, 1.0], len(pools["equal"].credits))
    pools["equal"] = pools["equal"]._replace(credits=pools["equal"].credits * signs)
    better = pools["better"]
    sizes = Sizes(
        readers_for_mean(*_of(better.preferences), GATE_ALPHA, 0.9, sides=1),
        readers_for_mean(*_of(better.credits), TRIAL_ALPHA, 0.9),
    )
    lines = [
        Line("promotion: planned readers with turned pairs, and with credited acts",
             f"{sizes.gate:,} and {sizes.trial:,}"),
        Line("promotion: acts lost on pages with swaps (10 % of slates have them)",
             f"{better.cost:.2%} ({better.cost / 10:.3%} of all)"),
    ]  # fmt: skip
    lines += [_line(name, pools[name], sizes) for name in TRUTHS]
    return [*lines, *_non_inferior(pools)]


def _of(values: Any) -> tuple[float, float]:
    return float(values.var()), float(values.mean())


def _line(name: str, pools: Pools, sizes: Sizes) -> Line:
    chance = np.random.default_rng([SEED, 10, *name.encode()])
    passed = promoted = 0
    for size in pieces(RUNS, PIECE):
        has_passed = _passes(pools.preferences, size, sizes.gate, chance)
        wins = _promotes(pools.credits, size, sizes.trial, chance)
        passed, promoted = passed + int(has_passed.sum()), promoted + int((has_passed & wins).sum())
    most, mark = MARKS[name]
    is_reached = promoted >= most * RUNS if name == "better" else promoted <= most * RUNS
    true = lift(World(IN_SERVICE, TRUTHS[name]))
    return Line(
        f"promotion: {name} candidate ({true:+.1%} acts per page) promoted",
        f"{share(promoted, RUNS)}; {passed / RUNS:.1%} passed the gate", mark, is_reached,
    )  # fmt: skip


def _non_inferior(pools: Mapping[str, Pools]) -> list[Line]:
    """Try retrained models, without a gate: one worse by exactly the margin, and an equal one."""
    margin = -float(pools["worse"].credits.mean())
    planned = readers_for_mean(float(pools["equal"].credits.var()), margin, TRIAL_ALPHA)
    lines = []
    for name, mark, is_more in (("worse", "≤ 5 %", False), ("equal", "≥ 80 %", True)):
        chance = np.random.default_rng([SEED, 11, *name.encode()])
        hits = sum(
            int(_promotes(pools[name].credits, size, planned, chance, margin).sum())
            for size in pieces(RUNS, PIECE)
        )
        what = "worse by the margin" if name == "worse" else "equal"
        lines.append(
            Line(f"promotion by non-inferiority (margin {margin:.3f} in credit, {planned:,} "
                 f"readers): {what}", share(hits, RUNS), mark,
                 hits >= 0.8 * RUNS if is_more else hits <= 0.05 * RUNS)
        )  # fmt: skip
    return lines


def _passes(pool: Any, size: int, planned: int, chance: np.random.Generator) -> Any:
    """Return which candidates pass the gate at some look, before they fail it."""
    effect = _means(pool, size, planned, chance)
    half = one_sided_radius(effect.readers, effect.error, GATE_ALPHA, planned)
    states = np.vectorize(gate_state)(effect.effect, half)
    first = (states != "open").argmax(axis=1)
    return states[np.arange(size), first] == "passed"


def _promotes(
    pool: Any, size: int, planned: int, chance: np.random.Generator, margin: float | None = None
) -> Any:
    """Return which trials end with a promotion."""
    effect = _means(pool, size, planned, chance)
    dismissals = _dismissals(size, planned, chance)
    won = np.zeros(size, np.bool_)
    for run in range(size):
        for look in range(effect.effect.shape[1]):
            of_guard = Effect(*(each[run, look] for each in dismissals)).numbers()
            guard = guardrail(DISMISSALS, "new", of_guard, TRIAL_ALPHA, 2 * planned)
            outcome = decide(
                float(effect.effect[run, look]), float(effect.error[run, look]),
                int(effect.readers[run, look]), planned, [guard], margin,
            ).outcome  # fmt: skip
            if outcome != "continue":
                won[run] = outcome == "promote"
                break
    return won


def _means(pool: Any, size: int, planned: int, chance: np.random.Generator) -> Effect:
    drawn = chance.choice(pool, (size, planned))
    return mean_effect(
        moments(MetricValues(drawn), np.ones(drawn.shape, np.bool_), _looks(planned))
    )


def _looks(planned: int) -> Any:
    return np.unique(np.linspace(max(20, planned / STEPS), planned, STEPS).astype(np.intp))


def _dismissals(size: int, planned: int, chance: np.random.Generator) -> Effect:
    """Return the effect on dismissals of readers in the trial, against as many others."""
    arms = chance.integers(0, 2, (size, 2 * planned))
    values = MetricValues(chance.poisson(chance.gamma(1.0, 1.0, arms.shape)).astype(np.float64))
    return compare(*(moments(values, arms == arm, 2 * _looks(planned)) for arm in (0, 1)))


def _pools(world: World, place: int) -> Pools:
    chance = np.random.default_rng([SEED, place])
    preferences, cost = _preferences(world, chance)
    found = credits_of(world, chance, POOL)
    return Pools(preferences, found[np.isfinite(found)], cost)


def _preferences(world: World, chance: np.random.Generator) -> tuple[Any, float]:
    """Return preferences per reader from swapped pairs, and the share of acts that swaps cost."""
    preferred, pairs = np.zeros(POOL), np.zeros(POOL)
    kept = swapped = 0.0
    for batch in world.batches(chance, world.readers(chance, POOL)):
        before = top(batch.a)
        shown, is_choice = _swap(batch, before, chance)
        kept += float(expected_acts(batch, before).sum())
        means = expected_acts(batch, shown)
        swapped += float(means.sum())
        clicked = chance.poisson(means) > 0
        preferred += by_reader(batch, (clicked * is_choice).sum(axis=1), POOL)
        pairs += by_reader(batch, (is_choice > 0).sum(axis=1), POOL)
    return preferred[pairs > 0] / pairs[pairs > 0], 1 - swapped / kept


def _swap(batch: Batch, before: Any, chance: np.random.Generator) -> tuple[Any, Any]:
    """Swap disjoint adjacent pairs with probability ½; the first pair begins at 0 or 1 by a coin.

    The second array is 1 at the candidate's choice and −1 at the other item of each pair that the
    candidate would turn (by the order before swapping), else 0.
    """
    shown, is_choice = before.copy(), np.zeros(before.shape, np.int64)
    scores = np.take_along_axis(batch.b, before, axis=1)
    offset = chance.random(len(before)) < 0.5
    for first in range(before.shape[1] - 1):
        is_pair = offset == bool(first % 2)
        turns = is_pair & (scores[:, first + 1] > scores[:, first])
        swap = is_pair & (chance.random(len(before)) < 0.5)
        shown[swap, first], shown[swap, first + 1] = before[swap, first + 1], before[swap, first]
        is_choice[turns, first] = np.where(swap[turns], 1, -1)
        is_choice[turns, first + 1] = np.where(swap[turns], -1, 1)
    return shown, is_choice

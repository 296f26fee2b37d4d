"""A/A tests: how often is a difference claimed where there is none, by somebody who keeps looking?

2,000 experiments of 10,000 readers, a look after every 100. Readers come to two arms by a coin.

    binary     a reader engages with probability .1
    lognormal  the logarithm of a reader's value is normal, with variance 1
    ratio      a reader has 1 + Poisson slates, their mean gamma distributed (mean 4, shape 1), and
               engages on each with a probability of their own, Beta(1, 4); engagements per slate
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.stats

from benchmarks.experiments.lines import Line, pieces, share
from harken.services.experiments.analysis.allocation import thompson_shares
from harken.services.experiments.analysis.effects import Effect, compare, mean_effect
from harken.services.experiments.analysis.moments import MetricValues, moments
from harken.services.experiments.analysis.sequences import radius

RUNS, READERS, PIECE, SEED = 2_000, 10_000, 100, 20_260
ALPHA = 0.05
LOOKS = np.arange(100, READERS + 1, 100)
DAYS = 20

Draw = Callable[[np.random.Generator, int], MetricValues]


def aa() -> list[Line]:
    lines = []
    metrics: dict[str, Draw] = {"binary": _binary, "lognormal": _lognormal, "ratio": _ratio}
    for place, (name, draw) in enumerate(metrics.items()):
        chance = np.random.default_rng([SEED, place])
        alarms = np.zeros(4, np.int64)
        for size in pieces(RUNS, PIECE):
            values = draw(chance, size)
            arms = chance.integers(0, 2, (size, READERS))
            effect = compare(*(moments(values, arms == arm, LOOKS) for arm in (0, 1)))
            alarms += _alarms(effect)
            if name == "ratio":
                alarms[3] += _of_slates(values, arms)
        lines += _said(name, alarms)
    return lines


def _said(name: str, alarms: Any) -> list[Line]:
    sequence, fixed, once, of_slates = alarms.tolist()
    lines = [
        Line(f"A/A, {name}: sequence excludes 0 at any look", share(sequence, RUNS), "≤ 5 %",
             sequence <= ALPHA * RUNS),
        Line(f"A/A, {name}: fixed interval excludes 0 at any look", share(fixed, RUNS), "> 25 %",
             fixed > 0.25 * RUNS),
        Line(f"A/A, {name}: fixed interval excludes 0 at the last look", share(once, RUNS)),
    ]  # fmt: skip
    if name == "ratio":
        what = f"A/A, {name}: the same sequence, with slates for units"
        lines.append(Line(what, share(of_slates, RUNS)))
    return lines


def _binary(chance: np.random.Generator, size: int) -> MetricValues:
    return MetricValues((chance.random((size, READERS)) < 0.1).astype(np.float64))


def _lognormal(chance: np.random.Generator, size: int) -> MetricValues:
    return MetricValues(np.exp(chance.standard_normal((size, READERS))))


def _ratio(chance: np.random.Generator, size: int) -> MetricValues:
    slates = 1 + chance.poisson(chance.gamma(1.0, 4.0, (size, READERS)))
    engaged = chance.binomial(slates, chance.beta(1.0, 4.0, (size, READERS)))
    return MetricValues(engaged.astype(np.float64), slates.astype(np.float64))


def _alarms(effect: Effect) -> Any:
    """Count experiments by the sequence, by fixed intervals at any look and at the last one."""
    apart = np.abs(effect.effect)
    outside = apart > radius(effect.readers, effect.error, ALPHA, READERS)
    critical = scipy.stats.t.isf(ALPHA / 2, np.maximum(effect.freedom, 1))
    fixed = apart > critical * effect.error
    return np.array(
        [outside.any(axis=1).sum(), fixed.any(axis=1).sum(), fixed[:, -1].sum(), 0], np.int64
    )


def _of_slates(values: MetricValues, arms: Any) -> int:
    """Count alarms of the sequence if each slate counted as a unit of its own (0 or 1)."""
    slates_of = values.denominator
    assert slates_of is not None
    sums = {}
    for arm in (0, 1):
        for name, column in (("engaged", values.numerator), ("slates", slates_of)):
            blocks = np.where(arms == arm, column, 0.0).reshape(len(arms), len(LOOKS), -1)
            sums[name, arm] = blocks.sum(axis=2).cumsum(axis=1)
    rates = [sums["engaged", arm] / sums["slates", arm] for arm in (0, 1)]
    error = np.sqrt(sum(rates[arm] * (1 - rates[arm]) / sums["slates", arm] for arm in (0, 1)))
    slates = sums["slates", 0] + sums["slates", 1]
    planned = float(slates[:, -1].mean())
    outside = np.abs(rates[1] - rates[0]) > radius(slates, error, ALPHA, planned)
    return int(outside.any(axis=1).sum())


def adaptive() -> list[Line]:
    """A/A tests whose allocation follows Thompson sampling, on days that differ.

    500 readers come on each of 20 days. A reader's count is Poisson; its mean falls from 1.5 to .5
    over the days, and each day has its own factor (lognormal, standard deviation .3).
    """
    chance = np.random.default_rng([SEED, 9])
    weighted = plain = 0
    for size in pieces(RUNS, PIECE):
        values, arms, own = _adaptive_piece(chance, size)
        for weights in (1 / own, None):
            effect = compare(*(moments(values, arms == arm, LOOKS, weights) for arm in (0, 1)))
            found = int(_alarms(effect)[0])
            weighted, plain = (
                (weighted + found, plain) if weights is not None else (weighted, plain + found)
            )
    return [
        Line("A/A, adaptive allocation: AIPW sequence excludes 0 at any look",
             share(weighted, RUNS), "≤ 5 %", weighted <= ALPHA * RUNS),
        Line("A/A, adaptive allocation: the same sequence of plain differences",
             share(plain, RUNS)),
    ]  # fmt: skip


def _adaptive_piece(chance: np.random.Generator, size: int) -> tuple[MetricValues, Any, Any]:
    daily = READERS // DAYS
    drift = np.linspace(1.5, 0.5, DAYS) * np.exp(0.3 * chance.standard_normal((size, DAYS)))
    counted = chance.poisson(np.repeat(drift, daily, axis=1)).astype(np.float64)
    values = MetricValues(counted)
    arms, own = np.zeros((size, READERS), np.int64), np.full((size, READERS), 0.5)
    second = np.full(size, 0.5)
    for day in range(DAYS):
        today = slice(day * daily, (day + 1) * daily)
        arms[:, today] = chance.random((size, daily)) < second[:, None]
        own[:, today] = np.where(arms[:, today] == 1, second[:, None], 1 - second[:, None])
        look = np.array([today.stop])
        of_arms = [mean_effect(moments(values, arms == arm, look, 1 / own).at(0)) for arm in (0, 1)]
        means = np.stack([each.effect for each in of_arms], axis=-1)
        errors = np.stack([each.error for each in of_arms], axis=-1)
        second = thompson_shares(means, errors, chance)[:, 1]
    return values, arms, own

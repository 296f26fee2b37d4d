"""Coverage, power against the closed form, CUPED, and agreement with tea-tasting.

Two arms by a coin. Coverage: lognormal values (variance of the logarithm 1) and a ratio, both with
a true difference; 2,000 experiments of 10,000 readers, a look after every 100. Power: normal values
with variance 1 and the planned readers for 80 % at a difference of .1; 2,000 experiments.
"""

from typing import Any

import numpy as np
import pyarrow
import tea_tasting as tt

from benchmarks.experiments.false_alarms import ALPHA, LOOKS, PIECE, READERS, RUNS
from benchmarks.experiments.lines import Line, pieces, share
from harken.services.experiments.analysis.distributions import normal_quantile
from harken.services.experiments.analysis.effects import compare, fixed_interval, fixed_p
from harken.services.experiments.analysis.moments import MetricValues, moments
from harken.services.experiments.analysis.power import power_of_a_look, readers_needed
from harken.services.experiments.analysis.sequences import radius

SEED = 20_261
DIFFERENCE = 0.1
LIFT = 1.1
CORRELATIONS = (0.3, 0.6, 0.9)

Columns = tuple[str, str | None, str | None, str | None]


def coverage() -> list[Line]:
    chance = np.random.default_rng([SEED, 1])
    covered = {"lognormal": 0, "ratio": 0}
    for size in pieces(RUNS, PIECE):
        arms = chance.integers(0, 2, (size, READERS))
        lift = np.where(arms == 1, LIFT, 1.0)
        slates = 1 + chance.poisson(chance.gamma(1.0, 4.0, arms.shape))
        engaged = chance.poisson(slates * chance.gamma(1.0, 0.2, arms.shape) * lift)
        metrics = {
            "lognormal": (MetricValues(lift * np.exp(chance.standard_normal(arms.shape))),
                          (LIFT - 1) * np.exp(0.5)),
            "ratio": (MetricValues(engaged.astype(np.float64), slates.astype(np.float64)),
                      (LIFT - 1) * 0.2),
        }  # fmt: skip
        for name, (values, truth) in metrics.items():
            found = compare(*(moments(values, arms == arm, LOOKS) for arm in (0, 1)))
            half = radius(found.readers, found.error, ALPHA, READERS)
            inside = np.abs(found.effect - truth) <= half
            covered[name] += int(inside.all(axis=1).sum())
    return [
        Line(f"coverage at all looks, {name} with a true difference of 10 %", share(hits, RUNS),
             "≥ 95 %", hits >= 0.95 * RUNS)
        for name, hits in covered.items()
    ]  # fmt: skip


def power() -> list[Line]:
    """Measure power at the planned size; marks allow three standard errors of 2,000 runs."""
    chance = np.random.default_rng([SEED, 2])
    planned = readers_needed(1.0, DIFFERENCE)
    looks = np.append(np.arange(100, planned, 100), planned)
    hits = {"last": 0, "any": 0, "fixed": 0}
    for size in pieces(RUNS, PIECE):
        arms = chance.integers(0, 2, (size, planned))
        values = MetricValues(chance.standard_normal(arms.shape) + DIFFERENCE * arms)
        found = compare(*(moments(values, arms == arm, looks) for arm in (0, 1)))
        outside = found.effect > radius(found.readers, found.error, ALPHA, planned)
        hits["last"] += int(outside[:, -1].sum())
        hits["any"] += int(outside.any(axis=1).sum())
        hits["fixed"] += int((found.effect[:, -1] > 1.96 * found.error[:, -1]).sum())
    error = 2 / np.sqrt(planned)
    half = float(radius(planned, error, ALPHA, planned))
    closed = power_of_a_look(DIFFERENCE, error, half)
    of_fixed = power_of_a_look(DIFFERENCE, error, -normal_quantile(ALPHA / 2) * error)
    noise = 3 * np.sqrt(closed * (1 - closed) / RUNS)
    return [
        Line(f"power of the sequence at {planned:,} readers, closed form {closed:.1%}",
             share(hits["last"], RUNS), f"± {noise:.1%}",
             bool(abs(hits["last"] / RUNS - closed) <= noise)),
        Line("power at any look until then", share(hits["any"], RUNS), "≥ 80 %",
             hits["any"] >= 0.8 * RUNS),
        Line(f"power of the fixed interval there, closed form {of_fixed:.1%}",
             share(hits["fixed"], RUNS), f"± {noise:.1%}",
             bool(abs(hits["fixed"] / RUNS - of_fixed) <= noise)),
    ]  # fmt: skip


def cuped() -> list[Line]:
    """Compare the variance with a covariate and without one: 500 experiments of 10,000 readers."""
    lines = []
    look = np.array([READERS])
    for place, rho in enumerate(CORRELATIONS):
        chance = np.random.default_rng([SEED, 3, place])
        ratios, effects = [], []
        for size in pieces(500, PIECE):
            arms = chance.integers(0, 2, (size, READERS))
            before = chance.standard_normal(arms.shape)
            noise = chance.standard_normal(arms.shape)
            values = MetricValues(rho * before + np.sqrt(1 - rho**2) * noise, None, before)
            groups = [moments(values, arms == arm, look).at(0) for arm in (0, 1)]
            plain, adjusted = compare(*groups, adjust=False), compare(*groups)
            ratios += ((adjusted.error / plain.error) ** 2).tolist()
            effects += np.stack([plain.effect, adjusted.effect], axis=1).tolist()
        ratio, expected = float(np.mean(ratios)), 1 - rho**2
        spread = np.var(effects, axis=0)
        lines.append(
            Line(f"CUPED, correlation {rho:g}: variance ÷ that without, 1 − ρ² = {expected:.2f}",
                 f"{ratio:.4f}; of the effects themselves {spread[1] / spread[0]:.3f}",
                 "within 2 %", abs(ratio / expected - 1) <= 0.02)
        )  # fmt: skip
    return lines


def agreement() -> list[Line]:
    """Compare effects, intervals and p-values with those of tea-tasting: 20 data sets each."""
    kinds: dict[str, Columns] = {
        "Welch": ("engaged", None, None, None),
        "delta": ("engaged", "slates", None, None),
        "CUPED": ("engaged", None, "engaged_before", None),
        "CUPED of a ratio": ("engaged", "slates", "engaged_before", "slates_before"),
    }
    lines = []
    for name, columns in kinds.items():
        worst = max(_apart(seed, columns) for seed in range(20))
        what = f"largest difference from tea-tasting, {name}"
        lines.append(Line(what, f"{worst:.1e}", "≤ 1e-9", worst <= 1e-9))
    return lines


def _apart(seed: int, columns: Columns) -> float:
    chance = np.random.default_rng([SEED, 4, seed])
    readers = int(chance.integers(100, 5_000))
    arms, taste = chance.integers(0, 2, readers), chance.lognormal(0, 0.8, readers)
    slates, before = (1 + chance.poisson(3, readers) for _ in range(2))
    data: dict[str, Any] = {
        "arm": arms,
        "engaged": chance.poisson(slates * taste * (1 + 0.1 * arms)).astype(np.float64),
        "slates": slates.astype(np.float64),
        "engaged_before": chance.poisson(before * taste).astype(np.float64),
        "slates_before": before.astype(np.float64),
    }
    metric = tt.RatioOfMeans(*columns, use_t=True)
    [theirs] = tt.Experiment({"it": metric}, variant="arm").analyze(pyarrow.table(data)).values()
    top, *others = columns
    values = MetricValues(data[top], *(None if each is None else data[each] for each in others))
    look = np.array([readers])
    ours = compare(*(moments(values, arms == arm, look).at(0) for arm in (0, 1))).numbers()
    low, high = fixed_interval(ours, ALPHA)
    pairs = (
        (ours.control, theirs.control), (ours.effect, theirs.effect_size),
        (low, theirs.effect_size_ci_lower), (high, theirs.effect_size_ci_upper),
        (fixed_p(ours), theirs.pvalue),
    )  # fmt: skip
    return float(max(abs(mine - other) for mine, other in pairs))

"""Real headline tests of Upworthy (CC BY 4.0): totals of impressions and clicks of each arm.

Impressions are the units, since the data has no readers. Each arm is compared with the first one,
at α/(k − 1). The sequence is looked at once, at the end; it is tuned for the pair's impressions.

Thompson sampling: clicks are drawn anew from each arm's rate. The rates are drawn from their
posteriors: normal, with the spread of rates within tests that is left after sampling noise (by the
method of moments). Measured rates would be further apart than true ones. The order of impressions
is unknown; each test is cut in 20 days of equal size.
"""

import csv
import gzip
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import scipy.stats

from benchmarks.experiments.lines import Line
from harken.services.experiments.analysis.allocation import FLOOR, thompson_shares
from harken.services.experiments.analysis.effects import Effect, fixed_p
from harken.services.experiments.analysis.sequences import sequence

DATA = Path("../shared/data/upworthy/arms.csv.gz")
SEED, ALPHA, DAYS, REPEATS = 20_263, 0.05, 20, 1


def upworthy() -> list[Line]:
    if not DATA.exists():
        return [Line("Upworthy", f"skipped: {DATA} is not there")]
    tests = _read(DATA)
    return [*_verdicts(tests), *_thompson(tests)]


def _read(path: Path) -> list[Any]:
    """Return an array per test (arms × impressions, clicks), of arms that were shown."""
    tests: dict[str, list[tuple[int, int]]] = defaultdict(list)
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            tests[row["test_id"]].append((int(row["impressions"]), int(row["clicks"])))
    found = [np.array([arm for arm in arms if arm[0]]) for arms in tests.values()]
    return [arms for arms in found if len(arms) > 1]


def _verdicts(tests: list[Any]) -> list[Line]:
    pairs = same = ours = decided = 0
    for arms in tests:
        alpha = ALPHA / (len(arms) - 1)
        for arm in arms[1:]:
            effect = _effect(arms[0], arm)
            theirs = _chi_square(arms[0], arm)
            is_apart = fixed_p(effect) < alpha
            low, high = sequence(effect.effect, effect.readers, effect.error, alpha, effect.readers)
            pairs, same = pairs + 1, same + (is_apart == (theirs < alpha))
            ours, decided = ours + is_apart, decided + (low > 0 or high < 0)
    return [
        Line("Upworthy: agreement of the fixed verdict with a χ² test",
             f"{same / pairs:.2%} of {pairs:,} pairs in {len(tests):,} tests", "≥ 99 %",
             same >= 0.99 * pairs),
        Line("Upworthy: pairs that the sequence decides",
             f"{decided / pairs:.1%}; the fixed interval at the end {ours / pairs:.1%}"),
    ]  # fmt: skip


def _effect(control: Any, treatment: Any) -> Effect:
    """Return the difference of two click rates as Welch's test has it, from counts."""
    (n, k), (m, j) = control.tolist(), treatment.tolist()
    variances = [rate * (1 - rate) / (size - 1) for size, rate in ((n, k / n), (m, j / m))]
    together = sum(variances)
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = np.divide(together**2, variances[0] ** 2 / (n - 1) + variances[1] ** 2 / (m - 1))
    return Effect(k / n, j / m, j / m - k / n, together**0.5, n + m, float(freedom))


def _chi_square(control: Any, treatment: Any) -> float:
    """Return the p-value of Pearson's test on clicks and impressions without a click."""
    table = np.array([[clicks, shown - clicks] for shown, clicks in (control, treatment)])
    if not table.sum(axis=0).all():
        return 1.0
    return float(scipy.stats.chi2_contingency(table, correction=False).pvalue)


def _thompson(tests: list[Any]) -> list[Line]:
    chance = np.random.default_rng(SEED)
    spread = _spread(tests)
    totals = np.zeros(4)
    for arms in tests:
        truth = _posterior(arms, spread, chance)
        total = int(arms[:, 0].sum())
        best = truth.argmax(axis=-1)
        shown = _play(truth, total, chance)
        of_best = np.take_along_axis(shown, best[:, None], axis=-1)[:, 0]
        uniform = np.full(truth.shape, total / truth.shape[-1])
        totals += [
            (total - of_best).mean(), total * (1 - 1 / truth.shape[-1]),
            (shown * truth).sum(axis=-1).mean(), (uniform * truth).sum(axis=-1).mean(),
        ]  # fmt: skip
    worse, of_uniform, clicks, clicks_of_uniform = totals
    return [
        Line("Upworthy: impressions of arms other than the best, Thompson ÷ uniform",
             f"{worse / of_uniform:.3f}: {of_uniform - worse:,.0f} of {of_uniform:,.0f} saved"),
        Line("Upworthy: clicks, Thompson ÷ uniform", f"{clicks / clicks_of_uniform:.3f}"),
    ]  # fmt: skip


def _spread(tests: list[Any]) -> float:
    """Return the variance of true rates within tests, as a share of the test's squared rate."""
    above = below = 0.0
    for arms in tests:
        shown, clicks = arms.T
        rate = clicks.sum() / shown.sum()
        if rate > 0:
            noise = rate * (1 - rate) / shown * (1 - shown / shown.sum())
            above += float(((clicks / shown - rate) ** 2 - noise).sum())
            below += rate**2 * (len(arms) - 1)
    return max(above / below, 0.0)


def _posterior(arms: Any, spread: float, chance: np.random.Generator) -> Any:
    """Return drawn true rates (repeats × arms)."""
    shown, clicks = arms.T
    rate = max(clicks.sum() / shown.sum(), 1e-6)
    prior, noise = spread * rate**2, rate * (1 - rate) / shown
    shrunk = prior / (prior + noise)
    mean, variance = rate + shrunk * (clicks / shown - rate), shrunk * noise
    drawn = mean + np.sqrt(variance) * chance.standard_normal((REPEATS, len(arms)))
    return np.clip(drawn, 1e-6, 1.0)


def _play(truth: Any, total: int, chance: np.random.Generator) -> Any:
    """Return the impressions of each arm (repeats × arms), allocated anew each day."""
    arms = truth.shape[-1]
    floor = min(FLOOR, 1 / arms)
    shown, clicked = np.zeros(truth.shape), np.zeros(truth.shape)
    shares = np.full(truth.shape, 1 / arms)
    for day in range(DAYS):
        size = total * (day + 1) // DAYS - total * day // DAYS
        today = chance.multinomial(size, shares / shares.sum(axis=-1, keepdims=True))
        shown += today
        clicked += chance.binomial(today, truth)
        with np.errstate(divide="ignore", invalid="ignore"):
            rates = (clicked + 1) / (shown + 2)
            errors = np.sqrt(rates * (1 - rates) / shown)
        shares = thompson_shares(rates, errors, chance, floor)
    return shown

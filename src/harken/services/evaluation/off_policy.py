"""Off-policy evaluation: estimates the reward of one policy from the log of another.

The logging policy must be randomised, and the log must have the propensity of what was shown. Each
row of the log is one item at one position, with a reward.

    ips            Σ w r / n                       Horvitz and Thompson 1952; Precup et al. 2000
    snips          Σ w r / Σ w                     Swaminathan and Joachims 2015
    dr             Σ (m(position) + w (r − m̂)) / n  Dudík, Langford and Li 2011
    item-position  Σ π(item | position) · mean of r there  Li et al. 2018

w is the target's probability divided by the logged one. The first three estimators only need
correct propensities. The last one uses how often an item was at a position instead. It needs
rewards that depend on item and position only, and not on why the item was shown.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harken.errors import InvalidInput, Problem
from harken.services.evaluation.intervals import (
    DRAWS,
    Floats,
    Interval,
    in_groups,
    per_user,
    studentised,
)

Numbers = NDArray[np.intp]

LEAST_EFFECTIVE = 100.0
LEAST_REWARDED = 10
# The largest share of the target on cells that the log never shows.
MOST_UNSEEN = 0.01
FOLDS = 5
# Pseudo-count of rows at the mean of its position, for each cell in the model of `dr`.
PRIOR = 20.0
_NORMAL = 1.959963984540054


class Rows(NamedTuple):
    """The rows of a log (each array has the shape rows). A cell is an item at a position."""

    cells: Numbers
    rewards: Floats
    propensities: Floats  # of the item at its position, given the policy's context
    users: Numbers  # numbers from 0; rows of one user are not independent


class Target(NamedTuple):
    """A target policy: the probability of each cell at its position (shape: cells).

    If the probabilities were counted in a log, `shown` and `users` are the cell and the user of
    each of its rows.
    """

    probabilities: Floats
    positions: Numbers  # of each cell, from 0
    shown: Numbers | None = None
    users: Numbers | None = None


class Estimate(NamedTuple):
    """A mean reward per row with its 95 % interval."""

    value: float
    interval: Interval

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "value": round(self.value, 6),
            "interval": [round(bound, 6) for bound in self.interval],
        }


@dataclass(frozen=True)
class WeightDiagnostics:
    """Diagnostics of the importance weights.

    `effective` is the effective sample size (Σ w)² / Σ w² (Kish 1965). The `mean` weight should be
    1; if its interval excludes 1, the logged propensities are wrong, or the target shows cells that
    the log could not show.
    """

    effective: float
    largest: float
    mean: Estimate

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "effective_sample_size": round(self.effective, 1),
            "largest_weight": round(self.largest, 6),
            "mean_weight": self.mean.as_json(),
        }


@dataclass(frozen=True)
class PolicyValue:
    """The estimates of a target's mean reward, by the names of the estimators."""

    rows: int
    users: int
    rewarded: int
    unseen: float  # share of the target on cells that the log never shows
    weighing: WeightDiagnostics
    logged: Estimate  # the mean reward of the logging policy
    estimates: dict[str, Estimate]

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "rows": self.rows,
            "users": self.users,
            "rewarded": self.rewarded,
            "unseen": round(self.unseen, 6),
            **self.weighing.as_json(),
            "logged": self.logged.as_json(),
            "estimates": {name: each.as_json() for name, each in self.estimates.items()},
        }


class Terms(NamedTuple):
    """An estimate as Σ tops / Σ bottoms over rows, and its derivative by each probability."""

    tops: Floats
    bottoms: Floats
    slopes: Floats


Estimator = Callable[[Rows, Target, int], Terms]


def evaluate_policy(
    rows: Rows,
    target: Target,
    *,
    least_effective: float = LEAST_EFFECTIVE,
    draws: int = DRAWS,
    seed: int = 0,
) -> PolicyValue:
    """Estimate a target's mean reward with each estimator.

    Raises InvalidInput if the log is not randomised, if the target shows what the log does not, or
    if the effective sample size is below `least_effective`.
    """
    unseen = check_support(rows, target)
    weights = target.probabilities[rows.cells] / rows.propensities
    check_weights(weights, least_effective)
    check_rewards(rows.rewards)
    ones = np.ones(len(weights))
    nowhere = np.zeros(len(target.probabilities))
    terms = {
        "mean": Terms(weights, ones, nowhere),
        "logged": Terms(rows.rewards, ones, nowhere),
    }
    terms |= {name: estimator(rows, target, seed) for name, estimator in ESTIMATORS.items()}
    least = bound_of(rows.rewards)
    found = estimates(terms, rows.users, least=least, draws=draws, seed=seed)
    for name in ESTIMATORS:
        error = _error_of_target(target, terms[name].slopes)
        found[name] = _widened(found[name], error, least)
    return PolicyValue(
        rows=len(weights),
        users=int(rows.users.max()) + 1,
        rewarded=int(np.count_nonzero(rows.rewards)),
        unseen=unseen,
        weighing=WeightDiagnostics(
            effective_size(weights), float(weights.max()), found.pop("mean")
        ),
        logged=found.pop("logged"),
        estimates=found,
    )


def estimates(
    terms: dict[str, Any],
    users: Numbers,
    *,
    least: float = -np.inf,
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Return ratios of sums over rows, with intervals from resampled users.

    No interval goes below `least`. All estimates share the draws.
    """
    groups = in_groups(users, seed=seed)
    tops = per_user(np.stack([each.tops for each in terms.values()], axis=1), groups)
    bottoms = per_user(np.stack([each.bottoms for each in terms.values()], axis=1), groups)
    values = (tops.sum(axis=0) / bottoms.sum(axis=0)).tolist()
    found = {}
    for name, value, bounds in zip(
        terms, values, studentised(tops, bottoms, draws, seed), strict=True
    ):
        low = min(max(bounds.low, least), value)
        found[name] = Estimate(value, Interval(low, max(bounds.high, value)))
    return found


def mean_reward(rewards: Floats, users: Numbers, *, draws: int = DRAWS, seed: int = 0) -> Estimate:
    """Return the mean reward of the logging policy."""
    plain = Terms(rewards, np.ones(len(rewards)), np.zeros(0))
    least = bound_of(rewards)
    return estimates({"logged": plain}, users, least=least, draws=draws, seed=seed)["logged"]


def effective_size(weights: Floats) -> float:
    """Return the effective sample size (Σ w)² / Σ w² (Kish, Survey Sampling, 1965)."""
    squares = float((weights**2).sum())
    return float(weights.sum()) ** 2 / squares if squares else 0.0


def bound_of(rewards: Floats) -> float:
    """Return the lower bound of a mean reward: 0 if no reward is negative, else −∞."""
    return 0.0 if rewards.min(initial=0.0) >= 0 else -np.inf


def check_support(rows: Rows, target: Target) -> float:
    """Return the share of the target on cells that the log never shows, from 0 to 1.

    Raises InvalidInput if the log is not randomised, or if that share is above `MOST_UNSEEN`. A
    cell that n rows never show has a probability below 3 / n (95 %). So even if the log could have
    shown it, its weight would be too large to be useful.
    """
    if not len(rows.cells):
        raise InvalidInput(Problem("log", "has no rows that can be read"))
    if (rows.propensities >= 1 - 1e-9).all():
        raise InvalidInput(
            Problem(
                "propensity",
                "is 1 in every row: the log is not randomised, so it cannot estimate other "
                "policies. Serve feeds with a temperature, and log the propensities",
            )
        )
    cells = np.arange(len(target.positions))
    shown = np.isin(cells, rows.cells)
    shares = _shares(rows, target)
    unseen = float((shares[target.positions] * target.probabilities)[~shown].sum())
    if unseen > MOST_UNSEEN:
        raise InvalidInput(
            Problem(
                "target",
                f"has {unseen:.1%} of its probability on items that the log never shows at that "
                f"position; at most {MOST_UNSEEN:.0%} is allowed",
            )
        )
    return unseen


def check_weights(weights: Floats, least: float) -> None:
    """Raise InvalidInput if the effective sample size is below `least`."""
    effective = effective_size(weights)
    if effective < least:
        raise InvalidInput(
            Problem(
                "target",
                f"is too far from the log: {len(weights)} weighted observations have an effective "
                f"sample size of {effective:.1f} (the largest weight is {weights.max():.4g}); at "
                f"least {least:g} is needed",
            )
        )


def check_rewards(rewards: Floats) -> None:
    """Raise InvalidInput if there are too few rewards for an interval."""
    rewarded = int(np.count_nonzero(rewards))
    if rewarded < LEAST_REWARDED:
        raise InvalidInput(
            Problem(
                "reward",
                f"is above 0 in only {rewarded} cases; at least {LEAST_REWARDED} are needed",
            )
        )


def ips(rows: Rows, target: Target, _seed: int = 0) -> Terms:
    """Inverse propensity scoring: unbiased, with a variance that grows with the weights."""
    weights = target.probabilities[rows.cells] / rows.propensities
    slopes = _sums(rows.rewards / rows.propensities, rows, target) / len(weights)
    return Terms(weights * rows.rewards, np.ones(len(weights)), slopes)


def snips(rows: Rows, target: Target, _seed: int = 0) -> Terms:
    """Self-normalised IPS: less variance, a bias of order 1 / n, within the range of rewards."""
    weights = target.probabilities[rows.cells] / rows.propensities
    value = (weights * rows.rewards).sum() / weights.sum()
    slopes = _sums((rows.rewards - value) / rows.propensities, rows, target) / weights.sum()
    return Terms(weights * rows.rewards, weights, slopes)


def doubly_robust(rows: Rows, target: Target, seed: int = 0) -> Terms:
    """Doubly robust: IPS of the residuals of a model; correct if the propensities or the model are.

    The model is the mean reward of each cell, shrunk to that of its position. Users are dealt into
    folds, and each fold is predicted from the others (cross-fitting: Chernozhukov et al. 2018).
    """
    users = int(rows.users.max()) + 1
    folds = np.random.default_rng(seed).permutation(users) % min(FOLDS, users)
    fold_of = folds[rows.users]
    where = target.positions[rows.cells]
    weights = target.probabilities[rows.cells] / rows.propensities
    tops, left = np.empty(len(weights)), np.empty(len(weights))
    slopes = np.zeros(len(target.probabilities))
    for fold in np.unique(folds):
        own = fold_of == fold
        means = _smoothed(rows, target, ~own)
        direct = _by_position(target.probabilities * means, target)
        left[own] = rows.rewards[own] - means[rows.cells[own]]
        tops[own] = direct[where[own]] + weights[own] * left[own]
        counts = np.bincount(where[own], minlength=len(direct))
        slopes += counts[target.positions] * means
    slopes += _sums(left / rows.propensities, rows, target)
    return Terms(tops, np.ones(len(weights)), slopes / len(weights))


def item_position(rows: Rows, target: Target, _seed: int = 0) -> Terms:
    """Weigh rows by how often an item was at a position, instead of by propensities.

    This is the item-position estimator of Li et al. (Offline Evaluation of Ranking Policies with
    Click Models, KDD 2018) with counted probabilities: Σ π(item | position) · mean reward there.
    Its weights vary less than those of single draws; it needs rewards that depend on item and
    position only.
    """
    counts = np.bincount(rows.cells, minlength=len(target.probabilities))
    means = _sums(rows.rewards, rows, target) / np.maximum(counts, 1)
    shown = np.where(counts > 0, target.probabilities, 0.0)
    shown = shown / np.maximum(_by_position(shown, target), 1e-300)[target.positions]
    direct = _by_position(shown * means, target)
    where = target.positions[rows.cells]
    shares = _shares(rows, target)
    odds = counts / len(rows.cells) / np.maximum(shares, 1e-300)[target.positions]
    # Each mean includes its own rows; without this correction few rows would look too certain.
    few = np.sqrt(counts / np.maximum(counts - 1, 1))[rows.cells]
    left = (rows.rewards - means[rows.cells]) * few
    tops = direct[where] + shown[rows.cells] / odds[rows.cells] * left
    return Terms(tops, np.ones(len(left)), shares[target.positions] * means)


ESTIMATORS: dict[str, Estimator] = {
    "ips": ips,
    "snips": snips,
    "dr": doubly_robust,
    "item-position": item_position,
}


def _sums(values: Floats, rows: Rows, target: Target) -> Floats:
    """Return the sum of a value of rows in each cell (shape: cells)."""
    sums = np.bincount(rows.cells, values, minlength=len(target.probabilities))
    return np.asarray(sums, np.float64)


def _by_position(values: Floats, target: Target) -> Floats:
    """Return the sum of a value of cells at each position (shape: positions)."""
    return np.asarray(np.bincount(target.positions, values), np.float64)


def _shares(rows: Rows, target: Target) -> Floats:
    """Return the share of the log at each position (shape: positions)."""
    counts = np.bincount(target.positions[rows.cells], minlength=int(target.positions.max()) + 1)
    return np.asarray(counts / len(rows.cells), np.float64)


def _smoothed(rows: Rows, target: Target, taken: NDArray[np.bool_]) -> Floats:
    """Return the mean reward of each cell in some rows, shrunk to that of its position."""
    cells, size = rows.cells[taken], len(target.probabilities)
    sums = np.asarray(np.bincount(cells, rows.rewards[taken], size), np.float64)
    counts = np.asarray(np.bincount(cells, minlength=size), np.float64)
    overall = sums.sum() / max(counts.sum(), 1)
    at = _by_position(counts, target)
    there = (_by_position(sums, target) + PRIOR * overall) / (at + PRIOR)
    means: Floats = (sums + PRIOR * there[target.positions]) / (counts + PRIOR)
    return means


def _error_of_target(target: Target, slopes: Floats) -> float:
    """Return the standard error from counting the target's probabilities in a log."""
    if target.shown is None or target.users is None:
        return 0.0
    centred = slopes - _by_position(target.probabilities * slopes, target)[target.positions]
    at = np.bincount(target.positions[target.shown], minlength=int(target.positions.max()) + 1)
    parts = centred[target.shown] / at[target.positions[target.shown]]
    return float(np.sqrt((per_user(parts, target.users) ** 2).sum()))


def _widened(estimate: Estimate, error: float, least: float) -> Estimate:
    """Widen an interval by an independent error (MOVER: Zou and Donner 2008)."""
    value, (low, high) = estimate
    below = np.hypot(value - low, _NORMAL * error)
    above = np.hypot(high - value, _NORMAL * error)
    low = min(max(float(value - below), least), value)
    return Estimate(value, Interval(low, float(value + above)))

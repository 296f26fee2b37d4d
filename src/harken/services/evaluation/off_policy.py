"""Off-policy evaluation: what another policy would have earned, by what this one showed.

A log of a policy that left something to chance, and wrote down with which probability it showed
what it showed, tells of policies that never ran. Each row is one item at one position, with a
reward.

    ips            Σ w r / n                       Horvitz and Thompson 1952; Precup et al. 2000
    snips          Σ w r / Σ w                     Swaminathan and Joachims 2015
    dr             Σ (m(position) + w (r − m̂)) / n  Dudík, Langford and Li 2011
    item-position  Σ π(item | position) · mean of r there  Li et al. 2018

w is the target's probability over the logged one. The first three need the logged propensities to
be right and nothing else. The last counts how often an item was at a position instead; it needs
rewards to depend on the two alone, and not on what made the log show the item then.
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
# How much of the target may be on what the log never shows, and still be passed over.
MOST_UNSEEN = 0.01
FOLDS = 5
# How many rows at the mean of its position each (item, position) begins with, in the model of `dr`.
PRIOR = 20.0
_NORMAL = 1.959963984540054


class Rows(NamedTuple):
    """A log; arrays with one number a row. A cell is an item at a position."""

    cells: Numbers
    rewards: Floats
    propensities: Floats  # of the item at its position, given all that the policy knew
    users: Numbers  # from 0; rows of one user are no independent samples


class Target(NamedTuple):
    """A policy, as the probability of each cell at its position.

    Where these were counted in a log, `shown` are the cells of its rows and `users` who saw them.
    """

    probabilities: Floats
    positions: Numbers  # of each cell, from 0
    shown: Numbers | None = None
    users: Numbers | None = None


class Estimate(NamedTuple):
    """A mean reward per row, and its 95 % interval."""

    value: float
    interval: Interval

    def as_json(self) -> dict[str, Any]:
        """Return it as the command line prints it."""
        return {
            "value": round(self.value, 6),
            "interval": [round(bound, 6) for bound in self.interval],
        }


@dataclass(frozen=True)
class Weighing:
    """How far the weights carry.

    `effective` is (Σ w)² / Σ w²: how many rows of equal weight would be as good (Kish 1965).
    The `mean` should be 1; where its interval leaves that out, propensities are not what they are
    said to be, or the target shows what the log could not.
    """

    effective: float
    largest: float
    mean: Estimate

    def as_json(self) -> dict[str, Any]:
        """Return it as the command line prints it."""
        return {
            "effective_sample_size": round(self.effective, 1),
            "largest_weight": round(self.largest, 6),
            "mean_weight": self.mean.as_json(),
        }


@dataclass(frozen=True)
class PolicyValue:
    """What is known of a target by a log; estimates by the names of the estimators."""

    rows: int
    users: int
    rewarded: int
    unseen: float  # how much of the target is on cells that the log never shows
    weighing: Weighing
    logged: Estimate  # the logging policy's own
    estimates: dict[str, Estimate]

    def as_json(self) -> dict[str, Any]:
        """Return it as the command line prints it."""
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
    """An estimate as Σ tops / Σ bottoms over rows, and its slope by each target probability."""

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
    """Estimate a target's mean reward by each estimator, or say why the log cannot tell.

    Raises InvalidInput where nothing was left to chance, where the target shows what the log does
    not, and where too little is left of the log once it is weighed.
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
        weighing=Weighing(effective_size(weights), float(weights.max()), found.pop("mean")),
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
    """Return ratios of sums over rows with their intervals, users being drawn.

    No interval goes below `least`. All share the draws.
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
    """Return the mean reward of a log, as it is."""
    plain = Terms(rewards, np.ones(len(rewards)), np.zeros(0))
    least = bound_of(rewards)
    return estimates({"logged": plain}, users, least=least, draws=draws, seed=seed)["logged"]


def effective_size(weights: Floats) -> float:
    """Return (Σ w)² / Σ w² (Kish, Survey Sampling, 1965); 0 where all are 0."""
    squares = float((weights**2).sum())
    return float(weights.sum()) ** 2 / squares if squares else 0.0


def bound_of(rewards: Floats) -> float:
    """Return what a mean reward cannot be less than: 0 where no reward is."""
    return 0.0 if rewards.min(initial=0.0) >= 0 else -np.inf


def check_support(rows: Rows, target: Target) -> float:
    """Return the share of the target that is on cells that the log never shows.

    Raises InvalidInput where the log left nothing to chance or that share is too much. Of a cell
    that was never shown in n rows, its probability is below 3 / n, by 95 %; so even if it could
    have been shown, its weight would be too large to be of use.
    """
    if not len(rows.cells):
        raise InvalidInput(Problem("log", "has no rows that can be read"))
    if (rows.propensities >= 1 - 1e-9).all():
        raise InvalidInput(
            Problem(
                "propensity",
                "is 1 everywhere: nothing was left to chance, so the log says nothing about what "
                "was not shown. Serve with a temperature, and log the propensities",
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
                f"shows in {unseen:.1%} of its rows what the log shows never at that position; "
                f"more than {MOST_UNSEEN:.0%} is not passed over",
            )
        )
    return unseen


def check_weights(weights: Floats, least: float) -> None:
    """Raise InvalidInput where the weights leave too little of the log."""
    effective = effective_size(weights)
    if effective < least:
        raise InvalidInput(
            Problem(
                "target",
                f"is too far from what was logged: the {len(weights)} weighed are worth "
                f"{effective:.1f} of equal weight (the largest weight is {weights.max():.4g}), and "
                f"{least:g} are needed",
            )
        )


def check_rewards(rewards: Floats) -> None:
    """Raise InvalidInput where there are too few rewards for an interval."""
    rewarded = int(np.count_nonzero(rewards))
    if rewarded < LEAST_REWARDED:
        raise InvalidInput(
            Problem("reward", f"is not 0 in {rewarded} only; {LEAST_REWARDED} are needed")
        )


def ips(rows: Rows, target: Target, _seed: int = 0) -> Terms:
    """Inverse propensity scoring: unbiased, and of a variance that grows with the weights."""
    weights = target.probabilities[rows.cells] / rows.propensities
    slopes = _sums(rows.rewards / rows.propensities, rows, target) / len(weights)
    return Terms(weights * rows.rewards, np.ones(len(weights)), slopes)


def snips(rows: Rows, target: Target, _seed: int = 0) -> Terms:
    """Self-normalised: a bias of order 1 / n, for less variance; never beyond all rewards."""
    weights = target.probabilities[rows.cells] / rows.propensities
    value = (weights * rows.rewards).sum() / weights.sum()
    slopes = _sums((rows.rewards - value) / rows.propensities, rows, target) / weights.sum()
    return Terms(weights * rows.rewards, weights, slopes)


def doubly_robust(rows: Rows, target: Target, seed: int = 0) -> Terms:
    """IPS of what a model leaves over: right where the propensities are or the model is.

    The model is the mean reward of each cell, drawn to that of its position. Users are dealt into
    folds, and each fold is foreseen by the others (cross-fitting: Chernozhukov et al. 2018).
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
    """Weigh by how often an item was at a position, whatever the propensity was at the time.

    The item-position estimator of Li et al. (Offline Evaluation of Ranking Policies with Click
    Models, KDD 2018) with counted probabilities: Σ π(item | position) · mean reward there. Its
    weights vary less than those of single draws; it needs rewards that depend on item and
    position alone.
    """
    counts = np.bincount(rows.cells, minlength=len(target.probabilities))
    means = _sums(rows.rewards, rows, target) / np.maximum(counts, 1)
    shown = np.where(counts > 0, target.probabilities, 0.0)
    shown = shown / np.maximum(_by_position(shown, target), 1e-300)[target.positions]
    direct = _by_position(shown * means, target)
    where = target.positions[rows.cells]
    shares = _shares(rows, target)
    odds = counts / len(rows.cells) / np.maximum(shares, 1e-300)[target.positions]
    # The mean took its own part of what is left over; without this, few rows would look sure.
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
    """Add up a value of rows in each cell."""
    sums = np.bincount(rows.cells, values, minlength=len(target.probabilities))
    return np.asarray(sums, np.float64)


def _by_position(values: Floats, target: Target) -> Floats:
    """Add up a value of cells at each position."""
    return np.asarray(np.bincount(target.positions, values), np.float64)


def _shares(rows: Rows, target: Target) -> Floats:
    """Return how much of the log is at each position."""
    counts = np.bincount(target.positions[rows.cells], minlength=int(target.positions.max()) + 1)
    return np.asarray(counts / len(rows.cells), np.float64)


def _smoothed(rows: Rows, target: Target, taken: NDArray[np.bool_]) -> Floats:
    """Return the mean reward of each cell in some rows, drawn to that of its position."""
    cells, size = rows.cells[taken], len(target.probabilities)
    sums = np.asarray(np.bincount(cells, rows.rewards[taken], size), np.float64)
    counts = np.asarray(np.bincount(cells, minlength=size), np.float64)
    overall = sums.sum() / max(counts.sum(), 1)
    at = _by_position(counts, target)
    there = (_by_position(sums, target) + PRIOR * overall) / (at + PRIOR)
    means: Floats = (sums + PRIOR * there[target.positions]) / (counts + PRIOR)
    return means


def _error_of_target(target: Target, slopes: Floats) -> float:
    """Return the standard error that comes from counting the target in a log of its own."""
    if target.shown is None or target.users is None:
        return 0.0
    centred = slopes - _by_position(target.probabilities * slopes, target)[target.positions]
    at = np.bincount(target.positions[target.shown], minlength=int(target.positions.max()) + 1)
    parts = centred[target.shown] / at[target.positions[target.shown]]
    return float(np.sqrt((per_user(parts, target.users) ** 2).sum()))


def _widened(estimate: Estimate, error: float, least: float) -> Estimate:
    """Add an independent error to both sides (MOVER: Zou and Donner 2008)."""
    value, (low, high) = estimate
    below = np.hypot(value - low, _NORMAL * error)
    above = np.hypot(high - value, _NORMAL * error)
    low = min(max(float(value - below), least), value)
    return Estimate(value, Interval(low, float(value + above)))

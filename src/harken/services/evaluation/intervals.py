"""Confidence intervals and significance tests over readers.

The events of one reader are not independent. So readers are resampled, each with all of their
impressions (the cluster bootstrap: Efron and Tibshirani, An Introduction to the Bootstrap, 1993,
ch. 8 and 13).
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DRAWS = 2_000
FLIPS = 9_999
LEVEL = 0.95

# More readers than this are put in random groups, which are resampled.
MOST_DRAWN = 2_000

# The most numbers that are drawn at a time, with 8 bytes each.
_AT_ONCE = 4_000_000


class Interval(NamedTuple):
    """A 95 % confidence interval."""

    low: float
    high: float


def per_user(values: Floats, users: NDArray[np.intp]) -> Floats:
    """Return the sum of each user's rows (users × columns); `users` are numbers from 0."""
    sums = np.zeros((int(users.max(initial=-1)) + 1, *values.shape[1:]))
    np.add.at(sums, users, values)
    return sums


def bootstrap(sums: Floats, counts: Floats, draws: int = DRAWS, seed: int = 0) -> Floats:
    """Return the means of resampled readers (shape: draws × measures).

    `sums` has the shape readers × measures; `counts` are the impressions of each reader. All
    columns share the draws, so differences of columns are paired.
    """
    generator = np.random.default_rng(seed)
    readers = len(counts)
    chance = np.full(readers, 1 / readers)
    means = []
    for size in _pieces(draws, readers):
        drawn = generator.multinomial(readers, chance, size=size).astype(np.float64)
        means.append((drawn @ sums) / np.maximum(drawn @ counts, 1)[:, None])
    return np.concatenate(means)


def interval(drawn: Any) -> Interval:
    """Return the percentile interval of bootstrap means."""
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Interval(float(low), float(high))


def studentised(tops: Floats, bottoms: Floats, draws: int = DRAWS, seed: int = 0) -> list[Interval]:
    """Return intervals of ratios of sums, `tops` over `bottoms`, by the bootstrap-t.

    `tops` and `bottoms` have the shape readers × measures. Each draw gives the distance between the
    resampled and the measured ratio, in units of its standard error. This is accurate for skewed
    sums with a few large numbers, for which percentiles of the ratio are too low (Efron and
    Tibshirani 1993, ch. 12.5; Hall, Theoretical comparison of bootstrap confidence intervals,
    1988).
    """
    readers = len(tops)
    measured = tops.sum(axis=0) / bottoms.sum(axis=0)
    columns = [tops, bottoms, tops**2, tops * bottoms, bottoms**2]
    together = bootstrap(np.concatenate(columns, axis=1), np.ones(readers), draws, seed)
    top, bottom, *squares = np.split(together, len(columns), axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        drawn = top / bottom
        apart = (drawn - measured) / _error(drawn, bottom, squares, readers)
    squares = [each.mean(axis=0) for each in columns[2:]]
    error = _error(measured, bottoms.mean(axis=0), squares, readers)
    tail = (1 - LEVEL) / 2
    found = []
    for i, value in enumerate(measured.tolist()):
        finite = apart[np.isfinite(apart[:, i]), i]
        low, high = np.quantile(finite, [tail, 1 - tail]) if len(finite) else (0.0, 0.0)
        found.append(Interval(float(value - high * error[i]), float(value - low * error[i])))
    return found


def _error(ratio: Any, bottom: Any, squares: list[Any], readers: int) -> Any:
    """Return the standard error of a ratio of sums, by the delta method."""
    tt, tb, bb = squares
    squared = np.maximum(tt - 2 * ratio * tb + ratio**2 * bb, 0)
    return np.sqrt(squared / max(readers - 1, 1)) / np.abs(bottom)


def in_groups(users: NDArray[np.intp], most: int = MOST_DRAWN, seed: int = 0) -> NDArray[np.intp]:
    """Return the group of each row; users (numbers from 0) are dealt to at most `most` groups.

    Sums of groups have the variance of sums of users, and the cost of resampling groups does not
    grow with the users (random groups: Wolter, Introduction to Variance Estimation, 1985, ch. 2).
    """
    count = int(users.max(initial=-1)) + 1
    if count <= most:
        return users
    groups: NDArray[np.intp] = np.random.default_rng(seed).permutation(count) % most
    return groups[users]


def sign_flips(differences: Floats, flips: int = FLIPS, seed: int = 0) -> Floats:
    """Return two-sided p-values of a sign-flip permutation test (shape: measures).

    `differences` has the shape readers × measures. A p-value is never 0, since the measured
    difference counts as one permutation (Phipson and Smyth, Permutation p-values should never be
    zero, 2010).
    """
    generator = np.random.default_rng(seed)
    measured = np.abs(differences.sum(axis=0))
    reached = np.ones(differences.shape[1])
    for size in _pieces(flips, len(differences)):
        signs = generator.integers(0, 2, (size, len(differences)), np.int8) * 2.0 - 1.0
        # The tolerance counts sums that differ by rounding only as equal.
        reached += (np.abs(signs @ differences) >= measured * (1 - 1e-9) - 1e-12).sum(axis=0)
    return reached / (flips + 1)


def _pieces(total: int, readers: int) -> list[int]:
    size = max(1, min(total, _AT_ONCE // max(readers, 1)))
    return [size] * (total // size) + [total % size] * bool(total % size)

"""Helpers of features: visits, ranks among candidates, and weighted means."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harken.services.features.traces import DAY, HOUR, MINUTE, Floats

SESSION = 30 * MINUTE
"""In seconds: after so long without an event, a reader's next event begins another visit."""
LONG_AGO = 400 * DAY
"""In seconds: longer times, and the time since what never happened, count as this."""
PRIOR = 5.0
"""The prior of means and shares, in interactions or K-Blocks."""


class Visit(NamedTuple):
    """When a reader's present visit began, and when the previous one ended (seconds since 1970)."""

    began: float
    before: float


def visit_of(touched: Floats, now: float) -> Visit:
    """Return the visit that includes `now`, from the times of a reader's touches, in any order.

    Without an earlier visit, `before` lies `LONG_AGO` in the past. All times are in seconds.
    """
    times = np.append(np.sort(touched), now)
    breaks = np.flatnonzero(np.diff(times) > SESSION)
    if not len(breaks):
        return Visit(float(times[0]), now - LONG_AGO)
    return Visit(float(times[breaks[-1] + 1]), float(times[breaks[-1]]))


def ago(ages: Any) -> Any:
    """Return ln(1 + seconds), for seconds from 0 to `LONG_AGO`; others are clipped."""
    return np.log1p(np.clip(ages, 0.0, LONG_AGO))


def ranks_of(values: Floats) -> Floats:
    """Return the rank of each value in its row, from 0 for the greatest to 1; ties share a rank.

    The shape is that of `values`, rows × candidates.
    """
    rows, count = values.shape
    if not values.size:
        return values
    order = np.argsort(values, axis=1)
    ordered = np.take_along_axis(values, order, axis=1)
    is_new = np.ones_like(values, np.bool_)
    np.not_equal(ordered[:, 1:], ordered[:, :-1], out=is_new[:, 1:])
    first = np.flatnonzero(is_new)  # of each run of ties, in the flattened rows
    ties = np.diff(first, append=values.size)
    middle = count - 1 - (first % count + (ties - 1) / 2)
    ranks = np.empty(values.size)
    places = order + np.arange(0, values.size, count)[:, None]
    ranks[places.ravel()] = np.repeat(middle / max(count - 1, 1), ties)
    return ranks.reshape(rows, count)


def usual_of(
    values: Floats, weights: Floats, prior: float = float(np.log1p(4 * HOUR)), width: float = 2.0
) -> tuple[float, float]:
    """Return the weighted mean and standard deviation of values.

    The prior mean and deviation (`width`) weigh as much as 5 values. Their defaults suit the
    logarithms that `ago` returns: 4 hours.
    """
    total = weights.sum() + PRIOR
    mean = (values @ weights + PRIOR * prior) / total
    variance = (((values - mean) ** 2) @ weights + PRIOR * width**2) / total
    return float(mean), float(np.sqrt(variance))


def decay_factors(ages: Floats, half_lives: Mapping[str, float]) -> dict[str, NDArray[np.float32]]:
    """Return 2^(−age / half-life) for each named half-life (seconds); `ages` in seconds.

    Half-lives are whole multiples of each other, so each factor is a power of that of the longest
    half-life. The few products that it takes cost a tenth of an exponential.
    """
    found: dict[str, NDArray[np.float32]] = {}
    names = sorted(half_lives, key=half_lives.__getitem__, reverse=True)
    factors = np.exp2(ages * (-1 / half_lives[names[0]]))
    for longer, name in pairwise([names[0], *names]):
        factors = _power(factors, round(half_lives[longer] / half_lives[name]))
        found[name] = factors.astype(np.float32)
    return found


def _power(values: Floats, exponent: int) -> Floats:
    """Return values to the power of a whole number, at least 1, by squaring."""
    if exponent == 1:
        return values
    half = _power(values, exponent // 2)
    return half * half * values if exponent % 2 else half * half

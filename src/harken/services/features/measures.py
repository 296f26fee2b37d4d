"""What features are computed with: visits, ranks among candidates, and usual values."""

from typing import Any, NamedTuple

import numpy as np

from harken.services.features.traces import DAY, HOUR, MINUTE, Floats

SESSION = 30 * MINUTE
"""A reader who did nothing for so long comes for another visit."""
LONG_AGO = 400 * DAY
"""In seconds: what is longer ago is as long ago."""
PRIOR = 5.0
"""Interactions that what is known has to outweigh."""


class Visit(NamedTuple):
    """When a reader's present visit began, when they were last there before it (seconds)."""

    began: float
    before: float


def visit_of(touched: Floats, now: float) -> Visit:
    """Find the visit that goes on now, from when a reader touched something."""
    times = np.append(np.sort(touched), now)
    breaks = np.flatnonzero(np.diff(times) > SESSION)
    if not len(breaks):
        return Visit(float(times[0]), now - LONG_AGO)
    return Visit(float(times[breaks[-1] + 1]), float(times[breaks[-1]]))


def ago(ages: Any) -> Any:
    """Return the logarithm of seconds, which long ago and never have alike."""
    return np.log1p(np.clip(ages, 0.0, LONG_AGO))


def ranks_of(values: Floats) -> Floats:
    """Return which share of its row has more than each, ties sharing the middle: 0 is best."""
    rows, count = values.shape
    if not values.size:
        return values
    order = np.argsort(values, axis=1)
    ordered = np.take_along_axis(values, order, axis=1)
    is_new = np.ones_like(values, np.bool_)
    np.not_equal(ordered[:, 1:], ordered[:, :-1], out=is_new[:, 1:])
    first = np.flatnonzero(is_new)  # of those that tie, in all rows after each other
    ties = np.diff(first, append=values.size)
    middle = count - 1 - (first % count + (ties - 1) / 2)
    ranks = np.empty(values.size)
    places = order + np.arange(0, values.size, count)[:, None]
    ranks[places.ravel()] = np.repeat(middle / max(count - 1, 1), ties)
    return ranks.reshape(rows, count)


def usual_of(
    values: Floats, weights: Floats, prior: float = float(np.log1p(4 * HOUR)), width: float = 2.0
) -> tuple[float, float]:
    """Return the weighted mean and deviation; the prior weighs as much as 5 values.

    The usual one is for logarithms of seconds: some hours.
    """
    total = weights.sum() + PRIOR
    mean = (values @ weights + PRIOR * prior) / total
    variance = (((values - mean) ** 2) @ weights + PRIOR * width**2) / total
    return float(mean), float(np.sqrt(variance))

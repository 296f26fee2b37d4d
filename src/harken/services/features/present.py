"""What features are computed with: who stands at candidates, visits, ranks and usual values."""

from typing import Any, NamedTuple

import numpy as np

from harken.services.features.traces import DAY, HOUR, MINUTE, Floats, Numbers

SESSION = 30 * MINUTE
"""A reader who did nothing for so long comes for another visit."""
LONG_AGO = 400 * DAY
"""In seconds: what is longer ago is as long ago."""
PRIOR = 5.0
"""Interactions that what is known has to outweigh."""


class Present(NamedTuple):
    """Readers who stand at the candidates: at which one, who, and how many seconds ago.

    They are in the order of the candidates: `heads` is where those of each in `filled` begin.
    """

    at: Numbers
    who: Numbers
    ages: Floats
    candidates: int
    heads: Numbers
    filled: Numbers

    def sum(self, weights: Any) -> Floats:
        """Add up weights for each candidate, along the last axis."""
        return self._reduced(np.add, _stacked(weights), 0.0)

    def best(self, weights: Any) -> Floats:
        """Return the largest weight for each candidate, 0 for none."""
        return self._reduced(np.maximum, _stacked(weights), 0.0)

    def latest(self, count: int) -> list[Floats]:
        """Return how long ago the last readers were there, and infinity for nobody."""
        ages, found = self.ages.copy(), []
        for _ in range(count):
            least = self._reduced(np.minimum, ages, np.inf)
            found.append(least)
            ages[ages == least[self.at]] = np.inf
        return found

    def _reduced(self, how: np.ufunc, weights: Floats, nothing: float) -> Floats:
        found = np.full((*weights.shape[:-1], self.candidates), nothing)
        if len(self.heads):
            found[..., self.filled] = how.reduceat(weights, self.heads, axis=-1)
        return found


def _stacked(weights: Any) -> Floats:
    # Faster than to have a list of arrays made one.
    stacked = weights if isinstance(weights, np.ndarray) else np.stack(weights)
    return np.asarray(stacked, np.float64)


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
    count = values.shape[1]
    if not count:
        return values
    order = np.argsort(values, axis=1)
    ordered = np.take_along_axis(values, order, axis=1)
    is_new = np.ones_like(values, np.bool_)
    is_new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    numbers = np.arange(count)
    first = np.maximum.accumulate(np.where(is_new, numbers, 0), axis=1)
    is_last = np.ones_like(is_new)
    is_last[:, :-1] = is_new[:, 1:]
    last = np.where(is_last, numbers, count)[:, ::-1]
    last = np.minimum.accumulate(last, axis=1)[:, ::-1]
    ranks = np.empty(values.shape)
    np.put_along_axis(ranks, order, (count - 1 - (first + last) / 2) / max(count - 1, 1), axis=1)
    return ranks


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

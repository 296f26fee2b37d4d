"""The moments of a metric by arm, at each look. All estimates are computed from them.

A metric has up to four columns with a value per reader: numerator and denominator (1 for a plain
mean), and the numerator and denominator of a covariate from before the exposure (0 and 1 without
one). The last axis of an array is readers, in the order in which they entered. Axes before it are
experiments, so that a benchmark computes thousands at once by the code that the product uses.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harken.errors import InvalidInput, Problem

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]

COLUMNS = 4
NUMERATOR, DENOMINATOR, COVARIATE, COVARIATE_DENOMINATOR = range(COLUMNS)
_CONSTANT = (0.0, 1.0, 0.0, 1.0)  # of a column that a metric does not have


class MetricValues(NamedTuple):
    """The counts of a metric for each reader (each array has the shape readers).

    The metric is Σ numerator / Σ denominator, for instance engagements per slate; without a
    denominator it is the mean of the numerator. A covariate is the same from before the exposure;
    NaN means that the reader was not there yet.
    """

    numerator: Floats
    denominator: Floats | None = None
    covariate: Floats | None = None
    covariate_denominator: Floats | None = None

    def of(self, kept: Any) -> "MetricValues":
        """Return the values of some readers, or of all in another order."""
        others = (None if each is None else each[..., kept] for each in self[1:])
        return MetricValues(self.numerator[..., kept], *others)

    def checked(self, metric: str, readers: int) -> "MetricValues":
        """Return these values; raises InvalidInput for a column of wrong length, or not finite."""
        for name, column in zip(self._fields, self, strict=True):
            if column is None:
                continue
            if np.shape(column)[-1:] != (readers,):
                raise _wrong(metric, name, f"has to have one value for each of {readers} readers")
            if not (name.startswith("covariate") or np.isfinite(column).all()):
                raise _wrong(metric, name, "has to be finite; count a reader without acts as 0")
        return self


def _wrong(metric: str, column: str, message: str) -> InvalidInput:
    return InvalidInput(Problem(f"{metric}.{column}", message))


@dataclass(frozen=True)
class Moments:
    """The moments of one arm at each look.

    Each reader has a weight: 1, or 1 / propensity where the allocation changed over time. `readers`
    is the number of readers, `weight` Σw (both have the shape … × looks). `mean` is Σwz/Σw for the
    columns z (… × 4), `scatter` Σw²(z − mean)(z − mean)ᵀ (… × 4 × 4), `squared` is Σw².
    """

    readers: Floats
    weight: Floats
    squared: Floats
    mean: Floats
    scatter: Floats

    @property
    def covariance(self) -> Floats:
        """The covariance matrix of the mean; without weights, the sample covariance / n."""
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = self.readers / (self.readers - 1) / self.weight**2
        return self.scatter * scale[..., None, None]

    def at(self, look: int) -> "Moments":
        """Return the moments at one look, which has no axis of looks any more."""
        return Moments(
            self.readers[..., look], self.weight[..., look], self.squared[..., look],
            self.mean[..., look, :], self.scatter[..., look, :, :],
        )  # fmt: skip


def moments(
    values: MetricValues, chosen: Bools, looks: Ints, weights: Floats | None = None
) -> Moments:
    """Return the moments of the `chosen` readers (… × readers) at each look.

    A look at n is at the first n readers of all; `looks` increase strictly, from 1 on.
    """
    upto = _cumulative(looks)
    first = chosen.astype(np.float64) if weights is None else np.where(chosen, weights, 0.0)
    second = first if weights is None else first * first
    weight = upto(first)
    squared = weight if weights is None else upto(second)
    present = [i for i, column in enumerate(values) if column is not None]
    columns, shifts = _centred([values[i] for i in present], int(looks[-1]))
    shape = weight.shape
    mean, scatter = np.zeros((*shape, COLUMNS)), np.zeros((*shape, COLUMNS, COLUMNS))
    mean[...] = _CONSTANT
    ones, twos = {}, {}
    for i, z in zip(present, columns, strict=True):
        ones[i] = upto(first * z)
        twos[i] = ones[i] if weights is None else upto(second * z)
    with np.errstate(divide="ignore", invalid="ignore"):
        means = {i: ones[i] / weight for i in present}
    for (i, z), (j, other) in combinations_with_replacement(zip(present, columns, strict=True), 2):
        of_squares = upto(second * z * other)
        scatter[..., i, j] = scatter[..., j, i] = (
            of_squares - means[i] * twos[j] - twos[i] * means[j] + means[i] * means[j] * squared
        )
    for i, shift in zip(present, shifts, strict=True):
        mean[..., i] = means[i] + shift
    count = weight if weights is None else upto(chosen.astype(np.float64))
    return Moments(count, weight, squared, mean, scatter)


def pooled(a: Moments, b: Moments) -> Moments:
    """Return the moments of two arms taken together."""
    weight = a.weight + b.weight
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (a.mean * a.weight[..., None] + b.mean * b.weight[..., None]) / weight[..., None]
    scatter = np.zeros_like(a.scatter)
    for arm in (a, b):
        apart = arm.mean - mean
        between = apart[..., :, None] * apart[..., None, :]
        scatter = scatter + arm.scatter + between * arm.squared[..., None, None]
    return Moments(a.readers + b.readers, weight, a.squared + b.squared, mean, scatter)


def _cumulative(looks: Ints) -> Callable[[Floats], Floats]:
    """Return a function that sums the first n readers, for each look at n."""
    starts, last = np.concatenate([[0], looks[:-1]]).astype(np.intp), int(looks[-1])

    def upto(column: Floats) -> Floats:
        return np.cumsum(np.add.reduceat(column[..., :last], starts, axis=-1), axis=-1)

    return upto


def _centred(columns: list[Any], last: int) -> tuple[list[Floats], list[Floats]]:
    """Return the columns less their means, against loss of digits, and the means.

    A covariate that is not known counts as the mean of the known ones. This is the same for all
    arms, so no effect is biased by it.
    """
    centred, shifts = [], []
    for column in columns:
        known = np.isfinite(column[..., :last])
        total = np.where(known, column[..., :last], 0.0).sum(axis=-1)
        shift = total / np.maximum(known.sum(axis=-1), 1)
        away = np.asarray(column - np.asarray(shift)[..., None])
        centred.append(np.where(np.isfinite(away), away, 0.0))
        shifts.append(np.asarray(shift)[..., None])
    return centred, shifts

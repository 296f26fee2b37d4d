"""Asymptotic confidence sequences: intervals that hold at all looks together.

Source: Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, Time-uniform central limit theory and
asymptotic confidence sequences, 2021 (arXiv 2103.06476), theorem 2.2, and appendix B for one side.
"""

import math
from typing import Any, NamedTuple

import numpy as np


class Bounds(NamedTuple):
    """A lower and an upper bound, in the unit of the metric."""

    low: float
    high: float

    def as_json(self) -> list[float | None]:
        """Return both bounds rounded; an infinite bound is None."""
        return [round(each, 9) if math.isfinite(each) else None for each in self]


def tuning(planned: float, alpha: float) -> float:
    """Return ρ², with which a sequence is narrowest after `planned` readers.

    ρ² = (−2 ln α + ln(1 − 2 ln α)) / n* (2103.06476, appendix B.2). It has to be chosen before the
    first look.
    """
    return (-2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha))) / planned


def radius(readers: Any, error: Any, alpha: float, planned: float) -> Any:
    """Return half the width of the two-sided sequence; arrays are broadcast.

    √(se² · 2(nρ² + 1)/(nρ²) · ln(√(nρ² + 1)/α)), with n `readers` and se the `error` of the
    estimate. All n together cover the truth with probability 1 − `alpha`, as n grows.
    """
    return error * _factor(readers, tuning(planned, alpha), lambda grown: np.log(grown / alpha))


def one_sided_radius(readers: Any, error: Any, alpha: float, planned: float) -> Any:
    """Return the distance of a one-sided bound from the estimate; arrays are broadcast.

    √(se² · 2(nρ² + 1)/(nρ²) · ln(1 + √(nρ² + 1)/(2α))). The bound is wrong at any n with
    probability `alpha`. ρ² is that of two sides at 2α, which is close to the best.
    """
    rho2 = tuning(planned, min(2 * alpha, 0.99))
    return error * _factor(readers, rho2, lambda grown: np.log1p(grown / (2 * alpha)))


def always_valid_p(effect: Any, readers: Any, error: Any, alpha: float, planned: float) -> Any:
    """Return the least level at which a sequence tuned for `alpha` excludes an effect of 0.

    min(1, √(nρ² + 1) · exp(−(d/se)² · nρ² / (2(nρ² + 1)))).
    """
    grown = np.asarray(readers, np.float64) * tuning(planned, alpha)
    with np.errstate(divide="ignore", invalid="ignore"):
        squared = np.where(error > 0, (np.asarray(effect) / error) ** 2, 0.0)
    return np.minimum(1.0, np.sqrt(grown + 1) * np.exp(-squared * grown / (2 * (grown + 1))))


def sequence(effect: float, readers: float, error: float, alpha: float, planned: float) -> Bounds:
    """Return the two-sided sequence of one estimate; infinite where no error is known."""
    half = float(radius(readers, error, alpha, planned))
    return Bounds(effect - half, effect + half) if math.isfinite(half) else EVERYTHING


EVERYTHING = Bounds(-math.inf, math.inf)


def _factor(readers: Any, rho2: float, logarithm: Any) -> Any:
    grown = np.asarray(readers, np.float64) * rho2
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.sqrt(2 * (grown + 1) / grown * logarithm(np.sqrt(grown + 1)))
    return np.where(grown > 0, found, np.inf)

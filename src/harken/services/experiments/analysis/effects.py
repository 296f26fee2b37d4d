"""Effects: the difference of two arms by one metric, its standard error, its intervals.

Plain means (Welch 1947), ratios of sums by the delta method (Deng, Knoblich and Lu, Applying the
delta method in metric analytics, 2018) and covariates from before the exposure (CUPED: Deng, Xu,
Kohavi and Walker 2013) are one formula: the gradient of the estimate, times the covariance of the
mean. With weights 1 / propensity it is the augmented inverse-propensity estimate whose outcome
model is the arm's mean, plus the covariate's slope (Robins, Rotnitzky and Zhao 1994).
"""

import math
from typing import Any, NamedTuple

import numpy as np

from harken.services.experiments.analysis.distributions import t_critical, t_two_sided
from harken.services.experiments.analysis.moments import (
    COVARIATE,
    COVARIATE_DENOMINATOR,
    DENOMINATOR,
    NUMERATOR,
    Floats,
    Moments,
    pooled,
)
from harken.services.experiments.analysis.sequences import EVERYTHING, Bounds


class Effect(NamedTuple):
    """An estimated difference; each field is a number, or an array of one shape.

    `control` and `treatment` are the values of the arms (adjusted, where there is a covariate),
    `effect` is treatment − control, `error` its standard error. `readers` are those of
    both arms, `freedom` the degrees of freedom (Welch–Satterthwaite).
    """

    control: Any
    treatment: Any
    effect: Any
    error: Any
    readers: Any
    freedom: Any

    def numbers(self) -> "Effect":
        """Return it with Python's floats, for an effect that is no array."""
        return Effect(*(float(each) for each in self))


def compare(control: Moments, treatment: Moments, *, adjust: bool = True) -> Effect:
    """Return the effect of a treatment against control; arrays have the shape of the moments.

    `adjust=False` leaves the covariate out.
    """
    both = pooled(control, treatment)
    slope = _slope(both) if adjust else np.zeros(both.weight.shape)
    usual = _ratio(both, COVARIATE, COVARIATE_DENOMINATOR)
    values, variances = [], []
    for arm in (control, treatment):
        apart = _ratio(arm, COVARIATE, COVARIATE_DENOMINATOR) - usual
        values.append(_ratio(arm, NUMERATOR, DENOMINATOR) - slope * apart)
        gradient = _gradient(arm, NUMERATOR, DENOMINATOR) - slope[..., None] * _gradient(
            arm, COVARIATE, COVARIATE_DENOMINATOR
        )
        variances.append(_variance(arm, gradient))
    variance = variances[0] + variances[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = variance**2 / (
            variances[0] ** 2 / (control.readers - 1) + variances[1] ** 2 / (treatment.readers - 1)
        )
    return Effect(
        values[0], values[1], values[1] - values[0], np.sqrt(variance), both.readers, freedom
    )


def mean_effect(arm: Moments) -> Effect:
    """Return the metric of one group of readers as an effect against 0."""
    gradient = _gradient(arm, NUMERATOR, DENOMINATOR)
    value = _ratio(arm, NUMERATOR, DENOMINATOR)
    error = np.sqrt(_variance(arm, gradient))
    return Effect(0.0 * value, value, value, error, arm.readers, arm.readers - 1)


def fixed_interval(effect: Effect, alpha: float) -> Bounds:
    """Return the interval for a single look that was planned (Student's t), for an `Effect` of one.

    It does not hold for somebody who looks again and again.
    """
    _, _, value, error, _, freedom = effect
    if not (math.isfinite(error) and math.isfinite(freedom) and freedom >= 1):
        return EVERYTHING if error != 0 else Bounds(value, value)
    half = error * t_critical(alpha, freedom)
    return Bounds(value - half, value + half)


def fixed_p(effect: Effect) -> float:
    """Return the two-sided p-value of a single look that was planned; 1 where it is not known."""
    if not (effect.error > 0 and math.isfinite(effect.freedom) and effect.freedom >= 1):
        return 1.0
    return t_two_sided(effect.effect / effect.error, effect.freedom)


def _slope(both: Moments) -> Floats:
    """Return θ = cov(value, covariate) / var(covariate) of both arms together; 0 without one."""
    outcome = _gradient(both, NUMERATOR, DENOMINATOR)
    covariate = _gradient(both, COVARIATE, COVARIATE_DENOMINATOR)
    together = np.einsum("...i,...ij,...j", outcome, both.scatter, covariate)
    spread = np.einsum("...i,...ij,...j", covariate, both.scatter, covariate)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(spread > 0, together / spread, 0.0)


def _variance(arm: Moments, gradient: Floats) -> Floats:
    squared = np.einsum("...i,...ij,...j", gradient, arm.covariance, gradient)
    return np.asarray(np.maximum(squared, 0.0))


def _ratio(arm: Moments, top: int, bottom: int) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(arm.mean[..., top] / arm.mean[..., bottom])


def _gradient(arm: Moments, top: int, bottom: int) -> Floats:
    """Return the derivative of a ratio of two means by the four means (… × 4)."""
    gradient = np.zeros_like(arm.mean)
    with np.errstate(divide="ignore", invalid="ignore"):
        gradient[..., top] = 1 / arm.mean[..., bottom]
        gradient[..., bottom] = -arm.mean[..., top] / arm.mean[..., bottom] ** 2
    return gradient

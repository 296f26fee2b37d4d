"""Before the start: which difference can be found, with how many readers, in how many days.

Everything is computed from the variance of the metric over the readers of a past window of the log.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from harken.errors import InvalidInput, Problem
from harken.services.experiments.analysis.distributions import normal_cdf, normal_quantile
from harken.services.experiments.analysis.effects import compare, mean_effect
from harken.services.experiments.analysis.moments import Floats, MetricValues, moments
from harken.services.experiments.analysis.plan import FEWEST_READERS, LATE_DAYS
from harken.services.experiments.analysis.sequences import one_sided_radius, radius

POWER = 0.8


@dataclass(frozen=True)
class Spread:
    """A metric in the log: its value, and the variance of one reader's (linearised) value.

    `variance` is what is left after the covariate, `unadjusted` without one.
    """

    readers: int
    value: float
    variance: float
    unadjusted: float


@dataclass(frozen=True)
class PowerPlan:
    """An effect, in the metric's unit, and the `readers` of all arms together that find it.

    `relative` is the effect as a share of the metric's value. `days` is None if readers do not
    come fast enough to tell.
    """

    effect: float
    relative: float | None
    readers: int
    days: int | None

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        relative = None if self.relative is None else round(self.relative, 6)
        return {
            "effect": round(self.effect, 9), "relative": relative,
            "readers": self.readers, "days": self.days,
        }  # fmt: skip


def spread(values: MetricValues) -> Spread:
    """Measure a metric on the readers of a past window; raises InvalidInput for fewer than 20."""
    readers = len(values.numerator)
    if readers < FEWEST_READERS:
        raise InvalidInput(
            Problem(
                "readers", f"the log has {readers} with this metric, {FEWEST_READERS} are needed"
            )
        )
    values.checked("metric", readers)
    everyone = np.ones(readers, np.bool_)
    whole = moments(values, everyone, np.array([readers]))
    plain = mean_effect(whole.at(0)).numbers()
    # Two arms with these same readers have the slope of all, and twice the variance of one.
    adjusted = float(compare(whole, whole).error[0]) ** 2 / 2
    return Spread(readers, plain.effect, adjusted * readers, plain.error**2 * readers)


def boundary(alpha: float) -> float:
    """Return the sequence's radius after the planned readers, in standard errors.

    It does not depend on their number: 3.04 for α = .05, where a single look has 1.96.
    """
    return float(radius(1.0, 1.0, alpha, 1.0))


def readers_needed(
    variance: float, effect: float, arms: int = 2, alpha: float = 0.05, power: float = POWER
) -> int:
    """Return the readers of all arms, in equal shares, with which `effect` is found.

    The sequence excludes 0 after these readers with at least this power; looks before add to it.
    n = arms · 2σ² · ((b + z)/δ)², with b the `boundary` at α/(arms − 1), z the normal quantile.
    """
    apart = boundary(alpha / (arms - 1)) + normal_quantile(power)
    return max(arms * FEWEST_READERS, math.ceil(arms * 2 * variance * (apart / effect) ** 2))


def detectable_effect(
    variance: float, readers: int, arms: int = 2, alpha: float = 0.05, power: float = POWER
) -> float:
    """Return the least effect that `readers` of all arms find; the inverse of `readers_needed`."""
    apart = boundary(alpha / (arms - 1)) + normal_quantile(power)
    return apart * math.sqrt(arms * 2 * variance / readers)


def readers_for_mean(
    variance: float, mean: float, alpha: float = 0.05, power: float = POWER, *, sides: int = 2
) -> int:
    """Return the readers with which a mean is told from 0: of an interleaving, or of a gate.

    n = σ²((b + z)/mean)², with b the boundary of the sequence with one or two `sides`.
    """
    of_one = float(one_sided_radius(1.0, 1.0, alpha, 1.0))
    apart = (boundary(alpha) if sides == 2 else of_one) + normal_quantile(power)
    return max(FEWEST_READERS, math.ceil(variance * (apart / mean) ** 2))


def power_of_a_look(effect: float, error: float, half_width: float) -> float:
    """Return the probability that an interval of this half width excludes 0, at one look."""
    return normal_cdf((effect - half_width) / error) + normal_cdf((-effect - half_width) / error)


def days_needed(readers_by_day: Floats, readers: int, window_days: float) -> int | None:
    """Return the days until the windows of `readers` are closed, or None if that cannot be told.

    `readers_by_day` are the distinct readers of the log until each day's end, from some day on: the
    first days bring many, later ones fewer. Beyond the log it goes on as in its last third.
    """
    days = len(readers_by_day)
    if not days:
        return None
    reached = np.flatnonzero(readers_by_day >= readers)
    if len(reached):
        come = float(reached[0] + 1)
    else:
        last = max(1, days // 3)
        earlier = readers_by_day[-1 - last] if days > last else 0.0
        rate = (readers_by_day[-1] - earlier) / last
        if rate <= 0:
            return None
        come = days + (readers - readers_by_day[-1]) / rate
    return math.ceil(come + window_days + LATE_DAYS)


def power_plan(
    measured: Spread,
    readers_by_day: Floats,
    window_days: float,
    effect: float | None = None,
    readers: int | None = None,
    arms: int = 2,
    alpha: float = 0.05,
) -> PowerPlan:
    """Return the readers and days for an effect, or the effect for a number of readers.

    Raises InvalidInput unless exactly one of `effect` and `readers` is given, above 0.
    """
    given = [each for each in (effect, readers) if each is not None]
    if len(given) != 1 or not given[0] > 0:
        raise InvalidInput(Problem("effect", "give an effect above 0, or readers, and not both"))
    if effect is not None:
        readers = readers_needed(measured.variance, effect, arms, alpha)
    else:
        effect = detectable_effect(measured.variance, int(given[0]), arms, alpha)
    relative = effect / abs(measured.value) if measured.value else None
    needed = int(readers or 0)
    return PowerPlan(effect, relative, needed, days_needed(readers_by_day, needed, window_days))

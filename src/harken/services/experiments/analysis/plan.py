"""The plan of an analysis, made before the start, and the readers that it analyses."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from harken.errors import InvalidInput, Problem
from harken.services.experiments.analysis.moments import Bools, Floats, Ints

DAY = 86_400.0
LATE_DAYS = 1.0
"""The days after a reader's window in which late events are waited for."""

FEWEST_READERS = 20
"""Readers of an arm below which there is no estimate."""


@dataclass(frozen=True)
class MetricPlan:
    """A metric by name, and which direction of it is good."""

    name: str
    higher_is_better: bool = True


@dataclass(frozen=True)
class GuardrailPlan:
    """A metric that may not get worse by more than `margin`, in the metric's own unit."""

    name: str
    margin: float
    higher_is_better: bool = True


@dataclass(frozen=True)
class AnalysisPlan:
    """The parts of a definition that its analysis needs; `arms[0]` is control.

    `planned_readers` are those of all arms together, with a closed window. `allocation` are the
    shares of the arms at the start (None: equal). `negligible` is a difference of the primary
    metric, in its unit, below which nobody would act (None: no such limit). `window_days` are
    counted for each reader from first exposure. `alpha` is the level of the whole experiment.
    """

    arms: Sequence[str]
    primary: MetricPlan
    planned_readers: int
    guardrails: Sequence[GuardrailPlan] = field(default_factory=tuple)
    others: Sequence[MetricPlan] = field(default_factory=tuple)
    window_days: float = 7.0
    alpha: float = 0.05
    negligible: float | None = None
    allocation: Sequence[float] | None = None

    def __post_init__(self) -> None:
        problems = [
            Problem(name, message)
            for name, is_wrong, message in (
                ("arms", len(self.arms) < 2, "has to name control and at least one other arm"),
                ("planned_readers", self.planned_readers < 1, "has to be 1 or more"),
                ("window_days", not 0 <= self.window_days < math.inf, "has to be 0 or more"),
                ("alpha", not 0 < self.alpha <= 0.5, "has to be above 0, at most 0.5"),
                ("negligible", self.negligible is not None and not self.negligible > 0,
                 "has to be above 0"),
                ("allocation", self.allocation is not None
                 and len(self.allocation) != len(self.arms), "needs one share per arm"),
                ("guardrails", any(not each.margin >= 0 for each in self.guardrails),
                 "need a margin of 0 or more, in the metric's own unit"),
            )
            if is_wrong
        ]  # fmt: skip
        if problems:
            raise InvalidInput(*problems)

    @property
    def alpha_of_an_arm(self) -> float:
        """α / (k − 1): k arms are compared with control (Bonferroni)."""
        return self.alpha / (len(self.arms) - 1)

    @property
    def alpha_of_a_guardrail(self) -> float:
        """The level of an arm, divided by the number of guardrails."""
        return self.alpha_of_an_arm / max(1, len(self.guardrails))

    @property
    def shares(self) -> Sequence[float]:
        """The shares of the arms at the start."""
        return self.allocation or [1 / len(self.arms)] * len(self.arms)

    def share(self, arm: str) -> float:
        """Return the planned share of readers in an arm and control together."""
        return self.shares[0] + self.shares[self.index(arm)]

    def index(self, arm: str) -> int:
        """Return the index of an arm."""
        return list(self.arms).index(arm)


@dataclass(frozen=True)
class Readers:
    """The exposed readers; each array has the shape readers, in any order.

    `arms` are indices into the plan's arms, `exposed_at` the first exposure in seconds since the
    epoch. `propensities` are the probabilities of all arms: one row for all readers (shape: arms),
    or, where the allocation was changed, the row in force at each reader's first exposure (shape:
    readers × arms). Readers in forced arms are left out by the caller.
    """

    arms: Ints
    exposed_at: Floats
    propensities: Floats
    quarantined: Bools | None = None
    personalisation_off: Bools | None = None

    def __post_init__(self) -> None:
        count, arms = len(self.arms), self.propensities.shape[-1]
        fields = (self.exposed_at, self.quarantined, self.personalisation_off)
        if any(each is not None and each.shape != (count,) for each in fields):
            raise InvalidInput(Problem("readers", "each array needs one value per reader"))
        if self.propensities.shape not in {(arms,), (count, arms)}:
            raise InvalidInput(Problem("propensities", "need one row, or one row per reader"))
        if count and not 0 <= self.arms.min() <= self.arms.max() < arms:
            raise InvalidInput(Problem("arms", f"have to be from 0 to {arms - 1}"))
        if not np.allclose(self.propensities.sum(axis=-1), 1, atol=1e-6):
            raise InvalidInput(Problem("propensities", "have to add up to 1"))

    def __len__(self) -> int:
        return len(self.arms)

    def of(self, kept: Bools | Ints) -> "Readers":
        """Return some readers, or all in another order."""
        rows = self.propensities
        return Readers(
            self.arms[kept], self.exposed_at[kept], rows if rows.ndim == 1 else rows[kept],
            None if self.quarantined is None else self.quarantined[kept],
            None if self.personalisation_off is None else self.personalisation_off[kept],
        )  # fmt: skip

    def flags(self, name: str) -> Bools:
        """Return `quarantined` or `personalisation_off`, False for all where it is not known."""
        found = self.quarantined if name == "quarantined" else self.personalisation_off
        return np.zeros(len(self), np.bool_) if found is None else found

    @property
    def is_shared(self) -> bool:
        """Whether all readers see pages of both arms, as in an interleaving."""
        return bool(self.propensities.shape[-1] == 1)

    @property
    def weights(self) -> Floats | None:
        """1 / own propensity where the allocation changed, else None: plain means are exact."""
        if self.propensities.ndim == 1:
            return None
        return 1 / self.propensities[np.arange(len(self)), self.arms]


def closed_windows(
    exposed_at: Floats, now: float, window_days: float, stopped_at: float | None = None
) -> Bools:
    """Return which readers may enter the analysis `now` (seconds since the epoch).

    A reader enters when their days and one more for late events are over. Whoever was exposed
    before the stop still enters when their window closes; nobody is exposed after it.
    """
    over = exposed_at + (window_days + LATE_DAYS) * DAY <= now
    return over if stopped_at is None else over & (exposed_at <= stopped_at)

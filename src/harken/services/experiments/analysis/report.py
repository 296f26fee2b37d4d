"""The results of an analysis, and their JSON."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from harken.services.experiments.analysis.effects import Effect
from harken.services.experiments.analysis.guardrails import Guardrail
from harken.services.experiments.analysis.plan import AnalysisPlan, MetricPlan
from harken.services.experiments.analysis.sample_ratio import SampleRatio
from harken.services.experiments.analysis.sequences import EVERYTHING, Bounds
from harken.services.experiments.analysis.verdict import Verdict


class Look(NamedTuple):
    """The effect at one time: `at` in seconds since the epoch, `half` the sequence's half width."""

    at: float
    readers: float
    effect: float
    half: float

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "at": self.at,
            "readers": int(self.readers),
            "effect": round(self.effect, 9),
            "sequence": Bounds(self.effect - self.half, self.effect + self.half).as_json(),
        }


class Counts(NamedTuple):
    """Counts of readers. `without_acts` are those of an interleaving without credited acts."""

    exposed: int
    closed: int
    quarantined: int
    personalisation_off: int
    without_acts: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        counts = self._asdict() | {"open": self.exposed - self.closed}
        return {name: each for name, each in counts.items() if each is not None}


class ArmReport(NamedTuple):
    """An arm: exposed readers, those who are compared, and the planned share."""

    name: str
    exposed: int
    compared: int
    planned_share: float

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return self._asdict() | {"planned_share": round(self.planned_share, 6)}


@dataclass(frozen=True)
class Comparison:
    """An arm and control by one metric. Only the primary metric's has a verdict.

    `sequence` holds at all looks together, `fixed` only at a single look that was planned.
    `planned` are the readers of both for which the sequence is tuned. `unadjusted_error` is the
    standard error without the covariate (None: there is none).
    """

    arm: str
    control: str
    metric: MetricPlan
    role: str
    effect: Effect
    planned: float
    sequence: Bounds
    fixed: Bounds
    always_valid_p: float
    fixed_p: float
    unadjusted_error: float | None
    looks: Sequence[Look]

    @classmethod
    def unknown(cls, arm: str, control: str, metric: MetricPlan, role: str) -> "Comparison":
        """Return a comparison of too few readers."""
        nothing = Effect(math.nan, math.nan, math.nan, math.inf, 0.0, math.nan)
        return cls(
            arm, control, metric, role, nothing, 1.0, EVERYTHING, EVERYTHING, 1.0, 1.0, None, []
        )

    @property
    def relative(self) -> float | None:
        """The effect as a share of control's value; None if that is 0 or not known."""
        control = abs(self.effect.control)
        return self.effect.effect / control if control > 0 else None

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        numbers = {
            "control_value": self.effect.control,
            "value": self.effect.treatment,
            "effect": self.effect.effect,
            "relative": self.relative,
            "standard_error": self.effect.error,
            "standard_error_without_covariate": self.unadjusted_error,
            "always_valid_p": self.always_valid_p,
            "fixed_p": self.fixed_p,
        }
        return {
            "arm": self.arm,
            "control": self.control,
            "metric": self.metric.name,
            "higher_is_better": self.metric.higher_is_better,
            "role": self.role,
            "readers": int(self.effect.readers),
            **{name: _finite(each) for name, each in numbers.items()},
            "sequence": self.sequence.as_json(),
            "fixed_interval": self.fixed.as_json(),
            "looks": [each.as_json() for each in self.looks],
        }


@dataclass(frozen=True)
class Results:
    """The results of an experiment as of a time. The primary comparisons come first.

    `sample_ratio` and `quarantine` are None for an interleaving, whose readers have no arms.
    `with_quarantined` has the primary comparisons with readers in quarantine, if there are any,
    `personalisation_off` those of readers who chose an order without personalisation.
    """

    plan: AnalysisPlan
    as_of: float
    counts: Counts
    arms: Sequence[ArmReport]
    sample_ratio: SampleRatio | None
    quarantine: SampleRatio | None
    comparisons: Sequence[Comparison]
    guardrails: Sequence[Guardrail]
    with_quarantined: Sequence[Comparison]
    personalisation_off: Sequence[Comparison]
    verdicts: Mapping[str, Verdict]

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "as_of": self.as_of,
            "readers": self.counts.as_json(),
            "arms": [each.as_json() for each in self.arms],
            "sample_ratio": self.sample_ratio and self.sample_ratio.as_json(),
            "quarantine": self.quarantine and self.quarantine.as_json(),
            "verdicts": {arm: each.as_json() for arm, each in self.verdicts.items()},
            "comparisons": [each.as_json() for each in self.comparisons],
            "guardrails": [each.as_json() for each in self.guardrails],
            "with_quarantined": [each.as_json() for each in self.with_quarantined],
            "personalisation_off": [each.as_json() for each in self.personalisation_off],
        }


def _finite(value: float | None) -> float | None:
    return round(value, 9) if value is not None and math.isfinite(value) else None

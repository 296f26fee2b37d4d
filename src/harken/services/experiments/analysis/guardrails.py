"""Guardrails: metrics that may not get worse by more than a margin.

The question is one of non-inferiority (Schultzberg, Ankargren and Frånberg, Risk-aware product
decisions in A/B tests with multiple metrics, 2024). One-sided sequences are at α divided by the
number of guardrails. One that excludes the margin from below stops an arm, one that excludes it
from above proves that the arm is within it.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

from harken.services.experiments.analysis.effects import Effect
from harken.services.experiments.analysis.plan import GuardrailPlan
from harken.services.experiments.analysis.sequences import one_sided_radius

State = Literal["within", "breached", "open"]


@dataclass(frozen=True)
class Guardrail:
    """A guardrail's state: proven `within` its margin, proven `breached`, or `open`.

    `worse` is by how much the arm is worse than control, in the metric's unit (negative: better).
    `at_least` and `at_most` are its one-sided bounds, None where they are not known.
    """

    arm: str
    plan: GuardrailPlan
    state: State
    worse: float
    at_least: float | None
    at_most: float | None

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        numbers = {"worse": self.worse, "at_least": self.at_least, "at_most": self.at_most}
        return {
            "arm": self.arm,
            "metric": self.plan.name,
            "margin": self.plan.margin,
            "state": self.state,
            **{name: None if each is None else round(each, 9) for name, each in numbers.items()},
        }


def guardrail(
    plan: GuardrailPlan, arm: str, effect: Effect, alpha: float, planned: float
) -> Guardrail:
    """Return the state of a guardrail of an arm.

    `effect` is treatment − control of its metric. `alpha` is its own share of the level, and
    `planned` the number of readers for which its sequence is tuned.
    """
    worse = -effect.effect if plan.higher_is_better else effect.effect
    half = float(one_sided_radius(effect.readers, effect.error, alpha, planned))
    if not (math.isfinite(worse) and math.isfinite(half)):
        return Guardrail(arm, plan, "open", worse if math.isfinite(worse) else 0.0, None, None)
    state: State = "open"
    if worse + half < plan.margin:
        state = "within"
    elif worse - half > plan.margin:
        state = "breached"
    return Guardrail(arm, plan, state, worse, worse - half, worse + half)

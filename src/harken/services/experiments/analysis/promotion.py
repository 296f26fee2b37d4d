"""Promotion by trial: the gate, the decision of a trial, the decision of a holdback.

The gate asks swapped adjacent pairs (FairPairs: Radlinski and Joachims, Minimally invasive
randomization for collecting unbiased preferences from clickthrough logs, 2006). Pairs have to be
chosen by the order before they were swapped: chosen by the shown order, the gate is biased.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from harken.services.experiments.analysis.effects import mean_effect
from harken.services.experiments.analysis.guardrails import Guardrail
from harken.services.experiments.analysis.moments import (
    Bools,
    Floats,
    Ints,
    MetricValues,
    moments,
)
from harken.services.experiments.analysis.plan import FEWEST_READERS
from harken.services.experiments.analysis.sequences import Bounds, one_sided_radius, sequence

GATE_ALPHA = 0.1
TRIAL_ALPHA = 0.05

Outcome = Literal["promote", "keep", "drop", "continue"]
GateState = Literal["passed", "failed", "open"]


@dataclass(frozen=True)
class Gate:
    """The gate's result: `mean` is the preference for the candidate, from −1 to 1.

    It is open as long as too little is known; it has failed once the candidate is proven worse.
    """

    state: GateState
    readers: int
    mean: float
    bounds: Bounds

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "state": self.state, "readers": self.readers, "mean": round(self.mean, 6),
            "bounds": self.bounds.as_json(),
        }  # fmt: skip


@dataclass(frozen=True)
class Decision:
    """The decision on a candidate, and its reason.

    promote: it enters service. keep: the model in service stays, nothing is proven against the
    candidate. drop: the candidate is worse, or breaks a guardrail. continue: the trial goes on.
    """

    outcome: Outcome
    text: str

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"outcome": self.outcome, "text": self.text}


def pair_preferences(readers: Ints, on_choice: Bools, on_other: Bools) -> Floats:
    """Return each reader's preference for the candidate's choices, from −1 to 1.

    The arrays have the shape pairs: only pairs whose order the candidate would turn. `on_choice`
    says whether the item that the candidate puts first was clicked, `on_other` the other one. The
    preference is (clicks on choices − clicks on others) / pairs; NaN for a number without pairs.
    Each order was shown with probability ½, so position cancels out.
    """
    count = int(readers.max(initial=-1)) + 1
    apart = on_choice.astype(np.float64) - on_other
    pairs = np.bincount(readers, minlength=count)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.bincount(readers, apart, minlength=count) / pairs)


def gate(preferences: Floats, planned: float, alpha: float = GATE_ALPHA) -> Gate:
    """Decide whether a candidate may be tried, from preferences per reader (NaN: none).

    It passes when the one-sided sequence of the mean lies above 0. The trial proves; the gate only
    saves trials that would be lost, so its `alpha` may be larger.
    """
    known = preferences[np.isfinite(preferences)]
    if len(known) < FEWEST_READERS:
        return Gate("open", len(known), float(known.mean()) if len(known) else 0.0, NOTHING)
    looks = np.array([len(known)])
    found = mean_effect(moments(MetricValues(known), np.ones(len(known), np.bool_), looks).at(0))
    half = float(one_sided_radius(found.readers, found.error, alpha, planned))
    mean = float(found.effect)
    state = gate_state(mean, half)
    return Gate(state, len(known), mean, Bounds(mean - half, mean + half))


NOTHING = Bounds(-1.0, 1.0)


def gate_state(mean: float, half: float) -> GateState:
    """Return the state of a gate whose one-sided bounds are `half` away from the mean."""
    if abs(mean) <= half:
        return "open"
    return "passed" if mean > 0 else "failed"


def decide(
    mean: float,
    error: float,
    readers: int,
    planned: int,
    guardrails: Sequence[Guardrail] = (),
    margin: float | None = None,
    alpha: float = TRIAL_ALPHA,
    *,
    alarm: bool = False,
) -> Decision:
    """Decide a trial from the mean credit of its readers and its standard error.

    `margin` is None for a new kind of model: it has to be better. A model that was retrained on the
    same features replaces its predecessor if it is worse by less than `margin`, in credit (from 0
    to 1). While `alarm` stands (sample ratio, quarantine), nothing is promoted.
    """
    low, high = sequence(mean, readers, error, alpha, planned)
    said = f"mean credit {mean:+.3f} ({low:+.3f} to {high:+.3f}) of {readers} readers"
    breached = [each.plan.name for each in guardrails if each.state == "breached"]
    if breached:
        return Decision("drop", f"Dropped: {', '.join(breached)} got worse than its margin.")
    if high < 0 and (margin is None or high < -margin):
        return Decision("drop", f"Dropped: readers choose its items less; {said}.")
    if alarm:
        return Decision("continue", "Not decided: an alarm stands, so nothing is promoted.")
    if low > (0 if margin is None else -margin):
        word = "more" if margin is None else f"not less by more than {margin:g}"
        return Decision("promote", f"Promoted: readers choose its items {word}; {said}.")
    if readers >= planned:
        return Decision("keep", f"The model in service stays: nothing is proven; {said}.")
    return Decision("continue", f"Not yet: {said}, of about {planned}.")


def holdback_brings_back(high: float, guardrails: Sequence[Guardrail] = ()) -> bool:
    """Return whether the old model comes back: the new one is proven worse, or breaks a guardrail.

    `high` is the upper bound of the sequence of new − old, by a primary metric of which more is
    better.
    """
    return high < 0 or any(each.state == "breached" for each in guardrails)

"""The verdict on an arm: better, worse, no difference larger than x, not yet; in one sentence."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from harken.services.experiments.analysis.guardrails import Guardrail
from harken.services.experiments.analysis.sequences import Bounds, radius

Outcome = Literal["better", "worse", "no_difference", "not_yet", "guardrail", "no_verdict"]


@dataclass(frozen=True)
class Verdict:
    """The outcome and its sentence; `days` are those until it may be known, None if unknown."""

    outcome: Outcome
    text: str
    days: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"outcome": self.outcome, "text": self.text, "days": self.days}


@dataclass(frozen=True)
class Evidence:
    """The evidence on one arm. `effect` and `bounds` are of the primary metric, in its unit.

    `is_complete` says that no more readers will come: the planned ones are there, or the experiment
    was stopped and all windows are closed. `alarms` are sentences that say why no verdict is given.
    """

    arm: str
    control: str
    metric: str
    higher_is_better: bool
    effect: float
    control_value: float
    error: float
    bounds: Bounds
    readers: int
    planned: float
    alpha: float
    readers_per_day: float
    is_complete: bool
    negligible: float | None
    guardrails: Sequence[Guardrail]
    alarms: Sequence[str]


def verdict(seen: Evidence) -> Verdict:
    """Return the verdict on an arm. The primary metric alone decides; guardrails can stop it."""
    if seen.alarms:
        return Verdict("no_verdict", "No verdict: " + " ".join(seen.alarms))
    breached = [each for each in seen.guardrails if each.state == "breached"]
    if breached:
        return Verdict("guardrail", _of_guardrails(seen, breached))
    good = _signed(seen.bounds, seen.higher_is_better)
    if good.high < 0:
        return Verdict("worse", f"Worse: {_measured(seen)}.")
    if good.low > 0:
        return _if_within(seen)
    largest = max(abs(seen.bounds.low), abs(seen.bounds.high))
    is_negligible = seen.negligible is not None and largest < seen.negligible
    if math.isfinite(largest) and (seen.is_complete or is_negligible):
        text = f"No difference larger than {_number(largest)}{_share(largest, seen)}"
        return Verdict("no_difference", f"{text}: {_measured(seen)}.")
    return _not_yet(seen)


def _if_within(seen: Evidence) -> Verdict:
    """Return better, if every guardrail is proven to be within its margin."""
    unknown = [each for each in seen.guardrails if each.state == "open"]
    if not unknown:
        return Verdict("better", f"Better: {_measured(seen)}.")
    names = ", ".join(f"{each.plan.name} ({each.plan.margin:g})" for each in unknown)
    text = (
        f"Not yet: {_measured(seen)}. That is better, but it is not proven that these are within "
        "their margins"
    )
    days = None if seen.is_complete else _days(seen, seen.planned)
    return Verdict("not_yet", f"{text}: {names}{_more(days)}.", days)


def _not_yet(seen: Evidence) -> Verdict:
    days = None if seen.is_complete else _days(seen, _readers_until_decided(seen))
    text = f"Not yet{_more(days)}: "
    if not math.isfinite(seen.bounds.low):
        return Verdict("not_yet", f"{text}too few readers have closed windows.", days)
    text += f"{_measured(seen)}, of about {seen.planned:.0f}"
    return Verdict("not_yet", f"{text}.", days)


def _readers_until_decided(seen: Evidence) -> float:
    """Return the readers with which the sequence would exclude 0, if the effect stays as it is.

    At most the planned ones.
    """
    if not (seen.error > 0 and math.isfinite(seen.error) and 0 < seen.readers < seen.planned):
        return seen.planned
    counts = np.linspace(seen.readers, seen.planned, 200)
    halves = radius(counts, seen.error * np.sqrt(seen.readers / counts), seen.alpha, seen.planned)
    found = np.flatnonzero(halves < abs(seen.effect))
    return float(counts[found[0]]) if len(found) else seen.planned


def _days(seen: Evidence, readers: float) -> int | None:
    if seen.readers_per_day <= 0:
        return None
    return max(1, math.ceil((readers - seen.readers) / seen.readers_per_day))


def _of_guardrails(seen: Evidence, breached: Sequence[Guardrail]) -> str:
    said = ", ".join(
        f"{each.plan.name} is worse by {each.worse:.4g} with {seen.arm}, by more than its margin "
        f"of {each.plan.margin:g} at all looks"
        for each in breached
    )
    return f"Stopped by a guardrail: {said}."


def _signed(bounds: Bounds, higher_is_better: bool) -> Bounds:  # noqa: FBT001
    return bounds if higher_is_better else Bounds(-bounds.high, -bounds.low)


def _measured(seen: Evidence) -> str:
    low, high = (f"{each:+.4g}" for each in seen.bounds)
    return (
        f"{seen.metric} differs by {seen.effect:+.4g}{_share(seen.effect, seen, '+')} with "
        f"{seen.arm} against {seen.control}, {low} to {high} at all looks, "
        f"after {seen.readers} readers"
    )


def _number(value: float) -> str:
    return f"{value:.4g}"


def _share(value: float, seen: Evidence, sign: str = "") -> str:
    """Return a value as a share of control's, in brackets."""
    if not abs(seen.control_value) > 0:
        return ""
    return f" ({value / abs(seen.control_value):{sign}.1%})"


def _more(days: int | None) -> str:
    if days is None:
        return ""
    return f" (about {days} more day{'s' if days > 1 else ''})"

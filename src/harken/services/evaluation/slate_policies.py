"""Off-policy evaluation of another temperature, from the slates of sampled feeds.

A slate has the propensity of each item at its position, given the items before it, but no scores.
The propensities of a complete order determine the scores up to a constant: in the Plackett–Luce
model, the k-th item has the share p_k (1 − p₁) … (1 − p_{k−1}) of the total weight. If a page has
more items after it, the weights of these are unknown, and at another temperature they change the
probabilities of the page itself. So only slates that show the complete order are used.

    ips    Π_k w_k · Σ_k r_k / n          weighs each order by its probability as a whole
    snips  the same, divided by Σ Π_k w_k
    rips   Σ_k (w_1 ⋯ w_k) r_k / n        McInerney et al., Counterfactual Evaluation of Slate
                                          Recommendations with Sequential Reward Interactions, 2020

w_k is the target's probability of the k-th item, given those before it, divided by the logged one.
`rips` needs rewards that depend on the item and those above it, and not on those below.

Only another temperature can be the target: the log has no scores of other rankings.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from harken.domain.exploration import CAPS, LEAST_TEMPERATURE, MOST_TEMPERATURE, propensities
from harken.domain.feedback import GUEST
from harken.errors import InvalidInput, Problem
from harken.services.evaluation.intervals import DRAWS, Floats
from harken.services.evaluation.off_policy import (
    LEAST_EFFECTIVE,
    Estimate,
    Terms,
    WeightDiagnostics,
    bound_of,
    check_rewards,
    check_weights,
    effective_size,
    estimates,
)

# If less probability is left for the other items, it is lost to rounding.
_LEAST_LEFT = 1e-9

INCOMPLETE = "had more items after it, whose odds at another temperature are unknown"
CAPPED = "had a cap on authors or tags, so the items left to draw from are unknown"
EXPLORED = "was drawn by Thompson sampling, whose odds do not tell the scores"
SWAPPED = "had only some pairs of neighbours swapped, whose odds do not depend on scores"
LATER = "was a later page, or began at an offset"
CERTAIN = "was almost certain, so the odds of the last items are lost to rounding"
SEEDED = "had the seed of another slate, so it was not an independent draw"


class SampledSlate(NamedTuple):
    """A sampled slate: propensities and rewards of its items (shape: items)."""

    user: str
    logged: Floats
    rewards: Floats
    temperature: float


@dataclass(frozen=True)
class SlateValue:
    """The estimates of a target from slates: mean number of rewarded items on a page."""

    slates: int
    users: int
    rewarded: int  # slates with a reward
    left_out: dict[str, int]  # number of slates by reason
    weighing: WeightDiagnostics
    logged: Estimate
    estimates: dict[str, Estimate]

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "slates": self.slates,
            "users": self.users,
            "rewarded": self.rewarded,
            "left_out": self.left_out,
            **self.weighing.as_json(),
            "logged": self.logged.as_json(),
            "estimates": {name: each.as_json() for name, each in self.estimates.items()},
        }


@dataclass
class SlateLog:
    """Collects slates and their rewards."""

    left_out: Counter[str] = field(default_factory=Counter)
    _slates: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _rewarded: dict[str, set[str]] = field(default_factory=dict)
    _seeds: Counter[int] = field(default_factory=Counter)

    def add(self, slate: Mapping[str, Any]) -> None:
        """Add a slate as the ledger returns it, with propensities."""
        if "pairs" in slate["settings"]:
            self.left_out[SWAPPED] += 1
            return
        self._seeds[slate["settings"]["seed"]] += slate["position"] == 0
        if reason := _unfit(slate):
            self.left_out[reason] += 1
        else:
            self._slates[slate["request_id"]] = slate

    def reward(self, request_id: str | None, kblock_id: str) -> None:
        """Record a reward of a K-Block on a page; it counts once."""
        if request_id in self._slates:
            self._rewarded.setdefault(str(request_id), set()).add(kblock_id)

    def usable_slates(self) -> list[SampledSlate]:
        """Return the slates that can be used; raises InvalidInput if there are none."""
        found = []
        for request_id, slate in self._slates.items():
            if self._seeds[slate["settings"]["seed"]] > 1:
                self.left_out[SEEDED] += 1
                continue
            liked = self._rewarded.get(request_id, set())
            user = slate["user_id"]
            found.append(
                SampledSlate(
                    request_id if user == GUEST else user,
                    np.array(slate["propensities"], np.float64),
                    np.array([item in liked for item in slate["items"]], np.float64),
                    slate["settings"]["temperature"],
                )
            )
        if not found:
            reasons = "; ".join(f"{count} {why}" for why, count in self.left_out.items())
            none = f"none can be used: {reasons}" if reasons else _NONE
            raise InvalidInput(Problem("slates", none))
        return found


_NONE = (
    "none has propensities. Serve feeds with a temperature above 0, and send the request_id with "
    "each interaction"
)


def _unfit(slate: Mapping[str, Any]) -> str | None:
    settings, logged = slate["settings"], slate["propensities"]
    checks: dict[str, Callable[[], bool]] = {
        CAPPED: lambda: not settings.keys().isdisjoint(CAPS),
        EXPLORED: lambda: "temperature" not in settings,
        LATER: lambda: slate["position"] > 0 or slate["request_id"] != slate["first_request_id"],
        INCOMPLETE: lambda: logged[-1] < 1,  # the last remaining item has exactly 1
        CERTAIN: lambda: max(logged[:-1], default=0.0) > 1 - _LEAST_LEFT,
    }
    return next((reason for reason, holds in checks.items() if holds()), None)


def check_target(target: str | None, temperature: float | None) -> float:
    """Return the target's temperature, infinite for uniform; raises InvalidInput."""
    if (target is None) == (temperature is None):
        raise InvalidInput(Problem("target", "give either --target uniform or --temperature"))
    if temperature is not None:
        if not LEAST_TEMPERATURE <= temperature <= MOST_TEMPERATURE:
            range_ = f"must be from {LEAST_TEMPERATURE} to {MOST_TEMPERATURE}"
            raise InvalidInput(Problem("temperature", range_))
        return temperature
    if target != "uniform":
        message = (
            "must be uniform or another temperature: slates have no scores, so the odds of "
            "another ranking or other weights are unknown"
        )
        raise InvalidInput(Problem("target", message))
    return math.inf


def at_temperature(logged: Floats, temperature: float, wanted: float) -> Floats:
    """Return the propensities of a whole order at another temperature; `wanted` may be infinite.

    `logged` are the propensities at `temperature` (shape: items); the last one is 1.
    """
    left = np.concatenate([[0.0], np.log1p(-logged[:-1]).cumsum()])
    utilities = (np.log(logged) + left) * (temperature / wanted)
    return propensities(utilities, 1.0)


def evaluate_slates(
    usable_slates: Sequence[SampledSlate],
    wanted: float,
    left_out: Mapping[str, int],
    *,
    least_effective: float = LEAST_EFFECTIVE,
    draws: int = DRAWS,
    seed: int = 0,
) -> SlateValue:
    """Estimate the mean number of rewarded items on a page at the temperature `wanted`.

    Raises InvalidInput if the effective sample size is too small, or too few slates have rewards.
    """
    ratios = [
        np.cumprod(at_temperature(each.logged, each.temperature, wanted) / each.logged)
        for each in usable_slates
    ]
    weights = np.array([each[-1] for each in ratios])
    totals = np.array([each.rewards.sum() for each in usable_slates])
    check_weights(weights, least_effective)
    check_rewards(totals)
    users = _numbers(each.user for each in usable_slates)
    cascade = np.array([r @ each.rewards for r, each in zip(ratios, usable_slates, strict=True)])
    ones, nowhere = np.ones(len(usable_slates)), np.zeros(0)
    terms = {
        "mean": Terms(weights, ones, nowhere),
        "logged": Terms(totals, ones, nowhere),
        "ips": Terms(weights * totals, ones, nowhere),
        "snips": Terms(weights * totals, weights, nowhere),
        "rips": Terms(cascade, ones, nowhere),
    }
    found = estimates(terms, users, least=bound_of(totals), draws=draws, seed=seed)
    return SlateValue(
        slates=len(usable_slates),
        users=int(users.max()) + 1,
        rewarded=int(np.count_nonzero(totals)),
        left_out=dict(left_out),
        weighing=WeightDiagnostics(
            effective_size(weights), float(weights.max()), found.pop("mean")
        ),
        logged=found.pop("logged"),
        estimates=found,
    )


def _numbers(names: Iterable[str]) -> Any:
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], np.intp)

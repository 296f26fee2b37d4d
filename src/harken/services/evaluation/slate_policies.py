"""What another temperature would have earned, by the slates of sampled feeds.

A slate keeps the propensity of each item at its place, given those before it, and no scores. Those
of a whole order give the scores back, as far as they matter: if p₁, p₂, … are drawn by the
Plackett–Luce model, the weight of the k-th item in units of all is p_k (1 − p₁) … (1 − p_{k−1}).
Of a page with more behind it, nobody knows how the rest of the weight is divided, and at another
temperature that decides the odds of the page itself. So only orders that were served whole count.

    ips    Π_k w_k · Σ_k r_k / n          each order by its probability as a whole
    snips  the same by Σ Π_k w_k
    rips   Σ_k (w_1 ⋯ w_k) r_k / n        McInerney et al., Counterfactual Evaluation of Slate
                                          Recommendations with Sequential Reward Interactions, 2020

w_k is the target's probability of the k-th item, given those before it, over the logged one. `rips`
needs a reward to depend on its item and on those above it, and on nothing further down.

Another target than a temperature cannot be asked for: its scores are not in the log.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from harken.domain.exploration import LEAST_TEMPERATURE, MOST_TEMPERATURE, propensities
from harken.domain.feedback import GUEST
from harken.errors import InvalidInput, Problem
from harken.services.evaluation.intervals import DRAWS, Floats
from harken.services.evaluation.off_policy import (
    LEAST_EFFECTIVE,
    Estimate,
    Terms,
    Weighing,
    bound_of,
    check_rewards,
    check_weights,
    effective_size,
    estimates,
)

# Below it, what is left for the others cannot be told from rounding.
_LEAST_LEFT = 1e-9

INCOMPLETE = "had more behind it, whose odds at another temperature nobody knows"
CAPPED = "had a cap on authors or tags, so who was left to draw from is not known"
LATER = "was a later page, or began at an offset"
CERTAIN = "was all but certain, so the odds of what came last are lost to rounding"
SEEDED = "had a seed that another had too, so it was no draw of its own"


class Served(NamedTuple):
    """A slate that was drawn, and which of its items were rewarded."""

    user: str
    logged: Floats
    rewards: Floats
    temperature: float


@dataclass(frozen=True)
class SlateValue:
    """What is known of a target by slates; estimates are of the rewarded items on a page."""

    slates: int
    users: int
    rewarded: int  # slates with a reward
    left_out: dict[str, int]  # how many, by why
    weighing: Weighing
    logged: Estimate
    estimates: dict[str, Estimate]

    def as_json(self) -> dict[str, Any]:
        """Return it as the command line prints it."""
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
    """Collects slates, and what followed from them."""

    left_out: Counter[str] = field(default_factory=Counter)
    _slates: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _rewarded: dict[str, set[str]] = field(default_factory=dict)
    _seeds: Counter[int] = field(default_factory=Counter)

    def add(self, slate: Mapping[str, Any]) -> None:
        """Take up a slate as the ledger returns it, with propensities."""
        self._seeds[slate["settings"]["seed"]] += slate["position"] == 0
        if reason := _unfit(slate):
            self.left_out[reason] += 1
        else:
            self._slates[slate["request_id"]] = slate

    def reward(self, request_id: str | None, kblock_id: str) -> None:
        """Note that somebody did what counts, with a K-Block of a page; once for each."""
        if request_id in self._slates:
            self._rewarded.setdefault(str(request_id), set()).add(kblock_id)

    def served(self) -> list[Served]:
        """Return the slates that can be weighed; raises InvalidInput where there are none."""
        found = []
        for request_id, slate in self._slates.items():
            if self._seeds[slate["settings"]["seed"]] > 1:
                self.left_out[SEEDED] += 1
                continue
            liked = self._rewarded.get(request_id, set())
            user = slate["user_id"]
            found.append(
                Served(
                    request_id if user == GUEST else user,
                    np.array(slate["propensities"], np.float64),
                    np.array([item in liked for item in slate["items"]], np.float64),
                    slate["settings"]["temperature"],
                )
            )
        if not found:
            reasons = "; ".join(f"{count} {why}" for why, count in self.left_out.items())
            none = f"none can be weighed: {reasons}" if reasons else _NONE
            raise InvalidInput(Problem("slates", none))
        return found


_NONE = (
    "none has propensities: nothing was left to chance. Serve with a temperature above 0, and "
    "send request_id with what readers do"
)


def _unfit(slate: Mapping[str, Any]) -> str | None:
    settings, logged = slate["settings"], slate["propensities"]
    checks: dict[str, Callable[[], bool]] = {
        CAPPED: lambda: "most_per_author" in settings or "most_per_tag" in settings,
        LATER: lambda: slate["position"] > 0 or slate["request_id"] != slate["first_request_id"],
        INCOMPLETE: lambda: logged[-1] < 1,  # the last that is left is certain, to the bit
        CERTAIN: lambda: max(logged[:-1], default=0.0) > 1 - _LEAST_LEFT,
    }
    return next((reason for reason, holds in checks.items() if holds()), None)


def check_target(target: str | None, temperature: float | None) -> float:
    """Return the temperature that is asked for, infinite for uniform; raises InvalidInput."""
    if (target is None) == (temperature is None):
        raise InvalidInput(Problem("target", "give either --target uniform or --temperature"))
    if temperature is not None:
        if not LEAST_TEMPERATURE <= temperature <= MOST_TEMPERATURE:
            range_ = f"must be from {LEAST_TEMPERATURE} to {MOST_TEMPERATURE}"
            raise InvalidInput(Problem("temperature", range_))
        return temperature
    if target != "uniform":
        message = (
            "can be uniform or another temperature: slates keep no scores, so the odds of "
            "another ranking or other weights cannot be told"
        )
        raise InvalidInput(Problem("target", message))
    return math.inf


def at_temperature(logged: Floats, temperature: float, wanted: float) -> Floats:
    """Return the propensities of a whole order at another temperature; `wanted` may be infinite.

    `logged` are those at `temperature`; the last one is 1.
    """
    left = np.concatenate([[0.0], np.log1p(-logged[:-1]).cumsum()])
    utilities = (np.log(logged) + left) * (temperature / wanted)
    return propensities(utilities, 1.0)


def evaluate_slates(
    served: Sequence[Served],
    wanted: float,
    left_out: Mapping[str, int],
    *,
    least_effective: float = LEAST_EFFECTIVE,
    draws: int = DRAWS,
    seed: int = 0,
) -> SlateValue:
    """Estimate how many items of a page would be rewarded at another temperature.

    Raises InvalidInput where too little is left once slates are weighed, or too few are rewarded.
    """
    ratios = [
        np.cumprod(at_temperature(each.logged, each.temperature, wanted) / each.logged)
        for each in served
    ]
    weights = np.array([each[-1] for each in ratios])
    totals = np.array([each.rewards.sum() for each in served])
    check_weights(weights, least_effective)
    check_rewards(totals)
    users = _numbers(each.user for each in served)
    cascade = np.array([r @ each.rewards for r, each in zip(ratios, served, strict=True)])
    ones, nowhere = np.ones(len(served)), np.zeros(0)
    terms = {
        "mean": Terms(weights, ones, nowhere),
        "logged": Terms(totals, ones, nowhere),
        "ips": Terms(weights * totals, ones, nowhere),
        "snips": Terms(weights * totals, weights, nowhere),
        "rips": Terms(cascade, ones, nowhere),
    }
    found = estimates(terms, users, least=bound_of(totals), draws=draws, seed=seed)
    return SlateValue(
        slates=len(served),
        users=int(users.max()) + 1,
        rewarded=int(np.count_nonzero(totals)),
        left_out=dict(left_out),
        weighing=Weighing(effective_size(weights), float(weights.max()), found.pop("mean")),
        logged=found.pop("logged"),
        estimates=found,
    )


def _numbers(names: Iterable[str]) -> Any:
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], np.intp)

"""Objectives: outcomes that an operator may weigh beside the learned order."""

from collections.abc import Mapping
from types import MappingProxyType

from harken.domain.feeds import MAX_WEIGHT
from harken.errors import InvalidInput, Problem

OBJECTIVES: Mapping[str, str] = MappingProxyType(
    {
        "engage": "how likely this reader is to engage with it, once they open it",
        "dwell": "how likely this reader is to stay with it for 30 seconds or more",
        "dismiss": "how likely this reader is to dismiss it",
        "return": "how likely this reader is to come back within a day of it",
    }
)
"""The meaning of each objective, in words for readers."""


def known_objectives(weights: Mapping[str, float]) -> dict[str, float]:
    """Return the weights of objectives, without those of 0.

    Raises InvalidInput for an objective that is unknown, and for a weight out of range.
    """
    for name, weight in weights.items():
        if name not in OBJECTIVES:
            raise InvalidInput(Problem(name, f"is no objective; known are {', '.join(OBJECTIVES)}"))
        if not abs(weight) <= MAX_WEIGHT:
            raise InvalidInput(
                Problem(name, f"must be a number from {-MAX_WEIGHT} to {MAX_WEIGHT}")
            )
    return {name: float(weight) for name, weight in weights.items() if weight}

"""The versions of an adaptive allocation, and the arms that units have under them. Pure.

A unit keeps the arm and the propensity of its first exposure. Its position (`assignment`) does not
change with the version, so most units have the same arm under all versions. If such a unit was
exposed, it was to that arm. Only the other units have to be looked up.

The propensity of a unit is its arm's share in the version of its first exposure. The version
follows from the acts of other units, which do not depend on the position of this one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple

from harken.services.experiments.assignment import arm_of, position

LEAST_SHARE = 0.1
"""No arm gets fewer readers than this share."""
EVERY = timedelta(days=1)
"""The least time between two versions."""
ANNOUNCED = timedelta(minutes=1)
"""A version is stored this long before it is in force. Processes look for versions every few
seconds, so each knows it before another can expose a reader by it."""


class Allocation(NamedTuple):
    """One version of an allocation; `version` 1 is that of the definition.

    `shares` are by arm, in the order of the arms. `readers` is how many it was computed from,
    `computed_by` names the process that did it.
    """

    version: int
    shares: Mapping[str, float]
    in_force_at: datetime
    computed_at: datetime
    computed_by: str
    readers: int


class Assigned(NamedTuple):
    """The arm of a unit, and the probability with which it got it, by a version if there is one."""

    arm: str
    propensity: float
    allocation: int | None = None


@dataclass(frozen=True)
class Allocations:
    """All versions of one experiment's allocation, the first one first; there is at least one."""

    versions: tuple[Allocation, ...]

    @property
    def latest(self) -> Allocation:
        """The newest version, which may be announced and not in force yet."""
        return self.versions[-1]

    def at(self, now: datetime) -> Allocation:
        """Return the version in force at a time; before the first one, the first."""
        begun = [each for each in self.versions if each.in_force_at <= now]
        return begun[-1] if begun else self.versions[0]

    def numbered(self, version: int | None) -> Allocation | None:
        """Return a version by its number; None if there is none."""
        return next((each for each in self.versions if each.version == version), None)

    def common_arm(self, salt: str, unit: str) -> str | None:
        """Return the arm that a unit has under all versions; None if they do not agree."""
        at = position(salt, unit)
        return next((name for name, low, high in self._common if low <= at < high), None)

    def as_json(self) -> list[dict[str, Any]]:
        """Return the versions as JSON values."""
        return [
            {
                "version": each.version,
                "shares": dict(each.shares),
                "in_force_at": each.in_force_at.isoformat().replace("+00:00", "Z"),
                "computed_at": each.computed_at.isoformat().replace("+00:00", "Z"),
                "computed_by": each.computed_by,
                "readers": each.readers,
            }
            for each in self.versions
        ]

    @cached_property
    def _common(self) -> list[tuple[str, float, float]]:
        """The positions at which all versions give an arm: from the first to below the second."""
        names = list(self.versions[0].shares)
        low, high = dict.fromkeys(names, 0.0), dict.fromkeys(names, float("inf"))
        for each in self.versions:
            reached = 0.0
            for name, share in each.shares.items():
                low[name] = max(low[name], reached)
                reached += share
                if name != names[-1]:  # the last one has what rounding leaves over
                    high[name] = min(high[name], reached)
        return [(name, low[name], high[name]) for name in names]


def assigned_by(allocation: Allocation, salt: str, unit: str) -> Assigned:
    """Return the arm of a unit whose first exposure is under a version."""
    arm = arm_of(salt, unit, allocation.shares)
    return Assigned(arm, allocation.shares[arm], allocation.version)

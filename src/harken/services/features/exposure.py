"""What became of candidates where readers could have met them: the clock is what readers did.

A night or a weekend is long by the clock and short by this one: hardly anybody came by.
"""

from typing import Any

import numpy as np

from harken.services.features.measures import power
from harken.services.features.traces import Floats
from harken.services.feed.present import Present

SLOW, QUICK = 100, 20
"""After so many touches of candidates, one counts half."""
_PRIOR = 5.0
_KIN_PRIOR = 0.05


def exposure(present: Present, kin: Floats, age: Floats) -> dict[str, Any]:
    """Return features of candidates, as old as given; `kin` is how near each of the people is."""
    order = np.argsort(present.ages)
    ages = present.ages[order]
    found: dict[str, Any] = {"touches_since": np.log1p(np.searchsorted(ages, age, "right"))}
    slow = np.empty(len(order), np.float32)
    slow[order] = np.exp2(-_later(ages) / SLOW)
    quick = power(slow, SLOW // QUICK)
    found |= {f"touches_{QUICK}": present.sum(quick), f"touches_{SLOW}": present.sum(slow)}
    last = np.full(len(kin), np.inf)
    last[present.person[order[::-1]]] = ages[::-1]  # the latest of each stays
    by_last = np.argsort(last)
    came = last[by_last]
    near = np.concatenate([[0.0], np.cumsum(kin[by_last])])
    active = np.searchsorted(came, age, "right")
    [since] = present.latest(1)
    readers = np.bincount(present.at, minlength=present.kblocks)
    of_kin = present.of_people(kin)
    return found | {
        "reach": readers / (active + _PRIOR),
        "active_since": np.log1p(active),
        "active_since_last": np.log1p(np.searchsorted(came, np.minimum(since, age))),
        "kin_reach": of_kin / (near[active] + _KIN_PRIOR),
        "kin_unreached": near[active] - of_kin,
    }


def _later(ages: Floats) -> Floats:
    """Return how many are less than each of some ages, which ascend."""
    places = np.arange(len(ages), dtype=np.float64)
    places[1:][ages[1:] == ages[:-1]] = 0
    later: Floats = np.maximum.accumulate(places)
    return later

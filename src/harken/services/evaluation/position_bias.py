"""How much of click-through is place, and how much is what stands there.

Readers look at the top of a page whatever stands there, so that click-through falls with the place
even if all items were the same. Two kinds of evidence tell the two apart.

Swapped pairs (FairPairs; Radlinski and Joachims, AAAI 2006) are an experiment: a coin decides which
of two neighbours stands first. If the upper one of a pair in its own order is chosen a times alone,
and the lower one b times, and of turned pairs c and d times, then

    ln(a / b) = place + item        ln(c / d) = place − item

on the logarithmic scale, so that place has the share (ln(a / b) + ln(c / d)) / (2 ln(a / b)) of the
fall of click-through from one place to the next.

Without pairs, K-Blocks that stood at the first place and lower, for other readers or in other
rankings, are compared with themselves (intervention harvesting; Agarwal, Zaitsev, Wang, Li, Najork
and Joachims, WSDM 2019). Their ratios of click-through are pooled as by Mantel and Haenszel (1959).
This holds the items fixed, not the readers: no experiment.
"""

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harken.services.evaluation.intervals import Floats, bootstrap, interval

LEAST_CHOICES = 50
"""With fewer choices between the items of pairs, they tell nothing."""
LEAST_READERS = 10
LEAST_ITEMS = 20
LEAST_CLICKS = 50
"""With fewer clicks at either place, the same items tell nothing."""

_SMALL = 0.5
"""Added to each count of pairs, so that none is 0 (Haldane 1956)."""

Basis = Literal["swapped_pairs", "same_items", "not_known"]


class PositionBias(NamedTuple):
    """The share of the fall of click-through that is place, its 95 % interval, and a sentence.

    `sample` is the number of choices between swapped pairs, or of K-Blocks; `units` that of readers
    or K-Blocks that were resampled. The share is None where the log cannot tell.
    """

    basis: Basis
    text: str
    share: float | None = None
    low: float | None = None
    high: float | None = None
    sample: int = 0
    units: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return self._asdict()


def position_bias(
    pairs: NDArray[np.int64], items: NDArray[np.int64], *, seed: int = 0
) -> PositionBias:
    """Return how much of click-through is place; pairs are asked first, then the same items.

    `pairs` has the choices of each reader (shape: readers × 4): upper and lower of pairs in their
    order, upper and lower of turned ones. `items` has impressions and clicks of each K-Block at the
    first place, then lower (shape: K-Blocks × 4).
    """
    if pairs.sum() >= LEAST_CHOICES and len(pairs) >= LEAST_READERS:
        return _by_pairs(pairs.astype(np.float64), seed)
    sums = items.sum(axis=0) if len(items) else np.zeros(4)
    if len(items) >= LEAST_ITEMS and min(sums[1], sums[3]) >= LEAST_CLICKS:
        return _by_items(items.astype(np.float64), seed)
    return PositionBias("not_known", _NOT_KNOWN)


_NOT_KNOWN = (
    f"Not known: that needs {LEAST_CHOICES} choices between swapped pairs by {LEAST_READERS} "
    f"readers, or {LEAST_ITEMS} K-Blocks that stood at the first place and lower, with "
    f"{LEAST_CLICKS} clicks at each. HARKEN_SWAP_SHARE swaps pairs."
)


def _by_pairs(pairs: Floats, seed: int) -> PositionBias:
    count, readers = int(pairs.sum()), len(pairs)
    cells = np.concatenate(
        [pairs.sum(axis=0)[None], bootstrap(pairs, np.ones(readers), seed=seed) * readers]
    )
    logs = np.log(cells + _SMALL)
    falls = logs[:, 0] - logs[:, 1]
    places = (falls + logs[:, 2] - logs[:, 3]) / 2
    how = f"Measured on {count} choices between swapped pairs, by {readers} readers."
    return _answer("swapped_pairs", places, falls, (count, readers), how)


def _by_items(items: Floats, seed: int) -> PositionBias:
    count = len(items)
    shown, clicked, below, clicked_below = items.T
    both = shown + below
    terms = np.column_stack([items, clicked * below / both, clicked_below * shown / both])
    means = bootstrap(terms, np.ones(count), seed=seed)
    logs = np.log(np.maximum(np.concatenate([terms.mean(axis=0)[None], means]), 1e-12))
    falls = (logs[:, 1] - logs[:, 0]) - (logs[:, 3] - logs[:, 2])
    places = logs[:, 4] - logs[:, 5]
    how = (
        f"No experiment: {count} K-Blocks at the first place are compared with themselves at "
        "lower ones. A K-Block may stand higher for those who want it more."
    )
    return _answer("same_items", places, falls, (count, count), how)


def _answer(
    basis: Basis, places: Floats, falls: Floats, sizes: tuple[int, int], how: str
) -> PositionBias:
    """Return the share of place; rows of both arrays are the estimate, then the draws."""
    if interval(falls[1:]).low <= 0:
        text = f"Not known: click-through does not clearly fall with the place here. {how}"
        return PositionBias(basis, text, None, None, None, *sizes)
    shares = np.clip(places / np.maximum(falls, 1e-12), 0.0, 1.0)
    low, high = interval(shares[1:])
    share = float(shares[0])
    text = (
        f"About {share:.0%} of the fall of click-through with the place is place itself "
        f"(95 % interval {low:.0%} to {high:.0%}); the rest is what stands there. {how}"
    )
    return PositionBias(basis, text, round(share, 6), round(low, 6), round(high, 6), *sizes)

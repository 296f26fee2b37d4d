"""Forward decay: counts in which recent events weigh more, without recomputation over time.

Cormode, Shkapenyuk, Srivastava, Xu: Forward Decay: A Practical Time Decay Model for Streaming
Systems, ICDE 2009, §III. An event at time t weighs 2^((t − L) / h), with a fixed landmark L and a
half-life h. At a time `now`, all weights are multiplied by the same factor 2^(−(now − L) / h). So
the order of the sums does not depend on `now`, and a late event is added like any other.

After about a thousand half-lives, the sums exceed the range of a double. Therefore they are stored
as natural logarithms (§VI of the paper). None is the logarithm of 0.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harken.domain.durations import parse_duration, write_duration
from harken.errors import InvalidInput, Problem, quoted

Floats = NDArray[np.float64]

LANDMARK = datetime(2025, 1, 1, tzinfo=UTC)
LANDMARK_MICROS = int(LANDMARK.timestamp()) * 1_000_000

DEFAULT_HALF_LIVES = (timedelta(hours=6), timedelta(days=1), timedelta(days=7))
MOST_HALF_LIVES = 4
MAX_WEIGHT = 1_000.0
# With a shorter half-life, a logarithm decades after the landmark has too few exact digits.
SHORTEST = timedelta(hours=1)
LONGEST = timedelta(days=365)

# See `order`: greater than the logarithm of any time within 170 years of the landmark.
OFFSET = 2.0**20


MOST_DOUBLINGS = 64.0


def doublings(half_lives: Any) -> Any:
    """Return 2^x with x clipped to [-64, 64], so that no product overflows single precision.

    >>> float(doublings(3.0)), bool(doublings(-1e30) > 0), bool(doublings(1e30) < 2e19)
    (8.0, True, True)
    """
    return np.exp2(np.clip(half_lives, -MOST_DOUBLINGS, MOST_DOUBLINGS))


class TrendWeights(NamedTuple):
    """What each event adds to the net count that orders `ranking=trending`."""

    view: float = 1.0
    engage: float = 1.0
    dismiss: float = -1.0


DEFAULT_TREND_WEIGHTS = TrendWeights()


def parse_trend_weights(given: Mapping[str, float]) -> TrendWeights:
    """Return the default weights, overridden by `given`; raises InvalidInput."""
    for name, weight in given.items():
        if name not in TrendWeights._fields:
            known = ", ".join(TrendWeights._fields)
            raise InvalidInput(
                Problem("trend_weights", f"{quoted(name)} is unknown; known are {known}")
            )
        if not abs(weight) <= MAX_WEIGHT:
            raise InvalidInput(
                Problem(f"trend_weights.{name}", f"must be from {-MAX_WEIGHT:g} to {MAX_WEIGHT:g}")
            )
    return TrendWeights(**{name: float(weight) for name, weight in given.items()})


def parse_half_lives(texts: Iterable[str]) -> tuple[timedelta, ...]:
    """Parse half-lives such as 6h or 7d; raises InvalidInput."""
    half_lives = tuple(dict.fromkeys(parse_duration("half_lives", text) for text in texts))
    if not 1 <= len(half_lives) <= MOST_HALF_LIVES:
        raise InvalidInput(Problem("half_lives", f"must be 1 to {MOST_HALF_LIVES} half-lives"))
    if not all(SHORTEST <= each <= LONGEST for each in half_lives):
        raise InvalidInput(Problem("half_lives", "must each be from 1h to 365d"))
    return half_lives


def place_of(half_life: timedelta, kept: Sequence[timedelta]) -> int:
    """Return the index of a half-life in `kept`; raises InvalidInput if it is not there."""
    if half_life not in kept:
        known = ", ".join(map(write_duration, kept))
        raise InvalidInput(
            Problem("half_life", f"{write_duration(half_life)!r} is not kept; kept are {known}")
        )
    return kept.index(half_life)


def logarithm(at: datetime, half_life: timedelta) -> float:
    """Return ln 2^((at − L) / h), the logarithm of the weight of one event at a time."""
    return math.log(2) * ((at - LANDMARK) / half_life)


def add(one: float | None, other: float | None) -> float | None:
    """Return ln(e^one + e^other).

    >>> add(math.log(3), math.log(5)) == math.log(8)
    True
    >>> add(None, 5000.0)
    5000.0
    """
    if one is None or other is None:
        return other if one is None else one
    return max(one, other) + math.log1p(math.exp(-abs(one - other)))


def counted(sum_logarithm: float | None, half_life: timedelta, now: datetime) -> float:
    """Return the decayed count at the time `now`, from its stored logarithm."""
    if sum_logarithm is None:
        return 0.0
    return math.exp(min(sum_logarithm - logarithm(now, half_life), 700.0))


def order(
    views: float | None, engagements: float | None, dismissals: float | None,
    weights: TrendWeights = DEFAULT_TREND_WEIGHTS,
) -> float:  # fmt: skip
    """Return a sort key that orders like the net sum, from the logarithms of three sums.

    The key is sign(s) · (ln|s| + 2^20) for a net sum s, and 0 for s = 0. It grows with s over the
    whole range of s. Sums that differ by less than 1e-10 of their size may tie.

    >>> order(None, None, None), order(2.0, None, 2.0)
    (0.0, 0.0)
    >>> order(-9000.0, None, None) > 0 > order(None, None, -9000.0) > order(None, None, 9000.0)
    True
    """
    terms = [
        (logarithm, weight)
        for logarithm, weight in zip((views, engagements, dismissals), weights, strict=True)
        if logarithm is not None
    ]
    greatest = max((logarithm for logarithm, _ in terms), default=0.0)
    net = sum(weight * math.exp(logarithm - greatest) for logarithm, weight in terms)
    return math.copysign(greatest + math.log(abs(net)) + OFFSET, net) if net else 0.0


def net_at(order: Floats, half_life: timedelta, now: datetime) -> Floats:
    """Return the net sums for sort keys of `order`, at the time `now`; one unit is one new event.

    `order` is an array of any shape, and so is the result.
    """
    exponents = np.abs(order) - OFFSET - logarithm(now, half_life)
    return np.sign(order) * np.exp(np.minimum(exponents, 700.0))

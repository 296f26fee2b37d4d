"""What a replay compares: rankings as objects that see one event after another."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from harken.domain.attention import attention_score
from harken.domain.decay import TrendWeights
from harken.domain.feeds import (
    DEFAULT_WEIGHTS,
    RECENCY_HALF_LIFE,
    UNDECLARED_PRINCIPLES,
    UNKNOWN_COHERENCE,
    Signal,
)
from harken.errors import InvalidInput, Problem
from harken.services.learning.rolling_training import RETRAIN, Learned, LearnedSettings
from harken.services.readers.affinities import Affinities
from harken.services.readers.history import MICROS, Touch

Floats = NDArray[np.float64]

HALF_LIFE = timedelta(hours=6)


class Ranker(Protocol):
    """An order that follows from the events that it saw."""

    def see(self, touch: Touch) -> None:
        """Take up an event."""

    def score(self, user_id: str, kblock_ids: Sequence[str], now: int) -> Floats:
        """Return a finite score for each K-Block, more for better; `now` as in Touch."""


class _Columns:
    """One row of numbers for each K-Block; K-Blocks that nobody saw share row 0."""

    def __init__(self, *defaults: float) -> None:
        self._rows: dict[str, int] = {}
        self._values = np.tile(np.array(defaults, np.float64), (64, 1))

    def of(self, kblock_id: str) -> Floats:
        """Return a K-Block's row, to be changed in place."""
        row = self._rows.setdefault(kblock_id, len(self._rows) + 1)
        if row == len(self._values):
            self._values = np.concatenate([self._values, np.tile(self._values[0], (row, 1))])
        return np.asarray(self._values[row])

    def take(self, kblock_ids: Sequence[str]) -> Any:
        """Return the columns of some K-Blocks."""
        rows = np.fromiter((self._rows.get(each, 0) for each in kblock_ids), np.intp)
        return self._values[rows].T


class Chronological:
    """Newest first: by the time at which somebody touched a K-Block first (microseconds)."""

    def __init__(self) -> None:
        self._first = _Columns(np.inf)

    def see(self, touch: Touch) -> None:
        """Note when a K-Block was seen first."""
        row = self._first.of(touch.kblock_id)
        row[0] = min(row[0], touch.at)

    def score(self, user_id: str, kblock_ids: Sequence[str], now: int) -> Floats:  # noqa: ARG002
        """Return these times; what was never seen is new."""
        [first] = self._first.take(kblock_ids)
        return np.asarray(np.minimum(first, now))


class _Counted:
    """What is ordered by counts: how often a K-Block was viewed, engaged with and dismissed."""

    def __init__(self) -> None:
        self._counts = _Columns(0, 0, 0)

    def see(self, touch: Touch) -> None:
        """Count an event."""
        if touch.action in TrendWeights._fields:
            self._counts.of(touch.kblock_id)[TrendWeights._fields.index(touch.action)] += 1


class Popularity(_Counted):
    """Most engagements and views first, of all times."""

    def score(self, user_id: str, kblock_ids: Sequence[str], now: int) -> Floats:  # noqa: ARG002
        """Return how many there were."""
        views, engagements, _ = self._counts.take(kblock_ids)
        total: Floats = views + engagements
        return total


class Attention(_Counted):
    """Highest attention score first."""

    def score(self, user_id: str, kblock_ids: Sequence[str], now: int) -> Floats:  # noqa: ARG002
        """Return the attention scores."""
        counts = zip(*self._counts.take(kblock_ids).astype(int).tolist(), strict=True)
        return np.array([attention_score(v, e, d) for v, e, d in counts], np.float64)


class Trending:
    """Highest decayed net sum first: views and engagements count 1, dismissals −1.

    Each event counts half after each half-life: seen from one time, that is the order of the
    forward-decayed sums that a database keeps.
    """

    def __init__(
        self, half_life: timedelta = HALF_LIFE, weights: TrendWeights | None = None
    ) -> None:
        self._half_life = half_life / timedelta(microseconds=1)
        self._weights = (weights or TrendWeights())._asdict()
        self._sums = _Columns(0, 0)  # the sum, and as of when (microseconds)

    def see(self, touch: Touch) -> None:
        """Add an event."""
        weight = self._weights.get(touch.action, 0.0)
        row = self._sums.of(touch.kblock_id)
        net, then = row
        now = max(then, touch.at)
        row[:] = net * self._decay(now - then) + weight * self._decay(now - touch.at), now

    def score(self, user_id: str, kblock_ids: Sequence[str], now: int) -> Floats:  # noqa: ARG002
        """Return the sums as seen from now."""
        sums, then = self._sums.take(kblock_ids)
        seen: Floats = sums * self._decay(np.maximum(now - then, 0))
        return seen

    def _decay(self, ages: Any) -> Any:
        return np.exp2(-ages / self._half_life)


class Weighted:
    """Highest weighted sum of the signals first, with the default weights.

    A log knows no principles and no loss: these two signals are what they are for the unknown. The
    age is that since somebody touched a K-Block first.
    """

    def __init__(self) -> None:
        self._attention = Attention()
        self._first = Chronological()

    def see(self, touch: Touch) -> None:
        """Take up an event."""
        self._attention.see(touch)
        self._first.see(touch)

    def score(self, user_id: str, kblock_ids: Sequence[str], now: int) -> Floats:
        """Return the weighted sums."""
        ages = (now - self._first.score(user_id, kblock_ids, now)) / MICROS
        signals: dict[Signal, Any] = {
            Signal.ATTENTION: self._attention.score(user_id, kblock_ids, now),
            Signal.PRINCIPLES: UNDECLARED_PRINCIPLES,
            Signal.RECENCY: np.exp2(-ages / RECENCY_HALF_LIFE.total_seconds()),
            Signal.COHERENCE: UNKNOWN_COHERENCE,
        }
        total = np.zeros(len(kblock_ids))
        for signal, weight in DEFAULT_WEIGHTS.items():
            total += weight * signals[signal]
        return total


class Personal:
    """What a reader is likely to like first, by `Tastes`."""

    def __init__(self, affinities: Affinities | None = None) -> None:
        self._affinities = affinities or Affinities()

    def see(self, touch: Touch) -> None:
        """Take up an event."""
        self._affinities.observe(touch)

    def score(self, user_id: str, kblock_ids: Sequence[str], now: int) -> Floats:
        """Return the scores."""
        return self._affinities.score(user_id, kblock_ids, now).total


class Options(NamedTuple):
    """What some rankings are made with: the half-life of the trend, how often one is retrained."""

    half_life: timedelta = HALF_LIFE
    retrain_every: timedelta = RETRAIN


RANKERS: Mapping[str, Callable[[Options], Ranker]] = MappingProxyType(
    {
        "chronological": lambda _: Chronological(),
        "popularity": lambda _: Popularity(),
        "trending": lambda options: Trending(options.half_life),
        "attention": lambda _: Attention(),
        "weighted": lambda _: Weighted(),
        "personal": lambda _: Personal(),
        "learned": lambda options: Learned(LearnedSettings(options.retrain_every)),
    }
)
"""How to make each ranking by its name."""


def make_rankers(names: Sequence[str], options: Options | None = None) -> dict[str, Ranker]:
    """Make rankings that saw nothing yet; raises InvalidInput with the names there are."""
    options = options or Options()
    for name, duration in options._asdict().items():
        if duration <= timedelta():
            raise InvalidInput(Problem(name, "must be more than 0"))
    if not names:
        raise InvalidInput(Problem("ranking", f"must be some of {', '.join(RANKERS)}"))
    for name in names:
        if name not in RANKERS:
            close = difflib.get_close_matches(name, RANKERS, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            known = ", ".join(RANKERS)
            raise InvalidInput(Problem("ranking", f"{name!r} is unknown; {hint}known are {known}"))
    return {name: RANKERS[name](options) for name in names}

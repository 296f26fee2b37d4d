"""Rankings for a replay: objects that observe one event after another and score candidates."""

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
from harken.services.learning.part_weights import PartWeights
from harken.services.learning.rolling_training import RETRAIN, RollingRanker, TrainingSettings
from harken.services.readers.affinities import Affinities
from harken.services.readers.history import MICROS, Touch

Floats = NDArray[np.float64]

HALF_LIFE = timedelta(hours=6)


class Ranker(Protocol):
    """A ranking that is computed from the events that it observed."""

    def observe(self, touch: Touch) -> None:
        """Update the state with an event."""

    def score(self, user_id: str, kblock_ids: Sequence[str], now: int) -> Floats:
        """Return a finite score for each K-Block, higher is better; `now` in microseconds."""


class _Columns:
    """A row of numbers for each K-Block; K-Blocks without events share row 0."""

    def __init__(self, *defaults: float) -> None:
        self._rows: dict[str, int] = {}
        self._values = np.tile(np.array(defaults, np.float64), (64, 1))

    def of(self, kblock_id: str) -> Floats:
        """Return a K-Block's row as a view that can be changed."""
        row = self._rows.setdefault(kblock_id, len(self._rows) + 1)
        if row == len(self._values):
            self._values = np.concatenate([self._values, np.tile(self._values[0], (row, 1))])
        return np.asarray(self._values[row])

    def take(self, kblock_ids: Sequence[str]) -> Any:
        """Return the values of some K-Blocks (columns × K-Blocks)."""
        rows = np.fromiter((self._rows.get(each, 0) for each in kblock_ids), np.intp)
        return self._values[rows].T


class Chronological:
    """Newest first, by the time of a K-Block's first event (microseconds)."""

    def __init__(self) -> None:
        self._first = _Columns(np.inf)

    def observe(self, touch: Touch) -> None:
        """Record the time of a K-Block's first event."""
        row = self._first.of(touch.kblock_id)
        row[0] = min(row[0], touch.at)

    def score(self, user_id: str, kblock_ids: Sequence[str], now: int) -> Floats:  # noqa: ARG002
        """Return these times; a K-Block without events counts as new."""
        [first] = self._first.take(kblock_ids)
        return np.asarray(np.minimum(first, now))


class _CountRanker:
    """Base of rankings by counts of views, engagements and dismissals."""

    def __init__(self) -> None:
        self._counts = _Columns(0, 0, 0)

    def observe(self, touch: Touch) -> None:
        """Count an event."""
        if touch.action in TrendWeights._fields:
            self._counts.of(touch.kblock_id)[TrendWeights._fields.index(touch.action)] += 1


class Popularity(_CountRanker):
    """Most engagements and views first, over all time."""

    def score(self, user_id: str, kblock_ids: Sequence[str], now: int) -> Floats:  # noqa: ARG002
        """Return the number of views and engagements."""
        views, engagements, _ = self._counts.take(kblock_ids)
        total: Floats = views + engagements
        return total


class Attention(_CountRanker):
    """Highest attention score first."""

    def score(self, user_id: str, kblock_ids: Sequence[str], now: int) -> Floats:  # noqa: ARG002
        """Return the attention scores."""
        counts = zip(*self._counts.take(kblock_ids).astype(int).tolist(), strict=True)
        return np.array([attention_score(v, e, d) for v, e, d in counts], np.float64)


class Trending:
    """Highest decayed net sum first: views and engagements count 1, dismissals −1.

    An event's weight halves with each half-life. At any time this gives the order of the
    forward-decayed sums that a database keeps.
    """

    def __init__(
        self, half_life: timedelta = HALF_LIFE, weights: TrendWeights | None = None
    ) -> None:
        self._half_life = half_life / timedelta(microseconds=1)
        self._weights = (weights or TrendWeights())._asdict()
        self._sums = _Columns(0, 0)  # the sum, and its time (microseconds)

    def observe(self, touch: Touch) -> None:
        """Add an event's weight to the sum."""
        weight = self._weights.get(touch.action, 0.0)
        row = self._sums.of(touch.kblock_id)
        net, then = row
        now = max(then, touch.at)
        row[:] = net * self._decay(now - then) + weight * self._decay(now - touch.at), now

    def score(self, user_id: str, kblock_ids: Sequence[str], now: int) -> Floats:  # noqa: ARG002
        """Return the sums, decayed to `now`."""
        sums, then = self._sums.take(kblock_ids)
        seen: Floats = sums * self._decay(np.maximum(now - then, 0))
        return seen

    def _decay(self, ages: Any) -> Any:
        return np.exp2(-ages / self._half_life)


class Weighted:
    """Highest weighted sum of the signals first, with the default weights.

    A log has no principles and no loss, so these two signals have their defaults for unknown
    values. The age of a K-Block is the time since its first event.
    """

    def __init__(self) -> None:
        self._attention = Attention()
        self._first = Chronological()

    def observe(self, touch: Touch) -> None:
        """Update the state with an event."""
        self._attention.observe(touch)
        self._first.observe(touch)

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
    """The personal ranking, by `Affinities`, whose weights are learned from the events."""

    def __init__(self, affinities: Affinities | None = None) -> None:
        self._affinities = affinities or Affinities()
        self._weights = PartWeights(self._affinities)

    def observe(self, touch: Touch) -> None:
        """Update the state with an event."""
        self._weights.observe(touch, from_page=False)
        if self._weights.are_due:
            self._weights.learn()
        self._affinities.observe(touch)

    def score(self, user_id: str, kblock_ids: Sequence[str], now: int) -> Floats:
        """Return the personal scores."""
        return self._affinities.score(user_id, kblock_ids, now).total


class Options(NamedTuple):
    """Options of rankings: half-life of the trend, and interval of retraining."""

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
        "learned": lambda options: RollingRanker(TrainingSettings(options.retrain_every)),
    }
)
"""The factory of each ranking by its name."""


def make_rankers(names: Sequence[str], options: Options | None = None) -> dict[str, Ranker]:
    """Create rankings without events; raises InvalidInput for an unknown name."""
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

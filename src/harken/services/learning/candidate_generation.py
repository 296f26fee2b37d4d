"""Candidate generation for training: it selects the candidates that a feed would score.

A feed scores some hundreds of K-Blocks, and rank features are ranks among these. So training
narrows the candidates by the same sources (`services/personal/sources.py`), which here look into
the K-Blocks of the log so far. The selection does not know what the reader chose.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from harken.domain.decay import DEFAULT_HALF_LIVES, DEFAULT_TREND_WEIGHTS
from harken.services.personal.index_pool import LATE
from harken.services.personal.sources import (
    SOURCES,
    CandidateQuery,
    CandidateSource,
    most_candidates,
    retrieve,
)
from harken.services.readers.affinities import Affinities
from harken.services.readers.co_engagement import Floats, Numbers
from harken.services.readers.history import MICROS, Touch
from harken.services.readers.item_attributes import Label

MOST = most_candidates()
"""The most candidates that a feed scores; up to this many are not narrowed."""

_WEIGHTS = DEFAULT_TREND_WEIGHTS._asdict()
_HALF_LIFE = min(DEFAULT_HALF_LIVES).total_seconds()
_FIRST = 64


class CandidateGenerator:
    """Narrows candidates, by the events observed so far; K-Blocks have the numbers of `Window`."""

    def __init__(self, affinities: Affinities) -> None:
        self._affinities = affinities
        self._places = np.zeros(_FIRST, np.intp)
        self._trend = np.zeros((_FIRST, 2))  # decayed sum, and its time in seconds since 1970
        self._numbers: dict[int, int] = {}  # by place in the affinities
        self._labelled: dict[Label, list[int]] = {}

    def add(self, number: int, place: int, labels: Iterable[Label]) -> None:
        """Add a K-Block: its number, its place in the affinities, its tags and author."""
        if number == len(self._places):
            self._places = np.concatenate([self._places, np.zeros_like(self._places)])
            self._trend = np.concatenate([self._trend, np.zeros_like(self._trend)])
        self._places[number] = place
        self._numbers[place] = number
        for label in labels:
            self._labelled.setdefault(label, []).append(number)

    def observe(self, number: int, touch: Touch) -> None:
        """Update the trend of a K-Block that was added."""
        at = touch.at / MICROS
        total, then = self._trend[number].tolist()
        faded = total * 2 ** ((then - at) / _HALF_LIFE)
        self._trend[number] = faded + _WEIGHTS.get(touch.action, 0.0), at

    def narrow(
        self,
        user_id: str,
        candidates: Numbers,
        now: int,
        sources: Sequence[CandidateSource] = SOURCES,
    ) -> Numbers:
        """Return the candidates to score, ascending; `candidates` must be ascending."""
        if len(candidates) <= most_candidates(sources):
            return candidates
        pool = _LogPool(self, candidates, now)
        return retrieve(CandidateQuery(pool, self._affinities, user_id, now), sources)

    def appeared(self, numbers: Numbers) -> Floats:
        """Return when K-Blocks appeared, in seconds since 1970."""
        return self._affinities.attributes.appeared(self._places[numbers])

    def trends(self, numbers: Numbers, now: int) -> Floats:
        """Return the decayed sums of K-Blocks at a time (microseconds since 1970)."""
        total, then = self._trend[numbers].T
        faded: Floats = total * np.exp2((then - now / MICROS) / _HALF_LIFE)
        return faded

    def with_label(self, label: Label) -> Numbers:
        """Return the last K-Blocks that were added with a label."""
        return np.array(self._labelled.get(label, [])[-LATE:], np.intp)

    def at_places(self, places: Numbers) -> Numbers:
        """Return the numbers of K-Blocks by their places, -1 for one that was not added."""
        return np.array([self._numbers.get(place, -1) for place in places.tolist()], np.intp)


class _LogPool:
    """The `CandidatePool` of a moment of a log: those of the K-Blocks that may be candidates."""

    def __init__(self, known: CandidateGenerator, candidates: Numbers, now: int) -> None:
        self._known, self._candidates, self._now = known, candidates, now

    def newest(self, count: int) -> Numbers:
        """Return the numbers of the `count` newest K-Blocks."""
        return self._candidates[_last(self._known.appeared(self._candidates), count)]

    def trending(self, count: int) -> Numbers:
        """Return the numbers of the `count` K-Blocks with the highest trends."""
        return self._candidates[_last(self._known.trends(self._candidates, self._now), count)]

    def labelled(self, kind: str, name: str, count: int) -> Numbers:
        """Return the numbers of the `count` newest of the last ones with a label."""
        labelled = _among(self._candidates, self._known.with_label(Label(kind, name)))
        return labelled[_last(self._known.appeared(labelled), count)]

    def rows(self, places: Numbers) -> Numbers:
        """Return the numbers of candidates by their places in the affinities."""
        return _among(self._candidates, self._known.at_places(places))

    def texts(self, keys: Numbers) -> Numbers:
        """Return the numbers of candidates by the keys of their texts, which are their places."""
        return self.rows(keys)


def _last(values: Floats, count: int) -> Numbers:
    """Return the indexes of the `count` greatest values."""
    if len(values) <= count:
        return np.arange(len(values))
    return np.argpartition(values, -count)[-count:]


def _among(candidates: Numbers, wanted: Numbers) -> Numbers:
    """Return the numbers that are among the candidates, which must be ascending."""
    at = np.searchsorted(candidates, wanted)
    at[at == len(candidates)] = 0
    among: Numbers = wanted[candidates[at] == wanted]
    return among

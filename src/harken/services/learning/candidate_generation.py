"""Candidate generation for training: it selects the candidates that a feed would score.

A feed scores some hundreds of K-Blocks (see `services/personal/ordering.py`), and rank features are
ranks among these. So training narrows the candidates in the same way: to the newest, the trending,
the newest with the tags and authors that the reader likes, and those that similar readers liked
recently. The selection does not know what the reader chose.
"""

from collections.abc import Iterable

import numpy as np

from harken.domain.decay import DEFAULT_HALF_LIVES, DEFAULT_TREND_WEIGHTS
from harken.services.personal.ordering import (
    LABELLED,
    LATE,
    MOST_LABELS,
    NEAR,
    NEWEST,
    TRENDING,
)
from harken.services.personal.similarity import NEIGHBOURS, RECENTLY_LIKED, recently_liked_by
from harken.services.readers.affinities import Affinities
from harken.services.readers.co_engagement import Floats, Numbers
from harken.services.readers.history import MICROS, Touch
from harken.services.readers.item_attributes import Label

MOST = NEWEST + TRENDING + MOST_LABELS * LABELLED + NEIGHBOURS * RECENTLY_LIKED + NEAR
"""The most candidates that a feed scores; up to this many are not narrowed."""

_KINDS = ("tags", "authors")
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

    def narrow(self, user_id: str, candidates: Numbers, now: int) -> Numbers:
        """Return the candidates to score, ascending; `candidates` must be ascending."""
        if len(candidates) <= MOST:
            return candidates
        appeared = self._affinities.attributes.appeared(self._places[candidates])
        newest, trending = _last(appeared, NEWEST), _last(self._trending(candidates, now), TRENDING)
        found = [candidates[newest], candidates[trending]]
        liked_by_similar = recently_liked_by(self._affinities, user_id).tolist()
        found.append(
            _among(candidates, [self._numbers.get(place, -1) for place in liked_by_similar])
        )
        taste = self._affinities.taste(user_id, now)
        if taste is not None:
            near = self._affinities.texts.nearest(taste.terms, NEAR).tolist()
            found.append(_among(candidates, [self._numbers.get(place, -1) for place in near]))
        for label in self._affinities.liked(user_id, _KINDS, now, MOST_LABELS):
            labelled = _among(candidates, self._labelled.get(label, [])[-LATE:])
            when = self._affinities.attributes.appeared(self._places[labelled])
            found.append(labelled[_last(when, LABELLED)])
        return np.unique(np.concatenate(found))

    def _trending(self, candidates: Numbers, now: int) -> Floats:
        total, then = self._trend[candidates].T
        faded: Floats = total * np.exp2((then - now / MICROS) / _HALF_LIFE)
        return faded


def _last(values: Floats, count: int) -> Numbers:
    """Return the indexes of the `count` greatest values."""
    if len(values) <= count:
        return np.arange(len(values))
    return np.argpartition(values, -count)[-count:]


def _among(candidates: Numbers, numbers: list[int]) -> Numbers:
    """Return the numbers that are among the candidates, which must be ascending."""
    wanted = np.array(numbers, np.intp)
    at = np.searchsorted(candidates, wanted)
    at[at == len(candidates)] = 0
    among: Numbers = wanted[candidates[at] == wanted]
    return among

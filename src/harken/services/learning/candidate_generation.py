"""The first stage: which of many candidates are worth a model's time, as a feed chooses them.

A feed looks at some hundreds of K-Blocks (see `services/personal/ordering.py`), and the ranks among
the features are ranks among these. So what is learned from is narrowed in the same way: to the
newest, those that most is going on with, the newest with the tags and authors that the reader takes
to, and what readers of the same taste liked last. Nothing here knows what the reader chose.
"""

from collections.abc import Iterable

import numpy as np

from harken.domain.decay import DEFAULT_HALF_LIVES, DEFAULT_TREND_WEIGHTS
from harken.services.personal.ordering import LABELLED, LATE, MOST_LABELS, NEWEST, TRENDING
from harken.services.personal.similarity import NEIGHBOURS, RECENTLY_LIKED, recently_liked_by
from harken.services.readers.affinities import Affinities
from harken.services.readers.co_engagement import Floats, Numbers
from harken.services.readers.history import MICROS, Touch
from harken.services.readers.item_attributes import Label

MOST = NEWEST + TRENDING + MOST_LABELS * LABELLED + NEIGHBOURS * RECENTLY_LIKED
"""As many as a feed looks at, at most; so many are not narrowed."""

_KINDS = ("tags", "authors")
_WEIGHTS = DEFAULT_TREND_WEIGHTS._asdict()
_HALF_LIFE = min(DEFAULT_HALF_LIVES).total_seconds()
_FIRST = 64


class CandidateGenerator:
    """Narrows candidates by what was seen of the log; they have the numbers of `Window`."""

    def __init__(self, affinities: Affinities) -> None:
        self._affinities = affinities
        self._places = np.zeros(_FIRST, np.intp)
        self._trend = np.zeros((_FIRST, 2))  # a sum that halves, and as of when
        self._numbers: dict[int, int] = {}  # by place
        self._labelled: dict[Label, list[int]] = {}

    def add(self, number: int, place: int, labels: Iterable[Label]) -> None:
        """Note the place in the state, the tags and the authors of the K-Block of a number."""
        if number == len(self._places):
            self._places = np.concatenate([self._places, np.zeros_like(self._places)])
            self._trend = np.concatenate([self._trend, np.zeros_like(self._trend)])
        self._places[number] = place
        self._numbers[place] = number
        for label in labels:
            self._labelled.setdefault(label, []).append(number)

    def see(self, number: int, touch: Touch) -> None:
        """Take up an event of a K-Block that was added."""
        at = touch.at / MICROS
        total, then = self._trend[number].tolist()
        faded = total * 2 ** ((then - at) / _HALF_LIFE)
        self._trend[number] = faded + _WEIGHTS.get(touch.action, 0.0), at

    def narrow(self, user_id: str, candidates: Numbers, now: int) -> Numbers:
        """Return those of the candidates (ascending) that are looked at, in the same order."""
        if len(candidates) <= MOST:
            return candidates
        appeared = self._affinities.attributes.appeared(self._places[candidates])
        newest, trending = _last(appeared, NEWEST), _last(self._trending(candidates, now), TRENDING)
        found = [candidates[newest], candidates[trending]]
        company = recently_liked_by(self._affinities, user_id).tolist()
        found.append(_among(candidates, [self._numbers.get(place, -1) for place in company]))
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
    """Return where the greatest values are."""
    if len(values) <= count:
        return np.arange(len(values))
    return np.argpartition(values, -count)[-count:]


def _among(candidates: Numbers, numbers: list[int]) -> Numbers:
    """Return those of some numbers that are candidates, which ascend."""
    wanted = np.array(numbers, np.intp)
    at = np.searchsorted(candidates, wanted)
    at[at == len(candidates)] = 0
    among: Numbers = wanted[candidates[at] == wanted]
    return among

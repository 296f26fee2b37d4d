"""What features need of the log beyond tastes: sums that fade, who came first, what follows what.

All of it is by a K-Block's place in `Contents`, grows with the K-Blocks alone, and takes up an
event in constant time. Times are in seconds since 1970.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harken.domain.feedback import GUEST, FeedbackAction
from harken.services.readers.history import MICROS, Touch

Numbers = NDArray[np.intp]
Floats = NDArray[np.float64]
Matrix = NDArray[np.float32]

MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0

HALF_LIVES: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        "first": (10 * MINUTE, HOUR, 6 * HOUR, DAY, 4 * DAY),
        "view": (HOUR, 6 * HOUR, DAY),
        "engage": (HOUR, 6 * HOUR, 2 * DAY),
        "dismiss": (2 * DAY,),
    }
)
"""Over which half-lives sums fade: of first touches by a reader, and of each action."""

COUNTED = (*HALF_LIVES,)
"""What is counted for ever."""

FOLLOWERS = 32
"""How many of the K-Blocks that readers went on to are remembered for each."""
STEP = 2 * HOUR
"""After this time, what a reader touches does not follow what they touched before."""

_KINDS = [kind for kind, half_lives in HALF_LIVES.items() for _ in half_lives]
_RATES = np.array([1 / each for half_lives in HALF_LIVES.values() for each in half_lives])
_MASKS = {kind: np.array([kind == each for each in _KINDS], np.float64) for kind in HALF_LIVES}
_ONES = {kind: np.array([kind == each for each in COUNTED], np.float64) for kind in COUNTED}
_FIRST = 64


class Traces:
    """Sums, sources and transitions of K-Blocks, by their places."""

    def __init__(self) -> None:
        self._sums = np.zeros((_FIRST, len(_RATES)))
        self._then = np.zeros(_FIRST)
        self._counts = np.zeros((_FIRST, len(COUNTED)))
        self._last = np.full((_FIRST, 2), -np.inf)  # view, engagement
        self._source = np.zeros(_FIRST, np.intp)
        self._people: dict[str, int] = {}
        self._drawn = np.zeros((_FIRST, 2))  # by person: K-Blocks they came to first, and readers
        self._next: dict[int, dict[int, float]] = {}
        self._out = np.zeros(_FIRST)

    def see(self, touch: Touch, place: int, before: int | None, *, is_first: bool) -> None:
        """Take up an event; `before` is the place that its reader came from, if they did.

        `is_first` says that the reader had not touched the K-Block before.
        """
        at = touch.at / MICROS
        while place >= len(self._then):
            self._grow()
        if not self._source[place]:
            self._begin(place, touch.user_id)
        elif is_first:
            self._drawn[self._source[place], 1] += 1
        self._add(touch.action, place, at)
        if is_first and touch.action in {FeedbackAction.VIEW, FeedbackAction.ENGAGE}:
            self._add("first", place, at)
        if touch.action == FeedbackAction.VIEW:
            self._last[place, 0] = max(self._last[place, 0], at)
        elif touch.action == FeedbackAction.ENGAGE:
            self._last[place, 1] = max(self._last[place, 1], at)
        if before is not None and is_first:
            self._follow(before, place)

    def _begin(self, place: int, user_id: str) -> None:
        """Note who touched a K-Block first; guests are one."""
        person = 1
        if user_id != GUEST:
            person = self._people.setdefault(user_id, len(self._people) + 2)
        if person >= len(self._drawn):
            self._drawn = np.concatenate([self._drawn, np.zeros_like(self._drawn)])
        self._source[place] = person
        self._drawn[person, 0] += 1

    def _add(self, kind: str, place: int, at: float) -> None:
        if kind not in _MASKS:
            return
        now = max(self._then[place], at)
        row = self._sums[place]
        row *= np.exp2((self._then[place] - now) * _RATES)
        row += _MASKS[kind] if at == now else _MASKS[kind] * np.exp2((at - now) * _RATES)
        self._then[place] = now
        self._counts[place] += _ONES[kind]

    def _follow(self, before: int, place: int) -> None:
        followers = self._next.setdefault(before, {})
        if place not in followers and len(followers) >= FOLLOWERS:
            del followers[min(followers, key=followers.__getitem__)]
        followers[place] = followers.get(place, 0.0) + 1
        self._out[before] += 1

    def _grow(self) -> None:
        for name in ("_sums", "_then", "_counts", "_source", "_out"):
            old: Any = getattr(self, name)
            setattr(self, name, np.concatenate([old, np.zeros_like(old)]))
        self._last = np.concatenate([self._last, np.full_like(self._last, -np.inf)])

    def _known(self, places: Numbers) -> Numbers:
        """Return the same places, with 0 for those of which nothing was seen."""
        return np.where(places < len(self._then), places, 0)

    def sums(self, places: Numbers, now: float) -> Floats:
        """Return the faded sums of some K-Blocks, a row for each half-life of `HALF_LIVES`."""
        places = self._known(places)
        ages = np.maximum(now - self._then[places], 0.0)
        faded: Floats = self._sums[places].T * np.exp2(-_RATES[:, None] * ages)
        return faded

    def counts(self, places: Numbers) -> Floats:
        """Return how often what is `COUNTED` happened, a row for each."""
        return np.asarray(self._counts[self._known(places)].T)

    def last(self, places: Numbers) -> Floats:
        """Return when the last view and the last engagement were, a row for each."""
        return np.asarray(self._last[self._known(places)].T)

    def sources(self, places: Numbers) -> Numbers:
        """Return the number of who touched each K-Block first, 0 for nobody."""
        return np.asarray(self._source[self._known(places)])

    def pull(self, people: Numbers) -> Floats:
        """Return how many readers came to what each of some people touched first, on average."""
        made, came = self._drawn[people].T
        pull: Floats = came / (made + 3)
        return pull

    def follows(self, before: Numbers, places: Numbers) -> list[Floats]:
        """Return which share of those who went on from each K-Block went to each of some."""
        order = np.argsort(places)
        ordered, found = places[order], []
        for place in before.tolist():
            shares = np.zeros(len(places))
            if len(places) and (followers := self._next.get(place)):
                them = np.fromiter(followers, np.intp, len(followers))
                count = np.fromiter(followers.values(), np.float64, len(followers))
                at = np.minimum(np.searchsorted(ordered, them), len(places) - 1)
                is_there = ordered[at] == them
                shares[order[at[is_there]]] = count[is_there] / (self._out[place] + 5)
            found.append(shares)
        return found

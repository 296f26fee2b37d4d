"""What features need of the log beyond affinities: decayed counts, first readers, transitions.

All of it is kept by a K-Block's place in `ItemAttributes`. Its size grows with the number of
K-Blocks alone, and an event is added in constant time. Times are in seconds since 1970.
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
"""The half-lives (seconds) of decayed counts: of first touches by a reader, and of each action."""

COUNTED = (*HALF_LIVES,)
"""The events that are also counted without decay."""

FOLLOWERS = 32
"""So many K-Blocks that readers went on to are kept for each K-Block."""
STEP = 2 * HOUR
"""In seconds: two touches of a reader that are further apart are no transition."""

_KINDS = [kind for kind, half_lives in HALF_LIVES.items() for _ in half_lives]
_RATES = np.array([1 / each for half_lives in HALF_LIVES.values() for each in half_lives])
# What an event adds to the decayed counts and to the others, by the kinds that it counts as.
_ADDED = {
    kinds: tuple(np.array([each in kinds for each in of], np.float64) for of in (_KINDS, COUNTED))
    for kind in COUNTED
    for kinds in ((kind,), (kind, "first"))
}
_FIRST = 64


class Traces:
    """Decayed counts, first readers and transitions of K-Blocks, by their places."""

    def __init__(self) -> None:
        self._sums = np.zeros((_FIRST, len(_RATES)))
        self._then = np.zeros(_FIRST)
        self._counts = np.zeros((_FIRST, len(COUNTED)))
        self._last = np.full((_FIRST, 2), -np.inf)  # view, engagement
        self._first_reader = np.zeros(_FIRST, np.intp)
        self._people: dict[str, int] = {}
        # By first reader: the K-Blocks that they touched first, and the readers who came after.
        self._audience = np.zeros((_FIRST, 2))
        self._next: dict[int, dict[int, float]] = {}
        self._out = np.zeros(_FIRST)

    def see(self, touch: Touch, place: int, previous: int | None, *, is_first: bool) -> None:
        """Add an event on the K-Block at `place`.

        `previous` is the place of the K-Block that the reader touched before within `STEP`, or
        None. `is_first` says that the reader had not touched this K-Block before.
        """
        at = touch.at / MICROS
        # The event on the K-Block before may come later, as that of another process.
        while max(place, previous or 0) >= len(self._then):
            self._grow()
        if not self._first_reader[place]:
            self._begin(place, touch.user_id)
        elif is_first:
            self._audience[self._first_reader[place], 1] += 1
        is_reader = is_first and touch.action in {FeedbackAction.VIEW, FeedbackAction.ENGAGE}
        self._add((touch.action, "first") if is_reader else (touch.action,), place, at)
        if touch.action == FeedbackAction.VIEW:
            self._last[place, 0] = max(self._last[place, 0], at)
        elif touch.action == FeedbackAction.ENGAGE:
            self._last[place, 1] = max(self._last[place, 1], at)
        if previous is not None and is_first:
            self._follow(previous, place)

    def _begin(self, place: int, user_id: str) -> None:
        """Set the first reader of a K-Block; all guests count as one reader."""
        person = 1
        if user_id != GUEST:
            person = self._people.setdefault(user_id, len(self._people) + 2)
        if person >= len(self._audience):
            self._audience = np.concatenate([self._audience, np.zeros_like(self._audience)])
        self._first_reader[place] = person
        self._audience[person, 0] += 1

    def _add(self, kinds: tuple[str, ...], place: int, at: float) -> None:
        if kinds not in _ADDED:
            return
        decayed, counted = _ADDED[kinds]
        then, row = self._then.item(place), self._sums[place]
        if at < then:
            row += decayed * np.exp2((at - then) * _RATES)
        else:
            if at > then:
                row *= np.exp2((then - at) * _RATES)
                self._then[place] = at
            row += decayed
        self._counts[place] += counted

    def _follow(self, previous: int, place: int) -> None:
        followers = self._next.setdefault(previous, {})
        if place not in followers and len(followers) >= FOLLOWERS:
            del followers[min(followers, key=followers.__getitem__)]
        followers[place] = followers.get(place, 0.0) + 1
        self._out[previous] += 1

    def _grow(self) -> None:
        for name in ("_sums", "_then", "_counts", "_first_reader", "_out"):
            old: Any = getattr(self, name)
            setattr(self, name, np.concatenate([old, np.zeros_like(old)]))
        self._last = np.concatenate([self._last, np.full_like(self._last, -np.inf)])

    def _known(self, places: Numbers) -> Numbers:
        """Return the same places, with 0 for those that no event was about."""
        return np.where(places < len(self._then), places, 0)

    def sums(self, places: Numbers, now: float) -> Floats:
        """Return decayed counts at `now` (seconds): half-lives of `HALF_LIVES` × places."""
        places = self._known(places)
        ages = np.maximum(now - self._then[places], 0.0)
        decayed: Floats = self._sums[places].T * np.exp2(-_RATES[:, None] * ages)
        return decayed

    def counts(self, places: Numbers) -> Floats:
        """Return event counts without decay: `COUNTED` × places."""
        return np.asarray(self._counts[self._known(places)].T)

    def last(self, places: Numbers) -> Floats:
        """Return the times of the last view and the last engagement, in seconds: 2 × places."""
        return np.asarray(self._last[self._known(places)].T)

    def first_readers(self, places: Numbers) -> Numbers:
        """Return the number of the first reader of each K-Block, 0 for none, 1 for a guest."""
        return np.asarray(self._first_reader[self._known(places)])

    def audience(self, people: Numbers) -> Floats:
        """Return the mean number of later readers of the K-Blocks that each person touched first.

        The mean is drawn towards 0 as by three more K-Blocks without readers.
        """
        first, came = self._audience[people].T
        mean: Floats = came / (first + 3)
        return mean

    def transitions(self, origins: Numbers, places: Numbers) -> list[Floats]:
        """Return, for each origin, the share of its readers who went on to each of some places.

        The shares are drawn towards 0 as by five more readers who went elsewhere.
        """
        order = np.argsort(places)
        ordered, found = places[order], []
        for place in origins.tolist():
            shares = np.zeros(len(places))
            if len(places) and (followers := self._next.get(place)):
                targets = np.fromiter(followers, np.intp, len(followers))
                count = np.fromiter(followers.values(), np.float64, len(followers))
                at = np.minimum(np.searchsorted(ordered, targets), len(places) - 1)
                is_asked = ordered[at] == targets
                shares[order[at[is_asked]]] = count[is_asked] / (self._out[place] + 5)
            found.append(shares)
        return found

"""Impressions: the choices that a log's readers made, and what they could choose from."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from heapq import heappop, heappush
from typing import NamedTuple

import numpy as np

from harken.domain.feedback import GUEST, FeedbackAction
from harken.services.readers.co_engagement import Numbers
from harken.services.readers.history import Touch

_MICRO = timedelta(microseconds=1)
WARM_UP = timedelta(days=30)
NEWS = timedelta(days=14) // _MICRO
QUIET = timedelta(minutes=30) // _MICRO
FEWEST = 20

INTEREST = frozenset({FeedbackAction.VIEW, FeedbackAction.ENGAGE})
"""What readers do with what they turn to."""


class Event(NamedTuple):
    """A touch, and the session and the slate that it belongs to where the log says them."""

    touch: Touch
    session_id: str | None = None
    request_id: str | None = None


class Impression(NamedTuple):
    """A choice that somebody made: which of the candidates, and what they could know.

    `cold` is a K-Block that nobody touched in the half hour before, `session_first` the first
    impression of a session.
    """

    candidates: tuple[str, ...]
    answer: int
    cold: bool
    session_first: bool


@dataclass
class _Touched:
    """The numbers of what a reader touched, as far as it is news."""

    numbers: set[int] = field(default_factory=set)
    _ordered: list[int] = field(default_factory=list)  # a heap of the same

    def add(self, number: int) -> None:
        if number not in self.numbers:
            self.numbers.add(number)
            heappush(self._ordered, number)

    def forget(self, before: int) -> None:
        while self._ordered and self._ordered[0] < before:
            self.numbers.discard(heappop(self._ordered))


class Window:
    """What was seen of the log so far, as far as the protocol needs it.

    K-Blocks have numbers, in the order in which they were first seen. So what is news is all from
    one number on. Events and questions come in the order of time. There are no impressions in the
    log's first `warm_up`, when little is known of anybody.
    """

    def __init__(self, warm_up: timedelta = WARM_UP) -> None:
        self._warm_up = warm_up // _MICRO
        self.start: int | None = None
        self.kblocks: list[str] = []
        """The ids of K-Blocks by their numbers."""
        self._numbers: dict[str, int] = {}
        self._first: list[int] = []
        self._last: list[int] = []
        self._oldest = 0
        self._touched: dict[str, _Touched] = {}
        self._visits: dict[str, int] = {}
        self._sessions: set[tuple[str, str]] = set()
        self._counted: set[str] = set()

    def impression(self, event: Event) -> Impression | None:
        """Return the choice that an event is, if it is one, by what was seen before."""
        if not self.is_impression(event):
            return None
        touch = event.touch
        candidates = self.named(self.candidates(touch.user_id, touch.at).tolist())
        return self.choice(event, candidates)

    def is_impression(self, event: Event) -> bool:
        """Tell whether there is one; the candidates are counted, and not listed."""
        touch = event.touch
        if (
            self.start is None
            or touch.at - self.start < self._warm_up
            or not self._is_choice(touch)
        ):
            return False
        news = len(self.kblocks) - self._oldest_at(touch.at)
        return news - len(self._touched_by(touch.user_id)) > FEWEST

    def choice(self, event: Event, candidates: tuple[str, ...]) -> Impression | None:
        """Return the choice among some of the candidates; None if it was none of these."""
        touch = event.touch
        if touch.kblock_id not in candidates:
            return None
        return Impression(
            candidates,
            candidates.index(touch.kblock_id),
            touch.at - self._last[self._numbers[touch.kblock_id]] > QUIET,
            self._is_first(event),
        )

    def candidates(self, user_id: str, now: int) -> Numbers:
        """Return the numbers of what is news and was not touched by a reader, in their order."""
        oldest = self._oldest_at(now)
        news = np.arange(oldest, len(self.kblocks))
        touched = [number - oldest for number in self._touched_by(user_id)]
        return np.delete(news, touched)

    def named(self, numbers: Iterable[int]) -> tuple[str, ...]:
        """Return the ids of K-Blocks by their numbers."""
        return tuple(self.kblocks[number] for number in numbers)

    def _oldest_at(self, now: int) -> int:
        while self._oldest < len(self._first) and self._first[self._oldest] < now - NEWS:
            self._oldest += 1
        return self._oldest

    def _touched_by(self, user_id: str) -> set[int]:
        touched = self._touched.get(user_id)
        if touched is None:
            return set()
        touched.forget(self._oldest)
        return touched.numbers

    def _is_choice(self, touch: Touch) -> bool:
        """Whether it is a named reader's first touch, by interest, of what another touched."""
        number = self._numbers.get(touch.kblock_id)
        return (
            number is not None
            and touch.user_id != GUEST
            and touch.action in INTEREST
            and number >= self._oldest_at(touch.at)
            and number not in self._touched_by(touch.user_id)
        )

    def _is_first(self, event: Event) -> bool:
        user_id = event.touch.user_id
        if event.session_id is not None:
            return (user_id, event.session_id) not in self._sessions
        return user_id not in self._counted or self._is_away(event.touch)

    def _is_away(self, touch: Touch) -> bool:
        return touch.at - self._visits.get(touch.user_id, touch.at) > QUIET

    def see(self, event: Event, *, counted: bool) -> int:
        """Take up an event, and whether it was an impression; returns the K-Block's number."""
        touch = event.touch
        if self.start is None:
            self.start = touch.at
        number = self._numbers.setdefault(touch.kblock_id, len(self.kblocks))
        if number == len(self.kblocks):
            self.kblocks.append(touch.kblock_id)
            self._first.append(touch.at)
            self._last.append(touch.at)
        self._last[number] = touch.at
        if touch.user_id != GUEST and number >= self._oldest_at(touch.at):
            touched = self._touched.setdefault(touch.user_id, _Touched())
            touched.forget(self._oldest)
            touched.add(number)
        self._note_session(event, counted=counted)
        return number

    def _note_session(self, event: Event, *, counted: bool) -> None:
        user_id = event.touch.user_id
        if self._is_away(event.touch):
            self._counted.discard(user_id)
        self._visits[user_id] = event.touch.at
        if counted:
            self._counted.add(user_id)
            if event.session_id is not None:
                self._sessions.add((user_id, event.session_id))

"""Impressions of a log: what readers chose, and the candidates that they could choose from."""

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
"""The actions that show interest in a K-Block."""


class Event(NamedTuple):
    """A touch with its session and slate; None where the log does not name them."""

    touch: Touch
    session_id: str | None = None
    request_id: str | None = None


class Impression(NamedTuple):
    """A reader's choice among candidates; `answer` is the index of the chosen one.

    `cold`: nobody touched the chosen K-Block in the half hour before. `session_first`: it is the
    first impression of a session.
    """

    candidates: tuple[str, ...]
    answer: int
    cold: bool
    session_first: bool


@dataclass
class _Touched:
    """The numbers of the recent K-Blocks that a reader touched."""

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
    """Finds impressions in a log, by the events observed so far.

    K-Blocks have numbers, in the order in which they first occurred. So the recent ones are all
    from some number on. Events and requests must come in the order of time. The log's first
    `warm_up` has no impressions, since little is known of anybody then.
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
        """Return the impression that an event is, by earlier events; None if it is none."""
        if not self.is_impression(event):
            return None
        touch = event.touch
        candidates = self.named(self.candidates(touch.user_id, touch.at).tolist())
        return self.impression_among(event, candidates)

    def is_impression(self, event: Event) -> bool:
        """Return whether an event is an impression, without listing the candidates."""
        return event.touch.action in INTEREST and self.is_first_touch(event)

    def is_first_touch(self, event: Event) -> bool:
        """Return whether an event is an impression, or would be one with another action."""
        touch = event.touch
        if (
            self.start is None
            or touch.at - self.start < self._warm_up
            or not self._is_new_to_reader(touch)
        ):
            return False
        news = len(self.kblocks) - self._oldest_at(touch.at)
        return news - len(self._touched_by(touch.user_id)) > FEWEST

    def impression_among(self, event: Event, candidates: tuple[str, ...]) -> Impression | None:
        """Return the impression among some candidates; None if the K-Block is not among them."""
        touch = event.touch
        if touch.kblock_id not in candidates:
            return None
        return Impression(
            candidates,
            candidates.index(touch.kblock_id),
            self.is_cold(touch),
            self._is_first(event),
        )

    def is_cold(self, touch: Touch) -> bool:
        """Return whether nobody touched the K-Block of a touch, a known one, in `QUIET` before."""
        return touch.at - self._last[self._numbers[touch.kblock_id]] > QUIET

    def candidates(self, user_id: str, now: int) -> Numbers:
        """Return the numbers of recent K-Blocks that a reader did not touch, ascending."""
        oldest = self._oldest_at(now)
        news = np.arange(oldest, len(self.kblocks))
        touched = [number - oldest for number in self._touched_by(user_id)]
        return np.delete(news, touched)

    def named(self, numbers: Iterable[int]) -> tuple[str, ...]:
        """Return the ids of the K-Blocks with these numbers."""
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

    def _is_new_to_reader(self, touch: Touch) -> bool:
        """Whether a named reader touches a known, recent K-Block for the first time."""
        number = self._numbers.get(touch.kblock_id)
        return (
            number is not None
            and touch.user_id != GUEST
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

    def observe(self, event: Event, *, counted: bool) -> int:
        """Observe an event; returns its K-Block's number.

        `counted` says whether the event was an impression.
        """
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

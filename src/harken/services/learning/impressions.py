"""Impressions: the choices that a log's readers made, and what they could choose from."""

from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

from harken.domain.feedback import GUEST, FeedbackAction
from harken.services.feed.reader_memory import Touch

_MICRO = timedelta(microseconds=1)
WARM_UP = timedelta(days=30) // _MICRO
NEWS = timedelta(days=14) // _MICRO
QUIET = timedelta(minutes=30) // _MICRO
FEWEST = 20


class Event(NamedTuple):
    """A touch, and the session that it belongs to where the log says one."""

    touch: Touch
    session_id: str | None = None


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
class Window:
    """What was seen of the log so far, as far as the protocol needs it."""

    start: int | None = None
    first: dict[str, int] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    news: deque[str] = field(default_factory=deque)
    touched: dict[str, set[str]] = field(default_factory=dict)
    visits: dict[str, int] = field(default_factory=dict)
    sessions: set[tuple[str, str]] = field(default_factory=set)
    counted: set[str] = field(default_factory=set)

    def impression(self, event: Event) -> Impression | None:
        """Return the choice that an event is, if it is one, by what was seen before."""
        touch = event.touch
        if self.start is None or touch.at - self.start < WARM_UP or not self._is_choice(touch):
            return None
        while self.first[self.news[0]] < touch.at - NEWS:
            self.news.popleft()
        touched = self.touched.get(touch.user_id, set())
        candidates = tuple(each for each in self.news if each not in touched)
        if len(candidates) <= FEWEST:
            return None
        return Impression(
            candidates,
            candidates.index(touch.kblock_id),
            touch.at - self.last[touch.kblock_id] > QUIET,
            self._is_first(event),
        )

    def _is_choice(self, touch: Touch) -> bool:
        """Whether it is a named reader's first touch, by interest, of what another touched."""
        first = self.first.get(touch.kblock_id)
        return (
            first is not None
            and touch.at - first <= NEWS
            and touch.user_id != GUEST
            and touch.action in {FeedbackAction.VIEW, FeedbackAction.ENGAGE}
            and touch.kblock_id not in self.touched.get(touch.user_id, set())
        )

    def _is_first(self, event: Event) -> bool:
        user_id = event.touch.user_id
        if event.session_id is not None:
            return (user_id, event.session_id) not in self.sessions
        return user_id not in self.counted or self._is_away(event.touch)

    def _is_away(self, touch: Touch) -> bool:
        return touch.at - self.visits.get(touch.user_id, touch.at) > QUIET

    def see(self, event: Event, *, counted: bool) -> None:
        """Take up an event, and whether it was an impression."""
        touch = event.touch
        if self.start is None:
            self.start = touch.at
        if touch.kblock_id not in self.first:
            self.first[touch.kblock_id] = touch.at
            self.news.append(touch.kblock_id)
        self.last[touch.kblock_id] = touch.at
        self.touched.setdefault(touch.user_id, set()).add(touch.kblock_id)
        self._note_session(event, counted=counted)

    def _note_session(self, event: Event, *, counted: bool) -> None:
        user_id = event.touch.user_id
        if self._is_away(event.touch):
            self.counted.discard(user_id)
        self.visits[user_id] = event.touch.at
        if counted:
            self.counted.add(user_id)
            if event.session_id is not None:
                self.sessions.add((user_id, event.session_id))

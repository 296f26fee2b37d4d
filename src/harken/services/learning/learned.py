"""The learned order in a replay: trained again and again, from the past alone.

Time is cut into periods from the log's first event on. Who asks in a period is answered by a model
of the choices before it. That it is trained only when somebody asks changes nothing.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harken.domain.feedback import FeedbackAction
from harken.services.features.state import Features
from harken.services.features.traces import Matrix
from harken.services.feed.reader_memory import Touch
from harken.services.learning.impressions import Event, Impression, Window
from harken.services.learning.ranker import (
    DISMISSED,
    ENGAGED,
    PASSED,
    READ,
    VIEWED,
    Example,
    Floats,
    Model,
    RankerSettings,
    lightgbm_or_refusal,
    train,
)

RETRAIN = timedelta(days=7)

LONG_DWELL = 30_000
"""Milliseconds from which on a view counts as read."""

_MICRO = timedelta(microseconds=1)


@dataclass(frozen=True)
class LearnedSettings:
    """What is learned from: choices of the last `window`, the latest `most` of them.

    Of each choice's other candidates, `others` are drawn with `seed`. That all are drawn alike
    matters: with more of the likely ones, what is unlikely is hardly met, and thought too well of.
    """

    retrain_every: timedelta = RETRAIN
    window: timedelta = timedelta(weeks=12)
    most: int = 12_000
    others: int = 40
    seed: int = 0
    ranker: RankerSettings = field(default_factory=RankerSettings)

    def __post_init__(self) -> None:
        if self.retrain_every <= timedelta():
            raise ValueError("retrain_every must be more than 0")


class _Choice(NamedTuple):
    """A choice to learn from: some candidates, and their features."""

    at: int
    user_id: str
    kblock_ids: tuple[str, ...]
    matrix: Matrix


class _Asked(NamedTuple):
    """What was computed for the last that was asked."""

    user_id: str
    kblock_ids: tuple[str, ...]
    now: int
    matrix: Matrix


def grade(touch: Touch) -> int:
    """Return how good a touch says that its K-Block was for its reader."""
    match touch.action:
        case FeedbackAction.DISMISS:
            return DISMISSED
        case FeedbackAction.ENGAGE:
            return ENGAGED
        case FeedbackAction.VIEW if (touch.dwell_time_ms or 0) >= LONG_DWELL:
            return READ
        case FeedbackAction.VIEW:
            return VIEWED
        case _:
            return PASSED


class Learned:
    """The learned order; the personal one, until there are choices enough.

    Raises MissingExtra without LightGBM, at once and not when it is first needed.
    """

    def __init__(self, settings: LearnedSettings | None = None) -> None:
        lightgbm_or_refusal()
        self.settings = settings or LearnedSettings()
        self.models: list[Model] = []
        """All that was trained, the latest last."""
        self._features = Features()
        self._window = Window()
        self._choices: deque[_Choice] = deque()
        self._grades: dict[tuple[str, str], list[tuple[int, int]]] = {}
        self._count = 0
        self._period = -1
        self._trained = -1
        self._model: Model | None = None
        self._asked: _Asked | None = None

    def see(self, touch: Touch) -> None:
        """Take up an event, and learn from it if it is a choice."""
        self._turn(touch.at)
        event = Event(touch)
        impression = self._window.impression(event)
        if impression is not None:
            self._learn(touch, impression)
        self._note(touch)
        self._window.see(event, counted=False)
        self._features.see(touch)
        self._asked = None

    def score(self, user_id: str, kblock_ids: Sequence[str], now: int) -> Floats:
        """Return the scores."""
        model = self._model_at(now)
        if model is None:
            return self._features.tastes.score(user_id, kblock_ids, now).total
        return model.rank(self._matrix(user_id, tuple(kblock_ids), now))

    def _matrix(self, user_id: str, kblock_ids: tuple[str, ...], now: int) -> Matrix:
        asked = self._asked
        if asked is None or asked[:3] != (user_id, kblock_ids, now):
            matrix = self._features.matrix(user_id, kblock_ids, now)
            asked = self._asked = _Asked(user_id, kblock_ids, now, matrix)
        return asked.matrix

    # What is learned from

    def _learn(self, touch: Touch, impression: Impression) -> None:
        matrix = self._matrix(touch.user_id, impression.candidates, touch.at)
        kept = self._kept(len(matrix), impression.answer)
        kblocks = tuple(impression.candidates[i] for i in kept)
        self._choices.append(_Choice(touch.at, touch.user_id, kblocks, matrix[kept]))

    def _kept(self, candidates: int, answer: int) -> NDArray[np.intp]:
        """Draw what there is to learn from: the answer, and some of the others."""
        self._count += 1
        generator = np.random.default_rng([self.settings.seed, self._count])
        drawn = generator.permutation(candidates)
        drawn = drawn[drawn != answer][: self.settings.others]
        # In an order that does not say which is which.
        return np.sort(np.append(drawn, answer))

    def _note(self, touch: Touch) -> None:
        grades = self._grades.setdefault((touch.user_id, touch.kblock_id), [])
        last = grades[-1][1] if grades else PASSED
        new = grade(touch)
        if new == DISMISSED or (new > last != DISMISSED):
            grades.append((touch.at, new))

    def _graded(self, choice: _Choice, until: int) -> Example:
        """Say what became of a choice's K-Blocks, as it was known at a time."""
        grades = [self._grade(choice, kblock_id, until) for kblock_id in choice.kblock_ids]
        return Example(choice.at, choice.matrix, np.array(grades, np.int8))

    def _grade(self, choice: _Choice, kblock_id: str, until: int) -> int:
        """Return the best that came of what was chosen; the others were passed over."""
        touches = self._grades.get((choice.user_id, kblock_id), ())
        known = [(at, each) for at, each in touches if at < until]
        if known and (known[0][0] == choice.at or known[-1][1] == DISMISSED):
            return known[-1][1]
        return PASSED

    # When

    def _turn(self, now: int) -> None:
        """Forget what is too long ago, where a period begins."""
        period = self._period_of(now)
        if period <= self._period:
            return
        self._period = period
        oldest = self._begin(period) - self.settings.window // _MICRO
        while self._choices and (
            self._choices[0].at < oldest or len(self._choices) > self.settings.most
        ):
            self._choices.popleft()

    def _period_of(self, now: int) -> int:
        if self._window.start is None:
            return -1
        return (now - self._window.start) // (self.settings.retrain_every // _MICRO)

    def _begin(self, period: int) -> int:
        return (self._window.start or 0) + period * (self.settings.retrain_every // _MICRO)

    def _model_at(self, now: int) -> Model | None:
        self._turn(now)
        if self._trained < self._period:
            self._trained = self._period
            until = self._begin(self._period)
            examples = [self._graded(each, until) for each in self._choices if each.at < until]
            model = train(examples, self.settings.ranker)
            if model is not None:
                self._model = model
                self.models.append(model)
        return self._model

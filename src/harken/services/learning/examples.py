"""Choices to learn from: what could be chosen, as it was then, and what became of it.

    slate        what a reader was shown, each K-Block in its place
    impression   what a reader turned to where no slate is known, and some that they could have

Of both, the features are those of the moment, among the candidates of the moment. What the reader
did afterwards is the grade, as far as it was known when the model was trained.
"""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harken.domain.feedback import FeedbackAction
from harken.services.features.traces import Matrix
from harken.services.learning.impressions import Event
from harken.services.learning.point_in_time import PointInTimeWalk, Slate
from harken.services.learning.ranker import (
    DISMISSED,
    ENGAGED,
    PASSED,
    READ,
    VIEWED,
    Example,
)
from harken.services.readers.history import Touch

LONG_DWELL = 30_000
"""Milliseconds from which on a view counts as read."""


class Choice(NamedTuple):
    """A choice to learn from: some candidates, and their features.

    `places` are their positions in the slate `request_id`, if there was one.
    """

    at: int
    user_id: str
    kblock_ids: tuple[str, ...]
    matrix: Matrix
    request_id: str | None = None
    places: NDArray[np.float32] | None = None


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


class _Grades:
    """The best that somebody did with a K-Block, and since when; a dismissal goes before it."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], list[tuple[int, int]]] = {}

    def note(self, owner: str, touch: Touch, *, begins: bool) -> None:
        """Take up a touch; but for dismissals, only where it `begins` or goes on."""
        new, key = grade(touch), (owner, touch.kblock_id)
        if not begins and new != DISMISSED and key not in self._known:
            return
        known = self._known.setdefault(key, [])
        last = known[-1][1] if known else PASSED
        if new == DISMISSED or (new > last != DISMISSED):
            known.append((touch.at, new))

    def known(self, owner: str, kblock_id: str, until: int) -> list[tuple[int, int]]:
        """Return when which grade was reached, as far as it was known at a time."""
        return [each for each in self._known.get((owner, kblock_id), ()) if each[0] < until]


class Choices:
    """The choices of a walk, the latest last, and what became of them.

    Of each impression's other candidates, `others` are drawn with `seed`.
    """

    def __init__(self, others: int, seed: int) -> None:
        self.skipped = 0
        """Impressions whose K-Block the first stage had left out, so that nothing is learned."""
        self._others, self._seed = others, seed
        self._kept: deque[Choice] = deque()
        self._of_readers, self._of_slates = _Grades(), _Grades()

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[Choice]:
        return iter(self._kept)

    def forget(self, before: int, most: int) -> None:
        """Forget those before a time, and all but the latest."""
        while self._kept and (self._kept[0].at < before or len(self._kept) > most):
            self._kept.popleft()

    def show(self, walk: PointInTimeWalk, slate: Slate) -> None:
        """Take up a slate, before any event that is not earlier.

        Ranks are those among what a feed would look at then, together with what was shown. Of
        these, what was shown is learned from.
        """
        walk.meet(slate.kblock_ids)
        shown = dict.fromkeys(slate.kblock_ids)
        others = [each for each in walk.candidates(slate.user_id, slate.at) if each not in shown]
        matrix = walk.matrix(slate.user_id, (*shown, *others), slate.at)[: len(shown)].copy()
        places = np.array([slate.kblock_ids.index(each) for each in shown], np.float32)
        places += slate.position
        self._kept.append(
            Choice(slate.at, slate.user_id, (*shown,), matrix, slate.request_id, places)
        )

    def choose(self, walk: PointInTimeWalk, event: Event, number: int) -> None:
        """Take up an impression, before it is seen; `number` is its own among all of them."""
        touch = event.touch
        candidates = walk.candidates(touch.user_id, touch.at)
        if touch.kblock_id not in candidates:
            self.skipped += 1
            return
        matrix = walk.matrix(touch.user_id, candidates, touch.at)
        kept = self._drawn(len(matrix), candidates.index(touch.kblock_id), number)
        kblocks = tuple(candidates[i] for i in kept)
        self._kept.append(Choice(touch.at, touch.user_id, kblocks, matrix[kept]))

    def _drawn(self, candidates: int, answer: int, number: int) -> NDArray[np.intp]:
        """Draw what there is to learn from: the answer, and some of the others."""
        generator = np.random.default_rng([self._seed, number])
        drawn = generator.permutation(candidates)
        drawn = drawn[drawn != answer][: self._others]
        # In an order that does not say which is which.
        return np.sort(np.append(drawn, answer))

    def note(self, touch: Touch, request_id: str | None = None, *, chosen: bool) -> None:
        """Take up what somebody did; whether it is a choice; the slate that led to it, if any."""
        self._of_readers.note(touch.user_id, touch, begins=chosen)
        if request_id is not None:
            self._of_slates.note(request_id, touch, begins=True)

    def examples(self, until: int) -> list[Example]:
        """Return what there is to learn at a time, the latest last."""
        return [self.graded(each, until) for each in self._kept if each.at < until]

    def graded(self, choice: Choice, until: int) -> Example:
        """Say what became of a choice's K-Blocks, as it was known at a time."""
        grades = [self._grade(choice, kblock_id, until) for kblock_id in choice.kblock_ids]
        return Example(choice.at, choice.matrix, np.array(grades, np.int8), choice.places)

    def _grade(self, choice: Choice, kblock_id: str, until: int) -> int:
        """Return the best that came of what was chosen; the others were passed over."""
        if choice.request_id is not None:
            known = self._of_slates.known(choice.request_id, kblock_id, until)
            return known[-1][1] if known else PASSED
        known = self._of_readers.known(choice.user_id, kblock_id, until)
        if known and (known[0][0] == choice.at or known[-1][1] == DISMISSED):
            return known[-1][1]
        return PASSED

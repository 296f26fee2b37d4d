"""Training examples: candidates with their features at the time, and the grades that readers gave.

    slate        the K-Blocks that a reader was shown, with their positions
    impression   where no slate is known: the K-Block that a reader chose, and some other candidates

Features are those at the time of the slate or impression, computed among the candidates of that
time. A grade says what the reader did with a K-Block, as far as it was known at training time.
"""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harken.domain.feedback import FeedbackAction
from harken.services.features.traces import Matrix
from harken.services.learning.impressions import Event
from harken.services.learning.objectives.outcomes import LONG_DWELL, Case
from harken.services.learning.point_in_time import PointInTimeReplay, Slate
from harken.services.learning.ranker import (
    DISMISSED,
    ENGAGED,
    PASSED,
    READ,
    VIEWED,
    Example,
)
from harken.services.readers.history import Touch


class PendingExample(NamedTuple):
    """Candidates and their features (candidates × `NAMES`), before they have grades.

    `at` is in microseconds since 1970. `places` are the candidates' positions in the slate
    `request_id`; both are None for an impression without a slate. `weight` is that of `Example`.
    """

    at: int
    user_id: str
    kblock_ids: tuple[str, ...]
    matrix: Matrix
    request_id: str | None = None
    places: NDArray[np.float32] | None = None
    weight: float = 1.0


def grade(touch: Touch) -> int:
    """Return the grade that a touch gives its K-Block: see `ranker.DISMISSED` and the others."""
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
    """The best grade of each K-Block by owner, with times; a dismissal overrides any other."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], list[tuple[int, int]]] = {}

    def add_feedback(self, owner: str, touch: Touch, *, begins: bool) -> None:
        """Record a touch's grade.

        Without `begins`, only a dismissal or a touch of a K-Block that has a grade counts.
        """
        new, key = grade(touch), (owner, touch.kblock_id)
        if not begins and new != DISMISSED and key not in self._known:
            return
        known = self._known.setdefault(key, [])
        last = known[-1][1] if known else PASSED
        if new == DISMISSED or (new > last != DISMISSED):
            known.append((touch.at, new))

    def known(self, owner: str, kblock_id: str, until: int) -> list[tuple[int, int]]:
        """Return (time, grade) pairs from before `until`, in the order of time."""
        return [each for each in self._known.get((owner, kblock_id), ()) if each[0] < until]


class ExampleCollector:
    """Collects examples during a replay, the latest last, and the grades that follow.

    Of each impression's other candidates, `others` are sampled with `seed`. An impression weighs
    `cold_weight` if it is cold (`Window.is_cold`), else 1, as a slate does.
    """

    def __init__(self, others: int, seed: int, cold_weight: float = 1.0) -> None:
        self.skipped = 0
        """Impressions that made no example, since their K-Block was not among the candidates."""
        self._others, self._seed, self._cold_weight = others, seed, cold_weight
        self._kept: deque[PendingExample] = deque()
        self._of_readers, self._of_slates = _Grades(), _Grades()

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[PendingExample]:
        return iter(self._kept)

    def discard(self, before: int, most: int) -> None:
        """Discard examples before a time (microseconds), and all but the latest `most`."""
        while self._kept and (self._kept[0].at < before or len(self._kept) > most):
            self._kept.popleft()

    def add_slate(self, replay: PointInTimeReplay, slate: Slate) -> None:
        """Add a slate; call it before any event of the same time or later is observed.

        Rank features are computed among the shown K-Blocks and the candidates of that time. Only
        the shown K-Blocks become an example.
        """
        replay.describe(slate.kblock_ids)
        shown = dict.fromkeys(slate.kblock_ids)
        others = [each for each in replay.candidates(slate.user_id, slate.at) if each not in shown]
        matrix = replay.matrix(slate.user_id, (*shown, *others), slate.at)[: len(shown)].copy()
        places = np.array([slate.kblock_ids.index(each) for each in shown], np.float32)
        places += slate.position
        self._kept.append(
            PendingExample(slate.at, slate.user_id, (*shown,), matrix, slate.request_id, places)
        )

    def add_impression(self, replay: PointInTimeReplay, event: Event, number: int) -> None:
        """Add an impression before its event is observed; `number` is its ordinal, from 1."""
        touch = event.touch
        candidates = replay.candidates(touch.user_id, touch.at)
        if touch.kblock_id not in candidates:
            self.skipped += 1
            return
        matrix = replay.matrix(touch.user_id, candidates, touch.at)
        kept = self._drawn(len(matrix), candidates.index(touch.kblock_id), number)
        kblocks = tuple(candidates[i] for i in kept)
        weight = self._cold_weight if replay.window.is_cold(touch) else 1.0
        self._kept.append(
            PendingExample(touch.at, touch.user_id, kblocks, matrix[kept], weight=weight)
        )

    def _drawn(self, candidates: int, answer: int, number: int) -> NDArray[np.intp]:
        """Sample the candidates of an example: the chosen one and some of the others."""
        generator = np.random.default_rng([self._seed, number])
        drawn = generator.permutation(candidates)
        drawn = drawn[drawn != answer][: self._others]
        # Sorted, so that the order does not reveal the chosen one.
        return np.sort(np.append(drawn, answer))

    def add_feedback(
        self, touch: Touch, request_id: str | None = None, *, is_impression: bool
    ) -> None:
        """Record what a reader did, and the slate that led to it, if any."""
        self._of_readers.add_feedback(touch.user_id, touch, begins=is_impression)
        if request_id is not None:
            self._of_slates.add_feedback(request_id, touch, begins=True)

    def examples(self, until: int) -> list[Example]:
        """Return the examples before `until` with their grades as of then, the latest last."""
        return [self.with_grades(each, until) for each in self._kept if each.at < until]

    def cases(self, until: int) -> Iterator[Case]:
        """Yield what readers touched in the examples before `until`, for the objectives."""
        for example in self._kept:
            if example.at >= until:
                continue
            for kblock_id, row in zip(example.kblock_ids, example.matrix, strict=True):
                if self._is_touched(example, kblock_id, until):
                    yield Case(example.user_id, kblock_id, example.at, row)

    def _is_touched(self, example: PendingExample, kblock_id: str, until: int) -> bool:
        if example.request_id is not None:
            return bool(self._of_slates.known(example.request_id, kblock_id, until))
        known = self._of_readers.known(example.user_id, kblock_id, until)
        return bool(known) and known[0][0] == example.at

    def with_grades(self, example: PendingExample, until: int) -> Example:
        """Return an example with its grades as of `until` (microseconds since 1970)."""
        grades = [self._grade(example, kblock_id, until) for kblock_id in example.kblock_ids]
        return Example(
            example.at, example.matrix, np.array(grades, np.int8), example.places, example.weight
        )

    def _grade(self, example: PendingExample, kblock_id: str, until: int) -> int:
        """Return the best grade of a K-Block; those without feedback were passed over."""
        if example.request_id is not None:
            known = self._of_slates.known(example.request_id, kblock_id, until)
            return known[-1][1] if known else PASSED
        known = self._of_readers.known(example.user_id, kblock_id, until)
        if known and (known[0][0] == example.at or known[-1][1] == DISMISSED):
            return known[-1][1]
        return PASSED

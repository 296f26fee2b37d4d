"""What followed when a reader touched a K-Block: the labels of the objectives, read from a log.

    engage    the reader engaged with the K-Block within an hour
    dwell     a view of it in that hour took 30 s or more; not known where no view was timed
    dismiss   the reader dismissed it within an hour
    return    the reader did anything at all, from half an hour to a day later

So an outcome is known an hour after the touch, or a day.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harken.domain.feedback import FeedbackAction
from harken.domain.objectives import OBJECTIVES
from harken.services.features.names import NAMES
from harken.services.features.traces import Matrix
from harken.services.learning.impressions import Event
from harken.services.learning.objectives.heads import LEAST, Head, fit_head
from harken.services.readers.history import Touch

Labels = NDArray[np.int8]

_MICRO = timedelta(microseconds=1)
HOUR, DAY = timedelta(hours=1) // _MICRO, timedelta(days=1) // _MICRO
AWAY = timedelta(minutes=30) // _MICRO
"""Microseconds after which a further event counts as coming back."""
LONG_DWELL = 30_000
"""A view of at least as many milliseconds counts as read."""
UNKNOWN, NO, YES = -1, 0, 1


class Case(NamedTuple):
    """A K-Block that a reader touched, with its features then (shape: `NAMES`)."""

    user_id: str
    kblock_id: str
    at: int
    row: Matrix


def outcomes(cases: Sequence[Case], events: Iterable[Event], until: int) -> Mapping[str, Labels]:
    """Return the labels of cases by objective, as known at `until`; shape: cases.

    `events` are those of the log, in any order; those from `until` on are ignored.
    """
    found = {name: np.full(len(cases), NO, np.int8) for name in OBJECTIVES}
    found["dwell"][:] = UNKNOWN
    by_pair: dict[tuple[str, str], list[int]] = defaultdict(list)
    by_reader: dict[str, list[int]] = defaultdict(list)
    for number, case in enumerate(cases):
        by_pair[case.user_id, case.kblock_id].append(number)
        by_reader[case.user_id].append(number)
    times = {user: np.array([cases[n].at for n in own]) for user, own in by_reader.items()}
    for touch in (event.touch for event in events if event.touch.at < until):
        if touch.user_id not in by_reader:
            continue
        later = touch.at - times[touch.user_id]
        came_back = np.flatnonzero((later >= AWAY) & (later < DAY))
        for place in came_back.tolist():
            found["return"][by_reader[touch.user_id][place]] = YES
        for number in by_pair.get((touch.user_id, touch.kblock_id), ()):
            if 0 <= touch.at - cases[number].at < HOUR:
                _note(found, number, touch)
    ages = until - np.array([case.at for case in cases], np.int64)
    for name, labels in found.items():
        labels[ages < (DAY if name == "return" else HOUR)] = UNKNOWN
    return found


class Fitted(NamedTuple):
    """Heads by objective, and why there is none for the others."""

    heads: Mapping[str, Head]
    problems: Mapping[str, str]


def fit_heads(
    names: Sequence[str], cases: Sequence[Case], events: Iterable[Event], until: int
) -> Fitted:
    """Fit the heads for which there are enough outcomes before `until`.

    Raises MissingExtra without SciPy.
    """
    rows = np.stack([case.row for case in cases]) if cases else np.zeros((0, len(NAMES)))
    heads, problems = {}, {}
    for name, labels in outcomes(cases, events, until).items():
        known = labels != UNKNOWN
        head = fit_head(names, rows[known], labels[known] == YES)
        if head is not None:
            heads[name] = head
        else:
            yes, no = int((labels == YES).sum()), int((labels == NO).sum())
            problems[name] = (
                f"too few to learn from: {yes} with this outcome and {no} without it are known, "
                f"and {LEAST} of each are needed"
            )
    return Fitted(heads, problems)


def _note(found: Mapping[str, Labels], number: int, touch: Touch) -> None:
    match touch.action:
        case FeedbackAction.ENGAGE:
            found["engage"][number] = YES
        case FeedbackAction.DISMISS:
            found["dismiss"][number] = YES
        case FeedbackAction.VIEW if touch.dwell_time_ms is not None:
            is_long = touch.dwell_time_ms >= LONG_DWELL
            found["dwell"][number] = max(found["dwell"][number], YES if is_long else NO)

"""The gate asks whose choice readers took, of the swapped pairs that a candidate would turn.

The pages are those after the candidate's training cut. Its pairs are chosen by the order *before*
they were swapped: then the coin puts the item that the candidate prefers first as often as last.
Among pairs that differ from the order that was shown, it would always be last, and the gate would
be biased against every candidate.

The features are those of the log at the time of each page, as in training. What a model says of an
item is compared with the other items of its page.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from harken.domain.feedback import FeedbackAction
from harken.services.experiments.analysis.moments import Bools, Floats, Ints
from harken.services.experiments.promotion.reader_log import PairedSlate
from harken.services.features.names import NAMES
from harken.services.features.traces import Matrix
from harken.services.learning.point_in_time import PointInTimeState
from harken.services.learning.ranker import Model
from harken.services.learning.training_plan import TrainingData
from harken.services.readers.score_parts import PARTS

MOST_SLATES = 20_000
"""The latest pages that the gate asks: each takes a few milliseconds."""
_SEEN = NAMES.index("already_seen")

Progress = Callable[[int, int], None]


class TurnedPairs(NamedTuple):
    """The pairs that a candidate would turn (arrays of the shape pairs).

    `readers` are numbers of readers, from 0. `on_choice` says whether the item that the candidate
    puts first was engaged with, `on_other` the other one.
    """

    readers: Ints
    on_choice: Bools
    on_other: Bools


def served_scores(model: Model, matrix: Matrix, objectives: Mapping[str, float]) -> Floats:
    """Return the scores by which a feed orders K-Blocks (K-Blocks × `NAMES`)."""
    scores = model.score(matrix)
    if not model.base:  # what the reader touched is lowered, as in the personal order
        scores = scores + matrix[:, _SEEN].astype(np.float64) * PARTS["already_seen"]
    for name, weight in objectives.items():
        if name in model.heads:
            scores = scores + weight * model.heads[name].log_odds(matrix)
    return scores


def turned_pairs(
    log: TrainingData,
    slates: Sequence[PairedSlate],
    model: Model,
    objectives: Mapping[str, float],
    progress: Progress = lambda _done, _total: None,
) -> TurnedPairs:
    """Replay a log, and return the pairs that a model would turn."""
    engaged = _engaged(log, slates)
    numbers: dict[str, int] = {}
    readers: list[int] = []
    choices: list[tuple[bool, bool]] = []
    for slate, matrix in _replayed(log, slates, progress):
        scores = served_scores(model, matrix, objectives)
        own = engaged.get(slate.request_id, set())
        for first, second in _before(slate):
            if scores[second] > scores[first]:
                readers.append(numbers.setdefault(slate.user_id, len(numbers)))
                ids = slate.kblock_ids
                choices.append((ids[second] in own, ids[first] in own))
    found = np.array(choices, np.bool_).reshape(-1, 2)
    return TurnedPairs(np.array(readers, np.intp), found[:, 0], found[:, 1])


def _before(slate: PairedSlate) -> Iterator[tuple[int, int]]:
    """Yield the places on the page of each pair's items, in the order before it was swapped."""
    for at, is_turned in slate.pairs:
        if at + 1 < len(slate.kblock_ids):
            yield (at + 1, at) if is_turned else (at, at + 1)


def _engaged(log: TrainingData, slates: Sequence[PairedSlate]) -> dict[str, set[str]]:
    """Return what the reader of each page engaged with on it."""
    owners = {slate.request_id: slate.user_id for slate in slates}
    found: dict[str, set[str]] = {}
    for event in log.events:
        touch, request_id = event.touch, event.request_id
        if touch.action != FeedbackAction.ENGAGE or request_id is None:
            continue
        if owners.get(request_id) == touch.user_id:
            found.setdefault(request_id, set()).add(touch.kblock_id)
    return found


def _replayed(
    log: TrainingData, slates: Sequence[PairedSlate], progress: Progress
) -> Iterator[tuple[PairedSlate, Matrix]]:
    """Yield each page with the features of its items at its time, from the log alone."""
    state, events = PointInTimeState(log.descriptions), log.events
    shown = _in_time(log, slates)
    done = 0
    for slate in shown:
        while done < len(events) and events[done].touch.at < slate.at:
            state.observe_touch(events[done].touch, from_page=events[done].request_id is not None)
            done += 1
        progress(done, len(events))
        state.describe(slate.kblock_ids)
        yield slate, state.matrix(slate.user_id, slate.kblock_ids, slate.at)


def _in_time(log: TrainingData, slates: Sequence[PairedSlate]) -> list[PairedSlate]:
    """Return the pages in the order of time, none later than what was done on it.

    A client's clock may say that an event was before its page.
    """
    first: dict[str, int] = {}
    for event in log.events:
        if event.request_id is not None:
            first.setdefault(event.request_id, event.touch.at)
    moved = (each._replace(at=min(each.at, first.get(each.request_id, each.at))) for each in slates)
    return sorted(moved, key=lambda each: (each.at, each.request_id))

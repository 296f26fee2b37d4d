"""Replay: process a log in the order of time, and let rankings score each impression.

There is no leakage: a ranking gets the reader, the candidates and the time. It observes the event
itself only after it returned its scores, and later events after that.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from harken.services.evaluation.rankings import Floats, Ranker
from harken.services.learning.impressions import WARM_UP, Event, Impression, Window

SHOWN = 10

SLICES = ("all", "cold", "session_first")

Progress = Callable[[int, int], None]
"""Called with the number of processed events, and the number of all events."""


@dataclass
class Outcome:
    """The result of a replay; each array has the shape impressions.

    `ranks` are the ranks of the chosen K-Blocks, from 1; ties count half. `shown` are the K-Blocks
    that a ranking had among its first ten at least once, `offered` all candidates.
    """

    users: NDArray[np.intp]
    slices: dict[str, NDArray[np.bool_]]
    ranks: dict[str, Floats]
    shown: dict[str, dict[str, set[str]]]
    offered: dict[str, set[str]]
    events: int


class Tally:
    """Collects the outcome of a replay."""

    def __init__(self, names: Iterable[str]) -> None:
        names = list(names)
        self._users: dict[str, int] = {}
        self._of_user: list[int] = []
        self._in_slice: dict[str, list[bool]] = {each: [] for each in SLICES}
        self._ranks: dict[str, list[float]] = {name: [] for name in names}
        self._shown: dict[str, dict[str, set[str]]] = {
            name: {each: set() for each in SLICES} for name in names
        }
        self._offered: dict[str, set[str]] = {each: set() for each in SLICES}

    def add(self, user_id: str, impression: Impression, scores: Mapping[str, Floats]) -> None:
        """Add the scores that rankings gave the candidates of an impression."""
        self._of_user.append(self._users.setdefault(user_id, len(self._users)))
        flags = {"all": True, "cold": impression.cold, "session_first": impression.session_first}
        for each, flag in flags.items():
            self._in_slice[each].append(flag)
            if flag:
                self._offered[each].update(impression.candidates)
        for name, of_name in scores.items():
            self._ranks[name].append(rank_of(of_name, impression.answer))
            shown = [impression.candidates[i] for i in _first(of_name)]
            for each in SLICES:
                if flags[each]:
                    self._shown[name][each].update(shown)

    def outcome(self, events: int) -> Outcome:
        """Return the outcome for a log of this many events."""
        return Outcome(
            np.array(self._of_user, np.intp),
            {each: np.array(flags, np.bool_) for each, flags in self._in_slice.items()},
            {name: np.array(ranks, np.float64) for name, ranks in self._ranks.items()},
            self._shown,
            self._offered,
            events,
        )


def replay(
    events: Iterable[Event],
    rankers: Mapping[str, Ranker],
    score_from: int | None = None,
    progress: Progress = lambda _done, _total: None,
    *,
    wanted: Container[int] | None = None,
    warm_up: timedelta = WARM_UP,
) -> Outcome:
    """Let rankings score every impression from `score_from` on, from the events before it.

    Events are sorted by time; events of the same time keep their order. Events before `score_from`
    (microseconds since 1970) are observed but not scored. With `wanted`, only the events with these
    indexes are scored; the slice `session_first` has no meaning then. Raises ValueError if a
    ranking does not return a finite score for each candidate.
    """
    ordered = sorted(events, key=lambda event: event.touch.at)
    window, tally = Window(warm_up), Tally(rankers)
    for number, event in enumerate(_with_progress(ordered, progress)):
        touch = event.touch
        impression = window.impression(event) if wanted is None or number in wanted else None
        if impression is not None and (score_from is None or touch.at >= score_from):
            scores = {
                name: ask(ranker, touch.user_id, impression.candidates, touch.at)
                for name, ranker in rankers.items()
            }
            tally.add(touch.user_id, impression, scores)
        window.observe(event, counted=impression is not None)
        for ranker in rankers.values():
            ranker.observe(touch)
    return tally.outcome(len(ordered))


def _with_progress(events: Sequence[Event], progress: Progress) -> Iterator[Event]:
    """Yield events and report progress."""
    for done, event in enumerate(events):
        if not done % 1_000:
            progress(done, len(events))
        yield event
    progress(len(events), len(events))


def ask(ranker: Ranker, user_id: str, candidates: tuple[str, ...], now: int) -> Floats:
    """Return a ranking's scores; raises ValueError unless there is a finite one for each."""
    scores = np.asarray(ranker.score(user_id, candidates, now), np.float64)
    if scores.shape != (len(candidates),) or not np.isfinite(scores).all():
        raise ValueError(f"{type(ranker).__name__} must return a finite score for each candidate")
    return scores


def rank_of(scores: Floats, place: int) -> float:
    """Return the rank of a candidate, from 1; each tied candidate counts half."""
    own = scores[place]
    greater, equal = np.count_nonzero(scores > own), np.count_nonzero(scores == own)
    return 1 + greater + (equal - 1) / 2


def _first(scores: Floats) -> Sequence[int]:
    """Return the indexes of the ten best scores; of equal ones, the later candidates."""
    order = np.argsort(scores, kind="stable")[-SHOWN:]
    first: list[int] = order.tolist()
    return first

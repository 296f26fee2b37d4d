"""How models did while they were in service, beside plain orders, on the same impressions.

A model is asked for impressions that it was not trained on: those of its time in service, and those
between the end of what it was trained on and the end of the log of that time. The latter are the
ones that it was promoted by, so they flatter it a little.

Of a span with many impressions some are drawn, all alike: to answer one takes milliseconds. What
this adds to chance is in the sums of each reader that intervals are made from, so they are wider.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harken.services.evaluation.holdout import MOST_MEASURED
from harken.services.evaluation.intervals import Interval, bootstrap, in_groups, interval, per_user
from harken.services.evaluation.metrics import METRICS, gains
from harken.services.evaluation.rankings import Chronological, Popularity, Ranker
from harken.services.evaluation.replay import Outcome, Progress, replay
from harken.services.evaluation.weekly import FEWEST_READERS
from harken.services.learning.impressions import Event
from harken.services.learning.point_in_time import DESCRIBED, Description, PointInTimeState
from harken.services.learning.ranker import Floats, Model
from harken.services.learning.training_plan import drawn, impressions_of
from harken.services.readers.history import Touch

LEARNED = "learned"
BESIDE = ("chronological", "popularity", "personal")

Basis = Literal["in_service", "held_out"]

FEW = 100
"""With fewer impressions in service, those that the model was measured on are given too."""


class Promotion(NamedTuple):
    """That a model was put in service, and perhaps taken back; times in microseconds since 1970."""

    model_id: str
    promoted_at: int
    rolled_back_at: int | None


class Span(NamedTuple):
    """A time that a model is asked for, from `begin` on and before `end`."""

    model_id: str
    begin: int
    end: int
    basis: Basis = "in_service"


@dataclass(frozen=True)
class Difference:
    """How much better the model did than another order; no interval with fewer than 10 readers."""

    than: str
    metric: str
    difference: float
    interval: Interval | None


@dataclass(frozen=True)
class Measured:
    """What a model did in a span; `values` by ranking and metric, empty without impressions.

    `impressions` were drawn from `measurable` ones.
    """

    span: Span
    impressions: int
    measurable: int
    readers: int
    values: Mapping[str, Mapping[str, float]]
    differences: Sequence[Difference]


def spans(promotions: Sequence[Promotion], now: int) -> list[Span]:
    """Return which model was in service when, by promotions in their order; the last until now.

    Of those that were not taken back at a time, the latest was in service.
    """
    ends = [each.rolled_back_at for each in promotions if each.rolled_back_at is not None]
    turns = sorted({*(each.promoted_at for each in promotions), *ends, now})
    found: list[Span] = []
    for begin, end in pairwise(turns):
        serving = [each.model_id for each in promotions if _is_standing(each, begin)]
        if not serving:
            continue
        if found and found[-1].model_id == serving[-1] and found[-1].end == begin:
            begin = found.pop().begin  # noqa: PLW2901 — it went on
        found.append(Span(serving[-1], begin, end))
    return found


def _is_standing(promotion: Promotion, at: int) -> bool:
    end = promotion.rolled_back_at
    return promotion.promoted_at <= at and (end is None or end > at)


def measure(
    events: Sequence[Event],
    models: Mapping[str, Model],
    asked: Sequence[Span],
    seed: int = 0,
    progress: Progress = lambda _done, _total: None,
    descriptions: Mapping[str, Description] = DESCRIBED,
    most: int = MOST_MEASURED,
) -> list[Measured]:
    """Walk through a log, and measure models in the spans that they are asked for.

    In each, at most `most` impressions are drawn with `seed`.
    """
    if not asked:
        return []
    events = sorted(events, key=lambda event: event.touch.at)
    found = _impressions(events, asked)
    of_spans = [drawn(numbers, most, seed) for numbers in found]
    rankers = _rankers(models, asked, descriptions)
    wanted = set[int]().union(*of_spans)
    outcome = replay(events, rankers, progress=progress, wanted=wanted, warm_up=timedelta())
    order = np.array(sorted(wanted), np.int64)
    return [
        _measured(span, outcome, np.isin(order, own), len(numbers), seed)
        for span, own, numbers in zip(asked, of_spans, found, strict=True)
    ]


def _impressions(events: Sequence[Event], asked: Sequence[Span]) -> list[list[int]]:
    """Return the numbers of the events that are impressions, by span.

    Spans say where they begin: with what their model was measured on. So there is no warm-up.
    """
    flags = impressions_of(events, timedelta())
    at = np.array([event.touch.at for event in events], np.int64)
    return [np.flatnonzero(flags & (at >= span.begin) & (at < span.end)).tolist() for span in asked]


def _rankers(
    models: Mapping[str, Model], asked: Sequence[Span], descriptions: Mapping[str, Description]
) -> dict[str, Ranker]:
    state = PointInTimeState(descriptions)
    rankers: dict[str, Ranker] = {"chronological": Chronological(), "popularity": Popularity()}
    rankers["personal"] = _Personal(state, asked)
    for model_id, model in models.items():
        own = [span for span in asked if span.model_id == model_id]
        rankers[model_id] = _Learned(model, state, own)
    return rankers


class _Sometimes(ABC):
    """An order that is only computed within spans; outside of them all are equal."""

    def __init__(self, state: PointInTimeState, spans: Iterable[Span]) -> None:
        self._state = state
        self._spans = [(span.begin, span.end) for span in spans]

    def score(self, user_id: str, kblock_ids: Sequence[str], now: int) -> Floats:
        if any(begin <= now < end for begin, end in self._spans):
            return self._scores(user_id, kblock_ids, now)
        return np.zeros(len(kblock_ids))

    @abstractmethod
    def _scores(self, user_id: str, kblock_ids: Sequence[str], now: int) -> Floats:
        """Return the scores within a span."""


class _Personal(_Sometimes):
    """The personal order; it hands events to the state that models share."""

    def see(self, touch: Touch) -> None:
        self._state.take_up(touch)

    def _scores(self, user_id: str, kblock_ids: Sequence[str], now: int) -> Floats:
        return self._state.features.affinities.score(user_id, kblock_ids, now).total


class _Learned(_Sometimes):
    """The order of a model."""

    def __init__(self, model: Model, state: PointInTimeState, spans: Iterable[Span]) -> None:
        super().__init__(state, spans)
        self._model = model

    def see(self, touch: Touch) -> None:
        """Leave that to the one who hands events to the state."""

    def _scores(self, user_id: str, kblock_ids: Sequence[str], now: int) -> Floats:
        return self._model.rank(self._state.matrix(user_id, tuple(kblock_ids), now))


def _measured(
    span: Span, outcome: Outcome, kept: NDArray[np.bool_], measurable: int, seed: int
) -> Measured:
    impressions = int(kept.sum())
    if not impressions:
        return Measured(span, 0, 0, 0, {}, [])
    named = {LEARNED: span.model_id} | {name: name for name in BESIDE}
    gained = {name: gains(outcome.ranks[key][kept]) for name, key in named.items()}
    _, users = np.unique(outcome.users[kept], return_inverse=True)
    values = {
        name: dict(zip(METRICS, each.mean(axis=0).tolist(), strict=True))
        for name, each in gained.items()
    }
    differences = list(_differences(gained, users, seed))
    return Measured(span, impressions, measurable, int(users.max()) + 1, values, differences)


def _differences(
    gained: Mapping[str, Floats], users: NDArray[np.intp], seed: int
) -> Iterator[Difference]:
    """Compare the model with each other order, impression by impression."""
    apart = np.concatenate([gained[LEARNED] - gained[name] for name in BESIDE], axis=1)
    drawn = None
    if users.max() + 1 >= FEWEST_READERS:
        groups = in_groups(users, seed=seed)
        counts = per_user(np.ones(len(groups)), groups)
        drawn = bootstrap(per_user(apart, groups), counts, seed=seed)
    names = [(than, metric) for than in BESIDE for metric in METRICS]
    for i, (than, metric) in enumerate(names):
        bounds = None if drawn is None else interval(drawn[:, i])
        yield Difference(than, metric, float(apart[:, i].mean()), bounds)

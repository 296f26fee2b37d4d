"""Measures models that were in service against baseline rankings, on the same impressions.

A model is measured on impressions that it was not trained on: those of its periods in service, and
the held-out end of its training log. The promotion was decided on the held-out impressions, so they
are slightly biased in favour of the model.

Scoring an impression takes milliseconds, so a period with many impressions is sampled uniformly.
Intervals are computed from the sampled impressions, so they include the error of sampling.
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
from harken.services.readers.affinities import AffinitySettings
from harken.services.readers.history import Touch

LEARNED = "learned"
BASELINES = ("chronological", "popularity", "personal")

Basis = Literal["in_service", "held_out"]

FEW = 100
"""With fewer impressions in service, the held-out ones are reported too."""


class Promotion(NamedTuple):
    """A promotion and its rollback, if any; times in microseconds since 1970."""

    model_id: str
    promoted_at: int
    rolled_back_at: int | None


class EvaluationPeriod(NamedTuple):
    """A period to measure a model in: `begin` <= time < `end`, microseconds since 1970."""

    model_id: str
    begin: int
    end: int
    basis: Basis = "in_service"


@dataclass(frozen=True)
class Difference:
    """The model minus a baseline by one metric; no interval with fewer than 10 readers."""

    than: str
    metric: str
    difference: float
    interval: Interval | None


@dataclass(frozen=True)
class PeriodMetrics:
    """The metrics of a model in a period.

    `values` are by ranking and metric, and empty without impressions. `impressions` were
    measured, sampled from `measurable` ones.
    """

    period: EvaluationPeriod
    impressions: int
    measurable: int
    readers: int
    values: Mapping[str, Mapping[str, float]]
    differences: Sequence[Difference]


def service_periods(promotions: Sequence[Promotion], now: int) -> list[EvaluationPeriod]:
    """Return the periods in service of each model; the last one ends now.

    `promotions` are in their order. At any time the latest promotion without a rollback serves.
    """
    ends = [each.rolled_back_at for each in promotions if each.rolled_back_at is not None]
    turns = sorted({*(each.promoted_at for each in promotions), *ends, now})
    found: list[EvaluationPeriod] = []
    for begin, end in pairwise(turns):
        serving = [each.model_id for each in promotions if _is_standing(each, begin)]
        if not serving:
            continue
        if found and found[-1].model_id == serving[-1] and found[-1].end == begin:
            begin = found.pop().begin  # noqa: PLW2901 — the period continues
        found.append(EvaluationPeriod(serving[-1], begin, end))
    return found


def _is_standing(promotion: Promotion, at: int) -> bool:
    end = promotion.rolled_back_at
    return promotion.promoted_at <= at and (end is None or end > at)


def measure(
    events: Sequence[Event],
    models: Mapping[str, Model],
    periods: Sequence[EvaluationPeriod],
    seed: int = 0,
    progress: Progress = lambda _done, _total: None,
    descriptions: Mapping[str, Description] = DESCRIBED,
    most: int = MOST_MEASURED,
    affinities: AffinitySettings | None = None,
) -> list[PeriodMetrics]:
    """Replay a log, and measure each model in its periods; one result for each period.

    In each period at most `most` impressions are sampled with `seed`. Personal scores are made
    with the settings `affinities`.
    """
    if not periods:
        return []
    events = sorted(events, key=lambda event: event.touch.at)
    found = _impressions(events, periods)
    of_periods = [drawn(numbers, most, seed) for numbers in found]
    rankers = _rankers(models, periods, PointInTimeState(descriptions, affinities), events)
    wanted = set[int]().union(*of_periods)
    outcome = replay(events, rankers, progress=progress, wanted=wanted, warm_up=timedelta())
    order = np.array(sorted(wanted), np.int64)
    return [
        _measured(period, outcome, np.isin(order, own), len(numbers), seed)
        for period, own, numbers in zip(periods, of_periods, found, strict=True)
    ]


def _impressions(events: Sequence[Event], periods: Sequence[EvaluationPeriod]) -> list[list[int]]:
    """Return the indexes of the events that are impressions, for each period.

    There is no warm-up: a period begins after the log on which its model was trained.
    """
    flags = impressions_of(events, timedelta())
    at = np.array([event.touch.at for event in events], np.int64)
    return [
        np.flatnonzero(flags & (at >= period.begin) & (at < period.end)).tolist()
        for period in periods
    ]


def _rankers(
    models: Mapping[str, Model],
    periods: Sequence[EvaluationPeriod],
    state: PointInTimeState,
    events: Sequence[Event],
) -> dict[str, Ranker]:
    rankers: dict[str, Ranker] = {"chronological": Chronological(), "popularity": Popularity()}
    rankers["personal"] = _PersonalRanker(state, periods, events)
    for model_id, model in models.items():
        own = [period for period in periods if period.model_id == model_id]
        rankers[model_id] = _ModelRanker(model, state, own)
    return rankers


class _PeriodRanker(ABC):
    """A ranking that is computed within its periods only; outside them all scores are 0."""

    def __init__(self, state: PointInTimeState, periods: Iterable[EvaluationPeriod]) -> None:
        self._state = state
        self._periods = [(period.begin, period.end) for period in periods]

    def score(self, user_id: str, kblock_ids: Sequence[str], now: int) -> Floats:
        if any(begin <= now < end for begin, end in self._periods):
            return self._scores(user_id, kblock_ids, now)
        return np.zeros(len(kblock_ids))

    @abstractmethod
    def _scores(self, user_id: str, kblock_ids: Sequence[str], now: int) -> Floats:
        """Return the scores within a period."""


class _PersonalRanker(_PeriodRanker):
    """The personal ranking; it passes the events to the state that all models share."""

    def __init__(
        self,
        state: PointInTimeState,
        periods: Iterable[EvaluationPeriod],
        events: Sequence[Event],
    ) -> None:
        super().__init__(state, periods)
        self._from_pages = (event.request_id is not None for event in events)

    def observe(self, touch: Touch) -> None:
        self._state.observe_touch(touch, from_page=next(self._from_pages))

    def _scores(self, user_id: str, kblock_ids: Sequence[str], now: int) -> Floats:
        return self._state.features.affinities.score(user_id, kblock_ids, now).total


class _ModelRanker(_PeriodRanker):
    """The ranking of a model."""

    def __init__(
        self, model: Model, state: PointInTimeState, periods: Iterable[EvaluationPeriod]
    ) -> None:
        super().__init__(state, periods)
        self._model = model

    def observe(self, touch: Touch) -> None:
        """Do nothing: `_PersonalRanker` updates the shared state."""

    def _scores(self, user_id: str, kblock_ids: Sequence[str], now: int) -> Floats:
        return self._model.score(self._state.matrix(user_id, tuple(kblock_ids), now))


def _measured(
    period: EvaluationPeriod, outcome: Outcome, kept: NDArray[np.bool_], measurable: int, seed: int
) -> PeriodMetrics:
    impressions = int(kept.sum())
    if not impressions:
        return PeriodMetrics(period, 0, 0, 0, {}, [])
    named = {LEARNED: period.model_id} | {name: name for name in BASELINES}
    gained = {name: gains(outcome.ranks[key][kept]) for name, key in named.items()}
    _, users = np.unique(outcome.users[kept], return_inverse=True)
    values = {
        name: dict(zip(METRICS, each.mean(axis=0).tolist(), strict=True))
        for name, each in gained.items()
    }
    differences = list(_differences(gained, users, seed))
    return PeriodMetrics(period, impressions, measurable, int(users.max()) + 1, values, differences)


def _differences(
    gained: Mapping[str, Floats], users: NDArray[np.intp], seed: int
) -> Iterator[Difference]:
    """Compare the model with each baseline, impression by impression."""
    apart = np.concatenate([gained[LEARNED] - gained[name] for name in BASELINES], axis=1)
    drawn = None
    if users.max() + 1 >= FEWEST_READERS:
        groups = in_groups(users, seed=seed)
        counts = per_user(np.ones(len(groups)), groups)
        drawn = bootstrap(per_user(apart, groups), counts, seed=seed)
    names = [(than, metric) for than in BASELINES for metric in METRICS]
    for i, (than, metric) in enumerate(names):
        bounds = None if drawn is None else interval(drawn[:, i])
        yield Difference(than, metric, float(apart[:, i].mean()), bounds)

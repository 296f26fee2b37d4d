"""The learned ranking in a replay: it is retrained periodically, on past events only.

Periods start at the log's first event. A request in a period is scored by a model trained on the
examples before that period. The model is trained at the period's first request, which saves time
and does not change the result.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from harken.services.learning.examples import ExampleCollector
from harken.services.learning.impressions import Event
from harken.services.learning.point_in_time import PointInTimeReplay
from harken.services.learning.ranker import (
    Floats,
    Model,
    RankerSettings,
    require_lightgbm,
    train,
)
from harken.services.readers.history import Touch

RETRAIN = timedelta(days=7)

_MICRO = timedelta(microseconds=1)


@dataclass(frozen=True)
class TrainingSettings:
    """What a model is trained on: the latest `most` examples, none of them older than `window`.

    So the time that examples come from widens, up to `window`, until there are `most`.

    Of each impression's other candidates, `others` are sampled uniformly with `seed`. Sampling
    must be uniform: if likely candidates were preferred, the model would see few unlikely ones and
    score them too high. An impression whose chosen K-Block nobody touched in the half hour before
    weighs `cold_weight`, the others 1: without, a model mostly learns to follow bursts. Raises
    ValueError if `retrain_every` or `cold_weight` is not positive.
    """

    retrain_every: timedelta = RETRAIN
    window: timedelta = timedelta(weeks=52)
    most: int = 12_000
    others: int = 100
    seed: int = 0
    cold_weight: float = 1.5
    ranker: RankerSettings = field(default_factory=RankerSettings)

    def __post_init__(self) -> None:
        if self.retrain_every <= timedelta():
            raise ValueError("retrain_every must be more than 0")
        if not self.cold_weight > 0:
            raise ValueError("cold_weight must be more than 0")

    def collector(self) -> ExampleCollector:
        """Return a collector of such examples, without any yet."""
        return ExampleCollector(self.others, self.seed, self.cold_weight)


def fit(examples: ExampleCollector, until: int, settings: RankerSettings) -> Model | None:
    """Train on the examples, with grades as of `until` (microseconds); None if too few."""
    return train(examples.examples(until), settings)


class RollingRanker:
    """The learned ranking, retrained each period; the personal one until there are enough examples.

    Raises MissingExtra without LightGBM, when it is created and not at the first request.
    """

    def __init__(self, settings: TrainingSettings | None = None) -> None:
        require_lightgbm()
        self.settings = settings or TrainingSettings()
        self.models: list[Model] = []
        """All trained models, the latest last."""
        self._replay = PointInTimeReplay()
        self._examples = self.settings.collector()
        self._count = 0
        self._period = -1
        self._trained = -1
        self._model: Model | None = None

    def observe(self, touch: Touch) -> None:
        """Update the state with an event; an impression also becomes an example."""
        self._turn(touch.at)
        event, replay = Event(touch), self._replay
        is_impression = replay.window.is_impression(event)
        if is_impression:
            self._count += 1
            self._examples.add_impression(replay, event, self._count)
        self._examples.add_feedback(touch, is_impression=is_impression)
        replay.observe(event, counted=False)

    def score(self, user_id: str, kblock_ids: Sequence[str], now: int) -> Floats:
        """Return a score for each K-Block; `now` in microseconds since 1970."""
        model = self._model_at(now)
        if model is None:
            return self._replay.features.affinities.score(user_id, kblock_ids, now).total
        return model.score(self._replay.matrix(user_id, tuple(kblock_ids), now))

    # Periods

    def _turn(self, now: int) -> None:
        """Discard examples that are too old, at the begin of a period."""
        period = self._period_of(now)
        if period <= self._period:
            return
        self._period = period
        oldest = self._begin(period) - self.settings.window // _MICRO
        self._examples.discard(oldest, self.settings.most)

    def _period_of(self, now: int) -> int:
        start = self._replay.window.start
        return -1 if start is None else (now - start) // (self.settings.retrain_every // _MICRO)

    def _begin(self, period: int) -> int:
        return (self._replay.window.start or 0) + period * (self.settings.retrain_every // _MICRO)

    def _model_at(self, now: int) -> Model | None:
        self._turn(now)
        if self._trained < self._period:
            self._trained = self._period
            model = fit(self._examples, self._begin(self._period), self.settings.ranker)
            if model is not None:
                self._model = model
                self.models.append(model)
        return self._model

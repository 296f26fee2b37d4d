"""The learned order in a replay: trained again and again, from the past alone.

Time is cut into periods from the log's first event on. Who asks in a period is answered by a model
of the choices before it. That it is trained only when somebody asks changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from harken.services.learning.examples import Choices
from harken.services.learning.impressions import Event
from harken.services.learning.point_in_time import PointInTimeWalk
from harken.services.learning.ranker import (
    Floats,
    Model,
    RankerSettings,
    lightgbm_or_refusal,
    train,
)
from harken.services.readers.history import Touch

RETRAIN = timedelta(days=7)

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


def fit(choices: Choices, until: int, settings: RankerSettings) -> Model | None:
    """Train on choices by what was known of them at a time; None where there are too few."""
    return train(choices.examples(until), settings)


class Learned:
    """The learned order; the personal one, until there are choices enough.

    Raises MissingExtra without LightGBM, at once and not when it is first needed.
    """

    def __init__(self, settings: LearnedSettings | None = None) -> None:
        lightgbm_or_refusal()
        self.settings = settings or LearnedSettings()
        self.models: list[Model] = []
        """All that was trained, the latest last."""
        self._walk = PointInTimeWalk()
        self._choices = Choices(self.settings.others, self.settings.seed)
        self._count = 0
        self._period = -1
        self._trained = -1
        self._model: Model | None = None

    def see(self, touch: Touch) -> None:
        """Take up an event, and learn from it if it is a choice."""
        self._turn(touch.at)
        event, walk = Event(touch), self._walk
        is_choice = walk.window.is_impression(event)
        if is_choice:
            self._count += 1
            self._choices.choose(walk, event, self._count)
        self._choices.note(touch, chosen=is_choice)
        walk.see(event, counted=False)

    def score(self, user_id: str, kblock_ids: Sequence[str], now: int) -> Floats:
        """Return the scores."""
        model = self._model_at(now)
        if model is None:
            return self._walk.features.affinities.score(user_id, kblock_ids, now).total
        return model.rank(self._walk.matrix(user_id, tuple(kblock_ids), now))

    # When

    def _turn(self, now: int) -> None:
        """Forget what is too long ago, where a period begins."""
        period = self._period_of(now)
        if period <= self._period:
            return
        self._period = period
        oldest = self._begin(period) - self.settings.window // _MICRO
        self._choices.forget(oldest, self.settings.most)

    def _period_of(self, now: int) -> int:
        start = self._walk.window.start
        return -1 if start is None else (now - start) // (self.settings.retrain_every // _MICRO)

    def _begin(self, period: int) -> int:
        return (self._walk.window.start or 0) + period * (self.settings.retrain_every // _MICRO)

    def _model_at(self, now: int) -> Model | None:
        self._turn(now)
        if self._trained < self._period:
            self._trained = self._period
            model = fit(self._choices, self._begin(self._period), self.settings.ranker)
            if model is not None:
                self._model = model
                self.models.append(model)
        return self._model

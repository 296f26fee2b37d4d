"""The second pass over a log: learn up to the cut, then measure what was learned."""

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator

from harken.services.evaluation.replay import Outcome, Progress, Tally
from harken.services.learning.examples import Choices
from harken.services.learning.impressions import Event, Impression
from harken.services.learning.point_in_time import PointInTimeWalk
from harken.services.learning.ranker import Floats, Model
from harken.services.learning.rolling_training import LearnedSettings, fit
from harken.services.learning.training_plan import Plan, TrainingLog, is_outcome

CANDIDATE, PERSONAL, IN_SERVICE = "candidate", "personal", "in_service"


class HoldoutRun:
    """One walk along a log in the order of time: `learn`, then `fit`, then `measure`.

    All rankings share its state, which is what takes the time. Whoever is asked is asked before the
    event is seen.
    """

    def __init__(self, log: TrainingLog, plan: Plan, cut: int, settings: LearnedSettings) -> None:
        self.unreachable = 0
        """Impressions to measure by whose K-Block the first stage had left out."""
        self._log, self._plan, self._until, self._settings = log, plan, cut, settings
        self._cut = bisect_left(log.events, cut, key=lambda event: event.touch.at)
        self._walk = PointInTimeWalk(log.descriptions)
        self.choices = Choices(settings.others, settings.seed)
        """What was taken up to learn from."""

    @property
    def skipped(self) -> int:
        """Impressions to learn from whose K-Block the first stage had left out."""
        return self.choices.skipped

    def learn(self, progress: Progress) -> None:
        """Take up what was before the cut."""
        slates = deque(self._plan.slates)
        known = {slate.request_id: slate for slate in slates}
        for number, event in self._events(0, self._cut, progress):
            touch = event.touch
            while slates and slates[0].at <= touch.at:
                self.choices.show(self._walk, slates.popleft())
            own = self._plan.learned.get(number)
            if own is not None:
                self.choices.choose(self._walk, event, own)
            request_id = event.request_id if is_outcome(event, known) else None
            self.choices.note(touch, request_id, chosen=own is not None)

    def fit(self) -> Model | None:
        """Train on what was taken up, which is then forgotten; None where it is too little."""
        model = fit(self.choices, self._until, self._settings.ranker)
        self.choices.forget(self._until, 0)
        return model

    def measure(self, model: Model, in_service: Model | None, progress: Progress) -> Outcome:
        """Ask rankings for the impressions from the cut on."""
        models = {CANDIDATE: model} | ({} if in_service is None else {IN_SERVICE: in_service})
        tally = Tally([CANDIDATE, PERSONAL, *models.keys() - {CANDIDATE}])
        for number, event in self._events(self._cut, len(self._log.events), progress):
            if number in self._plan.measured:
                touch = event.touch
                candidates = self._walk.candidates(touch.user_id, touch.at)
                impression = self._walk.window.choice(event, candidates)
                if impression is None:
                    self.unreachable += 1
                else:
                    tally.add(touch.user_id, impression, self._scores(event, impression, models))
        return tally.outcome(len(self._log.events))

    def _scores(
        self, event: Event, impression: Impression, models: dict[str, Model]
    ) -> dict[str, Floats]:
        asked = event.touch.user_id, impression.candidates, event.touch.at
        matrix = self._walk.matrix(*asked)
        scores = {name: model.rank(matrix) for name, model in models.items()}
        scores[PERSONAL] = self._walk.features.affinities.score(*asked).total
        return scores

    def _events(self, start: int, stop: int, progress: Progress) -> Iterator[tuple[int, Event]]:
        """Yield events with their numbers; each is seen when the next one is asked for."""
        total, flags = len(self._log.events), self._plan.is_impression
        for number in range(start, stop):
            if not number % 1_000:
                progress(number, total)
            event = self._log.events[number]
            yield number, event
            self._walk.see(event, counted=bool(flags[number]))
        progress(stop, total)

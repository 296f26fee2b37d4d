"""The second pass over a log: collect examples up to the cut, then measure the trained model."""

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from harken.services.evaluation.calibration import calibrations
from harken.services.evaluation.replay import Outcome, Progress, Tally
from harken.services.learning.factor_candidates import fit_factors, sources_with
from harken.services.learning.impressions import Event, Impression
from harken.services.learning.objectives.outcomes import Case, Fitted, fit_heads
from harken.services.learning.point_in_time import PointInTimeReplay
from harken.services.learning.ranker import POSITION, Floats, Model
from harken.services.learning.rolling_training import TrainingSettings, fit
from harken.services.learning.training_plan import Plan, Trained, TrainingData, is_outcome

if TYPE_CHECKING:
    from harken.services.learning.collaborative import Collaborative

CANDIDATE, PERSONAL, IN_SERVICE = "candidate", "personal", "in_service"


class HoldoutReplay:
    """One replay of a log in the order of time: `learn`, then `fit`, then `measure`.

    All rankings share its state, since updating the state takes most of the time. A ranking scores
    an impression before its event is observed.
    """

    def __init__(self, log: TrainingData, plan: Plan, cut: int, settings: TrainingSettings) -> None:
        self.unreachable = 0
        """Impressions that were not measured, since their K-Block was not among the candidates."""
        self._log, self._plan, self._until, self._settings = log, plan, cut, settings
        self._cut = bisect_left(log.events, cut, key=lambda event: event.touch.at)
        self._replay = PointInTimeReplay(log.descriptions, log.affinities)
        self.examples = settings.collector()
        """The examples before the cut."""
        self._dismissed: list[Case] = []
        self._held_out: list[Case] = []
        self._fitted = Fitted({}, {})
        self.collaborative: Collaborative | None = None

    @property
    def skipped(self) -> int:
        """Impressions that made no example, since their K-Block was not among the candidates."""
        return self.examples.skipped

    def learn(self, progress: Progress) -> None:
        """Observe the events before the cut and collect examples."""
        slates = deque(self._plan.slates)
        known = {slate.request_id: slate for slate in slates}
        for number, event in self._events(0, self._cut, progress):
            touch = event.touch
            while slates and slates[0].at <= touch.at:
                self.examples.add_slate(self._replay, slates.popleft())
            self._add_dismissed(number, event, self._dismissed)
            own = self._plan.learned.get(number)
            if own is not None:
                self.examples.add_impression(self._replay, event, own)
            request_id = event.request_id if is_outcome(event, known) else None
            self.examples.add_feedback(touch, request_id, is_impression=own is not None)

    def fit(self) -> Model | None:
        """Train on the examples and discard them; returns None if there are too few.

        The model has a head for each objective for which there are enough outcomes. The factors of
        K-Blocks are fitted to the events before the cut, for candidates after it.
        """
        model = fit(self.examples, self._until, self._settings.ranker)
        if model is not None:
            names = [name for name in model.names if name != POSITION]
            cases = [*self.examples.cases(self._until), *self._dismissed]
            self._fitted = fit_heads(names, cases, self._log.events, self._until)
            model = replace(model, heads=self._fitted.heads)
            self.collaborative = fit_factors(self._log.events[: self._cut], self._settings.seed)
        self.examples.discard(self._until, 0)
        return model

    def use(self, trained: Trained | None) -> Model | None:
        """Return the model that was trained elsewhere; what belongs to it gives candidates."""
        if trained is None:
            return None
        self.collaborative = trained.collaborative
        return trained.model

    def objectives(self) -> dict[str, Any]:
        """Return the calibration of each head on what was measured, or why there is none, as JSON.

        Call it after `measure`.
        """
        end = self._log.events[-1].touch.at + 1
        found = calibrations(self._fitted.heads, self._held_out, self._log.events, end)
        return found | {name: {"problem": why} for name, why in self._fitted.problems.items()}

    def measure(self, model: Model, in_service: Model | None, progress: Progress) -> Outcome:
        """Score the impressions from the cut on with each ranking."""
        models = {CANDIDATE: model} | ({} if in_service is None else {IN_SERVICE: in_service})
        tally = Tally([CANDIDATE, PERSONAL, *models.keys() - {CANDIDATE}])
        sources = sources_with(self.collaborative)
        for number, event in self._events(self._cut, len(self._log.events), progress):
            self._add_dismissed(number, event, self._held_out)
            if number in self._plan.measured:
                touch = event.touch
                candidates = self._replay.candidates(touch.user_id, touch.at, sources)
                impression = self._replay.window.impression_among(event, candidates)
                if impression is None:
                    self.unreachable += 1
                else:
                    tally.add(touch.user_id, impression, self._scores(event, impression, models))
                    self._add_case(event, candidates, self._held_out)
        return tally.outcome(len(self._log.events))

    def _add_dismissed(self, number: int, event: Event, to: list[Case]) -> None:
        if number in self._plan.dismissed:
            candidates = self._replay.candidates(event.touch.user_id, event.touch.at)
            if event.touch.kblock_id in candidates:
                self._add_case(event, candidates, to)

    def _add_case(self, event: Event, candidates: tuple[str, ...], to: list[Case]) -> None:
        touch = event.touch
        matrix = self._replay.matrix(touch.user_id, candidates, touch.at)
        row = matrix[candidates.index(touch.kblock_id)].copy()
        to.append(Case(touch.user_id, touch.kblock_id, touch.at, row))

    def _scores(
        self, event: Event, impression: Impression, models: dict[str, Model]
    ) -> dict[str, Floats]:
        request = event.touch.user_id, impression.candidates, event.touch.at
        matrix = self._replay.matrix(*request)
        scores = {name: model.score(matrix) for name, model in models.items()}
        scores[PERSONAL] = self._replay.features.affinities.score(*request).total
        return scores

    def _events(self, start: int, stop: int, progress: Progress) -> Iterator[tuple[int, Event]]:
        """Yield (index, event); an event is observed when the next one is requested."""
        total, flags = len(self._log.events), self._plan.is_impression
        for number in range(start, stop):
            if not number % 1_000:
                progress(number, total)
            event = self._log.events[number]
            yield number, event
            self._replay.observe(event, counted=bool(flags[number]))
        progress(stop, total)

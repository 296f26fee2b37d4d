"""Holdout evaluation: train a model on a log's past, and measure it on the end it did not see."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from harken.domain.durations import write_duration
from harken.errors import InvalidInput, Problem
from harken.services.evaluation.holdout_replay import CANDIDATE, IN_SERVICE, PERSONAL, HoldoutReplay
from harken.services.evaluation.metrics import Comparison, Evaluation, evaluate
from harken.services.evaluation.replay import Progress
from harken.services.learning.collaborative import Collaborative
from harken.services.learning.impressions import WARM_UP, Event
from harken.services.learning.point_in_time import DESCRIBED, Description, Slate
from harken.services.learning.ranker import Model, require_lightgbm
from harken.services.learning.rolling_training import TrainingSettings
from harken.services.learning.training_plan import Bounds, Trained, TrainingData, plan
from harken.services.readers.affinities import AffinitySettings

DECIDING = ("ndcg@10", "mrr")
WINDOW = timedelta(days=7)
MOST_MEASURED = 5_000
"""The most impressions to measure; if there are more, they are sampled."""

_MICRO = timedelta(microseconds=1)


Trainer = Callable[[Bounds], Trained | None]
"""Trains on what is before the cut of some bounds; None if that is too little."""


@dataclass(frozen=True)
class Verdict:
    """Whether a model is better than the one it would replace, and why."""

    is_better: bool
    than: str
    reason: str


@dataclass(frozen=True)
class TrainingRun:
    """A training run: a model and its measurement; times in microseconds since 1970.

    The model saw events from `begin` on and before `cut`. It was measured from `measured_from` to
    `end`, where there are `measurable` impressions; the log's warm-up has none. `skipped` counts
    impressions whose K-Block was not among the candidates: before the cut, and after it.
    """

    model: Model
    found: Evaluation
    begin: int
    cut: int
    measured_from: int
    end: int
    measurable: int
    skipped: tuple[int, int]
    objectives: Mapping[str, Any] = field(default_factory=dict)
    """The calibration of each head as JSON values, or why there is none."""
    collaborative: Collaborative | None = None
    """What gives candidates, from the same events; None if all K-Blocks are candidates."""

    def compared(self) -> list[Comparison]:
        """Return the comparisons that decide: the new model against the one it would replace."""
        other = IN_SERVICE if IN_SERVICE in self.found.rankings else PERSONAL
        pairs = [pair for pair in self.found.pairs if (pair.a, pair.b) == (CANDIDATE, other)]
        return [pair for name in DECIDING for pair in pairs if pair.metric == name]

    def verdict(self) -> Verdict:
        """Return whether the new model is better than the one it would replace.

        It must be significantly better by NDCG@10 or MRR, and significantly worse by neither. A
        difference is significant if its whole 95 % interval lies above 0, or below 0.
        """
        compared = self.compared()
        than = compared[0].b
        better = [each for each in compared if each.interval.low > 0]
        worse = [each for each in compared if each.interval.high < 0]
        details = "; ".join(map(_difference_text, worse or better or compared))
        if better and not worse:
            return Verdict(True, than, f"better than {than}: {details}")
        known = "worse than" if worse else "not known to be better than"
        return Verdict(False, than, f"{known} {than}: {details}")


def _difference_text(each: Comparison) -> str:
    low, high = each.interval
    return f"{each.metric.upper()} {each.difference:+.4f} ({low:+.4f} to {high:+.4f})"


def train_and_measure(
    events: Sequence[Event],
    settings: TrainingSettings | None = None,
    window: timedelta = WINDOW,
    in_service: Model | None = None,
    progress: Progress = lambda _done, _total: None,
    *,
    slates: Sequence[Slate] = (),
    descriptions: Mapping[str, Description] = DESCRIBED,
    most_measured: int = MOST_MEASURED,
    warm_up: timedelta = WARM_UP,
    affinities: AffinitySettings | None = None,
    trainer: Trainer | None = None,
) -> TrainingRun:
    """Train on a log without its last `window`, then measure there against other rankings.

    Examples come from `slates` of which readers viewed something, and from the other impressions.
    At most `most_measured` impressions are measured; the log's first `warm_up` has none. Personal
    scores, which are features, too, are made with the settings `affinities`. With a `trainer`, the
    log is for measuring alone: its events before the cut make the state. Raises InvalidInput if
    there is too little to train on or to measure, and MissingExtra without LightGBM.
    """
    require_lightgbm()
    if window <= timedelta():
        raise InvalidInput(Problem("window", "must be more than 0"))
    settings = settings or TrainingSettings()
    ordered = sorted(events, key=lambda event: event.touch.at)
    log = TrainingData(ordered, slates, descriptions, affinities=affinities or AffinitySettings())
    begin, cut, end = _times(ordered, window)
    since = cut - settings.window // _MICRO
    bounds = Bounds(since, cut, settings.most, most_measured, settings.seed, warm_up)
    planned = plan(log, bounds)
    if not planned.measured:
        last, warm = write_duration(window), write_duration(warm_up)
        needed = f"they need {warm} of log before them and more than 20 new K-Blocks"
        raise InvalidInput(
            Problem("log", f"has no impressions to measure in its last {last}: {needed}")
        )
    if trainer is not None:
        planned = planned._replace(slates=[], learned={}, dismissed=frozenset())
    elif planned.examples < settings.ranker.fewest:
        raise _too_few(settings)
    run = HoldoutReplay(log, planned, cut, settings)
    model = _model(run, progress, trainer and (lambda: trainer(bounds)))
    if model is None:
        raise _too_few(settings)
    found = evaluate(run.measure(model, in_service, progress), settings.seed)
    if not found.impressions:
        chosen = "no chosen K-Block was among the candidates of a feed"
        raise InvalidInput(
            Problem("log", f"has nothing to measure in its last {write_duration(window)}: {chosen}")
        )
    skipped = run.skipped, run.unreachable
    measured_from = max(cut, begin + warm_up // _MICRO)
    return TrainingRun(
        model,
        found,
        begin,
        cut,
        measured_from,
        end,
        planned.measurable,
        skipped,
        run.objectives(),
        run.collaborative,
    )


def _times(events: Sequence[Event], window: timedelta) -> tuple[int, int, int]:
    """Return the begin of a log, that of its last `window`, and its end."""
    if not events:
        raise InvalidInput(Problem("log", "has no events to train on"))
    begin, end = events[0].touch.at, events[-1].touch.at
    cut = end - window // _MICRO
    if cut <= begin:
        raise InvalidInput(
            Problem("log", f"must be longer than the {write_duration(window)} that are measured")
        )
    return begin, cut, end


def _model(
    run: HoldoutReplay, progress: Progress, trained: Callable[[], Trained | None] | None
) -> Model | None:
    """Return the model that the run measures: its own, or one that is trained elsewhere."""
    if trained is None:
        run.learn(progress)
        return run.fit()
    model = trained()  # before the walk: what fails here fails soon
    run.learn(progress)
    return run.use(model)


def _too_few(settings: TrainingSettings) -> InvalidInput:
    fewest = settings.ranker.fewest
    return InvalidInput(Problem("log", f"has too few impressions to train on; {fewest} are needed"))


def run_metrics(trained: TrainingRun) -> dict[str, Any]:
    """Return a training run's metrics and verdict as JSON values."""
    verdict = trained.verdict()
    return trained.found.as_json() | {
        "verdict": {
            "is_better": verdict.is_better, "than": verdict.than, "reason": verdict.reason,
        },
        "objectives": dict(trained.objectives),
    }  # fmt: skip

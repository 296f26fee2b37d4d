"""Train a model on a log's past, and measure it on the log's end, which it never saw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from harken.domain.durations import write_duration
from harken.errors import InvalidInput, Problem
from harken.services.evaluation.holdout_run import CANDIDATE, IN_SERVICE, PERSONAL, HoldoutRun
from harken.services.evaluation.metrics import Comparison, Evaluation, evaluate
from harken.services.evaluation.replay import Progress
from harken.services.learning.impressions import WARM_UP, Event
from harken.services.learning.point_in_time import DESCRIBED, Description, Slate
from harken.services.learning.ranker import Model, lightgbm_or_refusal
from harken.services.learning.rolling_training import LearnedSettings
from harken.services.learning.training_plan import Bounds, TrainingLog, plan

DECIDING = ("ndcg@10", "mrr")
WINDOW = timedelta(days=7)
MOST_MEASURED = 5_000
"""How many impressions are measured at most, drawn from all that there are."""

_MICRO = timedelta(microseconds=1)


@dataclass(frozen=True)
class Verdict:
    """Whether a model may be put in service, and why."""

    is_better: bool
    than: str
    reason: str


@dataclass(frozen=True)
class Trained:
    """A model, and what it was measured to do; times in microseconds since 1970.

    It saw events from `begin` on and before `cut`. It was measured from `measured_from` to `end`,
    where there are `measurable` impressions: the log's warm-up has none. `skipped` are those that
    nothing was made of, since the first stage had left out what was chosen: of those before the
    cut, and of those after it.
    """

    model: Model
    found: Evaluation
    begin: int
    cut: int
    measured_from: int
    end: int
    measurable: int
    skipped: tuple[int, int]

    def compared(self) -> list[Comparison]:
        """Return the candidate beside what it would replace, by the metrics that decide."""
        other = IN_SERVICE if IN_SERVICE in self.found.rankings else PERSONAL
        pairs = [pair for pair in self.found.pairs if (pair.a, pair.b) == (CANDIDATE, other)]
        return [pair for name in DECIDING for pair in pairs if pair.metric == name]

    def verdict(self) -> Verdict:
        """Say whether the candidate beats what it would replace.

        It has to be better by NDCG@10 or MRR, and worse by neither, beyond what other readers
        would change: the whole interval of the difference lies above 0, or below.
        """
        compared = self.compared()
        than = compared[0].b
        better = [each for each in compared if each.interval.low > 0]
        worse = [each for each in compared if each.interval.high < 0]
        said = "; ".join(map(_said, worse or better or compared))
        if better and not worse:
            return Verdict(True, than, f"better than {than}: {said}")
        known = "worse than" if worse else "not known to be better than"
        return Verdict(False, than, f"{known} {than}: {said}")


def _said(each: Comparison) -> str:
    low, high = each.interval
    return f"{each.metric.upper()} {each.difference:+.4f} ({low:+.4f} to {high:+.4f})"


def train_on(
    events: Sequence[Event],
    settings: LearnedSettings | None = None,
    window: timedelta = WINDOW,
    in_service: Model | None = None,
    progress: Progress = lambda _done, _total: None,
    *,
    slates: Sequence[Slate] = (),
    descriptions: Mapping[str, Description] = DESCRIBED,
    most_measured: int = MOST_MEASURED,
    warm_up: timedelta = WARM_UP,
) -> Trained:
    """Train on all but the last `window` of a log, and measure there beside other orders.

    It is learned from `slates` where there are some that led to something, else from impressions.
    Of the impressions to measure by, at most `most_measured` are drawn; the log's first `warm_up`
    has none. Raises InvalidInput where there is too little to learn from or to measure by, and
    MissingExtra without LightGBM.
    """
    lightgbm_or_refusal()
    if window <= timedelta():
        raise InvalidInput(Problem("window", "must be more than 0"))
    settings = settings or LearnedSettings()
    log = TrainingLog(sorted(events, key=lambda event: event.touch.at), slates, descriptions)
    if not log.events:
        raise InvalidInput(Problem("log", "has no events to learn from"))
    begin, end = log.events[0].touch.at, log.events[-1].touch.at
    cut = end - window // _MICRO
    if cut <= begin:
        raise InvalidInput(
            Problem("log", f"has to be longer than the {write_duration(window)} to measure by")
        )
    since = cut - settings.window // _MICRO
    bounds = Bounds(since, cut, settings.most, most_measured, settings.seed, warm_up)
    planned = plan(log, bounds)
    if not planned.measured:
        last, warm = write_duration(window), write_duration(warm_up)
        needed = f"impressions need {warm} of log before them, and over 20 new K-Blocks"
        raise InvalidInput(Problem("log", f"has no impressions in its last {last}: {needed}"))
    if planned.examples < settings.ranker.fewest:
        raise _too_few(settings)
    run = HoldoutRun(log, planned, cut, settings)
    run.learn(progress)
    model = run.fit()
    if model is None:
        raise _too_few(settings)
    found = evaluate(run.measure(model, in_service, progress), settings.seed)
    if not found.impressions:
        chosen = "nobody chose what a feed would have looked at"
        raise InvalidInput(
            Problem("log", f"cannot measure by its last {write_duration(window)}: {chosen}")
        )
    skipped = run.skipped, run.unreachable
    measured_from = max(cut, begin + warm_up // _MICRO)
    return Trained(model, found, begin, cut, measured_from, end, planned.measurable, skipped)


def _too_few(settings: LearnedSettings) -> InvalidInput:
    fewest = settings.ranker.fewest
    return InvalidInput(
        Problem("log", f"has too few impressions to learn from; {fewest} are needed")
    )


def described(trained: Trained) -> dict[str, Any]:
    """Return what a model was measured to do, as it is kept and printed."""
    verdict = trained.verdict()
    return trained.found.as_json() | {
        "verdict": {
            "is_better": verdict.is_better, "than": verdict.than, "reason": verdict.reason,
        },
    }  # fmt: skip

"""Train a model on a log's past, and measure it on the log's end, which it never saw."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from harken.errors import InvalidInput, Problem
from harken.services.features.state import Features
from harken.services.feed.reader_memory import Touch
from harken.services.learning.evaluation import Comparison, Evaluation, evaluate
from harken.services.learning.impressions import Event
from harken.services.learning.learned import Learned, LearnedSettings
from harken.services.learning.ranker import Floats, Model
from harken.services.learning.rankers import Personal, Ranker
from harken.services.learning.replay import Progress, replay

CANDIDATE, PERSONAL, IN_SERVICE = "candidate", "personal", "in_service"
DECIDING = ("ndcg@10", "mrr")
WINDOW = timedelta(days=7)

_MICRO = timedelta(microseconds=1)
_DAY = timedelta(days=1) // _MICRO


class Fixed:
    """The order of one model, whatever happens."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._features = Features()

    def see(self, touch: Touch) -> None:
        """Take up an event."""
        self._features.see(touch)

    def score(self, user_id: str, kblock_ids: Sequence[str], now: int) -> Floats:
        """Return the scores."""
        return self._model.rank(self._features.matrix(user_id, kblock_ids, now))


@dataclass(frozen=True)
class Verdict:
    """Whether a model may be put in service, and why."""

    is_better: bool
    than: str
    reason: str


@dataclass(frozen=True)
class Trained:
    """A model, and what it was measured to do; times in microseconds since 1970.

    It saw events from `begin` on and before `cut`, and was measured from there to `end`.
    """

    model: Model
    found: Evaluation
    begin: int
    cut: int
    end: int

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
    return f"{each.metric.upper()} {each.difference:+.4f} ({low:+.4f}…{high:+.4f})"


def train_on(
    events: Sequence[Event],
    settings: LearnedSettings | None = None,
    window: timedelta = WINDOW,
    in_service: Model | None = None,
    progress: Progress = lambda _done, _total: None,
) -> Trained:
    """Train on all but the last `window` of a log, and measure there beside other orders.

    Raises InvalidInput where there is too little to learn from or to measure by, and MissingExtra
    without LightGBM.
    """
    if window <= timedelta():
        raise InvalidInput(Problem("window", "must be more than 0"))
    times = [event.touch.at for event in events]
    if not times:
        raise InvalidInput(Problem("log", "has no events to learn from"))
    begin, end, length = min(times), max(times), window // _MICRO
    if end - begin <= length:
        raise InvalidInput(Problem("log", f"has to be longer than the {window} to measure by"))
    # A model that is trained anew each so often is trained anew at the cut, and not after it.
    # What is too long ago to be learned from is forgotten on the way.
    periods = max(1, (end - length - begin) // (length + _DAY))
    every = max((end - length - begin) // periods, 1)
    cut = begin + periods * every
    settings = settings or LearnedSettings()
    candidate = Learned(replace(settings, retrain_every=max(every, 1) * _MICRO))
    rankers: dict[str, Ranker] = {CANDIDATE: candidate, PERSONAL: Personal()}
    if in_service is not None:
        rankers[IN_SERVICE] = Fixed(in_service)
    found = evaluate(replay(events, rankers, cut, progress), settings.seed)
    if not found.impressions:
        needed = "impressions need 30 days of log before them, and over 20 new K-Blocks"
        raise InvalidInput(Problem("log", f"has no impressions in its last {window}: {needed}"))
    if not candidate.models:
        fewest = settings.ranker.fewest
        raise InvalidInput(
            Problem("log", f"has too few impressions to learn from; {fewest} are needed")
        )
    return Trained(candidate.models[0], found, begin, cut, end)


def described(trained: Trained) -> dict[str, Any]:
    """Return what a model was measured to do, as it is kept and printed."""
    verdict = trained.verdict()
    return trained.found.as_json() | {
        "verdict": {
            "is_better": verdict.is_better, "than": verdict.than, "reason": verdict.reason,
        },
    }  # fmt: skip

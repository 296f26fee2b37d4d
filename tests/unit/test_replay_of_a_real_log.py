"""Replay of a real log, with figures from independent implementations."""

# ruff: noqa: ARG002 — some rankers ignore some of their arguments

import csv
import gzip
from collections import defaultdict
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from harken.services.evaluation.metrics import Comparison, Evaluation, evaluate
from harken.services.evaluation.rankings import Personal, Ranker, make_rankers
from harken.services.evaluation.replay import replay
from harken.services.learning.impressions import Event
from harken.services.learning.ranker import RankerSettings
from harken.services.learning.rolling_training import RollingRanker, TrainingSettings
from tests.faults import SOAK
from tests.support.touches import DAY, START, touch

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not SOAK, reason="a real log takes long: make soak"),
]

DESKDROP = Path(__file__).parents[3] / "shared/data/deskdrop/interactions.csv.gz"
LAST_THIRD = round(datetime.fromisoformat("2016-07-08T12:11:17+00:00").timestamp()) * 1_000_000
ENGAGEMENTS = {
    "LIKE": "like", "BOOKMARK": "bookmark", "FOLLOW": "follow", "COMMENT CREATED": "comment",
}  # fmt: skip


@pytest.fixture(scope="module")
def deskdrop() -> list[Event]:
    if not DESKDROP.exists():
        pytest.skip(f"{DESKDROP} is not there: a real log that does not come with Harken")
    with gzip.open(DESKDROP, "rt") as file:
        return [
            Event(
                touch(
                    row["person_id"], row["content_id"], int(row["timestamp"]) * 1_000_000 - START,
                    "engage" if row["event_type"] in ENGAGEMENTS else "view",
                    kind=ENGAGEMENTS.get(row["event_type"]),
                ),
                row["session_id"],
            )
            for row in csv.DictReader(file)
        ]  # fmt: skip


@pytest.fixture(scope="module")
def replayed(deskdrop) -> Evaluation:
    """Return what one replay of the last third measures, of Harken's rankings and of three others.

    Each ranking sees the same impressions, whatever others there are.
    """
    others: dict[str, Ranker] = {
        "decayed": Decayed(), "burst": Reciprocal(), "neighbours": CoTouch(),
    }  # fmt: skip
    rankers: dict[str, Ranker] = {**make_rankers(["personal", "trending"]), **others}
    return evaluate(replay(deskdrop, rankers, LAST_THIRD))


def pairs(found: Evaluation, a: str, b: str) -> list[Comparison]:
    chosen = [pair for pair in found.pairs if (pair.a, pair.b) == (a, b)]
    assert chosen
    return chosen


def test_the_impressions_of_a_real_log_are_known(replayed):
    """The figures of three independent rankings are reproduced on the same impressions."""
    assert replayed.impressions == 6_507
    values = {
        name: slices["all"].values for name, slices in replayed.rankings.items() if slices["all"]
    }
    # The third one's description does not define its cosine: hence the wider margin.
    expected = {
        "decayed": ((0.534, 0.713, 0.364), 0.0011),
        "burst": ((0.661, 0.788, 0.490), 0.0011),
        "neighbours": ((0.633, 0.759, 0.453), 0.006),
    }
    for name, (figures, margin) in expected.items():
        measured = [values[name][metric] for metric in ("hr@5", "hr@10", "mrr")]
        assert measured == pytest.approx(figures, abs=margin), name


def test_personal_foresees_a_real_log_better_than_a_trend(replayed):
    metrics = replayed.rankings["personal"]["all"]
    assert metrics is not None
    for metric, least in {"hr@5": 0.70, "hr@10": 0.815, "mrr": 0.52}.items():
        assert metrics.values[metric] >= least
    assert all(pair.interval.low > 0 for pair in pairs(replayed, "personal", "trending"))


def test_a_trend_is_not_worse_than_popularity_that_weighs_engagements(replayed):
    for pair in pairs(replayed, "trending", "decayed"):
        assert pair.interval.high > 0, pair


def test_what_is_learned_from_a_real_log_foresees_it_better(deskdrop):
    """The last ten of the first 70 days, with few trees, since the whole log takes minutes."""
    start = deskdrop[0].touch.at
    part = [event for event in deskdrop if event.touch.at < start + 70 * DAY]
    settings = TrainingSettings(
        timedelta(days=60), others=20, ranker=RankerSettings(rounds=40, patience=10)
    )
    rankers: dict[str, Ranker] = {"learned": RollingRanker(settings), "personal": Personal()}
    found = evaluate(replay(part, rankers, start + 60 * DAY))
    assert found.impressions > 1_000
    [pair] = [each for each in found.pairs if each.metric == "mrr"]
    assert pair.interval.low > 0


class Decayed:
    """Popularity with a half-life of 6 h."""

    worth = {None: 1, "like": 2, "bookmark": 2.5, "follow": 3, "comment": 4}  # noqa: RUF012

    def __init__(self):
        self.sums: dict = defaultdict(lambda: (0.0, 0))

    def observe(self, touch):
        net, then = self.sums[touch.kblock_id]
        net *= 2.0 ** (-(touch.at - then) / (DAY / 4))
        self.sums[touch.kblock_id] = net + self.worth[touch.interaction_type], touch.at

    def score(self, user_id, kblock_ids, now):
        of = (self.sums[each] for each in kblock_ids)
        return np.array([net * 2.0 ** (-(now - then) / (DAY / 4)) for net, then in of])


class Reciprocal:
    """A sum of 1 / (t + 300 s) over distinct readers, each at their first touch."""

    def __init__(self):
        self.first: dict = defaultdict(dict)

    def observe(self, touch):
        self.first[touch.kblock_id].setdefault(touch.user_id, touch.at)

    def score(self, user_id, kblock_ids, now):
        return np.array(
            [
                sum(1 / ((now - at) / 1e6 + 300) for at in self.first[each].values())
                for each in kblock_ids
            ]
        )


class CoTouch:
    """A sum of cosines with its readers, each decayed with a half-life of 6 h."""

    def __init__(self):
        self.first: dict = defaultdict(dict)
        self.shared: dict = defaultdict(lambda: defaultdict(int))
        self.breadth: dict = defaultdict(int)

    def observe(self, touch):
        readers = self.first[touch.kblock_id]
        if touch.user_id not in readers:
            self.breadth[touch.user_id] += 1
            for other in readers:
                self.shared[touch.user_id][other] += 1
                self.shared[other][touch.user_id] += 1
            readers[touch.user_id] = touch.at

    def score(self, user_id, kblock_ids, now):
        shared = self.shared[user_id]
        return np.array(
            [
                sum(
                    shared[other] / (self.breadth[other] * self.breadth[user_id]) ** 0.5
                    * 2.0 ** (-(now - at) / (DAY / 4))
                    for other, at in self.first[each].items()
                    if other in shared
                )
                for each in kblock_ids
            ]
        )  # fmt: skip

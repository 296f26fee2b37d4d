"""The learned ranking in a replay: it is trained on the past only."""

import random
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from harken.services.evaluation.metrics import evaluate
from harken.services.evaluation.rankings import Options, Personal, make_rankers
from harken.services.evaluation.replay import replay
from harken.services.learning.examples import grade
from harken.services.learning.impressions import Event
from harken.services.learning.ranker import (
    DISMISSED,
    ENGAGED,
    PASSED,
    READ,
    VIEWED,
    RankerSettings,
)
from harken.services.learning.rolling_training import RollingRanker, TrainingSettings
from tests.support.touches import DAY, START, touch

QUICK = TrainingSettings(
    retrain_every=timedelta(days=10),
    ranker=RankerSettings(rounds=20, fewest=50, least_in_leaf=10, base_below=0),
)
HOUR = DAY // 24


def a_log(seed=0, count=1_000, days=60):
    """Make a log whose readers prefer K-Blocks about four days old, which no plain ranking does."""
    chance = random.Random(seed)
    log, made = [], 0
    for at in sorted(chance.randrange(days * DAY) for _ in range(count)):
        while made * 4 * HOUR <= at:
            log.append(Event(touch("maker", f"k{made}", made * 4 * HOUR)))
            made += 1
        k = (at - chance.randrange(84, 108) * HOUR) // (4 * HOUR)
        if chance.random() < 0.2:
            k = chance.randrange(made)
        if 0 <= k < made:
            log.append(Event(touch(f"u{chance.randrange(15)}", f"k{k}", at + 1)))
    return sorted(log, key=lambda event: event.touch.at)


@pytest.fixture(scope="module")
def log():
    return a_log()


@pytest.fixture(scope="module")
def learned(log):
    ranker = RollingRanker(QUICK)
    return ranker, replay(log, {"learned": ranker, "personal": Personal()})


def test_it_learns_what_the_personal_order_does_not_know(learned):
    ranker, found = learned
    assert len(ranker.models) == 2  # after 40 and 50 days; at 30 there were no examples
    [pair] = [each for each in evaluate(found).pairs if each.metric == "mrr"]
    assert pair.interval.low > 0


def test_before_the_first_model_it_is_the_personal_order(log, learned):
    _, found = learned
    early = sum(START + 30 * DAY <= event.touch.at < START + 40 * DAY for event in log)
    assert early > 50
    ours, personal = found.ranks["learned"], found.ranks["personal"]
    same = np.flatnonzero(ours != personal)[0]
    assert same > 50
    assert ours[:same].tolist() == personal[:same].tolist()


def test_the_same_log_gives_the_same_order(log, learned):
    again = replay(log, {"learned": RollingRanker(QUICK)})
    assert again.ranks["learned"].tolist() == learned[1].ranks["learned"].tolist()


def test_who_asks_late_gets_the_same(log, learned):
    """A model depends on its period, and not on the moment of its training."""
    whole = learned[1].ranks["learned"]
    ranker = RollingRanker(QUICK)
    part = replay(log, {"learned": ranker}, START + 53 * DAY).ranks["learned"]
    assert len(ranker.models) == 1
    assert 20 < len(part) < len(whole)
    assert part.tolist() == whole[-len(part) :].tolist()


def scores_at(log, n):
    ranker = RollingRanker(QUICK)
    for event in log[:n]:
        ranker.observe(event.touch)
    touch = log[n].touch
    kblocks = sorted({each.touch.kblock_id for each in log[:n]})[-60:]
    scores = ranker.score(touch.user_id, kblocks, touch.at).tolist()
    # The rest is observed, as in a replay; the scores were computed before.
    for event in log[n:]:
        ranker.observe(event.touch)
    return scores, [model.metadata["until"] for model in ranker.models]


def test_what_comes_is_out_of_reach(log):
    n = len(log) * 9 // 10
    now = log[n].touch.at
    before, until = scores_at(log, n)
    assert len(set(before)) > 10
    assert max(until) < now
    later = [Event(e.touch._replace(kblock_id="k1", action="dismiss")) for e in log[n + 1 :]]
    changed = [*log[:n], Event(log[n].touch._replace(kblock_id="k300", action="engage")), *later]
    assert scores_at(changed, n)[0] == before


def test_what_became_of_a_choice_counts_as_it_was_known():
    """The chosen K-Block has its best grade; of the others only dismissals count."""
    ranker = RollingRanker(replace(QUICK, retrain_every=timedelta(days=31)))
    first = [touch("maker", f"k{i}", i) for i in range(25)]
    later = [
        touch("first", "k0", -29 * DAY),
        touch("ada", "k1", DAY),
        touch("ada", "k2", DAY + 1, "dismiss"),
        touch("ada", "k1", DAY + 2, "engage"),
        touch("ada", "k3", 3 * DAY, "engage"),
        touch("ada", "k4", 3 * DAY + 1, "dismiss"),
    ]
    for each in sorted([*first, *later], key=lambda each: each.at):
        ranker.observe(each)
    # Training uses exactly these examples, so the test reads them.
    [choice, *_] = ranker._examples
    for until, expected in [
        (DAY + 2, {"k1": VIEWED, "k2": DISMISSED, "k3": PASSED, "k4": PASSED}),
        (2 * DAY, {"k1": ENGAGED, "k2": DISMISSED, "k3": PASSED, "k4": PASSED}),
        (4 * DAY, {"k1": ENGAGED, "k2": DISMISSED, "k3": PASSED, "k4": DISMISSED}),
    ]:
        grades = ranker._examples.with_grades(choice, START + until).grades.tolist()
        found = dict(zip(choice.kblock_ids, grades, strict=True))
        assert {each: found[each] for each in expected} == expected


@pytest.mark.parametrize(
    ("action", "dwell", "expected"),
    [
        ("engage", None, ENGAGED),
        ("view", 30_000, READ),
        ("view", 29_999, VIEWED),
        ("view", None, VIEWED),
        ("contradict", None, PASSED),
        ("dismiss", None, DISMISSED),
    ],
)
def test_grades(action, dwell, expected):
    assert grade(touch("ada", "k", 0, action, dwell=dwell)) == expected


def test_what_is_learned_from_is_bounded(log):
    ranker = RollingRanker(replace(QUICK, most=40, window=timedelta(days=12), others=5))
    for n, event in enumerate(log):
        ranker.observe(event.touch)
        if n % 100 == 0 and ranker._examples:
            oldest, *_, newest = ranker._examples
            assert newest.at - oldest.at <= 22 * DAY
            assert all(len(each.matrix) == 6 for each in ranker._examples)
    ranker._turn(log[-1].touch.at + 10 * DAY)
    assert len(ranker._examples) == 40


def test_a_choice_of_what_nobody_touched_lately_weighs_more():
    ranker = RollingRanker(replace(QUICK, cold_weight=3.0))
    first = [touch("maker", f"k{i}", i) for i in range(25)]
    later = [
        touch("first", "k0", -30 * DAY),
        touch("bob", "k1", DAY),
        touch("ada", "k1", DAY + DAY // 48),  # half an hour later
        touch("ada", "k2", DAY + DAY // 48 + 1),
        touch("cy", "k1", DAY + DAY // 24 + 1),
    ]
    for each in sorted([*first, *later], key=lambda each: each.at):
        ranker.observe(each)
    examples = ranker._examples.examples(START + 2 * DAY)
    assert [each.weight for each in examples] == [3.0, 1.0, 3.0, 3.0]
    with pytest.raises(ValueError, match="cold_weight"):
        TrainingSettings(cold_weight=0.0)


def test_settings():
    [ranker] = make_rankers(["learned"], Options(retrain_every=timedelta(days=3))).values()
    assert isinstance(ranker, RollingRanker)
    assert ranker.settings.retrain_every == timedelta(days=3)
    with pytest.raises(ValueError, match="retrain_every"):
        TrainingSettings(retrain_every=timedelta())

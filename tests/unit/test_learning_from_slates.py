"""Learning from slates: what was shown, with features as of then, and the outcomes."""

import numpy as np
import pytest

from harken.services.evaluation.holdout import train_and_measure
from harken.services.evaluation.holdout_replay import HoldoutReplay
from harken.services.features.names import NAMES
from harken.services.features.state import Features
from harken.services.learning.impressions import Event
from harken.services.learning.point_in_time import Description, Slate
from harken.services.learning.ranker import (
    DISMISSED,
    ENGAGED,
    PASSED,
    POSITION,
    READ,
    VIEWED,
    RankerSettings,
)
from harken.services.learning.rolling_training import TrainingSettings
from harken.services.learning.training_plan import Bounds, TrainingData, plan
from tests.support.choices import choices
from tests.support.touches import DAY, START, touch

MINUTE = 60_000_000
SETTINGS = TrainingSettings(others=5)
SHOWN = ("k1", "k2", "k3", "never touched")


def slate(at, user="ada", shown=SHOWN, request="r", position=0):
    return Slate(request, user, shown, position, START + at)


def outcome(kblock, at, action="view", user="ada", request="r", **more):
    return Event(touch(user, kblock, at, action, **more), None, request)


def crowd(days=40, each=30):
    """Make the activity of others: some K-Blocks, and an event every hour."""
    made = [Event(touch("maker", f"k{n}", n)) for n in range(each)]
    came = [
        Event(touch(f"u{n % 7}", f"k{n * n % each}", n * DAY // 24 + 1, ("view", "engage")[n % 2]))
        for n in range(1, days * 24)
    ]
    return [*made, *came]


def course(events, *slates, cut=50 * DAY, since=0, most=1_000, make=HoldoutReplay, **more):
    """Train on a log, and return the run with its examples."""
    ordered = sorted(events, key=lambda event: event.touch.at)
    log = TrainingData(ordered, slates, more.get("descriptions", {}))
    planned = plan(log, Bounds(START + since, START + cut, most, 10, 0))
    taken = make(log, planned, START + cut, more.get("settings", SETTINGS))
    taken.learn(lambda _done, _total: None)
    return taken


def of_slates(taken):
    return [choice for choice in taken.examples if choice.request_id is not None]


def grades(taken, until):
    [choice] = of_slates(taken)
    found = taken.examples.with_grades(choice, START + until).grades.tolist()
    return dict(zip(choice.kblock_ids, found, strict=True))


# Outcomes


@pytest.mark.parametrize(
    ("done", "expected"),
    [
        ([("k1", 1, "view")], {"k1": VIEWED}),
        ([("k1", 1, "view"), ("k1", 2, "engage"), ("k1", 3, "view")], {"k1": ENGAGED}),
        ([("k1", 1, "view"), ("k2", 2, "dismiss")], {"k1": VIEWED, "k2": DISMISSED}),
        ([("k1", 1, "view"), ("k1", 2, "dismiss"), ("k1", 3, "engage")], {"k1": DISMISSED}),
        ([("never touched", 0, "engage")], {"never touched": ENGAGED}),
    ],
)
def test_the_grades_are_what_the_reader_did_through_the_slate(done, expected):
    now = 10 * DAY
    events = [outcome(kblock, now + after, action) for kblock, after, action in done]
    if expected == {"k1": DISMISSED}:
        # The dismissal overrides the engagement.
        events.append(outcome("k2", now + 9, "view"))
        expected = expected | {"k2": VIEWED}
    taken = course([*crowd(), *events], slate(now))
    assert grades(taken, 50 * DAY) == dict.fromkeys(SHOWN, PASSED) | expected


def test_a_long_view_is_worth_more():
    taken = course([*crowd(), outcome("k3", 10 * DAY, dwell=30_000)], slate(10 * DAY))
    assert grades(taken, 50 * DAY)["k3"] == READ


def test_what_was_done_otherwise_is_no_outcome_of_a_slate():
    now = 10 * DAY
    others = [
        outcome("k1", now + 1, "engage", user="bob"),
        outcome("k1", now + 2, "engage", request="another"),
        outcome("k1", now + 3, "engage", request=None),
        outcome("k9", now + 4, "engage"),  # this K-Block was not shown
    ]
    assert not of_slates(course([*crowd(), *others], slate(now)))
    taken = course([*crowd(), *others, outcome("k2", now + 5)], slate(now))
    assert grades(taken, 50 * DAY) == dict.fromkeys(SHOWN, PASSED) | {"k2": VIEWED}


def test_what_comes_later_is_not_known():
    now = 10 * DAY
    events = [outcome("k1", now + MINUTE), outcome("k1", now + 2 * MINUTE, "engage")]
    taken = course([*crowd(), *events], slate(now))
    assert grades(taken, now + MINUTE)["k1"] == PASSED
    assert grades(taken, now + MINUTE + 1)["k1"] == VIEWED
    assert grades(taken, now + 2 * MINUTE + 1)["k1"] == ENGAGED
    # A slate whose only outcomes come after the cut is not an example before it.
    assert not of_slates(course([*crowd(), *events], slate(now), cut=now + MINUTE))


@pytest.mark.parametrize(
    "useless",
    [
        slate(10 * DAY, user="guest"),
        slate(10 * DAY, shown=("k1",)),
        slate(10 * DAY, shown=("k1", "k1")),
        slate(10 * DAY, request="unknown"),
        slate(51 * DAY),
        slate(DAY),
    ],
)
def test_slates_that_teach_nothing_are_left_out(useless):
    done = outcome("k1", useless.at - START + 1, user=useless.user_id)
    assert not of_slates(course([*crowd(), done], useless, since=2 * DAY))


def test_a_slate_without_anything_good_is_left_out():
    dismissed = [outcome("k1", 10 * DAY, "dismiss"), outcome("k2", 10 * DAY, "contradict")]
    assert not of_slates(course([*crowd(), *dismissed], slate(10 * DAY)))


# Point in time


def matrix_of(taken):
    [choice] = of_slates(taken)
    return choice.matrix


def column(matrix, name):
    return matrix[:, NAMES.index(name)].tolist()


def test_features_are_those_of_the_moment_among_what_could_be_shown():
    now, log = 10 * DAY, crowd()
    log.append(outcome("k1", now))
    [choice] = of_slates(course(log, slate(now)))
    assert choice.kblock_ids == SHOWN
    features, before = Features(), [event.touch for event in log if event.touch.at < START + now]
    for each in before:
        features.see(each)
    news = [k for k in dict.fromkeys(each.kblock_id for each in before) if k not in SHOWN]
    alone = features.matrix("ada", SHOWN, START + now)
    together = features.matrix("ada", (*SHOWN, *news), START + now)[: len(SHOWN)]
    assert choice.matrix.tolist() == together.tolist()
    assert column(choice.matrix, "candidate_count") == [31] * 4
    assert column(together, "rank_recent_activity_5min") != column(
        alone, "rank_recent_activity_5min"
    )


def is_of_a_point_in_time(learn):
    """Return whether a slate's features stay the same when later events change."""
    now = 10 * DAY
    log = [*crowd(), outcome("k1", now), outcome("k2", now + 1, "engage")]
    changed = [
        event._replace(touch=event.touch._replace(kblock_id="k2", action="engage"))
        if event.touch.at >= START + now and event.request_id is None else event
        for event in log
    ]  # fmt: skip
    more = [Event(touch("ada", each, now)) for each in SHOWN]
    before, after = (matrix_of(learn(each, slate(now))) for each in (log, [*changed, *more]))
    return before.tolist() == after.tolist()


def test_features_are_those_of_a_point_in_time():
    assert is_of_a_point_in_time(course)


def test_a_leak_is_found():
    class Peeking(HoldoutReplay):
        def learn(self, progress):
            for event in self._log.events:
                self._replay.features.see(event.touch)
            super().learn(progress)

    class Late(HoldoutReplay):
        """Gets slates only when their outcome is observed."""

        def learn(self, progress):
            later = [each._replace(at=each.at + 2) for each in self._plan.slates]
            self._plan = self._plan._replace(slates=later)
            super().learn(progress)

    for leaking in (Peeking, Late):
        assert not is_of_a_point_in_time(
            lambda events, shown, leaking=leaking: course(events, shown, make=leaking)
        )


def test_what_a_wrong_clock_put_before_a_slate_is_not_known_to_it():
    now = 10 * DAY
    log = [*crowd(), outcome("k1", now - 30 * MINUTE, "engage"), outcome("k2", now)]
    taken = course(log, slate(now))
    [choice] = of_slates(taken)
    assert choice.at == START + now - 30 * MINUTE
    assert column(choice.matrix, "already_seen") == [0] * 4
    assert grades(taken, 50 * DAY)["k1"] == ENGAGED


# Slates and impressions


@pytest.fixture(scope="module")
def mixed():
    """Make a log of choices; every second one is from a slate, at the third position."""
    log, slates = [], []
    for number, (each, *_) in enumerate(choices()):
        request = None
        if number % 2 and each.user_id != "maker":
            request = f"r{number}"
            first = int(each.kblock_id[1:])
            shown = tuple(f"k{first + n}" for n in (2, 1, 0, -1, -2) if first + n >= 0)
            slates.append(Slate(request, each.user_id, shown, 20, each.at - MINUTE))
        log.append(Event(each, None, request))
    return log, slates


QUICK = TrainingSettings(
    ranker=RankerSettings(rounds=20, fewest=50, least_in_leaf=10, base_below=0)
)


@pytest.mark.slow
def test_what_came_by_a_slate_is_not_learned_from_twice(mixed):
    log, slates = mixed
    without = train_and_measure(log, QUICK).model.metadata["sources"]
    assert without == {"slates": 0, "replay": without["replay"]}
    trained = train_and_measure(log, QUICK, slates=slates)
    sources = trained.model.metadata["sources"]
    assert sources["slates"] > 100
    assert 0 < sources["replay"] < without["replay"] - 100
    assert trained.model.metadata["examples"] == sum(sources.values())
    cut = trained.cut
    taken = course(log, *slates, cut=cut - START, settings=QUICK)
    moments = [(choice.user_id, choice.at) for choice in taken.examples if not choice.request_id]
    came = {(slate.user_id, slate.at + MINUTE) for slate in slates}
    assert not came & set(moments)
    assert trained.model.names[-1] == POSITION
    assert of_slates(taken)[0].places.tolist() == [20, 21, 22, 23, 24]


def test_of_both_the_last_are_learned_from(mixed):
    log, slates = mixed
    everything, few = (course(log, *slates, most=most) for most in (10_000, 40))
    times = [choice.at for choice in everything.examples]
    assert times == sorted(times)
    assert [(each.at, each.kblock_ids) for each in few.examples] == [
        (each.at, each.kblock_ids) for each in [*everything.examples][-40:]
    ]
    assert 0 < len(of_slates(few)) < 40


def test_what_a_kblock_is_is_known_when_it_is_met():
    now = 10 * DAY
    described = {
        "never touched": Description(
            "ada", ("git",), (), 1, words=200, created_at=START + now - 2 * DAY
        ),
        "k1": Description("bob", ("bread",), (), 1, words=200, created_at=START + now - 3 * DAY),
        "k5": Description("ada", ("git",), (), 1, words=200, created_at=START - 5 * DAY),
    }
    log = [*crowd(), *(outcome("k5", DAY + n, "engage", request=None) for n in range(9))]
    log.append(outcome("k1", now))
    [choice] = of_slates(course(log, slate(now), descriptions=described))
    tags = dict(zip(choice.kblock_ids, column(choice.matrix, "tags"), strict=True))
    assert tags["never touched"] > 0 == tags["k1"] == tags["k2"]
    age = dict(zip(choice.kblock_ids, column(choice.matrix, "age"), strict=True))
    assert age["never touched"] == pytest.approx(np.log1p(2 * 86_400))
    assert age["k1"] == pytest.approx(np.log1p(3 * 86_400))
    assert age["k2"] == pytest.approx(np.log1p(10 * 86_400), rel=1e-4)

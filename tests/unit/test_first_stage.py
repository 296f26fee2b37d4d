"""Candidate generation selects some hundreds of candidates, as a feed does."""

import numpy as np
import pytest

from harken.services.evaluation.holdout import train_and_measure
from harken.services.learning.candidate_generation import MOST, CandidateGenerator
from harken.services.learning.impressions import Event
from harken.services.learning.point_in_time import Description, PointInTimeReplay
from harken.services.learning.ranker import RankerSettings
from harken.services.learning.rolling_training import TrainingSettings
from tests.support.touches import DAY, START, touch

MINUTE = 60_000_000
MANY = 2_000


def crowded(labels=()):
    """Make a replay with many K-Blocks, which appeared a minute apart."""
    described = {
        f"k{n}": Description("ada" if n < 100 else "bob", ("git",) if n in labels else ())
        for n in range(MANY)
    }
    replay = PointInTimeReplay(described)
    for n in range(MANY):
        replay.observe(Event(touch("maker", f"k{n}", n * MINUTE)), counted=False)
    return replay


def see(replay, user, numbers, at, action="engage"):
    for place, n in enumerate(numbers):
        replay.observe(Event(touch(user, f"k{n}", at + place, action)), counted=False)


def looked_at(replay, user="eve", at=2 * DAY):
    found = replay.candidates(user, START + at)
    assert list(found) == sorted(found, key=lambda each: int(each[1:]))
    return {int(each[1:]) for each in found}


def test_what_is_little_is_left_as_it_is():
    stage, few = CandidateGenerator(PointInTimeReplay().features.affinities), np.arange(MOST)
    assert stage.narrow("ada", few, 0) is few


def test_the_newest_and_those_that_most_is_going_on_with_are_looked_at():
    replay = crowded()
    busy = range(700, 800)
    for user in ("bob", "cy"):
        see(replay, user, busy, 1.9 * DAY)
    found = looked_at(replay)
    assert found >= set(range(MANY - 200, MANY)) | set(busy)
    assert len(found) < 400
    # Dismissals do not make a K-Block trending.
    see(replay, "dan", range(300, 400), 1.95 * DAY, "dismiss")
    assert not looked_at(replay) & set(range(300, 400))


def test_so_is_what_a_reader_takes_to_and_what_others_of_their_taste_liked():
    replay = crowded(labels=range(0, MANY, 50))
    see(replay, "eve", range(0, 400, 50), DAY)  # all of these are of one tag
    see(replay, "fay", [*range(0, 400, 50), 611, 612], DAY)
    for n in range(60):  # all other activity is on other K-Blocks
        see(replay, f"u{n}", range(900, 1_200), 1.5 * DAY)
    found = looked_at(replay)
    assert {611, 612} <= found
    assert set(range(1_000, MANY, 50)) <= found  # the last twenty with the tag
    assert not found & set(range(0, 400, 50))  # the reader touched these
    assert len(found) < 500


def test_nothing_is_learned_from_what_would_not_have_been_looked_at():
    """Readers choose something old and inactive; it is not added to the candidates."""
    log = [Event(touch("maker", f"k{n}", n * 15 * MINUTE)) for n in range(45 * 96)]
    old = [
        Event(touch(f"u{n % 20}", f"k{30 * 96 + n * 4 - 400}", 31 * DAY + n * 60 * MINUTE))
        for n in range(300)
    ]
    new = [
        Event(touch(f"u{n % 20}", f"k{(31 * 24 + n) * 4 - n % 20}", 31 * DAY + n * 60 * MINUTE + 1))
        for n in range(320)
    ]
    log = sorted([*log, *old, *new], key=lambda event: event.touch.at)
    quick = TrainingSettings(ranker=RankerSettings(rounds=5, fewest=50, least_in_leaf=10))
    trained = train_and_measure(log, quick)
    assert trained.skipped[0] > 50
    assert trained.skipped[1] > 20
    assert trained.model.metadata["examples"] > 100
    assert trained.found.impressions + trained.skipped[1] == trained.measurable


@pytest.mark.slow
def test_of_many_impressions_some_are_measured_the_same_for_the_same_seed():
    log = [Event(touch("maker", f"k{n}", n * 60 * MINUTE)) for n in range(45 * 24)]
    log += [
        Event(touch(f"u{n % 20}", f"k{30 * 24 + n}", 30 * DAY + n * 60 * MINUTE + 1 + n % 20))
        for n in range(15 * 24)
    ]
    quick = TrainingSettings(ranker=RankerSettings(rounds=5, fewest=50, least_in_leaf=10))
    everything, some, again = (
        train_and_measure(log, quick, most_measured=n) for n in (999, 40, 40)
    )
    assert everything.found.impressions == everything.measurable == some.measurable > 100
    assert some.found.impressions == 40
    assert some.found == again.found
    assert some.model.booster.model_to_string() == everything.model.booster.model_to_string()

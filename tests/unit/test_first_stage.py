"""Candidate generation selects some hundreds of candidates, as a feed does."""

import json
import random
from datetime import timedelta

import numpy as np
import pytest

from harken.domain.decay import DEFAULT_HALF_LIVES, add, logarithm, order
from harken.domain.times import EPOCH
from harken.services.evaluation.holdout import train_and_measure
from harken.services.index.index import Index
from harken.services.index.ordering import Reader
from harken.services.index.rows import UNKNOWN
from harken.services.learning.candidate_generation import MOST, CandidateGenerator
from harken.services.learning.factor_candidates import fit_factors, sources_with
from harken.services.learning.impressions import Event
from harken.services.learning.point_in_time import Description, PointInTimeReplay
from harken.services.learning.ranker import RankerSettings
from harken.services.learning.rolling_training import TrainingSettings
from harken.services.personal.index_pool import IndexPool
from harken.services.personal.sources import CandidateQuery, retrieve
from harken.services.texts.terms import terms_of
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
    assert found >= set(range(MANY - 150, MANY)) | set(busy)
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
    assert set(range(400, MANY, 50)) <= found  # the last forty with the tag
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
    # Factors come from the events before the cut alone.
    assert trained.collaborative is not None
    assert set(trained.collaborative.items) == {
        event.touch.kblock_id for event in log if event.touch.at < trained.cut
    }


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


def varied_log(seed, kblocks=1_500, count=6_000):
    """Make a log of 12 days in which readers of three tastes prefer K-Blocks of their tag."""
    chance = random.Random(seed)
    described = {
        f"k{n}": Description(
            f"author{n % 40}",
            (f"t{n % 3}",),
            created_at=START + n * 8 * MINUTE,
            terms=terms_of(f"word{n % 3}", f"word{n % 3} word{n % 7}"),
        )
        for n in range(kblocks)
    }
    log = [Event(touch("maker", f"k{n}", n * 8 * MINUTE)) for n in range(kblocks)]
    for at in sorted(chance.sample(range(DAY, kblocks * 8 * MINUTE), count)):
        user = chance.randrange(30)
        number = chance.randrange(at // (8 * MINUTE) + 1)
        if chance.random() < 0.8:
            number -= (number - user) % 3
        action = chance.choice(["view", "view", "engage", "dismiss"])
        log.append(Event(touch(f"u{user}", f"k{max(number, 0)}", at, action)))
    return described, sorted(log, key=lambda event: event.touch.at)


def indexed(replay, described, log):
    """Make the index that a feed would have: created, labels and decayed counts of the log."""
    counts: dict[tuple, float | None] = {}
    for event in log:
        at = EPOCH + timedelta(microseconds=event.touch.at)
        for half_life in DEFAULT_HALF_LIVES:
            key = event.touch.kblock_id, half_life, event.touch.action
            counts[key] = add(counts.get(key), logarithm(at, half_life))
    index = Index(log[-1].touch.at, DEFAULT_HALF_LIVES)
    rows = []
    for number, kblock_id in enumerate(replay.window.kblocks):
        trends = []
        for each in DEFAULT_HALF_LIVES:
            viewed, engaged, dismissed = (
                counts.get((kblock_id, each, what)) for what in ("view", "engage", "dismiss")
            )
            trends.append(order(viewed, engaged, dismissed))
        about = described[kblock_id]
        rows.append(
            UNKNOWN._replace(
                number=number, version=1, created=about.created_at, author=about.author,
                tags=json.dumps(about.tags), trends=tuple(trends),
            )
        )  # fmt: skip
    index.put(rows)
    return index


class TextsByPlace(IndexPool):
    """A feed has texts by the numbers of K-Blocks; these are those of training, by places."""

    def texts(self, keys):
        return self.rows(keys)


@pytest.mark.parametrize("seed", range(3))
def test_training_looks_at_what_a_feed_would_look_at(seed):
    """Each source, asked about the log and about an index of the same log, names the same."""
    described, log = varied_log(seed)
    replay = PointInTimeReplay(described)
    stage = CandidateGenerator(replay.features.affinities)
    for event in log:
        known = len(replay.window.kblocks)
        replay.observe(event, counted=False)
        for number in range(known, len(replay.window.kblocks)):
            kblock_id = replay.window.kblocks[number]
            stage.add(
                number, replay.features.affinities.place(kblock_id), described[kblock_id].labels
            )
        stage.observe(replay.window.kblocks.index(event.touch.kblock_id), event.touch)
    index, now = indexed(replay, described, log), log[-1].touch.at + MINUTE
    affinities = replay.features.affinities
    number_at = {affinities.place(each): n for n, each in enumerate(replay.window.kblocks)}

    def numbers(places):
        return np.array([number_at.get(place, -1) for place in places.tolist()], np.int64)

    assert len(replay.window.candidates("never", now)) > MOST
    everything = sources_with(fit_factors(log, seed))
    found_by = dict.fromkeys((source.name for source in everything), 0)
    for user in ("u0", "u1", "u2", "maker", "guest", "never"):
        candidates = replay.window.candidates(user, now)
        mask = np.zeros(len(index), np.bool_)
        mask[index.present(candidates)] = True
        pool = TextsByPlace(index, user, mask, None, Reader((), now), numbers)
        query = CandidateQuery(pool, affinities, user, now)
        for sources in ([source] for source in everything):
            narrowed = stage.narrow(user, candidates, now, sources)
            served = np.sort(index.number[retrieve(query, sources)])
            assert narrowed.tolist() == served.tolist(), (user, sources[0].name)
            found_by[sources[0].name] += len(served)
            assert len(served) <= sources[0].most
        if len(candidates) > MOST:
            served = np.sort(index.number[retrieve(query)])
            assert stage.narrow(user, candidates, now).tolist() == served.tolist()
    assert all(found_by.values())

"""Simulated readers: their interests are known and determined by a seed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from harken.domain.kblock import KBlock
from harken.services.simulation.clicks import Cascade, NoBias, PositionBased
from harken.services.simulation.readers import Habits, SimulatedReader, Tastes
from harken.services.simulation.sessions import ServedPage, simulate_session
from harken.services.simulation.world import Population, draw_kblocks, draw_readers, draw_world

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
FEW = Population(readers=12, clusters=3)


def kblock(name: str, **fields) -> KBlock:
    return KBlock.parse({"id": name, "title": name} | fields)


PLAIN = SimulatedReader("sim-a", 0, Tastes(), appeal=0, opinion=0)


# The world


def test_the_same_seed_gives_the_same_world():
    one, again = (draw_world(7, NOW, 50, FEW) for _ in range(2))
    assert one == again
    assert one.relevances().tolist() == again.relevances().tolist()
    other = draw_world(8, NOW, 50, FEW)
    assert one.kblocks != other.kblocks
    assert one.relevances().tolist() != other.relevances().tolist()


def test_more_readers_leave_the_others_as_they_were():
    kblocks = draw_kblocks(7, 50, NOW, DAY)
    few = draw_readers(7, kblocks, FEW)
    assert draw_readers(7, kblocks, replace(FEW, readers=15))[:12] == few
    assert (
        len({reader.user_id for reader in draw_readers(7, kblocks, Population(readers=99))}) == 99
    )


def test_kblocks_say_that_they_are_simulated_and_lie_in_their_span():
    drawn = draw_kblocks(7, 200, NOW, 3 * DAY)
    assert len({each.id for each in drawn}) == 200
    for each in drawn:
        assert each.path is not None
        assert each.path.startswith("simulated/")
        assert each.author is not None
        assert each.author.endswith(" (simulated)")
        assert "made by a simulator" in each.content
        assert each.created_at is not None
        assert NOW - 3 * DAY <= each.created_at <= NOW
    times = [each.created_at for each in drawn if each.created_at is not None]
    assert times == sorted(times)


def test_relevance_is_a_probability_and_the_same_in_any_order():
    world = draw_world(3, NOW, 120, FEW)
    found = world.relevances()
    assert found.shape == (12, 120)
    assert ((found > 0) & (found < 1)).all()
    assert 0.05 < found.mean() < 0.4
    reader = world.readers[4]
    backwards = reader.relevances(reversed(world.kblocks))
    assert backwards.tolist() == found[4][::-1].tolist()


def test_readers_of_one_cluster_agree_more_than_those_of_two():
    world = draw_world(5, NOW, 300, Population(readers=30, clusters=3))
    alike = np.asarray(np.corrcoef(world.relevances()))
    clusters = np.array([reader.cluster for reader in world.readers])
    same = clusters[:, None] == clusters
    apart = ~np.eye(30, dtype=bool)
    # Almost every pair of one cluster agrees more than pairs of two clusters do.
    assert np.quantile(alike[same & apart], 0.1) > np.quantile(alike[~same], 0.9)


def test_tastes_can_be_over_the_labels_of_any_kblocks():
    notes = [kblock(f"k{i}", tags=["git"] if i % 2 else ["bread"], layer=1) for i in range(40)]
    readers = draw_readers(1, notes, FEW)
    for reader in readers:
        assert set(reader.tastes.tags) == {"git", "bread"}
        liked = reader.relevances(notes)
        utility = reader.tastes.tags["git"] - reader.tastes.tags["bread"]
        assert (liked[1::2].mean() > liked[::2].mean()) == (utility > 0) or abs(utility) < 0.5


def test_a_relevance_is_the_logistic_sum_of_what_labels_are_worth():
    tastes = Tastes({"git": 1.5}, {"ada": 0.5}, {"honest": -1.0}, {2: 0.25})
    reader = replace(PLAIN, tastes=tastes, base=-1.0)
    full = kblock("k", tags=["git", "else"], author="ada", principles=["honest"], layer=2)
    assert reader.relevance(full) == pytest.approx(1 / (1 + np.exp(-0.25)))
    assert reader.relevance(kblock("k")) == pytest.approx(1 / (1 + np.e))


def test_what_is_appealing_is_so_for_everybody_and_opinions_are_not():
    notes = [kblock(f"k{i}") for i in range(400)]
    ada, bob = replace(PLAIN, appeal=1.0), replace(PLAIN, user_id="sim-b", appeal=1.0)
    assert ada.relevances(notes).tolist() == bob.relevances(notes).tolist()
    ada, bob = (replace(each, appeal=0.0, opinion=1.0) for each in (ada, bob))
    alike = np.asarray(np.corrcoef(ada.relevances(notes), bob.relevances(notes)))
    assert abs(alike[0, 1]) < 0.2


def test_interest_in_posts_fades_and_notes_are_timeless():
    post = kblock("k", kind="post", created_at=NOW)
    note, ageless = kblock("k", created_at=NOW), kblock("k", kind="post")
    reader = replace(PLAIN, habits=Habits(fades=2 * DAY))
    truth = reader.relevance(post)
    assert reader.interests([post], NOW - DAY).tolist() == [truth]
    assert reader.interests([post], NOW + 4 * DAY).tolist() == [pytest.approx(truth / 4)]
    assert reader.interests([note, ageless], NOW + 4 * DAY).tolist() == [truth, truth]
    timeless = replace(PLAIN, habits=Habits(fades=None))
    assert timeless.interests([post], NOW + 4 * DAY).tolist() == [truth]


# What readers do


def test_visits_lie_in_their_day_around_the_peak():
    habits = Habits(visits_per_day=50.0, peak_hour=7.0, concentration=4.0)
    times = habits.visits(NOW, np.random.default_rng(0))
    assert times == sorted(times)
    assert all(NOW <= at < NOW + DAY for at in times)
    hours = [at.hour for at in times]
    assert sum(4 <= hour <= 10 for hour in hours) > 0.9 * len(hours)
    assert 30 < len(times) < 75


def test_readers_scroll_as_far_as_they_do_in_the_mean():
    chance = np.random.default_rng(0)
    depths = [Habits(depth=9.0).scrolled(chance) for _ in range(4_000)]
    assert min(depths) == 1
    assert np.mean(depths) == pytest.approx(9.0, rel=0.06)


def test_who_likes_more_stays_longer():
    chance = np.random.default_rng(0)
    stays = [
        np.median([Habits().dwell(200, r, chance).total_seconds() for _ in range(500)])
        for r in (0.1, 0.5, 0.9)
    ]
    assert stays == sorted(stays)
    assert Habits(words_per_second=1e6).dwell(9, 0.5, chance) == timedelta(seconds=1)


def events(reader, page, model=NoBias(), seed=0, opened=()):  # noqa: B008
    return simulate_session(reader, page, NOW, model, np.random.default_rng(seed), opened)


def test_what_a_reader_does_with_a_page():
    notes = [kblock(f"k{i}", tags=["git"] if i % 2 else ["bread"]) for i in range(40)]
    likes = replace(
        PLAIN,
        tastes=Tastes({"git": 7.0, "bread": -7.0}),
        habits=Habits(depth=1e9, engages=1.0, dismisses=1.0),
    )
    done = events(likes, ServedPage("r", notes, position=20))
    assert [each.occurred_at for each in done] == sorted(each.occurred_at for each in done)
    assert len({each.interaction_id for each in done}) == len(done)
    for each in done:
        place = int(each.kblock_id[1:])
        assert each.position == 20 + place
        assert (each.user_id, each.request_id, each.session_id) == ("sim-a", "r", "r")
        assert each.action == "dismiss" if place % 2 == 0 else each.action in {"view", "engage"}
        assert (each.dwell_time_ms is not None) == (each.action == "view")
    engaged = {each.kblock_id for each in done if each.action == "engage"}
    assert engaged <= {each.kblock_id for each in done if each.action == "view"}
    assert len(engaged) > 15
    assert sum(each.action == "dismiss" for each in done) == 20


def test_the_same_visit_twice_is_the_same():
    world = draw_world(3, NOW, 60, FEW)
    page = ServedPage("r", world.kblocks[:20])
    for reader in world.readers:
        for model in (NoBias(), PositionBased(), Cascade()):
            assert events(reader, page, model) == events(reader, page, model)


def test_what_was_opened_before_is_hardly_opened_again():
    notes = [kblock(f"k{i}") for i in range(100)]
    keen = replace(PLAIN, base=3.0, habits=Habits(depth=1e9, rereads=0.0))
    opened = {each.id for each in notes[:50]}
    assert keen.interests(notes, NOW, opened)[:50].tolist() == [0.0] * 50
    done = events(keen, ServedPage("r", notes), opened=opened)
    assert done
    assert not opened & {each.kblock_id for each in done}


def test_a_reader_who_scrolls_to_the_third_does_nothing_below():
    notes = [kblock(f"k{i}") for i in range(50)]
    brief = replace(PLAIN, base=9.0, habits=Habits(depth=3.0))
    deepest = [
        max((each.position for each in events(brief, ServedPage("r", notes), seed=seed)), default=0)
        for seed in range(300)
    ]
    assert np.mean(deepest) == pytest.approx(2.0, abs=0.4)

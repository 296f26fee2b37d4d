"""Candidates by the factors of K-Blocks: what readers of the same taste like, of any age."""

import random

import numpy as np
import pytest

from harken.errors import InvalidInput
from harken.services.learning.collaborative import Collaborative
from harken.services.learning.factor_candidates import (
    CO_ENGAGED_BESIDE,
    Recommended,
    fit_factors,
    sources_with,
)
from harken.services.learning.impressions import Event
from harken.services.personal.sources import SOURCES, CandidateQuery, most_candidates
from harken.services.readers.affinities import Affinities
from tests.support.touches import DAY, START, touch

TASTES, KBLOCKS = 4, 1_000


class Everything:
    """A pool in which a row is a place."""

    def newest(self, _count):
        return np.zeros(0, np.int64)

    trending = newest

    def labelled(self, _kind, _name, _count):
        return np.zeros(0, np.int64)

    def rows(self, places):
        return places

    texts = rows


@pytest.fixture(scope="module")
def log():
    """Readers of four tastes, who like one in four K-Blocks; the first K-Blocks most often."""
    chance, found = random.Random(3), []
    for at in range(20_000):
        reader = chance.randrange(200)
        liked = int(KBLOCKS / TASTES * chance.random() ** 2)
        found.append(Event(touch(f"u{reader}", f"k{liked * TASTES + reader % TASTES}", at)))
    return found


@pytest.fixture(scope="module")
def model(log):
    return fitted(log)


def fitted(log) -> Collaborative:
    found = fit_factors(log, seed=0)
    assert found is not None
    return found


def asked(model, affinities, user):
    query = CandidateQuery(Everything(), affinities, user, START + DAY)
    places = Recommended(model).candidates(query).tolist()
    names = {affinities.place(each): int(each[1:]) for each in model.items}
    return [names[place] for place in places]


def known(log):
    affinities = Affinities()
    for event in log:
        affinities.observe(event.touch)
    return affinities


def test_it_names_what_fits_a_new_readers_history_without_what_they_know(log, model):
    affinities = known(log)
    for n in range(8):
        affinities.observe(touch("new", f"k{n * TASTES + 1}", DAY))
    affinities.observe(touch("new", "k41", DAY, "dismiss"))
    found = asked(model, affinities, "new")
    assert 50 < len(found) <= Recommended(model).most
    assert not {n * TASTES + 1 for n in range(8)} & set(found)
    assert 41 not in found
    assert np.mean([n % TASTES == 1 for n in found[:50]]) > 0.95


def test_of_whom_nothing_is_known_it_names_nothing(log, model):
    affinities = known(log)
    affinities.observe(touch("elsewhere", "after the training", DAY))
    affinities.observe(touch("against", "k1", DAY, "dismiss"))
    for user in ("never", "guest", "elsewhere", "against"):
        assert asked(model, affinities, user) == []


def test_what_the_affinities_do_not_know_is_left_out(model):
    affinities = Affinities()
    for n in range(8):
        affinities.observe(touch("new", f"k{n * TASTES}", DAY))
    affinities.observe(touch("other", f"k{20 * TASTES}", DAY))
    assert asked(model, affinities, "new") == [20 * TASTES]


def test_where_all_are_candidates_none_are_fitted(log):
    few = [event for event in log if int(event.touch.kblock_id[1:]) < most_candidates()]
    assert fit_factors(few, seed=0) is None
    guests = [Event(event.touch._replace(user_id="guest")) for event in log]
    assert fit_factors(guests, seed=0) is None
    assert sources_with(None) == SOURCES


def test_the_order_of_events_and_the_run_make_no_difference(log, model):
    again = fitted(log[::-1])
    assert again.items == model.items
    history = {"k1": 1.0, "k5": 1.0}
    assert again.scores(history) == pytest.approx(model.scores(history), abs=1e-4)


def test_only_so_many_have_factors_those_with_the_most_readers(log, monkeypatch):
    monkeypatch.setattr("harken.services.learning.factor_candidates.MOST_ITEMS", 100)
    some = fitted(log)
    assert len(some.items) == 100
    assert np.mean([int(each[1:]) < KBLOCKS / 4 for each in some.items]) > 0.8


def test_beside_factors_there_are_fewer_neighbours(model):
    most = {source.name: source.most for source in sources_with(model)}
    assert most["factors"] == Recommended(model).most
    assert most["co_engaged"] == CO_ENGAGED_BESIDE
    assert most.keys() == {source.name for source in SOURCES} | {"factors"}


def test_bytes_are_the_same_model_and_others_are_refused(model):
    content = model.to_bytes()
    again = Collaborative.from_bytes(content, "it")
    assert again.items == list(model.items)
    assert again.scores({"k1": 1.0}).tolist() == model.scores({"k1": 1.0}).tolist()
    for wrong in (b"", b"PK", content[:-50], content[: len(content) // 2], b"x" + content):
        with pytest.raises(InvalidInput, match="it is not a collaborative filtering model"):
            Collaborative.from_bytes(wrong, "it")

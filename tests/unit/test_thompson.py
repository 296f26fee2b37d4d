"""Thompson sampling: orders are as frequent as their odds say, and little evidence means chance."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harken.domain.exploration import Variety
from harken.services.index.diversity import arrange
from harken.services.index.thompson import EVIDENCE, LEAST_ODDS, draw, uncertainties

SCORES = np.array([1.0, 0.5, 0.2, 0.0])
DEVIATIONS = np.array([0.1, 0.5, 1.0, 2.0])


def test_each_item_comes_to_each_place_as_often_as_its_odds_say():
    times, likely = np.zeros((4, 4)), np.zeros((4, 4))
    rounds = 1_500
    for seed in range(rounds):
        order, odds = draw(SCORES, DEVIATIONS, seed)
        assert sorted(order) == [0, 1, 2, 3]
        times[range(4), order] += 1
        likely[range(4), order] += odds
    known = times > 30
    error = np.abs(times[known] / rounds - likely[known] / times[known])
    assert (error < 4.5 * np.sqrt(0.25 / rounds)).all()


def test_against_a_certain_score_the_odds_are_those_of_the_distribution():
    """The only other item has hardly any uncertainty, so the closed form is known."""
    scores, deviations = np.array([1.0, 0.0]), np.array([1e-6, 1.0])
    scale = math.sqrt(3) / math.pi
    upset = 1 / (1 + math.exp(1.0 / scale))
    found = {}
    for seed in range(60):
        order, odds = draw(scores, deviations, seed)
        found[int(order[0])] = odds
    assert found[0][1] == pytest.approx(1 - upset, abs=1e-4)  # the second item, second
    assert found[1][0] == pytest.approx(upset, abs=1e-4)


def test_the_less_is_known_the_more_uncertain_it_is():
    shown = np.array([0.0, 1.0, EVIDENCE, 10 * EVIDENCE, 1e9])
    found = uncertainties(np.array([4.0, 3.0, 2.0, 1.0, 0.0]), shown)
    assert (np.diff(found) < 0).all()
    assert found[2] / found[0] == pytest.approx(math.sqrt(0.5))
    assert found[-1] > 0


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40),
    st.floats(0.01, 100),
    st.floats(-1e3, 1e3),
    st.integers(0, 2**53 - 1),
)
def test_the_unit_of_a_score_does_not_matter(scores, factor, offset, seed):
    given_scores = np.round(np.array(scores), 2)
    shown = np.arange(len(scores), dtype=np.float64)
    deviations = uncertainties(given_scores, shown)
    others = uncertainties(given_scores * factor + offset, shown)
    assert (deviations > 0).all()
    if given_scores.max() > given_scores.min():
        assert others == pytest.approx(factor * deviations, rel=1e-3)
    order, odds = draw(given_scores, deviations, seed)
    assert sorted(order) == list(range(len(scores)))
    assert ((odds >= LEAST_ODDS) & (odds <= 1)).all()
    again, same = draw(given_scores, deviations, seed)
    assert (again.tolist(), same.tolist()) == (order.tolist(), odds.tolist())


@pytest.mark.parametrize("scores", [[], [5.0], [0.0, 0.0, 0.0], [1e308, -1e308, 1.0, 1.0]])
def test_scores_of_every_kind_can_be_drawn(scores):
    found = np.array(scores, np.float64)
    order, odds = draw(found, uncertainties(found, np.zeros(len(found))), seed=1)
    assert sorted(order) == list(range(len(scores)))
    assert np.isfinite(odds).all()


def test_what_was_shown_often_stays_at_its_place_and_what_is_new_gets_its_chance():
    """Twenty K-Blocks by score; the one in the middle is new, the others were shown for long."""
    numbers, scores = np.arange(20), np.linspace(2.0, 0.0, 20)
    known = np.full(20, 1_000.0)
    new = known.copy()
    new[10] = 0.0
    places: dict[str, list[int]] = {"new": [], "known": []}
    for seed in range(200):
        for name, shown in (("new", new), ("known", known)):
            variety = Variety(seed=seed, explore="thompson")
            found = arrange(numbers, scores, variety, {}, shown=shown)
            places[name].append(found.numbers.tolist().index(10))
    assert all(abs(place - 10) <= 6 for place in places["known"])
    first = sum(place < 3 for place in places["new"])
    assert 5 < first < 60

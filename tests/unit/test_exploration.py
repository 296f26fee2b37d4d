"""Orders that are drawn, against the probabilities of every order there is."""

import itertools
import math
from typing import Any

import numpy as np
import pytest

from harken.domain.exploration import (
    Drawing,
    Variety,
    check_variety,
    propensities,
    sample,
    uniforms,
)
from harken.domain.feeds import RANKINGS
from harken.errors import InvalidInput

# Of a χ² distribution, exceeded once in 10,000 times, by degrees of freedom.
RARE = {3: 21.108, 5: 25.745, 23: 54.7}


def by_hand(scores: list[float], temperature: float, order: tuple[int, ...]) -> list[float]:
    """Divide what the drawn one weighs by what all that are left weigh, each time."""
    weights = [math.exp(score / temperature) for score in scores]
    return [
        weights[each] / sum(weights[other] for other in order[place:])
        for place, each in enumerate(order)
    ]


def chi_square(found: dict[Any, int], expected: dict[Any, float], count: int) -> float:
    assert set(found) <= set(expected)
    return sum((found.get(key, 0) - p * count) ** 2 / (p * count) for key, p in expected.items())


def counted(draws) -> dict[Any, int]:
    found: dict[Any, int] = {}
    for each in draws:
        found[each] = found.get(each, 0) + 1
    return found


@pytest.mark.parametrize("temperature", [0.1, 0.3, 5.0])
def test_the_probabilities_of_all_orders_are_those_of_the_definition(temperature):
    scores = [0.9, 0.7, 0.65, 0.1]
    total = 0.0
    for order in itertools.permutations(range(4)):
        found = propensities(np.array(scores)[list(order)], temperature)
        assert found == pytest.approx(by_hand(scores, temperature, order))
        total += math.prod(found)
    assert total == pytest.approx(1)


@pytest.mark.parametrize(
    ("scores", "temperature"), [([0.9, 0.7, 0.65, 0.4], 0.3), ([3.0, 2.0, 2.0], 1.0)]
)
def test_orders_are_as_frequent_as_they_are_likely(scores, temperature):
    count = 4_000
    drawn = counted(
        tuple(sample(np.array(scores), temperature, seed)[0].tolist()) for seed in range(count)
    )
    expected = {
        order: math.prod(by_hand(scores, temperature, order))
        for order in itertools.permutations(range(len(scores)))
    }
    assert chi_square(drawn, expected, count) < RARE[len(expected) - 1]


def test_one_by_one_is_as_likely_as_all_at_once():
    scores, count = np.array([0.9, 0.7, 0.65, 0.4]), 4_000
    orders = []
    for seed in range(count):
        drawing, free = Drawing(scores, 0.3, seed), np.ones(4, np.bool_)
        order = []
        while free.any():
            order.append(drawing(free))
            free[order[-1]] = False
        assert drawing.propensities == pytest.approx(propensities(scores[order], 0.3))
        orders.append(tuple(order))
    expected = {
        order: math.prod(by_hand(scores.tolist(), 0.3, order))
        for order in itertools.permutations(range(4))
    }
    assert chi_square(counted(orders), expected, count) < RARE[23]


def test_what_is_not_free_is_not_counted():
    scores = np.array([0.9, 0.7, 0.65, 0.4])
    count, free = 4_000, np.array([False, True, True, True])
    firsts = []
    for seed in range(count):
        drawing = Drawing(scores, 0.3, seed)
        firsts.append(drawing(free))
        [found] = drawing.propensities
        assert found == pytest.approx(
            math.exp(scores[firsts[-1]] / 0.3) / sum(np.exp(scores[free] / 0.3))
        )
    weights = {place: math.exp(scores[place] / 0.3) for place in (1, 2, 3)}
    expected = {place: weight / sum(weights.values()) for place, weight in weights.items()}
    assert chi_square(counted(firsts), expected | {0: 1e-12}, count) < RARE[3]


def test_the_same_seed_draws_the_same_order():
    scores = np.linspace(1, 0, 1_000)
    first, again, other = (sample(scores, 0.05, seed) for seed in (7, 7, 8))
    assert first[0].tolist() == again[0].tolist() != other[0].tolist()
    assert first[1].tolist() == again[1].tolist()
    assert sorted(first[0].tolist()) == list(range(1_000))


def test_drawings_are_the_same_everywhere_and_for_ever():
    """What the ledger holds has to be found again by any version of what it was made with."""
    assert uniforms(42, 3).tolist() == [
        0.7739560485559634, 0.4388784397520523, 0.8585979199113826,
    ]  # fmt: skip
    order, found = sample(np.array([0.9, 0.7, 0.65, 0.4]), 0.3, 42)
    assert order.tolist() == [0, 2, 1, 3]
    assert found.tolist() == pytest.approx(by_hand([0.9, 0.7, 0.65, 0.4], 0.3, (0, 2, 1, 3)))


def test_towards_no_temperature_the_ranking_stays():
    scores = np.linspace(1, 0, 50)
    order, found = sample(scores, 0.001, 1)
    assert order.tolist() == list(range(50))
    assert found == pytest.approx(np.ones(50))


def test_at_a_high_temperature_everything_is_as_likely():
    _, found = sample(np.linspace(1, 0, 50), 1_000_000, 1)
    assert found == pytest.approx(1 / np.arange(50, 0, -1), rel=1e-4)


def test_scores_that_are_far_apart_are_no_trouble():
    scores = np.array([3e15, 2e9, 2e9, 0.5, 0.5, 0.0, -1e15])
    for temperature in (0.001, 1.0, 1e6):
        order, found = sample(scores, temperature, 3)
        assert order[0] == 0
        assert order[-1] == 6
        assert np.all((found > 0) & (found <= 1))
        drawing, free = Drawing(scores, temperature, 3), np.ones(7, np.bool_)
        while free.any():
            free[drawing(free)] = False
        assert drawing.propensities[0] == drawing.propensities[-1] == 1
        assert all(0 < each <= 1 for each in drawing.propensities)


def test_the_greatest_numbers_there_are_and_infinity_are_no_trouble():
    scores = np.array([np.inf, 1.0, 1.0, np.finfo(np.float64).min, -np.inf])
    order, found = sample(scores, 0.001, 3)
    assert order[0] == 0
    assert sorted(order[1:3].tolist()) == [1, 2]
    assert found.tolist() == [1.0, 0.5, 1.0, 0.5, 1.0]


def test_of_equal_scores_that_are_far_below_each_is_as_likely():
    scores = np.array([1e12, 0.0, 0.0, 0.0])
    count = 3_000
    orders = [sample(scores, 0.001, seed)[0].tolist() for seed in range(count)]
    seconds = counted(order[1] for order in orders)
    assert chi_square(seconds, dict.fromkeys((1, 2, 3), 1 / 3) | {0: 1e-12}, count) < RARE[3]


def test_nothing_and_one():
    order, found = sample(np.zeros(0), 0.1, 1)
    assert (len(order), len(found)) == (0, 0)
    order, found = sample(np.array([-3.0]), 0.1, 1)
    assert (order.tolist(), found.tolist()) == ([0], [1.0])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"temperature": -0.1}, "temperature: must be 0, or from 0.001 to 1000000"),
        ({"temperature": 0.0001}, "temperature: must be 0, or from"),
        ({"temperature": math.nan}, "temperature: must be 0, or from"),
        ({"temperature": math.inf}, "temperature: must be 0, or from"),
        (
            {"temperature": 1.0, "seed": -1},
            "seed: must be a whole number from 0 to 9007199254740991",
        ),
        ({"temperature": 1.0, "seed": 2**53}, "seed: must be a whole number"),
        ({"seed": 1}, "seed: needs a temperature above 0"),
        ({"most_per_author": 0}, "most_per_author: must be from 1 to 100"),
        ({"most_per_tag": 101}, "most_per_tag: must be from 1 to 100"),
    ],
)
def test_variety_that_makes_no_sense(wrong, message):
    with pytest.raises(InvalidInput, match=message):
        check_variety(Variety(**wrong), RANKINGS["weighted"])


def test_what_is_ordered_by_time_has_no_scores_to_draw_by():
    chronological = RANKINGS["chronological"]
    check_variety(Variety(most_per_author=1), chronological)
    with pytest.raises(InvalidInput, match="temperature: needs a ranking by score"):
        check_variety(Variety(0.1), chronological)


def test_the_ledger_is_told_what_was_chosen():
    assert Variety().settings() == {}
    assert Variety(0.5, 0).settings() == {"temperature": 0.5, "seed": 0}
    assert Variety(most_per_tag=2, window=20).settings() == {"most_per_tag": 2, "window": 20}

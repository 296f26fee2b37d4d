"""Estimates of other temperatures from slates that show complete orders."""

import math

import numpy as np
import pytest

from harken.domain.exploration import propensities, sample
from harken.errors import InvalidInput
from harken.services.evaluation.slate_policies import (
    SlateLog,
    at_temperature,
    check_target,
    evaluate_slates,
)
from tests.support.drawn_slates import draw, trials


def slate(name="r1", **changes) -> dict:
    return {
        "request_id": name, "first_request_id": name, "user_id": "ada", "position": 0,
        "items": ["a", "b"], "propensities": [0.3, 1.0],
        "settings": {"temperature": 0.5, "seed": hash(name) % 1_000},
    } | changes  # fmt: skip


@pytest.mark.parametrize("wanted", [0.05, 0.2, 0.4, 3.0])
def test_a_whole_order_gives_its_odds_at_another_temperature(wanted):
    scores = np.random.default_rng(2).normal(size=40)
    order, logged = sample(scores, 0.4, 8)
    found = at_temperature(logged, 0.4, wanted)
    assert found == pytest.approx(propensities(scores[order], wanted), rel=1e-9)


def test_an_infinite_temperature_is_uniform():
    _, logged = sample(np.array([3.0, 1.0, 0.0, 0.5]), 0.7, 1)
    assert at_temperature(logged, 0.7, math.inf) == pytest.approx([1 / 4, 1 / 3, 1 / 2, 1])


def test_an_order_of_one_is_certain():
    assert at_temperature(np.array([1.0]), 0.5, 2.0).tolist() == [1.0]


@pytest.mark.slow
@pytest.mark.parametrize("wanted", [0.6])
def test_intervals_hold_the_truth_as_often_as_they_say(wanted):
    for name, record in trials(wanted, 400).items():
        assert abs(record.bias) < 3.5 * record.error + 0.005, name
        assert record.coverage >= 0.93, name


def test_the_same_temperature_is_worth_what_was_earned():
    found = evaluate_slates(draw(400, 1), 0.4, {})
    for estimate in found.estimates.values():
        assert estimate.value == pytest.approx(found.logged.value)
    assert found.weighing.effective == pytest.approx(400)


def test_what_is_far_away_is_refused():
    with pytest.raises(InvalidInput, match="too far from the log"):
        evaluate_slates(draw(400, 1), 0.01, {})


def test_rewards_are_those_of_the_page_and_count_once():
    log = SlateLog()
    log.add(slate())
    log.add(slate("r2", user_id="guest"))
    for request_id, kblock_id in (("r1", "b"), ("r1", "b"), ("r1", "z"), ("r9", "a"), (None, "a")):
        log.reward(request_id, kblock_id)
    one, two = log.usable_slates()
    assert (one.user, one.rewards.tolist(), one.temperature) == ("ada", [0, 1], 0.5)
    assert (two.user, two.rewards.tolist()) == ("r2", [0, 0])  # each guest counts as another user


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"propensities": [0.3, 0.5]}, "1 had more items after it"),
        ({"propensities": [0.3, 1 - 1e-15]}, "1 had more items after it"),
        ({"settings": {"temperature": 1, "seed": 1, "most_per_tag": 1}}, "1 had a cap"),
        ({"settings": {"explore": "thompson", "seed": 1}}, "1 was drawn by Thompson sampling"),
        ({"position": 20, "first_request_id": "r0"}, "1 was a later page"),
        ({"position": 20}, "1 was a later page, or began at an offset"),
        ({"propensities": [1 - 1e-12, 1.0]}, "1 was almost certain"),
    ],
)
def test_slates_that_cannot_tell_say_why(changes, message):
    log = SlateLog()
    log.add(slate(**changes))
    with pytest.raises(InvalidInput) as refused:
        log.usable_slates()
    assert message in str(refused.value)


def test_seeds_that_come_again_are_no_chance():
    log = SlateLog()
    settings = {"temperature": 0.5, "seed": 7}
    log.add(slate("r1", settings=settings))
    log.add(slate("r2", settings=settings))
    with pytest.raises(InvalidInput, match="2 had the seed of another slate"):
        log.usable_slates()


def test_without_slates_that_were_drawn_there_is_no_answer():
    with pytest.raises(InvalidInput, match="Serve feeds with a temperature above 0"):
        SlateLog().usable_slates()


@pytest.mark.parametrize(
    ("target", "temperature", "message"),
    [
        (None, None, "either --target uniform or --temperature"),
        ("uniform", 0.1, "either --target uniform or --temperature"),
        ("attention", None, "slates have no scores"),
        (None, 0.0, "must be from 0.001"),
        (None, math.nan, "must be from 0.001"),
    ],
)
def test_targets_that_slates_cannot_answer(target, temperature, message):
    with pytest.raises(InvalidInput, match=message):
        check_target(target, temperature)

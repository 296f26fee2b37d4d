"""Off-policy estimates: by hand, where the truth is known, and logs that are refused."""

import math

import numpy as np
import pytest

from harken.errors import InvalidInput
from harken.services.evaluation.off_policy import (
    ESTIMATORS,
    Rows,
    Target,
    effective_size,
    evaluate_policy,
)
from tests.support.bandits import draw, trials, world

PLACES = np.array([0, 0])  # two items, one position


def rows(cells, rewards, propensities) -> Rows:
    return Rows(
        np.array(cells), np.array(rewards, float), np.array(propensities), np.arange(len(cells))
    )


def value(name: str, log: Rows, target: Target) -> float:
    terms = ESTIMATORS[name](log, target, 0)
    return float(terms.tops.sum() / terms.bottoms.sum())


def test_estimates_by_hand():
    """Item 0 was shown at .8 and .5, item 1 at .2; the target shows item 1 in three of four."""
    log = rows([0, 0, 1, 0], [1, 0, 1, 0], [0.8, 0.5, 0.2, 0.8])
    target = Target(np.array([0.25, 0.75]), PLACES)
    weights = [0.25 / 0.8, 0.25 / 0.5, 0.75 / 0.2, 0.25 / 0.8]
    assert value("ips", log, target) == pytest.approx((weights[0] + weights[2]) / 4)
    assert value("snips", log, target) == pytest.approx((weights[0] + weights[2]) / sum(weights))
    assert value("item-position", log, target) == pytest.approx(0.25 / 3 + 0.75)
    assert effective_size(np.array(weights)) == pytest.approx(
        sum(weights) ** 2 / sum(w * w for w in weights)
    )


def test_the_doubly_robust_estimate_by_a_loop():
    """Each row is predicted by the means of the other folds, without its own user."""
    log, target = draw(world(users=40), 3)
    users = 40
    folds = np.random.default_rng(9).permutation(users) % 5
    total = 0.0
    for i in range(len(log.cells)):
        others = folds[log.users] != folds[log.users[i]]
        positions = target.positions[log.cells]
        overall = log.rewards[others].mean()

        def mean(cell, others=others, positions=positions, overall=overall):
            there = others & (positions == target.positions[cell])
            prior = (log.rewards[there].sum() + 20 * overall) / (there.sum() + 20)
            same = others & (log.cells == cell)
            return (log.rewards[same].sum() + 20 * prior) / (same.sum() + 20)

        at = np.flatnonzero(target.positions == positions[i])
        direct = sum(target.probabilities[cell] * mean(cell) for cell in at)
        weight = target.probabilities[log.cells[i]] / log.propensities[i]
        total += direct + weight * (log.rewards[i] - mean(log.cells[i]))
    terms = ESTIMATORS["dr"](log, target, 9)
    assert terms.tops.sum() == pytest.approx(total)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_slopes_are_those_of_the_estimate(name):
    """The error of a counted target uses these slopes; here they are checked numerically."""
    log, target = draw(world(users=50), 4)
    slopes = ESTIMATORS[name](log, target, 0).slopes
    step = 1e-6
    for one, other in ((0, 3), (7, 19), (23, 5), (1, 22)):
        moved = target.probabilities.copy()
        moved[one] += step
        moved[other] -= step  # at the same position: the sum stays 1
        change = value(name, log, Target(moved, target.positions)) - value(name, log, target)
        assert change / step == pytest.approx(slopes[one] - slopes[other], rel=1e-3, abs=1e-6)


def test_the_same_policy_is_worth_what_it_earned():
    chance = np.random.default_rng(1)
    cells = chance.integers(0, 4, 4_000)
    log = Rows(
        cells, (chance.random(4_000) < 0.1).astype(float), np.full(4_000, 0.25), np.arange(4_000)
    )
    found = evaluate_policy(log, Target(np.full(4, 0.25), np.zeros(4, int)))
    assert found.estimates["ips"] == found.logged
    assert found.estimates["snips"].value == pytest.approx(found.logged.value)
    for estimate in found.estimates.values():
        assert estimate.value == pytest.approx(found.logged.value, rel=0.02)
    assert found.weighing.effective == pytest.approx(4_000)
    assert found.weighing.mean.interval == pytest.approx((1, 1))


@pytest.mark.slow
@pytest.mark.parametrize("counted", [0, 400])
def test_intervals_hold_the_truth_as_often_as_they_say(counted):
    """Rewards depend on item and position only, and readers differ from each other."""
    for name, record in trials(world(counted=counted), 1_000, draws=300).items():
        assert abs(record.bias) < 3.5 * record.error + 0.005, name
        assert 0.93 <= record.coverage <= 0.98, name


@pytest.mark.slow
def test_what_needs_no_more_than_propensities_gets_by_with_them():
    """A context-dependent log biases the estimator that counts how often an item was shown."""
    records = trials(world(kinds_differ=True), 1_000, draws=300)
    crude = records.pop("item-position")
    assert crude.bias > 0.1
    for name, record in records.items():
        assert abs(record.bias) < 3.5 * record.error + 0.005, name
        assert record.coverage >= 0.93, name


def test_counting_the_target_makes_an_estimate_less_sure():
    def width(counted):
        low, high = evaluate_policy(*draw(world(counted=counted), 2)).estimates["ips"].interval
        return high - low

    assert width(100) > 1.05 * width(0)


def test_wrong_propensities_show_in_the_mean_weight():
    log, target = draw(world(), 6)
    low, high = evaluate_policy(log, target).weighing.mean.interval
    assert low < 1 < high
    wrong = log._replace(propensities=np.minimum(log.propensities * 2, 1))
    assert evaluate_policy(wrong, target).weighing.mean.interval.high < 1


def test_intervals_are_repeatable_and_many_rows_cost_no_more_memory():
    log, target = draw(world(users=6_000, each=2), 7)
    first = evaluate_policy(log, target, seed=1)
    assert first == evaluate_policy(log, target, seed=1)
    assert first != evaluate_policy(log, target, seed=2)
    assert first.users == 6_000


EVEN = Target(np.array([0.5, 0.5]), PLACES)


@pytest.mark.parametrize(
    ("log", "target", "message"),
    [
        (rows([], [], []), EVEN, "has no rows"),
        (rows([0, 1] * 200, [1, 0] * 200, [1.0] * 400), EVEN, "the log is not randomised"),
        (rows([0] * 400, [1] * 400, [0.5] * 400), EVEN, "has 50.0% of its probability"),
        (
            rows([0, 1] * 40, [1, 0] * 40, [0.5] * 80), EVEN,
            "sample size of 80.0 (the largest weight is 1); at least 100",
        ),
        (
            rows([0] * 990 + [1] * 10, [1] * 1_000, [0.99] * 990 + [0.01] * 10), EVEN,
            "too far from the log",
        ),
        (rows([0, 1] * 200, [0] * 399 + [1], [0.5] * 400), EVEN, "is above 0 in only 1 cases"),
    ],
)  # fmt: skip
def test_a_log_that_cannot_tell_says_why(log, target, message):
    with pytest.raises(InvalidInput) as refused:
        evaluate_policy(log, target)
    assert message in str(refused.value)


def test_rewards_may_be_negative_or_all_alike():
    log = rows([0, 1] * 200, [-1.0, 2.0] * 200, [0.5] * 400)
    found = evaluate_policy(log, Target(np.array([0.9, 0.1]), PLACES))
    assert found.estimates["ips"].value == pytest.approx(-0.7)
    assert found.estimates["ips"].interval.low < -0.7
    alike = evaluate_policy(rows([0, 1] * 200, [3.0] * 400, [0.5] * 400), EVEN)
    assert alike.estimates["snips"].interval == pytest.approx((3, 3))
    assert all(math.isfinite(bound) for e in alike.estimates.values() for bound in e.interval)

"""Weights of the personal score that are learned from choices."""

import numpy as np
import pytest

from harken.services.learning.part_weights import (
    FEWEST,
    MOST,
    SPREAD,
    PartWeights,
    conditional_logit,
    is_used,
)
from harken.services.readers.affinities import Affinities, AffinitySettings
from harken.services.readers.history import MICROS, Touch
from harken.services.readers.score_parts import PARTS


def choices(weights, count, seed=0, others=20):
    """Choices by a conditional logit with these weights, the chosen candidate first."""
    chance = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        values = chance.normal(size=(others, len(weights)))
        taken = np.argmax(values @ weights + chance.gumbel(size=others))
        found.append(np.roll(values, -taken, axis=0).astype(np.float32))
    return found


def test_weights_that_made_the_choices_are_found():
    truth, prior = np.array([2.0, 0.5, 1.0]), np.ones(3)
    assert conditional_logit(choices(truth, 3_000), prior, 10) == pytest.approx(truth, abs=0.15)


def test_few_choices_change_little():
    truth, prior = np.array([3.0, 0.2, 1.0]), np.ones(3)
    few, many = (conditional_logit(choices(truth, n), prior, 10.0) for n in (5, 500))
    assert np.abs(few - prior).max() < np.abs(many - prior).max() / 2


def test_a_part_without_values_keeps_its_weight():
    several = [np.column_stack([each, np.zeros(20)]) for each in choices(np.array([2.0]), 400)]
    assert conditional_logit(several, np.array([1.0, 6.0]), 10.0)[1] == 6.0


def test_extreme_values_give_finite_weights():
    several = [each * 1e6 for each in choices(np.array([1.0, 1.0]), 50)]
    assert np.isfinite(conditional_logit(several, np.ones(2), 10.0)).all()


def crowd(count, seed=1):
    """Readers who take what their sort took, whatever is new: similarity decides."""
    chance = np.random.default_rng(seed)
    at = 1_700_000_000
    for n in range(count):
        at += 60
        sort = int(chance.integers(2))
        kblock = f"k{2 * (n // 40 * 10 + int(chance.integers(25))) + sort}"
        yield Touch(f"u{2 * chance.integers(20) + sort}", kblock, "view", None, None, at * MICROS)


def learned(events, settings=None, *, from_page=False):
    affinities = Affinities(settings)
    observe(events, affinities, PartWeights(affinities), from_page=from_page)
    return affinities


def observe(events, affinities, weights, *, from_page=False):
    for each in events:
        weights.observe(each, from_page=from_page)
        if weights.are_due:
            weights.learn()
        affinities.observe(each)


def test_weights_follow_the_log_of_a_crowd():
    affinities = learned(crowd(4_000))
    assert affinities.weights["user_similarity"] > PARTS["user_similarity"]
    assert affinities.weights["already_seen"] == PARTS["already_seen"]
    assert all(np.isfinite(each) for each in affinities.weights.values())


def test_what_pages_led_to_is_not_learned_from():
    assert learned(crowd(4_000), from_page=True).weights == dict(PARTS)


def test_a_small_log_changes_nothing():
    assert learned(crowd(FEWEST)).weights == dict(PARTS)


def test_of_a_long_log_ever_fewer_choices_are_used():
    used = [number for number in range(1, 400_001) if is_used(number)]
    assert used[:FEWEST] == list(range(1, FEWEST + 1))
    by_tens = np.histogram(used, np.arange(0, 400_001, 100_000))[0].tolist()
    assert by_tens == sorted(by_tens, reverse=True)
    assert max(np.diff(used)) <= used[-1] // SPREAD + 1
    for end in (20_000, 100_000, 400_000):
        latest = [number for number in used if number <= end][-MOST:]
        assert latest[0] > end * 0.35


def test_weights_that_were_set_stay():
    settings = AffinitySettings(weights={"user_similarity": 0.25})
    found = learned(crowd(4_000), settings).weights
    assert found["user_similarity"] == 0.25
    assert found["recent_activity"] != PARTS["recent_activity"]


def test_what_comes_later_is_not_learned_from():
    events = list(crowd(3_000))
    other = [each._replace(kblock_id="k0") for each in events[2_500:]]
    states = []
    for later in (events[2_500:], other):
        affinities = Affinities()
        weights = PartWeights(affinities)
        observe(events[:2_500], affinities, weights)
        states.append(dict(affinities.weights))
        observe(later, affinities, weights)
    assert states[0] == states[1] != dict(PARTS)

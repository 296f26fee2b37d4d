"""Confidence sequences, the sample ratio, power: closed forms and error rates."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import betaln, gammaln

from harken.errors import InvalidInput
from harken.services.experiments.analysis.moments import MetricValues
from harken.services.experiments.analysis.power import (
    boundary,
    days_needed,
    detectable_effect,
    power_of_a_look,
    power_plan,
    readers_needed,
    spread,
)
from harken.services.experiments.analysis.sample_ratio import (
    CONCENTRATION,
    log_evidence,
    quarantine_ratio,
    sample_ratio,
)
from harken.services.experiments.analysis.sequences import (
    always_valid_p,
    one_sided_radius,
    radius,
    sequence,
    tuning,
)


def test_the_radius_is_the_formula():
    rho2 = (-2 * math.log(0.05) + math.log(1 - 2 * math.log(0.05))) / 1_000
    grown = 400 * rho2
    expected = math.sqrt(0.3**2 * 2 * (grown + 1) / grown * math.log(math.sqrt(grown + 1) / 0.05))
    assert float(radius(400, 0.3, 0.05, 1_000)) == pytest.approx(expected, rel=1e-12)
    assert tuning(1_000, 0.05) == pytest.approx(rho2)


@given(st.floats(0.001, 0.3), st.integers(10, 100_000))
@settings(max_examples=50)
def test_sequences_are_wider_than_one_look_and_narrowest_where_planned(alpha, planned):
    readers = planned * np.array([0.1, 0.5, 0.9, 1.0, 1.1, 2.0, 10.0])
    of_errors = radius(readers, 1.0, alpha, planned)
    assert (of_errors > 1.0).all()
    # Tuned for n* it is narrower at n* than one that is tuned for another n.
    for other in (planned / 4, planned * 4):
        assert of_errors[3] <= float(radius(planned, 1.0, alpha, other)) + 1e-12
    one_sided = one_sided_radius(readers, 1.0, alpha, planned)
    assert (one_sided[2:] < of_errors[2:]).all()


@given(st.floats(-3, 3), st.integers(2, 5_000), st.floats(0.01, 2))
@settings(max_examples=80)
def test_the_p_value_is_small_exactly_when_the_sequence_excludes_0(effect, readers, error):
    p = float(always_valid_p(effect, readers, error, 0.05, 1_000))
    low, high = sequence(effect, readers, error, 0.05, 1_000)
    assert (p < 0.05) == (low > 0 or high < 0)


def test_nothing_is_known_without_readers():
    assert sequence(0.0, 0, math.inf, 0.05, 100) == (-math.inf, math.inf)


def test_sequences_are_wrong_at_any_look_in_at_most_5_percent():
    values = np.random.default_rng(1).standard_normal((1_000, 2_000))
    counts = np.arange(1, 2_001)
    means = np.cumsum(values, axis=1) / counts
    wrong = np.abs(means) > radius(counts, 1 / np.sqrt(counts), 0.05, 1_000)
    one_sided = means > one_sided_radius(counts, 1 / np.sqrt(counts), 0.05, 1_000)
    naive = np.abs(means[:, 99::100]) > 1.96 / np.sqrt(counts[99::100])
    assert wrong.any(axis=1).mean() < 0.05
    assert 0.01 < one_sided.any(axis=1).mean() < 0.05
    assert naive.any(axis=1).mean() > 0.2


def test_the_evidence_is_the_bayes_factor_of_a_dirichlet_prior():
    shares, prior = np.array([0.5, 0.3, 0.2]), CONCENTRATION * np.array([0.5, 0.3, 0.2])
    arms = np.random.default_rng(2).choice(3, 500, p=shares)
    counts = np.bincount(arms, minlength=3)
    expected = (
        gammaln(CONCENTRATION) - gammaln(CONCENTRATION + 500)
        + (gammaln(prior + counts) - gammaln(prior)).sum() - (counts * np.log(shares)).sum()
    )  # fmt: skip
    assert log_evidence(arms, shares)[-1] == pytest.approx(expected, abs=1e-9)
    rows = np.tile(shares, (500, 1))
    assert log_evidence(arms, rows) == pytest.approx(log_evidence(arms, shares), abs=1e-9)


def test_the_evidence_of_two_arms_is_beta_binomial():
    half = CONCENTRATION / 2
    evidence = log_evidence(np.zeros(300, int), np.array([0.5, 0.5]))
    expected = betaln(half + 300, half) - betaln(half, half) + 300 * math.log(2)
    assert evidence[-1] == pytest.approx(expected, abs=1e-9)


def test_the_sample_ratio_rarely_alarms_and_finds_lost_readers():
    chance = np.random.default_rng(3)
    shares = np.array([0.5, 0.5])
    fair = log_evidence(chance.integers(0, 2, (400, 3_000)), shares)
    assert (fair.max(axis=1) >= math.log(100)).mean() <= 0.02
    lost = (chance.random(10_000) < 0.5 * 0.8 / 0.9).astype(int)
    found = sample_ratio(lost, shares)
    assert found.fired
    assert found.p_value <= 0.01
    assert found.at_reader is not None
    assert not sample_ratio(lost[: found.at_reader - 1], shares).fired


def test_the_sample_ratio_uses_each_readers_own_propensity():
    chance = np.random.default_rng(4)
    second = np.where(np.arange(6_000) < 3_000, 0.1, 0.7)
    rows = np.stack([1 - second, second], axis=1)
    arms = (chance.random(6_000) < second).astype(int)
    assert not sample_ratio(arms, rows).fired
    assert sample_ratio(arms, np.array([0.9, 0.1])).fired


def test_an_alarm_stands():
    arms = np.concatenate([np.zeros(600, int), np.ones(600, int)])
    assert sample_ratio(arms, np.array([0.5, 0.5])).fired


def test_no_readers_are_no_alarm():
    found = sample_ratio(np.zeros(0, int), np.array([0.5, 0.5]))
    assert (found.fired, found.p_value) == (False, 1.0)


def test_quarantined_readers_of_one_arm_are_an_alarm():
    arms = np.arange(4_000) % 2
    shares, everywhere = np.array([0.5, 0.5]), np.arange(4_000) % 10 < 2
    assert not quarantine_ratio(arms, shares, everywhere).fired
    assert quarantine_ratio(arms, shares, everywhere & (arms == 1)).fired


def test_power_is_the_closed_form():
    needed = readers_needed(4.0, 0.2)
    error = math.sqrt(4 * 4.0 / needed)
    width = float(radius(needed, error, 0.05, needed))
    assert power_of_a_look(0.2, error, width) == pytest.approx(0.8, abs=0.001)
    assert detectable_effect(4.0, needed) == pytest.approx(0.2, rel=1e-3)
    assert boundary(0.05) == pytest.approx(3.035, abs=0.001)


def test_more_arms_and_smaller_effects_need_more_readers():
    assert readers_needed(1.0, 0.1, arms=3) > 1.5 * readers_needed(1.0, 0.1)
    assert readers_needed(1.0, 0.05) == pytest.approx(4 * readers_needed(1.0, 0.1), rel=0.01)


def test_the_spread_of_a_log_is_that_of_linearised_values():
    chance = np.random.default_rng(5)
    slates = (1 + chance.poisson(4, 2_000)).astype(float)
    clicks = chance.poisson(slates * 0.5).astype(float)
    linear = (clicks - clicks.sum() / slates.sum() * slates) / slates.mean()
    found = spread(MetricValues(clicks, slates))
    assert found.variance == pytest.approx(linear.var(ddof=1))
    assert found.value == pytest.approx(clicks.sum() / slates.sum())
    before = chance.poisson(slates * 0.5) + 0.5 * clicks
    adjusted = spread(MetricValues(clicks, None, before))
    rho = np.corrcoef(clicks, before)[0, 1]
    assert adjusted.variance / adjusted.unadjusted == pytest.approx(1 - rho**2, rel=1e-9)


def test_days_follow_the_distinct_readers_of_the_log():
    by_day = np.array([500.0, 700, 800, 880, 940, 1_000])
    assert days_needed(by_day, 700, 7) == 2 + 8
    assert days_needed(by_day, 1_120, 7) == 6 + 2 + 8
    assert days_needed(np.array([100.0, 100, 100]), 200, 7) is None
    assert days_needed(np.zeros(0), 5, 7) is None


def test_a_plan_is_for_an_effect_or_for_readers():
    measured = spread(MetricValues(np.random.default_rng(6).poisson(1.0, 500).astype(float)))
    by_day = np.arange(1_000.0, 31_000, 1_000)
    wanted = power_plan(measured, by_day, 7, effect=0.1)
    found = power_plan(measured, by_day, 7, readers=wanted.readers)
    assert found.effect == pytest.approx(0.1, rel=1e-3)
    assert found.days == wanted.days
    for effect, readers in ((None, None), (0.1, 10), (-1.0, None)):
        with pytest.raises(InvalidInput, match="effect"):
            power_plan(measured, by_day, 7, effect, readers)
    with pytest.raises(InvalidInput, match="20 are needed"):
        spread(MetricValues(np.ones(5)))

"""Effects and their intervals, with tea-tasting and SciPy as the oracles."""

import numpy as np
import pytest
import scipy.stats
import tea_tasting as tt
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.errors import InvalidInput
from harken.services.experiments.analysis.distributions import t_critical, t_two_sided
from harken.services.experiments.analysis.effects import (
    compare,
    fixed_interval,
    fixed_p,
    mean_effect,
)
from harken.services.experiments.analysis.moments import MetricValues, moments, pooled

EXACT = 1e-9


def drawn(seed, readers=400):
    """Readers with engagements and slates, and both from before; the effect is not 0."""
    chance = np.random.default_rng(seed)
    arms = chance.integers(0, 2, readers)
    slates = 1.0 + chance.poisson(3, readers)
    taste = chance.lognormal(0, 0.8, readers)
    before = 1.0 + chance.poisson(3, readers)
    return {
        "arms": arms,
        "engagements": chance.poisson(slates * taste * (1 + 0.1 * arms)).astype(float),
        "slates": slates,
        "engagements_before": chance.poisson(before * taste).astype(float),
        "slates_before": before,
    }


def effect_of(data, *columns, weights=None):
    top, *others = columns
    values = MetricValues(data[top], *(None if name is None else data[name] for name in others))
    looks = np.array([len(data["arms"])])
    control, treatment = (
        moments(values, data["arms"] == arm, looks, weights).at(0) for arm in (0, 1)
    )
    return compare(control, treatment).numbers()


COLUMNS = {
    "welch": ("engagements", None, None, None),
    "delta": ("engagements", "slates", None, None),
    "cuped": ("engagements", None, "engagements_before", None),
    "ratio with cuped": ("engagements", "slates", "engagements_before", "slates_before"),
}


@pytest.mark.parametrize("columns", COLUMNS.values(), ids=COLUMNS)
@pytest.mark.parametrize("readers", [40, 3_000])
def test_effects_agree_with_tea_tasting(columns, readers):
    import pyarrow

    data = drawn(readers, readers)
    metric = tt.RatioOfMeans(*columns, use_t=True)
    [theirs] = (
        tt.Experiment({"metric": metric}, variant="arms").analyze(pyarrow.table(data)).values()
    )
    ours = effect_of(data, *columns)
    low, high = fixed_interval(ours, 0.05)
    assert ours.control == pytest.approx(theirs.control, rel=EXACT)
    assert ours.treatment == pytest.approx(theirs.treatment, rel=EXACT)
    assert ours.effect == pytest.approx(theirs.effect_size, abs=EXACT)
    assert ours.effect / ours.error == pytest.approx(theirs.statistic, rel=EXACT)
    assert low == pytest.approx(theirs.effect_size_ci_lower, abs=EXACT)
    assert high == pytest.approx(theirs.effect_size_ci_upper, abs=EXACT)
    assert fixed_p(ours) == pytest.approx(theirs.pvalue, abs=EXACT)


@given(
    st.lists(st.tuples(st.integers(0, 1), st.floats(-1e6, 1e6)), min_size=12, max_size=60),
    st.floats(-1e6, 1e6),
    st.floats(0.01, 100),
)
@settings(max_examples=60)
def test_welch_agrees_with_scipy_and_moves_with_the_unit(rows, shift, scale):
    arms = np.array([0, 0, 0, 1, 1, 1, *(arm for arm, _ in rows)])
    values = np.array([0.0, 1, 2, 0, 1, 2, *(value for _, value in rows)])
    ours = effect_of({"arms": arms, "engagements": values}, *COLUMNS["welch"])
    theirs = scipy.stats.ttest_ind(values[arms == 1], values[arms == 0], equal_var=False)
    assert fixed_p(ours) == pytest.approx(theirs.pvalue, abs=1e-7)
    moved = effect_of({"arms": arms, "engagements": scale * values + shift}, *COLUMNS["welch"])
    tolerance = 1e-6 * (1 + scale * abs(values).max() + abs(shift))
    assert moved.effect == pytest.approx(scale * ours.effect, abs=tolerance)
    assert moved.error == pytest.approx(scale * ours.error, abs=tolerance)


@given(st.integers(3, 10_000), st.floats(1e-6, 0.5))
@settings(max_examples=60)
def test_student_agrees_with_scipy(freedom, alpha):
    exact = scipy.stats.t.isf(alpha / 2, freedom)
    assert t_critical(alpha, freedom) == pytest.approx(exact, rel=1e-8)
    assert t_two_sided(exact, freedom) == pytest.approx(alpha, abs=1e-11)


def test_a_ratio_is_of_sums_and_not_a_mean_of_ratios():
    data = {
        "arms": np.array([0, 0, 1, 1]),
        "engagements": np.array([1.0, 30.0, 2.0, 60.0]),
        "slates": np.array([1.0, 9.0, 1.0, 9.0]),
    }
    found = effect_of(data, "engagements", "slates")
    assert (found.control, found.treatment) == (pytest.approx(3.1), pytest.approx(6.2))


def test_a_look_knows_only_the_readers_until_then():
    data = drawn(7, 900)
    looks = np.array([100, 350, 900])
    values = MetricValues(data["engagements"], data["slates"], data["engagements_before"])
    together = [moments(values, data["arms"] == arm, looks) for arm in (0, 1)]
    found = compare(*together)
    for i, look in enumerate(looks):
        until = {name: each[:look] for name, each in data.items()}
        alone = effect_of(until, "engagements", "slates", "engagements_before")
        assert float(found.effect[i]) == pytest.approx(alone.effect, rel=1e-9)
        assert float(found.error[i]) == pytest.approx(alone.error, rel=1e-9)


def test_a_covariate_that_explains_all_leaves_no_error():
    data = drawn(8)
    data["engagements"] = 3 * data["engagements_before"]
    assert effect_of(data, *COLUMNS["cuped"]).error == pytest.approx(0, abs=1e-6)


def test_an_unknown_covariate_changes_nothing_and_a_constant_one_neither():
    data = drawn(9)
    plain = effect_of(data, *COLUMNS["welch"])
    for nothing in (np.full(400, np.nan), np.full(400, 5.0)):
        same = effect_of(data | {"engagements_before": nothing}, *COLUMNS["cuped"])
        assert same.effect == pytest.approx(plain.effect)
        assert same.error == pytest.approx(plain.error)
    halfway = np.where(np.arange(400) % 2, data["engagements_before"], np.nan)
    some = effect_of(data | {"engagements_before": halfway}, *COLUMNS["cuped"])
    assert effect_of(data, *COLUMNS["cuped"]).error < some.error < plain.error


def test_weights_undo_an_allocation_that_changed_with_time():
    """On days when many act, most readers get arm 1: the plain difference is an artefact."""
    chance = np.random.default_rng(10)
    late = np.arange(20_000) >= 10_000
    propensity = np.where(late, 0.9, 0.1)
    data = {
        "arms": (chance.random(20_000) < propensity).astype(int),
        "engagements": chance.poisson(np.where(late, 3.0, 1.0)).astype(float),
    }
    own = np.where(data["arms"] == 1, propensity, 1 - propensity)
    plain = effect_of(data, "engagements", None)
    weighted = effect_of(data, "engagements", None, weights=1 / own)
    assert plain.effect > 20 * plain.error
    assert abs(weighted.effect) < 3 * weighted.error


def test_equal_weights_are_no_weights():
    data = drawn(11)
    plain = effect_of(data, *COLUMNS["ratio with cuped"])
    doubled = effect_of(data, *COLUMNS["ratio with cuped"], weights=np.full(400, 2.0))
    assert doubled == pytest.approx(plain)


def test_arms_taken_together_are_one_sample():
    data = drawn(12)
    values, looks = MetricValues(data["engagements"], data["slates"]), np.array([400])
    arms = [moments(values, data["arms"] == arm, looks).at(0) for arm in (0, 1)]
    whole = moments(values, np.ones(400, bool), looks).at(0)
    found = pooled(*arms)
    assert found.mean == pytest.approx(whole.mean)
    assert found.scatter == pytest.approx(whole.scatter)


def test_the_mean_of_one_group_is_a_one_sample_t_test():
    given_credit = np.random.default_rng(13).normal(0.1, 1, 50)
    found = mean_effect(
        moments(MetricValues(given_credit), np.ones(50, bool), np.array([50])).at(0)
    )
    exact = scipy.stats.ttest_1samp(given_credit, 0)
    assert fixed_p(found.numbers()) == pytest.approx(exact.pvalue, abs=1e-10)
    assert fixed_interval(found.numbers(), 0.05) == pytest.approx(
        tuple(exact.confidence_interval()), abs=1e-9
    )


def test_values_that_do_not_fit_are_refused_by_name():
    with pytest.raises(InvalidInput, match=r"dwell\.denominator: .*each of 3 readers"):
        MetricValues(np.ones(3), np.ones(2)).checked("dwell", 3)
    with pytest.raises(InvalidInput, match=r"dwell\.numerator: has to be finite"):
        MetricValues(np.array([1, np.nan, 2])).checked("dwell", 3)

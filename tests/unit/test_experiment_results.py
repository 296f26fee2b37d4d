"""The analysis of an experiment: who enters, which verdict, in which words."""

import json
import math
from typing import Any

import numpy as np
import pytest

from harken.errors import InvalidInput
from harken.services.experiments.analysis.allocation import next_allocation, thompson_shares
from harken.services.experiments.analysis.interleaving import CreditedActs, credit
from harken.services.experiments.analysis.moments import MetricValues
from harken.services.experiments.analysis.plan import (
    DAY,
    AnalysisPlan,
    GuardrailPlan,
    MetricPlan,
    Readers,
    closed_windows,
)
from harken.services.experiments.analysis.results import analyse, analyse_interleaving

PRIMARY = MetricPlan("engagements_per_slate")
DISMISSALS = GuardrailPlan("dismissals_per_slate", 0.05, higher_is_better=False)
HALF = np.array([0.5, 0.5])
END = 60 * DAY


def planned(**other):
    given: dict[str, Any] = {
        "arms": ("old", "new"),
        "primary": PRIMARY,
        "planned_readers": 4_000,
    } | other
    return AnalysisPlan(**given)


def readers(count=4_000, days=30.0, propensities=HALF, seed=1, **flags):
    chance = np.random.default_rng(seed)
    arms = chance.choice(propensities.shape[-1], count, p=propensities)
    return Readers(arms, np.sort(chance.random(count)) * days * DAY, propensities, **flags)


def values(given, lift=0.0, dismissing=0.0, seed=2):
    """Engagements and dismissals per slate of readers with several slates each."""
    chance = np.random.default_rng(seed)
    slates = (1 + chance.poisson(4, len(given))).astype(float)
    taste = chance.gamma(2.0, 0.25, len(given)) * (1 + lift * (given.arms == 1))
    dismissed = 0.2 + dismissing * (given.arms == 1)
    return {
        PRIMARY.name: MetricValues(chance.poisson(slates * taste).astype(float), slates),
        DISMISSALS.name: MetricValues(chance.poisson(slates * dismissed).astype(float), slates),
    }


def found(plan=None, given=None, now=END, stopped_at=None, **effects):
    given = given or readers()
    return analyse(plan or planned(), given, values(given, **effects), now, stopped_at)


def test_better():
    result = found(lift=0.3)
    verdict = result.verdicts["new"]
    assert verdict.outcome == "better"
    assert verdict.text.startswith("Better: engagements_per_slate differs by +0.")
    assert "after 4000 readers" in verdict.text
    [comparison] = result.comparisons
    assert comparison.sequence.low > 0
    assert comparison.fixed.low > comparison.sequence.low
    assert comparison.always_valid_p < 0.001


def test_worse_even_before_the_planned_size():
    verdict = found(planned(planned_readers=20_000), lift=-0.4).verdicts["new"]
    assert verdict.outcome == "worse"


def test_less_is_better_where_the_metric_says_so():
    plan = planned(primary=MetricPlan(DISMISSALS.name, higher_is_better=False))
    assert found(plan, dismissing=-0.1).verdicts["new"].outcome == "better"
    assert found(plan, dismissing=0.1).verdicts["new"].outcome == "worse"


def test_no_difference_larger_than_x_once_the_planned_readers_are_there():
    result = found()
    verdict = result.verdicts["new"]
    low, high = result.comparisons[0].sequence
    assert verdict.outcome == "no_difference"
    assert f"No difference larger than {max(-low, high):.4g}" in verdict.text


def test_a_negligible_difference_needs_no_planned_size():
    plan = planned(planned_readers=100_000, negligible=1.0)
    assert found(plan).verdicts["new"].outcome == "no_difference"


def test_not_yet_says_in_how_many_days():
    plan = planned(planned_readers=8_000)
    given = readers(4_000, days=40)
    result = found(plan, given, now=40 * DAY + 1)
    verdict = result.verdicts["new"]
    assert verdict.outcome == "not_yet"
    # About 100 readers a day; some 4,800 are missing.
    assert verdict.days == pytest.approx(48, abs=8)
    assert f"(about {verdict.days} more days)" in verdict.text


def test_a_clear_effect_needs_fewer_days_than_the_planned_size():
    plan = planned(planned_readers=8_000)
    given = readers(1_000, days=10)
    slow = found(plan, given, now=10 * DAY + 1).verdicts["new"]
    soon = found(plan, given, now=10 * DAY + 1, lift=0.45).verdicts["new"]
    assert (slow.outcome, soon.outcome) == ("not_yet", "not_yet")
    assert soon.days < slow.days


def test_open_windows_do_not_count_and_still_close_after_the_stop():
    at = np.array([0.0, 1 * DAY, 2 * DAY])
    assert closed_windows(at, 8 * DAY, 7).tolist() == [True, False, False]
    assert closed_windows(at, 9 * DAY, 7, stopped_at=1.5 * DAY).tolist() == [True, True, False]
    assert closed_windows(at, 90 * DAY, 7, stopped_at=1.5 * DAY).tolist() == [True, True, False]
    given = readers()
    stopped = found(planned(planned_readers=9_000), given, 30 * DAY, stopped_at=30 * DAY)
    assert stopped.verdicts["new"].outcome == "not_yet"
    assert stopped.verdicts["new"].days is None
    done = found(planned(planned_readers=9_000), given, 38 * DAY, stopped_at=30 * DAY)
    assert done.verdicts["new"].outcome == "no_difference"
    assert done.counts.closed == 4_000


def test_what_readers_do_later_changes_nothing_that_was_shown():
    given = readers()
    early = found(given=given, now=20 * DAY).comparisons[0]
    assert max(look.at for look in early.looks) <= 20 * DAY
    late = found(given=given).comparisons[0]
    assert len(late.looks) > 20
    assert late.looks[-1].readers == late.effect.readers


def test_a_breached_guardrail_stops_whatever_the_primary_metric_says():
    plan = planned(guardrails=(DISMISSALS,))
    result = found(plan, lift=0.3, dismissing=0.3)
    assert [each.state for each in result.guardrails] == ["breached"]
    assert result.verdicts["new"].outcome == "guardrail"
    assert "dismissals_per_slate is worse by 0." in result.verdicts["new"].text


def test_better_needs_every_guardrail_within_its_margin():
    plan = planned(guardrails=(DISMISSALS,))
    assert found(plan, lift=0.3).verdicts["new"].outcome == "better"
    tight = planned(guardrails=(GuardrailPlan(DISMISSALS.name, 0.001, higher_is_better=False),))
    result = found(tight, lift=0.3)
    assert [each.state for each in result.guardrails] == ["open"]
    assert result.verdicts["new"].outcome == "not_yet"
    assert "dismissals_per_slate (0.001)" in result.verdicts["new"].text


def test_other_metrics_and_guardrails_have_no_verdict():
    plan = planned(guardrails=(DISMISSALS,), others=(MetricPlan("dwell"),))
    given = readers()
    far_apart = MetricValues(np.where(given.arms == 1, 9.0, 1.0) + given.exposed_at / END)
    result = analyse(plan, given, values(given) | {"dwell": far_apart}, END)
    assert [each.role for each in result.comparisons] == ["primary", "guardrail", "other"]
    assert result.comparisons[-1].sequence.low > 7
    assert {arm: each.outcome for arm, each in result.verdicts.items()} == {"new": "no_difference"}


def test_a_sample_ratio_alarm_takes_the_verdict():
    given = readers()
    lost = (given.arms == 1) & (np.random.default_rng(5).random(4_000) < 0.3)
    result = found(given=given.of(~lost), lift=0.5)
    assert result.sample_ratio.fired
    assert result.verdicts["new"].outcome == "no_verdict"
    assert "not in the planned shares (old: " in result.verdicts["new"].text


def test_quarantined_readers_are_apart_and_take_the_verdict_if_they_are_of_one_arm():
    given = readers()
    evenly = np.arange(4_000) % 8 == 0
    result = found(given=readers(quarantined=evenly), lift=0.3)
    assert result.verdicts["new"].outcome == "better"
    assert result.comparisons[0].effect.readers == 3_500
    assert result.with_quarantined[0].effect.readers == 4_000
    one_sided = evenly & (given.arms == 1)
    result = found(given=readers(quarantined=one_sided), lift=0.3)
    assert not result.sample_ratio.fired
    assert result.verdicts["new"].outcome == "no_verdict"
    assert "quarantine differs by arm" in result.verdicts["new"].text


def test_readers_without_personalisation_stay_in_their_arm_and_are_reported_apart():
    off = np.arange(4_000) % 5 == 0
    result = found(given=readers(personalisation_off=off), lift=0.3)
    assert result.comparisons[0].effect.readers == 4_000
    assert result.personalisation_off[0].effect.readers == 800


def test_three_arms_have_a_verdict_each_at_half_the_level():
    plan = planned(arms=("old", "new", "newer"), planned_readers=6_000)
    given = readers(6_000, propensities=np.full(3, 1 / 3))
    result = found(plan, given, lift=0.4)
    assert result.verdicts["new"].outcome == "better"
    assert result.verdicts["newer"].outcome == "no_difference"
    same = found(planned(planned_readers=6_000), readers(6_000), lift=0.4)
    assert plan.alpha_of_an_arm == 0.025
    assert same.plan.alpha_of_an_arm == 0.05


def test_too_few_readers_are_no_estimate():
    given = readers(30)
    result = found(given=given)
    assert result.comparisons[0].sequence == (-math.inf, math.inf)
    assert "too few readers" in result.verdicts["new"].text
    nobody = analyse(
        planned(), given.of(np.zeros(30, bool)), values(given.of(np.zeros(30, bool))), END
    )
    assert nobody.counts.exposed == 0
    json.dumps(nobody.as_json(), allow_nan=False)


def test_results_are_json_without_infinities():
    plan = planned(guardrails=(DISMISSALS,))
    given = readers(quarantined=np.arange(4_000) % 9 == 0)
    text = json.dumps(found(plan, given).as_json(), allow_nan=False)
    result = json.loads(text)
    assert set(result) >= {"verdicts", "comparisons", "guardrails", "sample_ratio", "arms"}
    assert result["readers"]["open"] == 0


def test_the_order_in_which_readers_are_given_does_not_matter():
    given = readers(400)
    counted = values(given)
    order = np.random.default_rng(6).permutation(400)
    mixed = analyse(planned(), given.of(order), {n: v.of(order) for n, v in counted.items()}, END)
    assert mixed.as_json() == analyse(planned(), given, counted, END).as_json()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"arms": ("old",)}, "arms: has to name control"),
        ({"planned_readers": 0}, "planned_readers"),
        ({"alpha": 0.0}, "alpha: has to be above 0"),
        ({"allocation": (0.5,)}, "allocation: needs one share per arm"),
        ({"guardrails": (GuardrailPlan("dwell", -1.0),)}, "guardrails: need a margin of 0"),
        ({"negligible": 0.0}, "negligible: has to be above 0"),
    ],
)
def test_plans_that_cannot_be_are_refused(wrong, said):
    with pytest.raises(InvalidInput, match=said):
        planned(**wrong)


def test_readers_that_do_not_fit_are_refused():
    with pytest.raises(InvalidInput, match=r"arms: have to be from 0 to 1"):
        Readers(np.array([0, 2]), np.zeros(2), HALF)
    with pytest.raises(InvalidInput, match=r"propensities: have to add up to 1"):
        Readers(np.array([0, 1]), np.zeros(2), np.array([0.5, 0.4]))
    with pytest.raises(InvalidInput, match=r"lack the metrics dwell"):
        analyse(planned(primary=MetricPlan("dwell")), readers(), {}, END)


def acts(count, better=0.5, seed=7, each=4.0):
    """Acts of readers who choose the other arm's items with a probability."""
    chance = np.random.default_rng(seed)
    total = chance.poisson(each, count)
    of_b = chance.binomial(total, better).astype(float)
    nothing = np.zeros(count)
    return CreditedActs(total - of_b, of_b, nothing, nothing)


def test_credit_is_from_minus_1_to_1_and_a_dismissal_credits_the_other_side():
    ones, none = np.ones(1), np.zeros(1)
    assert credit(CreditedActs(ones, none, none, none)).tolist() == [-1.0]
    assert credit(CreditedActs(none, none, ones, none)).tolist() == [1.0]
    assert credit(CreditedActs(ones, none, none, 3 * ones)).tolist() == [-1.0]
    assert credit(CreditedActs(ones, 2 * ones, none, none)) == pytest.approx([1 / 3])
    assert np.isnan(credit(CreditedActs(none, none, none, none))).all()


def test_an_interleaving_is_decided_by_the_mean_credit():
    plan = planned(primary=MetricPlan("credit"), planned_readers=2_000)
    at = np.linspace(0, 20 * DAY, 2_000)
    better = analyse_interleaving(plan, acts(2_000, 0.6), at, END)
    assert better.verdicts["new"].outcome == "better"
    assert better.comparisons[0].effect.effect == pytest.approx(0.2, abs=0.04)
    assert better.counts.without_acts == (sum(acts(2_000, 0.6)) == 0).sum() > 0
    assert better.sample_ratio is None
    same = analyse_interleaving(plan, acts(2_100), np.linspace(0, DAY, 2_100), END)
    assert same.verdicts["new"].outcome == "no_difference"
    json.dumps(same.as_json(), allow_nan=False)


def test_quarantined_readers_do_not_decide_an_interleaving():
    plan = planned(primary=MetricPlan("credit"), planned_readers=500)
    trusted, bots = acts(1_000, 0.5, each=8.0), acts(1_000, 0.95, each=8.0)
    both = CreditedActs(*(np.concatenate(pair) for pair in zip(trusted, bots, strict=True)))
    flags = np.arange(2_000) >= 1_000
    result = analyse_interleaving(plan, both, np.linspace(0, DAY, 2_000), END, quarantined=flags)
    assert result.verdicts["new"].outcome == "no_difference"
    assert result.with_quarantined[0].sequence.low > 0


def test_adaptive_allocation_prefers_the_best_arm_and_keeps_the_floor():
    plan_of = np.full(3, 1 / 3)
    given = readers(3_000, propensities=plan_of)
    clicks = np.random.default_rng(8).poisson(1 + 0.3 * (given.arms == 2)).astype(float)
    shares = next_allocation(given, MetricValues(clicks), seed=1)
    assert shares is not None
    assert shares.sum() == pytest.approx(1)
    assert shares.argmax() == 2
    assert shares.min() == pytest.approx(0.1, abs=0.01)
    against = next_allocation(given, MetricValues(clicks), seed=1, higher_is_better=False)
    assert against is not None
    assert against[2] == pytest.approx(0.1, abs=0.01)
    few = given.of(np.arange(30))
    assert next_allocation(few, MetricValues(clicks[:30]), seed=1) is None


def test_equal_arms_get_equal_shares_on_average():
    chance = np.random.default_rng(9)
    shares = thompson_shares(np.zeros((50, 2)), np.ones((50, 2)), chance)
    assert shares.mean(axis=0) == pytest.approx([0.5, 0.5], abs=0.01)
    with pytest.raises(InvalidInput, match="at most 1/11 with 11 arms"):
        thompson_shares(np.zeros(11), np.ones(11), chance)


def test_adaptive_results_use_each_readers_own_propensity():
    late = np.arange(8_000) >= 4_000
    second = np.where(late, 0.9, 0.1)
    chance = np.random.default_rng(10)
    arms = (chance.random(8_000) < second).astype(int)
    rows = np.stack([1 - second, second], axis=1)
    given = Readers(arms, np.arange(8_000.0), rows)
    clicks = chance.poisson(np.where(late, 2.0, 1.0)).astype(float)
    result = analyse(
        planned(planned_readers=8_000), given, {PRIMARY.name: MetricValues(clicks)}, END
    )
    assert result.sample_ratio is not None
    assert not result.sample_ratio.fired
    assert result.verdicts["new"].outcome == "no_difference"
    plain = Readers(arms, np.arange(8_000.0), HALF)
    naive = analyse(
        planned(planned_readers=8_000), plain, {PRIMARY.name: MetricValues(clicks)}, END
    )
    assert naive.comparisons[0].sequence.low > 0

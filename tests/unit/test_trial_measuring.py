"""What a trial and a holdback measure where some readers are in quarantine."""

from datetime import timedelta

import numpy as np
import pytest

from harken.services.experiments.definitions import Experiment, State, define
from harken.services.experiments.promotion.measuring import (
    experiment_alarm,
    measure_holdback,
    measure_trial,
)
from harken.services.experiments.promotion.plans import TrialPlan, holdback_of, trial_of
from harken.services.experiments.promotion.reader_log import Entry, ExperimentLog, ShownPage
from tests.contract.conftest import NOW

AT = round(NOW.timestamp() * 1e6)
LATER = (NOW + timedelta(days=30)).timestamp()
PLAN = TrialPlan(["mine"], share=0.9, readers=40, window_days=1)


def running(definition):
    return Experiment(define(definition), 1, State.RUNNING, NOW, NOW)


TRIAL = running(trial_of("new", "old", PLAN, retrained=False))
HOLDBACK = running(holdback_of(TRIAL))


def log(experiment, readers, acts):
    """Return the log of readers (arm, is_quarantined), who see one page and act on these items."""
    arms = [arm.name for arm in experiment.definition.arms]
    entries, pages = [], []
    for n, (arm, is_quarantined) in enumerate(readers):
        entries.append(Entry(f"u{n}", arm, AT + n, True, is_quarantined))
        own = frozenset((item, "engage") for item in acts(n, arm))
        first = [*arms, *arms[::-1]][2 * (n % 2) : 2 * (n % 2) + 2]
        pages.append(ShownPage(f"u{n}", AT + n, 0, first, first, own))
    return ExperimentLog(entries, pages)


def test_a_trial_is_decided_without_them_and_reported_with_them():
    control, candidate = (arm.name for arm in TRIAL.definition.arms)
    readers = [("interleaved", n < 60) for n in range(110)]
    seen = log(TRIAL, readers, lambda n, _arm: [candidate if n < 60 else control])
    found = measure_trial(TRIAL, seen, LATER)
    assert found.decision.outcome == "drop"
    [without], [everyone] = found.results.comparisons, found.results.with_quarantined
    assert (without.effect.readers, without.effect.effect) == (50, -1)
    assert (everyone.effect.readers, everyone.effect.effect) == (110, pytest.approx(1 / 11))
    assert all(each.state == "within" for each in found.guardrails)


@pytest.mark.parametrize(("is_spread", "is_alarmed"), [(True, False), (False, True)])
def test_a_holdback_alarms_where_more_of_one_arm_are_in_quarantine(is_spread, is_alarmed):
    readers = [
        ("old" if n % 2 else "new", n < 400 and (is_spread or n % 2 == 0)) for n in range(800)
    ]
    items = [arm.name for arm in HOLDBACK.definition.arms]
    seen = log(HOLDBACK, readers, lambda n, arm: items if arm == "old" or n % 10 == 0 else [])
    found = measure_holdback(HOLDBACK, seen, LATER)
    aside = 400 if is_spread else 200
    assert found.results.counts.quarantined == aside
    assert found.results.comparisons[0].effect.readers == 800 - aside
    assert (found.is_alarmed, found.brings_back) == (is_alarmed, not is_alarmed)


def test_an_adaptive_experiment_is_tested_by_the_propensities_of_each_reader():
    arms = [0, 1] * 30 + [0] + [1] * 9 + ([0] + [1] * 9) * 20
    rows = [[0.5, 0.5]] * 60 + [[0.1, 0.9]] * (len(arms) - 60)
    assert experiment_alarm("x", arms, np.array(rows)) is None
    said = "The readers of x are not in the planned shares."
    assert experiment_alarm("x", arms, np.full((len(arms), 2), 0.5)) == said

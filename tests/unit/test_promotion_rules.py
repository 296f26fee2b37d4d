"""The rules of a promotion by trial, on numbers whose truth is known."""

import numpy as np
import pytest

from harken.services.experiments.analysis.guardrails import Guardrail
from harken.services.experiments.analysis.plan import GuardrailPlan
from harken.services.experiments.analysis.promotion import (
    decide,
    gate,
    holdback_brings_back,
    pair_preferences,
)

PLANNED = 1_000


def guardrail(state):
    plan = GuardrailPlan("dismissals_per_slate", 0.05, higher_is_better=False)
    return Guardrail("new", plan, state, 0.0, None, None)


def clicks(better, worse, readers=800, seed=1):
    """Clicks on both items of adjacent pairs, five pairs a reader, each order as likely."""
    chance = np.random.default_rng(seed)
    who = np.repeat(np.arange(readers), 5)
    first = chance.random(len(who)) < 0.5  # whether the candidate's choice was shown first
    place = np.where(first, 1.0, 0.4)
    on_choice = chance.random(len(who)) < better * place
    on_other = chance.random(len(who)) < worse * np.where(first, 0.4, 1.0)
    return pair_preferences(who, on_choice, on_other)


def test_preferences_are_clicks_on_choices_less_others_per_pair():
    found = pair_preferences(
        np.array([0, 0, 2, 2]), np.array([1, 1, 0, 1], bool), np.array([0, 1, 1, 0], bool)
    )
    assert found[[0, 2]].tolist() == [0.5, 0.0]
    assert np.isnan(found[1])


def test_position_cancels_out():
    assert gate(clicks(0.3, 0.3), PLANNED).state == "open"


def test_the_gate_passes_what_readers_prefer_and_fails_what_they_do_not():
    assert gate(clicks(0.35, 0.2), PLANNED).state == "passed"
    assert gate(clicks(0.2, 0.35), PLANNED).state == "failed"


def test_the_gate_stays_open_with_few_readers():
    found = gate(clicks(0.35, 0.2, readers=10), PLANNED)
    assert (found.state, found.readers, found.bounds) == ("open", 10, (-1, 1))
    assert gate(np.array([np.nan] * 50), PLANNED).readers == 0


@pytest.mark.parametrize(
    ("mean", "readers", "outcome"),
    [(0.2, 500, "promote"), (-0.2, 500, "drop"), (0.02, 500, "continue"), (0.02, 1_000, "keep")],
)
def test_a_trial_is_decided_by_its_sequence(mean, readers, outcome):
    assert decide(mean, 0.03, readers, PLANNED).outcome == outcome


def test_a_retrained_model_has_only_to_be_no_worse_than_the_margin():
    assert decide(0.0, 0.02, 1_000, PLANNED, margin=0.1).outcome == "promote"
    assert decide(-0.1, 0.02, 1_000, PLANNED, margin=0.1).outcome == "keep"
    assert decide(-0.2, 0.02, 1_000, PLANNED, margin=0.1).outcome == "drop"


def test_a_breached_guardrail_drops_what_readers_choose():
    found = decide(0.3, 0.03, 1_000, PLANNED, [guardrail("within"), guardrail("breached")])
    assert found.outcome == "drop"
    assert "dismissals_per_slate" in found.text
    assert decide(0.3, 0.03, 1_000, PLANNED, [guardrail("open")]).outcome == "promote"


def test_nothing_is_promoted_while_an_alarm_stands():
    assert decide(0.3, 0.03, 1_000, PLANNED, alarm=True).outcome == "continue"


def test_the_old_model_comes_back_when_the_new_one_is_proven_worse():
    assert holdback_brings_back(-0.01)
    assert not holdback_brings_back(0.2)
    assert holdback_brings_back(0.2, [guardrail("breached")])

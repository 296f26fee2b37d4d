"""The scale of the scores of alerts: it means the same whichever detector raised them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harken.services.integrity.detectors import DETECTORS, DetectorSettings, run_detectors
from harken.services.integrity.detectors.findings import Alert, Case, Evidence, Kind
from harken.services.integrity.detectors.lockstep import star_strength
from harken.services.integrity.detectors.scores import score_of
from harken.services.simulation.rings import Attack, Strength, plant
from tests.support.audiences import honest_log

ALERT = Alert("lockstep", Kind.READER, "r1", ("r1",), 4.0, 0, 1, Evidence("Together."))
LOOSE = 1.5
"""A strength far below that of real alerts: chance brings such an alert to one of 32 readers."""


@pytest.mark.parametrize(
    ("strength", "score"), [(-3.0, 0), (0.0, 0), (4.0, 0.5), (6.0, 0.6), (12.0, 0.75), (36.0, 0.9)]
)
def test_a_score_says_how_rarely_chance_brings_an_alert(strength, score):
    assert replace(ALERT, strength=strength).score == pytest.approx(score)


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_what_is_rarer_scores_no_less_and_all_scores_are_below_one(a, b):
    low, high = score_of(np.array(sorted((a, b)))).tolist()
    assert 0 <= low <= high < 1


@pytest.fixture(scope="module")
def cases():
    """Three logs of honest readers, with many false alarms allowed."""
    return [Case(honest_log(n), None, DetectorSettings(), 10**-LOOSE) for n in range(3)]


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda each: each.name)
def test_chance_brings_no_more_alerts_than_their_strength_says(detector, cases):
    readers = accused = 0
    for case in cases:
        alerts = detector.find(case).alerts
        strong = [each for each in alerts if each.strength >= LOOSE]
        accused += len({member for each in strong for member in each.members})
        readers += len(case.log.reader_ids)
    assert accused <= readers * 10**-LOOSE


@pytest.mark.parametrize("strength", Strength)
def test_no_alert_is_weaker_than_the_false_alarms_allowed(strength):
    planted = plant(honest_log(1), Attack(strength, 12, 5), seed=1)
    settings = DetectorSettings(alarms_per_reader_week=0.001)
    rings = [each for each in run_detectors(planted.log, None, settings).alerts if each.members]
    accusers = sum(each.accuses for each in DETECTORS)
    assert rings
    assert all(each.strength >= -np.log10(0.001 / accusers) for each in rings)
    assert max(each.score for each in rings) > 0.6


def test_a_group_is_stronger_by_its_size_and_weaker_by_those_who_might_have_been_in_it():
    assert star_strength(2, 2, 3.0) == pytest.approx(3)
    assert star_strength(3, 1_001, 5.0) == pytest.approx(10 - np.log10(1_000 * 999 / 2))
    assert star_strength(12, 1_000, 5.0) > star_strength(6, 1_000, 5.0)
    assert star_strength(6, 1_000, 5.0) > star_strength(6, 10_000, 5.0)

"""Objectives: their labels, what predicts them, and whether the predictions are calibrated."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.config import Settings
from harken.domain.objectives import OBJECTIVES, known_objectives
from harken.errors import InvalidInput, InvalidModel, InvalidSettings
from harken.services.evaluation.calibration import calibration, calibrations
from harken.services.features.names import NAMES
from harken.services.learning.impressions import Event
from harken.services.learning.model_storage.archive import archive, restore
from harken.services.learning.objectives.heads import Head, fit_head, probabilities
from harken.services.learning.objectives.outcomes import (
    DAY,
    HOUR,
    NO,
    UNKNOWN,
    YES,
    Case,
    fit_heads,
    outcomes,
)
from tests.support.model_texts import small
from tests.support.touches import START, touch

MINUTE = HOUR // 60
SIGNAL = NAMES.index("tags")
ROW = np.zeros(len(NAMES), np.float32)


def labels(events, at=0, until=2 * DAY):
    """Return the labels of ada's touch of `k` at a time."""
    case = Case("ada", "k", START + at, ROW)
    found = outcomes([case], [Event(each) for each in events], START + until)
    return {name: int(each[0]) for name, each in found.items()}


def test_what_follows_makes_the_labels():
    nothing = {"engage": NO, "dwell": UNKNOWN, "dismiss": NO, "return": NO}
    assert labels([touch("ada", "k")]) == nothing
    assert labels([touch("ada", "k", 0, "engage")])["engage"] == YES
    assert labels([touch("ada", "k", HOUR - 1, "engage")])["engage"] == YES
    assert labels([touch("ada", "k", HOUR, "engage")])["engage"] == NO
    assert labels([touch("ada", "k", -1, "engage")])["engage"] == NO
    assert labels([touch("bo", "k", 0, "engage"), touch("ada", "j", 0, "engage")]) == nothing
    assert labels([touch("ada", "k", 5, "dismiss")])["dismiss"] == YES
    assert labels([touch("ada", "k", 0, dwell=29_999)])["dwell"] == NO
    both = [touch("ada", "k", 9, dwell=30_000), touch("ada", "k", 99, dwell=5)]
    assert labels(both)["dwell"] == YES
    assert labels([touch("ada", "j", 30 * MINUTE)])["return"] == YES
    assert labels([touch("ada", "j", 30 * MINUTE - 1)])["return"] == NO
    assert labels([touch("ada", "j", DAY)])["return"] == NO
    assert labels([touch("bo", "j", 2 * HOUR)])["return"] == NO


def test_what_is_not_over_is_not_known():
    later = [touch("ada", "k", 0, dwell=40_000), touch("ada", "k", 10, "engage")]
    assert set(labels(later, until=HOUR - 1).values()) == {UNKNOWN}
    assert labels(later, until=HOUR)["engage"] == YES
    assert labels([*later, touch("ada", "j", 2 * HOUR)], until=DAY - 1)["return"] == UNKNOWN
    # What happens later is not looked at.
    assert labels([touch("ada", "j", 2 * HOUR)], until=DAY)["return"] == YES
    assert labels([touch("ada", "k", HOUR - 1, "engage")], until=HOUR - 1)["engage"] == UNKNOWN


def drawn(count=2_000, seed=0, slope=2.0):
    """Draw rows, and outcomes that are likelier with a higher signal."""
    generator = np.random.default_rng(seed)
    rows = generator.normal(size=(count, len(NAMES))).astype(np.float32)
    chances = 1 / (1 + np.exp(1.0 - slope * rows[:, SIGNAL]))
    return rows, generator.random(count) < chances


@pytest.fixture(scope="module")
def head():
    fitted = fit_head(NAMES, *drawn())
    assert fitted is not None
    return fitted


def test_a_head_finds_what_decides(head):
    rows, happened = drawn(seed=1)
    assert np.argmax(np.abs(head.weights)) == SIGNAL
    found = probabilities(head.log_odds(rows))
    assert found[happened].mean() > found[~happened].mean() + 0.1
    assert (head.cases, round(head.share * head.cases)) == (2_000, drawn()[1].sum())
    assert fit_head(NAMES, *drawn()) == head


def test_the_mean_prediction_is_the_share_of_outcomes(head):
    rows, _ = drawn()
    assert probabilities(head.log_odds(rows)).mean() == pytest.approx(head.share, abs=1e-3)


def test_an_extreme_row_has_a_finite_prediction(head):
    rows = np.array([[1e30] * len(NAMES), [-1e30] * len(NAMES)], np.float32)
    assert np.isfinite(head.log_odds(rows)).all()


@pytest.mark.parametrize("positive", [0, 49, 1_951, 2_000])
def test_too_few_of_a_kind_make_no_head(positive):
    rows, _ = drawn()
    assert fit_head(NAMES, rows, np.arange(2_000) < positive) is None


def test_a_feature_that_never_varies_does_no_harm():
    rows, happened = drawn()
    rows[:, 0] = 7.0
    fitted = fit_head(NAMES, rows, happened)
    assert fitted is not None
    assert fitted.weights[0] == pytest.approx(0.0, abs=1e-6)


def test_heads_and_what_there_are_none_for():
    rows, happened = drawn(300)
    cases = [Case("ada", f"k{n}", START + n, row) for n, row in enumerate(rows)]
    events = [
        Event(touch("ada", f"k{n}", n, "engage" if yes else "view"))
        for n, yes in enumerate(happened.tolist())
    ]
    heads, problems = fit_heads(NAMES, cases, events, START + 2 * DAY)
    assert list(heads) == ["engage"]
    assert set(problems) == {"dwell", "dismiss", "return"}
    assert "0 with this outcome and 300 without it are known, and 50" in problems["dismiss"]
    found = calibrations(heads, cases, events, START + 2 * DAY)
    assert found["engage"]["cases"] == 300
    assert found["engage"]["log_loss"] < found["engage"]["log_loss_of_share"]
    some = calibrations(heads, cases[:49], events, START + 2 * DAY)
    assert "49 are known, and 50 are needed" in some["engage"]["problem"]
    assert "0 are known" in calibrations(heads, [], events, START)["engage"]["problem"]
    assert fit_heads(NAMES, [], [], START).heads == {}


# Calibration


def predicted_and_happened(shift=0.0, count=3_000):
    generator = np.random.default_rng(3)
    chances = generator.uniform(0.05, 0.6, count)
    return chances + shift, generator.random(count) < chances


def test_what_is_right_is_calibrated_and_what_is_not_is_not():
    found = []
    for by in (0.0, 0.2):
        predicted, happened = predicted_and_happened(by)
        found.append(calibration(predicted, happened, usual=0.3))
    right, wrong = found
    assert right is not None
    assert wrong is not None
    assert right.is_calibrated
    assert not wrong.is_calibrated
    assert wrong.ece == pytest.approx(0.2, abs=0.03)
    assert right.log_loss < right.log_loss_of_share
    assert sum(each.cases for each in right.bins) == right.cases == 3_000
    assert all(each.predicted == pytest.approx(each.observed, abs=0.1) for each in right.bins)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=50, max_size=80))
def test_figures_are_within_their_range(pairs):
    predicted, happened = (np.array(each) for each in zip(*pairs, strict=True))
    found = calibration(predicted.astype(float), happened.astype(bool), 0.5)
    assert found is not None
    assert 0 <= found.ece <= 1
    assert 0 <= found.by_chance <= 1
    assert np.isfinite(found.log_loss)
    assert sum(each.cases for each in found.bins) == len(pairs)


def test_few_cases_measure_nothing():
    assert calibration(np.full(49, 0.5), np.zeros(49, bool), 0.5) is None


# As text


def test_heads_are_read_back(head):
    model = replace(small(), heads={"dismiss": head})
    archived = archive(model)
    assert archived.features["version"] == 3
    read = restore("m", archived, {})
    assert read.heads == {"dismiss": head}
    rows, _ = drawn(50, seed=4)
    assert read.heads["dismiss"].log_odds(rows).tolist() == head.log_odds(rows).tolist()
    assert read.score(rows).tolist() == model.score(rows).tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"intercept": float("nan")}, "has a head that cannot be used: dismiss.intercept: "),
        ({"intercept": "1"}, "has a head that cannot be used"),
        ({"weights": [0.0]}, "must have a number for each name"),
        ({"scales": [0.0] * len(NAMES)}, "has a head that cannot be used"),
        ({"names": ["luck"] * len(NAMES)}, "are unknown"),
        ({"more": 1}, "has a head that cannot be used"),
        ({"cases": 3_000}, "m was cut off or changed"),
    ],
)
def test_another_head_is_refused(head, change, message):
    archived = archive(replace(small(), heads={"dismiss": head}))
    changed = head.model_dump(mode="json") | change
    features = {**archived.features, "objectives": {"dismiss": changed}}
    with pytest.raises(InvalidModel, match=message):
        restore("m", replace(archived, features=features), {})


def test_another_objective_is_refused(head):
    archived = archive(replace(small(), heads={"dismiss": head}))
    features = {**archived.features, "objectives": {"luck": head.model_dump(mode="json")}}
    with pytest.raises(InvalidModel, match="has objectives that are not known"):
        restore("m", replace(archived, features=features), {})
    assert set(OBJECTIVES) == {"engage", "dwell", "dismiss", "return"}


# Weights


def test_weights_are_read_from_the_setting(monkeypatch):
    monkeypatch.setenv("HARKEN_OBJECTIVES", "engage:0.5, dismiss:-2, return:0")
    assert Settings.load().objectives == {"engage": 0.5, "dismiss": -2.0}
    for wrong, message in {
        "luck:1": "luck: is no objective; known are engage, dwell, dismiss, return",
        "engage:1e9": "must be a number from",
        "engage:nan": "must be a number from",
        "engage=1": "is not of the form",
    }.items():
        monkeypatch.setenv("HARKEN_OBJECTIVES", wrong)
        with pytest.raises(InvalidSettings, match=message):
            Settings.load()
    with pytest.raises(InvalidInput, match="luck: is no objective"):
        known_objectives({"luck": 1.0})


def test_a_head_whose_lists_differ_in_length_is_invalid(head):
    with pytest.raises(ValueError, match="a number for each name"):
        Head(**(head.model_dump() | {"means": (0.0,)}))

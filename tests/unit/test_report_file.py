"""The HTML file of a report: its plots, and that it is whole and safe."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harken.protocols.presentation import NO_EXPERIMENT
from harken.protocols.report_file.document import report_document
from harken.protocols.report_file.interval_plots import (
    LEFT,
    MOST_TICKS,
    RIGHT,
    WIDTH,
    Measured,
    interval_plot,
)

RATIO = {"value": 0.25, "low": 0.2, "high": 0.3}
UNKNOWN = dict.fromkeys(RATIO)
WEEK = {
    "week": "2026-W40", "is_partial": False, "views": 1_000, "engagements": 250, "dismissals": 7,
    "readers": 40, "engagement_per_view": RATIO, "dismissals_per_view": UNKNOWN,
}  # fmt: skip
SPAN = {"from": "2026-10-01T00:00:00Z", "until": "2026-10-08T00:00:00Z"}
MODELS = [
    SPAN
    | {
        "model_id": "a<b", "basis": "in_service", "impressions": 9, "readers": 3, "problem": None,
        "rankings": {"learned": {"mrr": 0.5}, "personal": {"mrr": 0.25}},
        "differences": [
            {"than": "personal", "metric": metric, "difference": -0.1, "low": low, "high": 0.1}
            for metric, low in (("ndcg@10", -0.2), ("mrr", None))
        ],
    },
    SPAN
    | {
        "model_id": "b", "basis": None, "impressions": 0, "readers": 0, "problem": "was changed",
        "rankings": {}, "differences": [],
    },
]  # fmt: skip
REPORT = {
    "created_at": "2026-11-01T12:30:00.000000Z", "code_version": "1.0",
    "no_experiment": NO_EXPERIMENT,
    "answer": {"verdict": "worse", "text": "Worse: <script>alert(1)</script>", "compared": []},
    "weeks": [WEEK, WEEK | {"week": "2026-W41", "is_partial": True}],
    "rankings": [], "models": MODELS,
    "left_out": {"events": 3, "readers": 1, "sessions": 0},
    "trained_with_erased": [{"model_id": "c", "erasures": 1}],
}  # fmt: skip


def test_the_file_says_what_the_report_says():
    text = report_document(REPORT)
    assert "<strong>Worse.</strong>" in text
    assert text.count("no experiment") == 3
    assert NO_EXPERIMENT in text
    assert text.count("<svg") == 2  # engagements by week, and one model; no dismissals are known
    assert "2026-W40: 0.250 (95 % interval 0.200 to 0.300)" in text
    assert "than personal: -0.100 (95 % interval -0.200 to 0.100)" in text
    assert "It cannot be measured: was changed." in text
    assert "erased since: c." in text
    assert "left out: 3 events, 1 reader." in re.sub(r"\s+", " ", text)
    for measure in ("hit rate", "mean reciprocal rank", "discounted by place"):
        assert measure in text


def test_the_file_loads_nothing_and_runs_nothing():
    text = report_document(REPORT)
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "a&lt;b" in text
    assert not re.findall(r"(?:src|href|url|@import)\s*[=(]", text)
    assert "default-src &#39;none&#39;" in text or "default-src 'none'" in text


def test_a_report_without_weeks_and_models():
    empty = REPORT | {"weeks": [], "models": [], "left_out": {}, "trained_with_erased": []}
    text = report_document(empty)
    assert "<svg" not in text
    assert "Week by week" not in text


def test_nothing_is_drawn_of_nothing():
    assert interval_plot("A", [], from_zero=True) is None
    assert interval_plot("A", [Measured("a", None)], from_zero=True) is None


NUMBERS = st.floats(-1e6, 1e6, allow_subnormal=False).filter(lambda value: abs(value) > 1e-6)


@given(st.lists(st.tuples(NUMBERS, st.floats(0, 1e3)), min_size=1, max_size=8), st.booleans())
def test_marks_lie_within_the_plot_in_the_order_of_their_values(values, from_zero):
    rows = [Measured(f"r{n}", at, at - wide, at + wide) for n, (at, wide) in enumerate(values)]
    plot = interval_plot("A", rows, from_zero=from_zero)
    assert plot is not None
    assert 2 <= len(plot.ticks) <= MOST_TICKS + 3
    for mark in plot.marks:
        assert mark.low is not None
        assert mark.value is not None
        assert mark.high is not None
        assert LEFT - 0.2 <= mark.low <= mark.value <= mark.high <= WIDTH - RIGHT + 0.2
        assert mark.words in plot.summary
    both = sorted((at, mark.value) for (at, _), mark in zip(values, plot.marks, strict=True))
    places = [place for _, place in both if place is not None]
    assert places == sorted(places)
    assert (plot.zero is not None) == from_zero


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (0.1, 0.29, ["0.10", "0.15", "0.20", "0.25", "0.30"]),
        (-0.02, 0.08, ["\u22120.02", "0.00", "0.02", "0.04", "0.06", "0.08"]),
        (3.0, 3.0, ["3"]),
    ],
)
def test_an_axis_has_round_numbers(low, high, texts):
    plot = interval_plot("A", [Measured("a", low), Measured("b", high)], from_zero=False)
    assert plot is not None
    assert [tick.text for tick in plot.ticks][: len(texts)] == texts

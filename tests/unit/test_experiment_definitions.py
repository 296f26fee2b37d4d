"""Definitions of experiments: what they mean, and messages that name the field."""

import pytest

from harken.errors import InvalidInput
from harken.services.experiments.definitions import define

CHRONOLOGICAL = {"name": "a", "ranking": "chronological"}
PERSONAL = {"name": "b", "ranking": "personal"}
AB = {
    "id": "x", "feeds": ["cosmos"], "arms": [CHRONOLOGICAL, PERSONAL],
    "metric": "engagements_per_slate",
}  # fmt: skip
SHARED = {"id": "y", "kind": "interleaving", "feeds": ["cosmos"], "arms": AB["arms"]}
FLAG = {"id": "f", "arms": [{"name": "off"}, {"name": "on", "value": True}], "metric": "return_7d"}


def arms(**changed):
    return {"arms": [CHRONOLOGICAL, PERSONAL | changed]}


def flag_of(value):
    return {"arms": [{"name": "off"}, {"name": "on", "value": value}]}


def test_what_is_left_out():
    found = define(AB)
    assert found.shares == {"a": 0.5, "b": 0.5}
    assert (found.compared_with, found.in_layer, found.slots) == ("a", "ranking", (0, 999))
    assert (found.window_days, found.alpha, found.is_flag) == (14, 0.05, False)
    assert found.measured_by.denominator == "slates"
    assert define(SHARED).measured_by.name == "credit"
    flag = define(FLAG)
    assert flag.is_flag
    assert flag.in_layer == "flag f"


def test_shares_are_in_the_order_of_the_arms():
    found = define(AB | {"allocation": {"b": 0.1, "a": 0.9}})
    assert list(found.shares.items()) == [("a", 0.9), ("b", 0.1)]


@pytest.mark.parametrize(
    ("base", "changed", "problem"),
    [
        (AB, {"allocation": {"a": 0.5, "b": 0.4}}, "allocation: adds up to 0.9; the shares must"),
        (AB, {"allocation": {"a": 1.0}}, "allocation.a: must be between 0 and 1"),
        (AB, {"allocation": {"a": 0.5, "c": 0.5}}, "allocation: 'c' is no arm; arms are a, b"),
        (AB, arms(ranking="persnal"), "arms.1.ranking: 'persnal' is unknown; did you mean"),
        (AB, arms(ranking=None), "arms.1.ranking: is required"),
        (AB, arms(model="learned-1"), "arms.1.model: goes with ranking=learned only"),
        (AB, arms(value=1), "arms.1.value: is for flags"),
        (FLAG, flag_of("\ud800"), "arms.1.value: must not contain lone surrogates"),
        (FLAG, flag_of([{"\ud800": 1}]), "arms.1.value: must not contain lone surrogates"),
        (FLAG, flag_of(float("nan")), "arms.1.value: must be JSON"),
        (AB, arms(name="a"), "arms: 'a' is the name of two arms"),
        (AB, arms(most_per_source=1.5), "arms.1.most_per_source: Input should be a valid"),
        (SHARED, arms(most_per_source=2), "arms.1.most_per_source: goes with kind=ab only"),
        (AB, {"arms": [CHRONOLOGICAL]}, "arms: needs at least two arms"),
        (AB, {"control": "c"}, "control: 'c' is no arm"),
        (AB, {"metric": None}, "metric: is required"),
        (AB, {"metric": "clicks"}, "metric: 'clicks' is no metric that the log can give; known"),
        (AB, {"metric": "return_7d", "window_days": 3}, "metric: needs a window_days of"),
        (
            AB, {"guardrails": [{"metric": "pain", "margin": 1}]},
            "guardrails.0.metric: 'pain' is no metric",
        ),
        (AB, {"guardrails": [{"metric": "return_7d", "margin": -1}]}, "guardrails.0.margin"),
        (AB, {"slots": [500, 100]}, "slots: must be a first and a last slot, from 0 to 999"),
        (AB, {"slots": [0, 1000]}, "slots: must be"),
        (AB, {"id": "exposures"}, "id: 'exposures' is reserved"),
        (AB, {"id": "a b"}, "id: must be 1 to 64 letters"),
        (AB, {"planed_size": 5}, "planed_size: is not a known field"),
        (AB, {"planned_size": 1}, "planned_size"),
        (AB, {"alpha": 2}, "alpha"),
        (SHARED, {"feeds": []}, "feeds: is required"),
        (SHARED, {"metric": "return_7d"}, "metric: goes with kind=ab only"),
        (SHARED, {"allocation": {"a": 0.5, "b": 0.5}}, "allocation: goes with kind=ab only"),
        (SHARED, {"adaptive": True}, "adaptive: goes with kind=ab only: all readers see both"),
        (AB, {"adaptive": "yes"}, "adaptive: "),
        (
            AB, {"adaptive": True, "allocation": {"a": 0.95, "b": 0.05}},
            "allocation.b: must be at least 0.1 with adaptive",
        ),
        (
            FLAG, {"adaptive": True, "arms": [{"name": f"a{n}"} for n in range(10)]},
            "adaptive: goes with at most 9 arms, since each keeps 10%",
        ),
        (SHARED, {"arms": [*AB["arms"], {"name": "c", "ranking": "trending"}]}, "needs two arms"),
        (SHARED, arms(temperature=1.0), "arms.1.temperature: goes with kind=ab only"),
        (FLAG, {"arms": AB["arms"]}, "arms.0: orders a feed: name the feeds"),
    ],
)  # fmt: skip
def test_what_is_refused(base, changed, problem):
    with pytest.raises(InvalidInput) as refused:
        define(base | changed)
    assert problem in str(refused.value)

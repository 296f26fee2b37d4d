"""Assignment: the vectors that the browser client shares, and what holds for every unit."""

import json
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harken.services.experiments.assignment import SLOTS, arm_of, position, slot

VECTORS = json.loads((Path(__file__).parents[1] / "vectors/assignment.json").read_text("utf-8"))
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda each: each["head"])
def test_the_vectors(vector):
    salt, unit = vector["salt"], vector["unit"]
    assert position(salt, unit) == vector["position"]
    assert slot(salt, unit) == vector["slot"]
    assert arm_of(salt, unit, vector["allocation"]) == vector["arm"]


def test_the_vectors_have_what_is_hard():
    units = {each["unit"] for each in VECTORS["vectors"]}
    assert "" in units
    assert any(len(unit) >= 200 for unit in units)
    assert any("\u0308" in unit for unit in units)
    assert any("\U0001f469" in unit for unit in units)


@given(TEXT, TEXT)
def test_a_position_is_the_head_of_a_hash(salt, unit):
    found = position(salt, unit)
    assert 0 <= found <= 1
    head = sha256(salt.encode() + b"\x1f" + unit.encode()).digest()[:8]
    assert found == int.from_bytes(head, "big") / 2**64
    assert 0 <= slot(salt, unit) < SLOTS


@given(TEXT, st.lists(st.floats(0.001, 1), min_size=2, max_size=10))
def test_every_unit_has_an_arm_with_a_share(unit, weights):
    total = sum(weights)
    allocation = {f"a{n}": weight / total for n, weight in enumerate(weights)}
    assert arm_of("x", unit, allocation) in allocation


def test_shares_that_are_rounded_to_less_than_one_leave_nobody_out():
    assert arm_of("x", "ada", {"a": 0.0, "b": 1e-300, "c": 0.0}) == "b"

"""Adaptive allocation: arms and propensities are kept, and the next shares follow the readers."""

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harken.services.experiments.adaptive.versions import (
    LEAST_SHARE,
    Allocation,
    Allocations,
    Assigned,
    assigned_by,
)
from harken.services.experiments.analysis.allocation import next_allocation
from harken.services.experiments.analysis.moments import MetricValues
from harken.services.experiments.analysis.plan import Readers
from harken.services.experiments.assignment import arm_of
from tests.contract.conftest import NOW

DAY = timedelta(days=1)
SALT = "x:1"


@st.composite
def allocations(draw):
    """Versions of 2 to 5 arms, none below the least share, a day apart."""
    arms = draw(st.integers(2, 5))
    rows = draw(
        st.lists(st.lists(st.floats(0, 1), min_size=arms, max_size=arms), min_size=1, max_size=6)
    )
    free = 1 - arms * LEAST_SHARE
    versions = []
    for number, row in enumerate(rows):
        total = sum(row)
        shares = {
            f"a{n}": LEAST_SHARE + free * (each / total if total > 0 else 1 / arms)
            for n, each in enumerate(row)
        }
        at = NOW + number * DAY
        versions.append(Allocation(number + 1, shares, at, at, "a test", 10 * number))
    return Allocations(tuple(versions))


UNITS = st.lists(st.uuids().map(str), min_size=1, max_size=30, unique=True)


@given(allocations(), UNITS)
def test_a_common_arm_is_that_of_every_version(known, units):
    for unit in units:
        arms = {arm_of(SALT, unit, each.shares) for each in known.versions}
        common = known.common_arm(SALT, unit)
        assert (common is None) == (len(arms) > 1)
        assert common is None or arms == {common}


@given(allocations(), st.lists(st.tuples(st.integers(0, 9), st.integers(0, 7)), max_size=60))
def test_a_unit_keeps_the_arm_and_the_propensity_of_its_first_exposure(known, visits):
    """As the service does: exposures are looked up only where the versions do not agree."""
    exposed: dict[str, Assigned] = {}
    for number, (unit, day) in enumerate(sorted(visits, key=lambda each: each[1])):
        name, current = f"u{unit}", known.at(NOW + day * DAY)
        own = assigned_by(current, SALT, name)
        if known.common_arm(SALT, name) is None:
            own = exposed.get(name, own)
        first = exposed.setdefault(name, own)  # the row of an exposure is never replaced
        assert own.arm == first.arm, number
        version = known.numbered(first.allocation)
        assert first.propensity == version.shares[first.arm]
        assert arm_of(SALT, name, version.shares) == first.arm


@given(allocations(), st.integers(-3, 9))
def test_the_version_in_force_is_the_latest_that_began(known, day):
    now = NOW + day * DAY
    begun = [each for each in known.versions if each.in_force_at <= now]
    assert known.at(now) == (begun or known.versions)[-1 if begun else 0]
    assert known.numbered(len(known.versions) + 1) is None


def test_of_units_that_come_first_under_a_version_each_arm_has_its_share():
    shares = {"a": 0.1, "b": 0.65, "c": 0.25}
    second = Allocation(2, shares, NOW, NOW, "a test", 60)
    arms = [assigned_by(second, SALT, f"reader {n}").arm for n in range(20_000)]
    found = {name: arms.count(name) / len(arms) for name in shares}
    assert found == pytest.approx(shares, abs=0.015)  # four standard errors


def readers(arms, propensities=(0.5, 0.5)):
    return Readers(
        np.array(arms, np.intp), np.arange(len(arms), dtype=float), np.array(propensities)
    )


def following(given, values, seed, **more):
    found = next_allocation(given, values, seed, **more)
    assert found is not None
    return found.tolist()


def test_the_next_shares_go_to_the_better_arm_and_leave_a_tenth_to_the_other():
    arms = np.arange(400) % 2
    values = MetricValues(np.random.default_rng(1).poisson(1.0 + 0.6 * arms).astype(float))
    shares = following(readers(arms), values, 7)
    assert shares == following(readers(arms), values, 7)
    assert shares == pytest.approx([0.1, 0.9], abs=0.01)
    worse = following(readers(arms), values, 7, higher_is_better=False)
    assert worse == pytest.approx([0.9, 0.1], abs=0.01)


@given(st.integers(0, 2**32), st.integers(2, 9))
def test_shares_are_short_add_up_to_one_and_none_is_below_the_floor(seed, count):
    arms = np.arange(40 * count) % count
    values = MetricValues(np.random.default_rng(seed).exponential(1.0 + arms))
    shares = following(readers(arms, [1 / count] * count), values, seed)
    assert sum(shares) == pytest.approx(1, abs=1e-12)
    assert min(shares) >= LEAST_SHARE
    assert shares == [round(each, 4) for each in shares]


@pytest.mark.parametrize(
    ("arms", "engaged"),
    [
        (np.arange(30) % 2, np.ones(30)),  # too few readers
        (np.arange(100) % 2, np.zeros(100)),  # nobody did anything, so no arm is better
        (np.zeros(100, np.intp), np.arange(100.0)),  # one arm has none
    ],
    ids=["few", "no acts", "one arm"],
)
def test_without_knowledge_the_allocation_stays(arms, engaged):
    assert next_allocation(readers(arms), MetricValues(engaged), 1) is None

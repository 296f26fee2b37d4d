"""Bounds of partitions, as properties over times and widths."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from harken.services.integrity.partitions.bounds import (
    DAY,
    UNIT,
    bound_at,
    day_after,
    ranges_after,
    time_of,
    width_for,
)
from tests.support.partitions import made_at

TIMES = st.integers(0, 50 * 365 * 86_400).map(
    lambda seconds: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)


@given(TIMES, st.booleans())
def test_an_id_is_in_the_unit_of_its_time(at, dashed):
    own = made_at(at) if dashed else made_at(at).replace("-", "")
    bound = bound_at(at)
    assert bound <= own < bound_at(at + UNIT)
    assert time_of(bound) <= at < time_of(bound) + UNIT


@given(TIMES, st.integers(0, 400), st.integers(2, 5_000))
def test_ranges_follow_each_other_and_end_at_midnight(at, days, kept):
    width = width_for(timedelta(days=kept))
    until = at + timedelta(days=days)
    found = ranges_after(bound_at(at), until, width)
    assert all(one.end == other.start for one, other in pairwise(found))
    assert all(one.start < one.end for one in found)
    assert not found or found[-1].until >= until - UNIT
    for one in found:
        midnight = day_after(one.end)
        assert timedelta(0) <= midnight - one.until < UNIT
        assert (midnight.hour, midnight.minute, midnight.second) == (0, 0, 0)
    for one in found[1:]:
        assert day_after(one.end) - day_after(one.start) == width


@given(st.integers(2, 36_500))
def test_there_are_few_partitions_however_much_is_kept(days):
    kept = timedelta(days=days)
    assert width_for(kept) >= DAY
    assert kept / width_for(kept) <= 20

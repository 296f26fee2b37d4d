"""Forward decay: the arithmetic of sums that are kept as logarithms."""

import math
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harken.domain import decay
from harken.domain.decay import LANDMARK, TrendWeights
from harken.errors import InvalidInput

HALF_LIFE = timedelta(hours=6)
NOW = datetime(2026, 3, 1, tzinfo=UTC)
HALF_LIVES_AGO = st.integers(-3_000, 3_000)


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=20))
def test_adding_one_by_one_gives_the_sum(logarithms):
    total = None
    for each in logarithms:
        total = decay.add(total, each)
    greatest = max(logarithms)
    expected = greatest + math.log(sum(math.exp(each - greatest) for each in logarithms))
    assert total == pytest.approx(expected, rel=0, abs=1e-10)


def exactly(events: list[int]) -> Fraction:
    return sum((Fraction(2) ** at for at in events), Fraction(0))


def logarithms(events: list[int]) -> float | None:
    total = None
    for at in events:
        total = decay.add(total, decay.logarithm(LANDMARK + at * HALF_LIFE, HALF_LIFE))
    return total


KBLOCKS = st.tuples(*[st.lists(HALF_LIVES_AGO, max_size=4)] * 3)


@given(KBLOCKS, KBLOCKS)
def test_the_order_is_that_of_exact_sums_whatever_their_size(one, other):
    def net(events):
        return exactly(events[0]) + exactly(events[1]) - exactly(events[2])

    def order(events):
        views, engagements, dismissals = map(logarithms, events)
        return decay.order(views, engagements, dismissals)

    first, second = net(one), net(other)
    greatest = max(exactly(one[0] + one[1] + one[2]), exactly(other[0] + other[1] + other[2]))
    if abs(first - second) > greatest * Fraction(1, 10**9):
        assert (order(one) > order(other)) == (first > second)


def test_a_net_sum_is_seen_in_events_of_now():
    events = [decay.logarithm(NOW - age, HALF_LIFE) for age in (timedelta(0), HALF_LIFE)]
    order = decay.order(decay.add(*events), None, None)
    orders = np.array([order, -order, 0.0])
    assert decay.net_at(orders, HALF_LIFE, NOW).tolist() == pytest.approx([1.5, -1.5, 0])
    later = decay.net_at(orders, HALF_LIFE, NOW + HALF_LIFE)
    assert later.tolist() == pytest.approx([0.75, -0.75, 0])
    assert not decay.net_at(orders, HALF_LIFE, datetime(2200, 1, 1, tzinfo=UTC)).any()


def test_what_events_weigh_can_be_set():
    view, engagement = (decay.logarithm(NOW, HALF_LIFE),) * 2
    weights = TrendWeights(view=1, engage=4, dismiss=-1)
    order = decay.order(view, engagement, None, weights)
    assert decay.net_at(np.array([order]), HALF_LIFE, NOW) == pytest.approx(5)


@pytest.mark.parametrize("texts", [[], ["1h", "2h", "3h", "4h", "5h"], ["59min"], ["366d"], ["6"]])
def test_half_lives_that_cannot_be_kept_are_refused(texts):
    with pytest.raises(InvalidInput, match="half_lives"):
        decay.parse_half_lives(texts)

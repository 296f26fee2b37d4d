"""Team draft with competitive pairs: what holds for all orders, and that no side is favoured."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from harken.services.experiments.interleaving import BOTH, FIRST, SECOND, team_draft

ORDERS = st.lists(st.integers(0, 60), unique=True, max_size=40)


def drafted(first, second, seed=1, most=1_000):
    found = team_draft(np.array(first, np.int64), np.array(second, np.int64), seed, most)
    return found.numbers.tolist(), found.sides.tolist()


@given(ORDERS, ORDERS, st.integers(0, 2**53 - 1), st.integers(1, 50))
def test_a_draft_has_each_item_once_in_competitive_pairs(first, second, seed, most):
    numbers, sides = drafted(first, second, seed, most)
    assert len(set(numbers)) == len(numbers) == len(sides) <= most
    assert set(numbers) <= {*first, *second}
    if len({*first, *second}) <= most:
        assert set(numbers) == {*first, *second}
    place, shown = 0, set()
    while place < len(sides):
        own = sides[place]
        if own == BOTH:
            shown.add(numbers[place])
            place += 1
            continue
        assert {own, sides[place + 1]} == {FIRST, SECOND}  # an opponent stands beside it
        pair = {sides[at]: numbers[at] for at in (place, place + 1)}
        for side, order in ((FIRST, first), (SECOND, second)):
            # Each side names the first of its own that is not shown yet.
            assert pair[side] == next(each for each in order if each not in shown)
        shown |= set(pair.values())
        place += 2


@given(ORDERS, ORDERS, st.integers(0, 2**53 - 1))
def test_a_seed_determines_the_draft(first, second, seed):
    assert drafted(first, second, seed) == drafted(first, second, seed)


@given(ORDERS, st.integers(0, 2**53 - 1))
def test_equal_orders_have_no_sides(order, seed):
    assert drafted(order, order, seed) == (order, [BOTH] * len(order))


def test_each_side_comes_first_half_the_time():
    first, second = list(range(50)), list(range(100, 150))
    leading = [
        side for seed in range(200) for side in drafted(first, second, seed)[1][::2]
    ]  # fmt: skip
    assert len(leading) == 10_000
    assert binomtest(leading.count(FIRST), len(leading)).pvalue > 1e-6


def test_sides_of_a_rearranged_order():
    draft = team_draft(np.array([1, 2]), np.array([3, 1]), 7, 10)
    turned = draft.numbers[::-1]
    assert draft.sides_of(turned).tolist() == draft.sides.tolist()[::-1]

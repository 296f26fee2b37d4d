"""Swapped pairs: disjoint pairs of neighbours, inside pages, each turned with known odds."""

import itertools
from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from harken.domain.exploration import Order
from harken.services.experiments.promotion.pair_swaps import (
    Pages,
    logged_pairs,
    pair_propensities,
    pairs_at,
    swapped,
)
from harken.services.record.ledger.entries import packed, unpacked

seeds = st.integers(0, 2**53 - 1)
layouts = st.builds(
    Pages,
    st.integers(1, 12),
    st.integers(0, 40),
    st.lists(st.integers(1, 60), max_size=4).map(tuple),
)


def order(count: int) -> Order:
    return Order(np.arange(100, 100 + count), scores=-np.arange(count, dtype=np.float64))


@given(st.integers(0, 60), layouts, seeds)
def test_it_is_a_permutation_by_disjoint_swaps_of_neighbours_inside_pages(count, pages, seed):
    before = order(count)
    after = swapped(before, pages, seed)
    places = np.arange(count)
    shown = pairs_at(np.zeros(count, np.uint8) if after.pairs is None else after.pairs, places)
    borders = {*pages.windows, *range(pages.offset % pages.limit, count, pages.limit)}
    expected = before.numbers.copy()
    for place, pair in enumerate(shown):
        if pair is None:
            continue
        assert place in {pair.place, pair.place + 1}
        assert shown[pair.place] == shown[pair.place + 1] == pair  # both know it: disjoint
        assert pair.place + 1 not in borders
        if pair.is_turned and place == pair.place:
            expected[[place, place + 1]] = expected[[place + 1, place]]
    assert after.numbers.tolist() == expected.tolist()
    assert after.scores is not None
    assert (after.scores == 100.0 - after.numbers).all()  # scores stay with their items
    assert swapped(before, pages, seed).numbers.tolist() == after.numbers.tolist()


@given(st.integers(2, 60), layouts, seeds, st.sets(st.integers(0, 59)))
def test_odds_are_a_half_for_the_first_of_a_pair_that_is_shown_whole(count, pages, seed, hidden):
    pairs = swapped(order(count), pages, seed).pairs
    if pairs is None:
        return
    places = np.array([each for each in range(count) if each not in hidden], np.int64)
    odds = pair_propensities(pairs, places)
    shown = pairs_at(pairs, places)
    for at, pair in enumerate(shown):
        follows = at + 1 < len(shown) and pair is not None and shown[at + 1] == pair
        assert odds[at] == (0.5 if follows else 1.0)
    kept = logged_pairs(shown)
    assert [at for at, _ in kept] == np.flatnonzero(odds == 0.5).tolist()
    assert np.prod(odds) == 0.5 ** len(kept)


def test_each_pairing_and_each_turn_is_as_likely():
    """A page of 4 has the pairs 01 23 or 12; each is turned with probability ½."""
    draws = 8_000
    found = Counter(
        tuple((swapped(order(4), Pages(4), seed).numbers - 100).tolist()) for seed in range(draws)
    )
    odds: dict[tuple[int, ...], float] = {}
    for pairs in ([(0, 1), (2, 3)], [(1, 2)]):
        for turned in itertools.product((False, True), repeat=len(pairs)):
            places = [0, 1, 2, 3]
            for (one, two), is_turned in zip(pairs, turned, strict=True):
                if is_turned:
                    places[one], places[two] = places[two], places[one]
            odds[tuple(places)] = odds.get(tuple(places), 0.0) + 0.5 / 2 ** len(pairs)
    assert found.keys() == odds.keys()
    chi2 = sum((found[key] - draws * odds[key]) ** 2 / (draws * odds[key]) for key in odds)
    assert chi2 < 25.7  # the 0.9999 quantile with 5 degrees of freedom


@given(st.integers(1, 60), layouts, seeds)
def test_a_kept_order_is_read_with_its_pairs(count, pages, seed):
    after = swapped(order(count), pages, seed)
    again = unpacked(*packed(after).values(), is_sampled=False)
    assert again is not None
    assert again.numbers.tolist() == after.numbers.tolist()
    assert again.sides is None
    assert (again.pairs is None) == (after.pairs is None)
    if again.pairs is not None and after.pairs is not None:
        assert again.pairs.tolist() == after.pairs.tolist()

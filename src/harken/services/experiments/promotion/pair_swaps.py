"""Swapped pairs: disjoint pairs of neighbours in an order, each turned with probability ½.

FairPairs (Radlinski and Joachims, Minimally invasive randomization for collecting unbiased
preferences from clickthrough logs, AAAI 2006). Of two neighbours, each is shown first as often as
the other, so that which one is chosen says which one is wanted, and not which one stood first. A
coin for each page decides whether its pairs begin at its first or at its second item.

A pair never crosses the border of a page or of a cap's window, so swaps change neither which items
a page has nor whether it keeps its caps.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harken.domain.exploration import PAIRED, SECOND_OF_PAIR, TURNED, Floats, Order, uniforms
from harken.domain.slates import SwappedPair

Places = NDArray[np.int64]


class Pages(NamedTuple):
    """Where pages begin in an order: at `offset`, and after each `limit` items.

    `windows` are places where a window of caps begins within a page.
    """

    limit: int
    offset: int = 0
    windows: Sequence[int] = ()

    def firsts(self, count: int) -> Places:
        """Return the first place of each page or window, ascending; 0 is the first of them."""
        pages = np.arange(self.offset % self.limit, count, self.limit)
        windows = np.asarray(self.windows, np.int64)
        found = np.unique(np.concatenate([[0], pages, windows])).astype(np.int64)
        return found[found < count]


def swapped(order: Order, pages: Pages, seed: int) -> Order:
    """Return an order with swapped pairs, marked in `pairs`; the seed determines the result.

    Scores stay with their items. An order without room for a pair is returned as it is.
    """
    count = len(order.numbers)
    if count < 2:
        return order
    firsts = pages.firsts(count)
    coins = uniforms(seed, len(firsts) + count)
    page = np.searchsorted(firsts, np.arange(count), "right") - 1
    # The place within the page, counted from where the page's first pair begins.
    place = np.arange(count) - firsts[page] - (coins[: len(firsts)] < 0.5)[page]
    begins = (place[:-1] >= 0) & (place[:-1] % 2 == 0) & (page[1:] == page[:-1])
    first = np.flatnonzero(begins)
    if not len(first):
        return order
    turned = coins[len(firsts) :][first] < 0.5
    pairs = np.zeros(count, np.uint8)
    pairs[first] = PAIRED | np.where(turned, TURNED, 0)
    pairs[first + 1] = pairs[first] | SECOND_OF_PAIR
    places = np.arange(count)
    at = first[turned]
    places[at], places[at + 1] = at + 1, at
    scores = None if order.scores is None else order.scores[places]
    return order._replace(numbers=order.numbers[places], scores=scores, pairs=pairs)


def pair_propensities(pairs: NDArray[np.uint8], places: Places) -> Floats:
    """Return the probability of each item at its place, given those before it.

    `places` are those of an order that are shown one after the other, hidden ones left out: ½ for
    the first of a pair whose other item follows, else 1.
    """
    found = np.ones(len(places))
    marks = pairs[places[:-1]]
    is_first = (marks & PAIRED > 0) & (marks & SECOND_OF_PAIR == 0)
    found[:-1][is_first & (np.diff(places) == 1)] = 0.5
    return found


def pairs_at(pairs: NDArray[np.uint8], places: Places) -> list[SwappedPair | None]:
    """Return the pair of each place of an order; None for a place without one."""
    marks = pairs[places]
    first = places - (marks & SECOND_OF_PAIR > 0)
    rows = zip(first.tolist(), (marks & TURNED > 0).tolist(), (marks & PAIRED > 0), strict=True)
    return [SwappedPair(place, turned) if paired else None for place, turned, paired in rows]


def logged_pairs(shown: Sequence[SwappedPair | None]) -> list[list[int]]:
    """Return what a slate keeps of the pairs of its items.

    A row has the index of the first item on the page, and 1 if the pair was turned. Pairs of which
    only one item is on the page are left out.
    """
    return [
        [at, int(one.is_turned)]
        for at, (one, two) in enumerate(pairwise(shown))
        if one is not None and one == two
    ]

"""Caps on what an author, a tag or a source may have of a page."""

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harken.domain.exploration import Variety
from harken.services.index.diversity import Labels, arrange

LABELS = st.lists(
    st.tuples(
        st.none() | st.sampled_from("ABC"),
        st.lists(st.sampled_from("xyz"), max_size=3),
        st.none() | st.sampled_from("RS"),
    ),
    max_size=40,
)
CAP = st.none() | st.integers(1, 3)
VARIETIES = st.builds(
    Variety,
    temperature=st.sampled_from([0.0, 0.001, 0.1, 100.0]),
    seed=st.integers(0, 2**53 - 1),
    most_per_author=CAP,
    most_per_tag=CAP,
    most_per_source=CAP,
    window=st.integers(1, 12),
    explore=st.none(),
)


def named(labels: Sequence[Any]) -> dict[int, Labels]:
    return {number: Labels(*each) for number, each in enumerate(labels)}


def arranged(labels: Sequence[Any], variety: Variety, offset: int = 0) -> list[int]:
    count = len(labels)
    numbers, scores = np.arange(count), np.linspace(1, 0, count)
    order = arrange(numbers, scores, variety, named(labels), offset)
    if variety.is_sampled:
        assert order.propensities is not None
        assert len(order.propensities) == count
        assert np.all((order.propensities > 0) & (order.propensities <= 1))
    else:
        assert order.propensities is None
    return [int(number) for number in order.numbers]


def caps_of(labels: Any, variety: Variety) -> dict[tuple[str, str], int]:
    author, tags, source = Labels(*labels)
    caps = {}
    if variety.most_per_author and author:
        caps["author", author] = variety.most_per_author
    if variety.most_per_tag:
        caps |= {("tag", tag): variety.most_per_tag for tag in tags}
    if variety.most_per_source and source:
        caps["source", source] = variety.most_per_source
    return caps


@given(LABELS, VARIETIES, st.integers(0, 30))
def test_nothing_is_lost_and_nothing_comes_twice(labels, variety, offset):
    assert sorted(arranged(labels, variety, offset)) == list(range(len(labels)))


@given(LABELS, st.integers(1, 12))
def test_without_caps_nothing_moves(labels, window):
    assert arranged(labels, Variety(window=window)) == list(range(len(labels)))


@given(LABELS, VARIETIES, st.integers(0, 30))
def test_a_cap_holds_unless_everything_left_is_over_it(labels, variety, offset):
    order = arranged(labels, variety, offset)
    window = variety.window or 1
    first = offset % window or window
    came: Counter = Counter()
    for position, place in enumerate(order):
        left = order[position:]

        def over(each, came=came):
            return any(
                came[label] >= most for label, most in caps_of(labels[each], variety).items()
            )

        if position >= first and (position - first) % window == 0:
            came.clear()
        if all(over(each) for each in left):
            came.clear()
        assert not over(place)
        if not variety.is_sampled:  # then the best of those that may come is the one that does
            assert place == min(each for each in left if not over(each))
        came.update(list(caps_of(labels[place], variety)))


@given(LABELS, st.integers(1, 3), st.integers(1, 12))
def test_the_items_of_an_author_keep_their_order(labels, most, window):
    order = arranged(labels, Variety(most_per_author=most, window=window))
    for author in (None, *"ABC"):
        of_author = [each for each in order if labels[each][0] == author]
        assert of_author == sorted(of_author)


@given(LABELS, CAP, CAP, st.integers(1, 12))
def test_items_with_the_same_labels_keep_their_order(labels, author, tag, window):
    variety = Variety(most_per_author=author, most_per_tag=tag, window=window)
    last: dict = {}
    for each in arranged(labels, variety):
        key = labels[each][0], frozenset(labels[each][1])
        assert last.get(key, -1) < each
        last[key] = each


def test_an_example():
    labels = [(author, ()) for author in "AAABCAAB"]
    order = arranged(labels, Variety(most_per_author=1, window=3))
    #         A  B  C   A  B  A   A  A: only what waited is left
    assert order == [0, 3, 4, 1, 7, 2, 5, 6]
    # A page of three from offset 4 on is a window, after one of one and one of three.
    order = arranged(labels, Variety(most_per_author=1, window=3), offset=4)
    assert order == [0, 1, 3, 4, 2, 7, 5, 6]


def orders_by_hand(
    labels: Sequence[Any], scores: list[float], variety: Variety
) -> dict[tuple[int, ...], float]:
    """Return the probability of each order, by the rule and nothing else."""
    window = variety.window or 1
    found: dict[tuple[int, ...], float] = {}

    def go_on(served: tuple[int, ...], came: Counter, likely: float) -> None:
        left = [each for each in range(len(labels)) if each not in served]
        if not left:
            found[served] = found.get(served, 0.0) + likely
            return
        if len(served) % window == 0:
            came = Counter()
        for came_now in (came, Counter()):
            free = [
                each for each in left
                if all(
                    came_now[label] < most for label, most in caps_of(labels[each], variety).items()
                )
            ]  # fmt: skip
            if free:
                break
        whole = sum(math.exp(scores[each] / variety.temperature) for each in free)
        for each in free:
            chance = math.exp(scores[each] / variety.temperature) / whole
            after = came_now + Counter(list(caps_of(labels[each], variety)))
            go_on((*served, each), after, likely * chance)

    go_on((), Counter(), 1.0)
    return found


@pytest.mark.parametrize("window", [2, 3, 5])
def test_drawing_under_caps_is_as_likely_as_it_says(window):
    labels = [
        ("A", "x"),
        ("A", "y"),
        ("B", "x"),
        ("A", ()),
        ("C", "xy"),
    ]
    scores = [0.9, 0.8, 0.7, 0.7, 0.2]
    base = Variety(0.4, 0, most_per_author=1, most_per_tag=2, window=window)
    expected = orders_by_hand(labels, scores, base)
    assert sum(expected.values()) == pytest.approx(1)
    count, drawn = 6_000, Counter[tuple[int, ...]]()
    for seed in range(count):
        order = arrange(np.arange(5), np.array(scores), base._replace(seed=seed), named(labels))
        served = tuple(int(each) for each in order.numbers)
        assert order.propensities is not None
        assert math.prod(order.propensities) == pytest.approx(expected[served])
        drawn[served] += 1
    likely = {order: p for order, p in expected.items() if p * count >= 5}
    statistic = sum((drawn[order] - p * count) ** 2 / (p * count) for order, p in likely.items())
    # Far in the tail of a χ² distribution with as many degrees of freedom (Wilson and Hilferty).
    freedom = len(likely)
    assert statistic < freedom * (1 - 2 / (9 * freedom) + 3.7 * math.sqrt(2 / (9 * freedom))) ** 3


def test_luck_that_was_not_used_is_not_kept():
    """Who waits for the next window is drawn there like everybody else."""
    labels = [("A", ()), ("A", ()), *[(None, ())] * 4]
    scores = [1.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    variety = Variety(1.0, 0, most_per_author=1, window=3)
    expected: dict[int, float] = dict.fromkeys(range(6), 0.0)
    for order, p in orders_by_hand(labels, scores, variety).items():
        expected[order[3]] += p
    count, drawn = 3_000, Counter[int]()
    for seed in range(count):
        found = arrange(np.arange(6), np.array(scores), variety._replace(seed=seed), named(labels))
        drawn[int(found.numbers[3])] += 1
    statistic = sum((drawn[each] - p * count) ** 2 / (p * count) for each, p in expected.items())
    assert statistic < 25.745  # exceeded once in 10,000 times


@given(LABELS, VARIETIES)
def test_a_seed_settles_the_order(labels, variety):
    assert arranged(labels, variety) == arranged(labels, variety)


def test_what_has_no_known_labels_is_held_back_by_no_cap():
    numbers = np.arange(10, 14)
    variety = Variety(most_per_author=1, window=4)
    known = {10: Labels("A"), 11: Labels("A")}
    order = arrange(numbers, np.zeros(4), variety, known)
    assert order.numbers.tolist() == [10, 12, 13, 11]


def test_pages_of_any_offset_are_windows():
    labels = [("AB"[i % 3 == 0], ()) for i in range(60)]
    for offset, limit in itertools.product((0, 3, 7, 20), (5, 7)):
        order = arranged(labels, Variety(most_per_author=2, window=limit), offset)
        page = order[offset : offset + limit]
        fresh = Counter(labels[each][0] for each in page)
        assert max(fresh.values()) <= 2 * math.ceil(limit / 4), (offset, limit)


@given(st.integers(1, 5), st.sampled_from([0.25, 0.5, 1.0, 2.0, 4.0]), st.integers(1, 20))
def test_the_weight_of_a_source_multiplies_its_cap(most, weight, window):
    labels = {number: Labels(source="loud" if number < 100 else "rare") for number in range(200)}
    variety = Variety(most_per_source=most, window=window)
    weights = {"loud": weight, "none": 4.0}
    order = arrange(np.arange(200), np.zeros(200), variety, labels, weights=weights)
    loud = [int(number) < 100 for number in order.numbers]
    cap = max(1, round(most * weight))
    # A window ends early where everything left is over its cap.
    first = loud[: min([window, *order.windows])]
    assert sum(first) == min(cap, len(first))
    assert first[: sum(first)] == [True] * sum(first)

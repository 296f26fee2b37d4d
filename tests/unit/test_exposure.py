"""The clock of touches and the directions of K-Blocks: bounded, and what plain loops say."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.services.features.activity_clock import ActivityClock
from harken.services.features.directions import Directions
from tests.support.raw_directions import RawDirections, dot

touches = st.lists(st.tuples(st.integers(2, 6), st.integers(1, 4), st.integers(0, 9)), max_size=60)


@given(touches, st.integers(1, 16))
@settings(max_examples=150, deadline=None)
def test_the_clock_counts_the_latest_touches(several, most):
    clock, at = ActivityClock(most), 0.0
    log: list[tuple[int, int, float]] = []
    for reader, place, gap in several:
        at += gap
        clock.see(reader, place, at)
        log.append((reader, place, at))
    latest = {reader: number for number, (reader, *_) in enumerate(log)}
    known = [*enumerate(log)][-most:]
    times = [-np.inf, *sorted({each for *_, each in log}), at - 0.5, at + 1]
    expected = [sum(each > since for _, (*_, each) in known) for since in times]
    assert clock.touches(np.array(times)).tolist() == expected
    readers = [
        sum(each > since and latest[who] == number for number, (who, _, each) in known)
        for since in times
    ]
    assert clock.readers(np.array(times)).tolist() == readers
    for place in range(6):
        later = [len(log) - 1 - number for number, each in enumerate(log) if each[1] == place]
        sums = [sum(2 ** (-each / half) for each in later) for half in (20, 100)]
        assert clock.sums(np.array([place]))[:, 0].tolist() == pytest.approx(sums)


def test_what_comes_late_counts_as_the_latest():
    clock = ActivityClock(8)
    clock.see(2, 1, 100.0)
    clock.see(3, 1, 50.0)
    assert clock.touches(np.array([99.0, 100.0])).tolist() == [2, 0]


def test_the_clock_does_not_grow_with_the_log():
    clock, sizes = ActivityClock(64), []
    for n in range(4_000):
        clock.see(2 + n % 700, n % 30, float(n))
        if n in (999, 3_999):
            sizes.append(len(pickle.dumps(clock)))
    assert sizes[1] < 1.25 * sizes[0]


@given(
    st.lists(
        st.tuples(st.integers(1, 7), st.none() | st.lists(st.integers(1, 7), max_size=5)),
        max_size=30,
    )
)
@settings(max_examples=60, deadline=None)
def test_directions_are_what_plain_loops_say(several):
    ours, raw = Directions(), RawDirections()
    for place, liked in several:
        ours.see(place, f"k{place}", liked)
        raw.see(f"k{place}", None if liked is None else [f"k{each}" for each in liked])
    places, liked, others = np.arange(1, 9), [3, 1, 5], np.array([2, 4])
    taste, cosines = ours.cosines(places, liked, others)
    here = [raw.of(f"k{place}") for place in places]
    of_taste = raw.taste([f"k{each}" for each in liked])
    assert taste.tolist() == pytest.approx([dot(each, of_taste) for each in here], abs=2e-5)
    for column, other in enumerate(others):
        expected = [dot(each, raw.of(f"k{other}")) for each in here]
        assert cosines[:, column].tolist() == pytest.approx(expected, abs=2e-5)


def test_readers_of_one_taste_make_near_what_nobody_read_both_of():
    """Two circles of readers, each of whom reads half of what their circle does."""
    directions, chance = Directions(), np.random.default_rng(0)
    for _ in range(200):
        circle = int(chance.integers(2))
        liked: list[int] = []
        for place in (1 + 20 * circle + chance.permutation(20)[:10]).tolist():
            directions.see(place, f"k{place}", liked[::-1])
            liked.append(place)
    _, cosines = directions.cosines(np.arange(1, 41), [], np.arange(1, 41))
    within = cosines[:20, :20][~np.eye(20, dtype=bool)]
    assert within.mean() > cosines[:20, 20:].mean() + 0.5

"""Tails of distributions, many tests at once, dense groups, and meetings of readers."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.services.integrity.detectors import EventLog, EventRow
from harken.services.integrity.detectors.event_log import HOUR, MICROS
from harken.services.integrity.detectors.measures.chance import (
    benjamini_hochberg,
    binomial_surprise,
    poisson_surprise,
    tail_surprise,
)
from harken.services.integrity.detectors.measures.groups import dense_groups
from harken.services.integrity.detectors.measures.touches import Touches, meetings, ranges


@given(st.integers(1, 60), st.floats(0.001, 0.9), st.data())
def test_the_tail_of_a_binomial_is_the_sum_of_its_terms(trials, chance, data):
    hits = data.draw(st.integers(0, trials))
    terms = (
        math.comb(trials, k) * chance**k * (1 - chance) ** (trials - k)
        for k in range(hits, trials + 1)
    )
    expected = -math.log10(math.fsum(terms)) if hits > trials * chance else 0
    assert binomial_surprise(hits, trials, chance) == pytest.approx(max(expected, 0), abs=1e-6)


@given(st.integers(0, 40), st.floats(0.01, 30))
def test_the_tail_of_a_poisson_is_the_sum_of_its_terms(count, mean):
    terms = (math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(count, 300))
    expected = -math.log10(math.fsum(terms)) if count > mean else 0
    assert poisson_surprise(count, mean) == pytest.approx(max(expected, 0), abs=1e-6)


@given(st.lists(st.floats(0, 12), max_size=40), st.integers(0, 500))
def test_benjamini_hochberg_counts_every_test(surprises, more):
    tests = len(surprises) + more
    found = benjamini_hochberg(np.array(surprises), tests, 0.05)
    ranked = sorted(10.0**-each for each in surprises)
    most = max(
        (k for k, p in enumerate(ranked, 1) if p <= 0.05 * k / tests * (1 + 1e-9)), default=0
    )
    assert found.sum() == most


def test_benjamini_hochberg_keeps_false_discoveries_rare_under_chance():
    rng = np.random.default_rng(0)
    any_found = [
        benjamini_hochberg(-np.log10(rng.random(1_000)), 1_000, 0.05).any() for _ in range(400)
    ]
    assert 0.02 < np.mean(any_found) < 0.09


@pytest.mark.parametrize("exponent", [1.2, 2.0, 4.0])
def test_a_heavy_tail_raises_alarms_as_rarely_as_it_says(exponent):
    """Of the largest of 3,000 values, p·n is below 0.01 in about a hundredth of all samples."""
    rng = np.random.default_rng(1)
    alarms = 0
    for _ in range(200):
        sample = rng.pareto(exponent, 3_000) + 1
        alarms += tail_surprise(sample, sample).max() > math.log10(3_000 / 0.01)
    assert alarms <= 12


def test_what_is_far_beyond_a_tail_is_surprising_although_it_is_part_of_the_sample():
    sample = np.concatenate([np.random.default_rng(2).pareto(3, 5_000) + 1, [5_000.0]])
    assert tail_surprise(sample, sample)[-1] > 6
    assert not tail_surprise(np.array([9.0]), np.ones(5)).any()


@settings(max_examples=60)
@given(st.sets(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=40))
def test_dense_groups_are_disjoint_and_dense(edges):
    edges = {(a, b) for a, b in edges if a < b}
    ends = np.array(sorted(edges), np.int64).reshape(-1, 2)
    groups = dense_groups(ends[:, 0], ends[:, 1], 4)
    members = [each for group in groups for each in group.tolist()]
    assert len(members) == len(set(members))
    for group in groups:
        inside = sum(a in group and b in group for a, b in edges)
        assert len(group) >= 4
        assert inside >= 0.8 * len(group) * (len(group) - 1) / 2


def test_a_clique_with_stragglers_is_cut_down_to_the_clique():
    clique = [(a, b) for a in range(6) for b in range(a + 1, 6)]
    ends = np.array([*clique, (5, 6), (6, 7), (7, 8)])
    [group] = dense_groups(ends[:, 0], ends[:, 1], 5)
    assert set(range(6)) <= set(group.tolist()) <= set(range(7))


rows = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.sampled_from("xyz"), st.integers(0, 200)).map(
        lambda each: EventRow(each[0], each[1], "view", each[2] * 60 * MICROS)
    ),
    min_size=1,
    max_size=40,
)


@given(rows)
def test_meetings_are_counted_once_for_each_kblock(made):
    log = EventLog.from_rows(made)
    touches = Touches.of(log)
    first: dict[tuple[str, str], int] = {}
    for row in sorted(made, key=lambda row: row.at):
        first.setdefault((row.reader_id, row.kblock_id), row.at)
    expected: dict[tuple[str, str], int] = {}
    for (u, i), at in first.items():
        for (v, j), other in first.items():
            if u < v and i == j and abs(at - other) <= HOUR:
                expected[u, v] = expected.get((u, v), 0) + 1
    met = meetings(touches, HOUR, np.arange(len(touches)), len(log.reader_ids), 10**6)
    ids = log.reader_ids
    found = {
        tuple(sorted((ids[a], ids[b]))): count
        for a, b, count in zip(met.first, met.second, met.counts, strict=True)
    }
    assert found == expected
    near = {
        (ids[touches.readers[p]], log.kblock_ids[touches.kblocks[p]]): n
        for p, n in enumerate(touches.near(HOUR))
    }
    assert near == {
        (u, i): sum(
            j == i and v != u and abs(other - at) <= HOUR for (v, j), other in first.items()
        )
        for (u, i), at in first.items()
    }


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 5)), max_size=8))
def test_ranges_follow_each_other(parts):
    begins = np.array([begin for begin, _ in parts], np.int64)
    ends = begins + np.array([length for _, length in parts], np.int64)
    expected = [each for begin, length in parts for each in range(begin, begin + length)]
    assert ranges(begins, ends).tolist() == expected

"""The columns of a log: built page by page, they are those of the whole."""

import tracemalloc
from dataclasses import fields
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from harken.services.integrity.detectors import EventLog, EventRow, SlateRow, Slates
from harken.services.integrity.detectors.event_log import (
    ACTIONS,
    NONE,
    EventLogBuilder,
    SlatesBuilder,
)

NAMES = st.sampled_from("abcde")
TIMES = st.integers(0, 5)
EVENTS = st.lists(
    st.builds(
        EventRow, NAMES, NAMES, st.sampled_from([each.value for each in ACTIONS]), TIMES,
        st.none() | st.integers(0, 9), st.none() | NAMES,
    ),
    max_size=30,
)  # fmt: skip
SLATES = st.lists(
    st.builds(
        SlateRow, st.sampled_from("abcdefg"), TIMES, st.lists(st.sampled_from("abz")).map(tuple)
    ),
    max_size=30,
)  # fmt: skip
CUTS = st.lists(st.integers(0, 30), max_size=4)


def paged(rows, cuts):
    places = [0, *sorted(cuts), len(rows)]
    return [rows[begin:end] for begin, end in pairwise(places)]


def assert_equal(one, other):
    for each in fields(one):
        a, b = getattr(one, each.name), getattr(other, each.name)
        assert np.array_equal(a, b), each.name
        assert getattr(a, "dtype", None) == getattr(b, "dtype", None)


def in_time(rows):
    return sorted(rows, key=lambda row: row.at)


@given(EVENTS, CUTS)
def test_a_log_in_pages_is_the_whole_log(rows, cuts):
    builder = EventLogBuilder()
    for page in paged(rows, cuts):
        builder.add(page)
    log = builder.log()
    assert_equal(log, EventLog.from_rows(rows))
    found = [
        EventRow(
            log.reader_ids[reader], log.kblock_ids[kblock], ACTIONS[action].value, at,
            None if dwell == NONE else dwell,
            None if session == NONE else log.session_ids[session],
        )
        for reader, kblock, action, at, dwell, session in zip(
            *(each.tolist() for each in (log.readers, log.kblocks, log.actions, log.at)),
            log.dwells.tolist(), log.sessions.tolist(), strict=True,
        )
    ]  # fmt: skip
    assert found == in_time(rows)


@given(EVENTS, SLATES, CUTS)
def test_slates_in_pages_are_all_slates_of_the_readers_of_the_log(events, rows, cuts):
    log = EventLog.from_rows(events)
    builder = SlatesBuilder(log)
    for page in paged(rows, cuts):
        builder.add(page)
    slates = builder.slates()
    assert_equal(slates, Slates.from_rows(rows, log))
    found = [
        (
            log.reader_ids[slates.readers[place]], int(slates.at[place]),
            [log.kblock_ids[each] for each in slates.kblocks[begin:end]],
        )
        for place, (begin, end) in enumerate(
            pairwise(slates.starts.tolist())
        )
    ]  # fmt: skip
    assert found == [
        (row.reader_id, row.at, [each for each in row.kblock_ids if each in log.kblock_ids])
        for row in in_time(rows)
        if row.reader_id in log.reader_ids
    ]


def test_a_long_log_takes_the_memory_of_its_columns():
    count = 50_000
    tracemalloc.start()
    rows = (
        EventRow(f"r{n % 100}", f"k{n % 200}", "view", count - n, n % 7, None) for n in range(count)
    )
    log = EventLog.from_rows(rows)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(log) == count
    assert peak < count * 200  # their rows alone would take 300 bytes each

"""The history of a reader: its array says what its memories say, whatever is touched."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from harken.services.readers.history import HistoryColumns, ReaderHistory, Touch

MICROS = 1_000_000
MOST = 7

ACTIONS = st.sampled_from(["view", "engage", "dismiss", "contradict"])
KBLOCKS = st.integers(0, 2 * MOST)
TIMES = st.integers(-(2**40), 2**40)
DWELL = st.none() | st.integers(0, 10**9)
EVENTS = st.lists(st.tuples(KBLOCKS, ACTIONS, DWELL, TIMES), max_size=60)
Rows = list[tuple[int, float, float, float]]


def history_of(events: Sequence[tuple[int, str, int | None, int]]) -> tuple[ReaderHistory, int]:
    """Return the history after some events, and the sum of the changes it told of."""
    history, likes = ReaderHistory(2, MOST), 0
    for place, action, dwell, at in events:
        touch = Touch("ada", f"k{place}", action, None, dwell, at * MICROS)
        likes += history.add(touch, place, None)
    return history, likes


def rows_of(columns: HistoryColumns) -> Rows:
    return [tuple(row) for row in zip(*(column.tolist() for column in columns), strict=True)]


@given(EVENTS)
def test_columns_are_the_memories_of_the_k_blocks_touched_last(
    events: list[tuple[int, str, int | None, int]],
) -> None:
    history, likes = history_of(events)
    last_touched = list(dict.fromkeys(place for place, *_ in reversed(events)))[:MOST]
    assert [each.place for each in history] == last_touched[::-1]
    memories = [(each.place, each.first, each.last, each.worth) for each in history]
    assert rows_of(history.columns) == memories
    assert sorted(rows_of(HistoryColumns.of(history.unordered))) == sorted(memories)
    assert likes == sum(each.worth > 0 for each in history)


@given(st.lists(EVENTS, max_size=4))
def test_several_histories_follow_one_another(
    logs: list[list[tuple[int, str, int | None, int]]],
) -> None:
    histories = [history_of(events)[0] for events in logs]
    rows = rows_of(HistoryColumns.of_all(histories))
    for history in histories:
        own, rows = rows[: len(history)], rows[len(history) :]
        assert sorted(own) == sorted(rows_of(history.columns))
    assert rows == []

"""The candidates of all feeds, as columns in memory.

A row is one version of a K-Block: its values for sorting and filtering, from the revision `version`
on and before the revision `until`. When a K-Block changes, its row is closed and another is added.
So later pages of a feed find the versions of its first page. Statistics are always up to date.

There is no Python object for a row. Texts are read from the database, for the page that is served.
"""

from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harken.domain.decay import doublings, place_of
from harken.domain.feeds import RECENCY_HALF_LIFE, UNKNOWN_COHERENCE, Field
from harken.domain.slates import Key
from harken.services.index import rows as kept
from harken.services.index.rows import COLUMNS, Columns, IndexRow, columns_of, values

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]

HALF_LIFE_MICROS = RECENCY_HALF_LIFE.total_seconds() * 1e6
# An index is used for times within so many half-lives of its landmark.
FAR = 16

# After so many closed rows, the index should be rebuilt.
MOST_CLOSED = 10_000
# After so many changes of statistics, kept leaders of rankings are dropped.
MOST_TOUCHED = 50_000
# The flags of so many labels are kept, at one byte for each row.
MOST_FLAGS = 16

# The rows of `singles`: in single precision, the columns from which most scores are summed.
ATTENTION = 0
COHERENCE = 1  # 1 − loss, which may be below 0
FRESHNESS = 2  # 2^((created − landmark) / half-life): recency up to a factor


class Index:
    """All versions of all K-Blocks of one database, as of `revision`."""

    def __init__(self, landmark: int, half_lives: Sequence[timedelta] = ()) -> None:
        """Make an empty index; `landmark` is a time, about now, in microseconds since 1970.

        It has the decayed counts of these half-lives.
        """
        self.half_lives = tuple(half_lives)
        self.revision = 0
        self.landmark = landmark
        self.latest = landmark
        """The latest time at which a row was created, in microseconds since 1970."""
        self.greatest_loss = 0.0
        self.greatest_popularity = 0
        self.selections: dict[Hashable, Mask] = {}
        """Kept masks of selections; dropped at every change."""
        self.leaders: dict[Hashable, Any] = {}
        """Kept leaders of rankings; dropped at every change but those of statistics."""
        self.touched = array("i")
        """The rows whose statistics changed, in order, for those who keep `leaders`."""
        self.of_sources: list[array[int]] = []
        """The rows of each source, in the order of arrival."""
        self.changes = 0  # how often anything changed
        self._size = 0
        self._closed = array("i")  # rows
        self._settled = 0
        self._columns = {name: np.zeros(0, kind) for name, kind in COLUMNS.items()}
        self._singles = np.zeros((3, 0), np.float32)
        self._trends = np.zeros((len(self.half_lives), 0))
        self._row_of = np.zeros(0, np.int32)  # by number; -1 where there is no open row
        self._labelled: dict[tuple[Field, str], array[int]] = {}
        self._flags: dict[tuple[Field, str], NDArray[np.bool_]] = {}  # those used lately
        self._by_time = np.zeros(0, np.int32)  # rows, in the order of (created, number)
        self._scheduled = array("i")  # rows that are hidden until their time

    def __len__(self) -> int:
        return self._size

    def __getattr__(self, name: str) -> NDArray[Any]:
        """Return a column."""
        try:
            column = self.__dict__["_columns"][name]
        except KeyError:
            raise AttributeError(name) from None
        view: NDArray[Any] = column[: self._size]
        return view

    @property
    def singles(self) -> NDArray[np.float32]:
        """Attention, coherence and freshness in single precision: 3 × rows."""
        return self._singles[:, : self._size]

    def trend(self, half_life: timedelta | None) -> Floats:
        """Return values in the order of the decayed net sums, see `harken.domain.decay.order`."""
        if half_life is None:
            return np.zeros(self._size)
        return np.asarray(self._trends[place_of(half_life, self.half_lives), : self._size])

    @property
    def is_worn(self) -> bool:
        """Whether so many rows are closed that the index should be rebuilt."""
        return len(self._closed) - self._settled > max(MOST_CLOSED, self._size // 4)

    def is_far(self, now: int) -> bool:
        """Whether the index should be rebuilt, as a time (microseconds since 1970) is too far off.

        This happens after the program has run for months, or after the clock was wrong.
        """
        return abs(now - self.landmark) > FAR * HALF_LIFE_MICROS

    def scheduled(self, at: int) -> Rows:
        """Return the rows that are hidden until a time after `at` (microseconds since 1970)."""
        rows = np.array(self._scheduled, np.int64)
        return rows[self.created[rows] > at]

    def settle(self) -> None:
        """Mark the index as new: the rows closed so far do not count for `is_worn`."""
        self._settled = len(self._closed)

    # Looking up

    def present(self, numbers: NDArray[np.int64]) -> Rows:
        """Return the present rows of K-Blocks by their numbers, -1 for one without a row."""
        rows = np.full(len(numbers), -1, np.int64)
        known = np.flatnonzero(numbers < len(self._row_of))
        rows[known] = self._row_of[numbers[known]]
        return rows

    def versions(self, numbers: NDArray[np.int64]) -> Rows:
        """Return all rows of some K-Blocks, present and closed ones."""
        present = self.present(numbers)
        present = present[present >= 0]
        if not self._closed:
            return present
        closed = self.closed
        return np.concatenate([present, closed[np.isin(self.number[closed], numbers)]])

    def visible(self, revision: int) -> Mask:
        """Return the mask of the rows of a revision, without K-Blocks that are deleted now."""
        if revision >= self.revision:
            return self.is_open
        then = (self.version <= revision) & (self.until > revision)
        alive: Mask = then & (self._row_of[self.number] >= 0)
        return alive

    @property
    def closed(self) -> Rows:
        """The rows of versions that are no longer present."""
        return np.array(self._closed, np.int64)

    def labelled(self, field: Field, label: str) -> Rows:
        """Return the rows with a label among their tags or principles, as author, kind or source.

        The label of a source is its key.
        """
        return np.array(self._labelled.get((field, label), ()), np.int64)

    def flags(self, field: Field, label: str) -> NDArray[np.bool_]:
        """Return the rows that `labelled` returns, as a mask; the last ones used are kept."""
        flags = self._flags.get((field, label))
        if flags is None or len(flags) < self._size:
            flags = np.zeros(self._size, np.bool_)
            flags[self.labelled(field, label)] = True
            if len(self._flags) >= MOST_FLAGS:
                self._flags.clear()
            self._flags[field, label] = flags
        return flags

    def newest(self, mask: Mask, count: int, after: Key | None = None) -> Rows:
        """Return the first `count` rows of a mask, newest first, after a key."""
        self._sort()
        end = self._size if after is None else self._place(after)
        found: list[NDArray[np.int32]] = []
        missing, step = count, 1024
        while end > 0 and missing > 0:
            start = max(0, end - step)
            part = self._by_time[start:end][::-1]
            hits = part[mask[part]][:missing]
            found.append(hits)
            missing -= len(hits)
            end, step = start, step * 2
        return np.concatenate(found).astype(np.int64) if found else np.zeros(0, np.int64)

    def key(self, row: int) -> Key:
        """Return the key of a row in the order of time."""
        return Key(int(self.created[row]), int(self.number[row]))

    # Keeping up

    def put(self, entries: Sequence[IndexRow]) -> None:
        """Add present versions; of a version that is there, update statistics and conflicts."""
        new: list[IndexRow] = []
        rows = self.present(np.array([entry.number for entry in entries], np.int64))
        for row, entry in zip(rows.tolist(), entries, strict=True):
            if row < 0:
                new.append(entry)
            elif self._columns["version"][row] == entry.version:
                self._amend(row, entry)
            else:
                self._close(row, entry.version)
                new.append(entry)
        if new:
            self.add(columns_of(new))

    def close(self, closed: Iterable[IndexRow]) -> None:
        """Close the rows of versions that have ended; add closed rows for unknown ones."""
        unseen = []
        for entry in closed:
            row = self._open_row(entry.number)
            if row >= 0 and self._columns["version"][row] == entry.version:
                self._close(row, entry.until)
            else:
                unseen.append(entry)
        if unseen:
            self.add(columns_of(unseen))

    def remove(self, number: int, revision: int) -> None:
        """Close the present row of a deleted K-Block, if it has one."""
        if (row := self._open_row(number)) >= 0:
            self._close(row, revision)

    def count(
        self,
        numbers: Sequence[int],
        popularity: Sequence[int],
        attention: Sequence[float],
        *trends: Sequence[float],
    ) -> None:
        """Set the statistics of K-Blocks by their numbers; unknown ones are ignored."""
        rows = self.present(np.array(numbers, np.int64))
        there = rows >= 0
        rows, scores = rows[there], kept.attentions(attention)[there]
        counted = kept.popularities(popularity)[there]
        decayed = kept.trends(trends[: len(self._trends)]).reshape(-1, len(there))[:, there]
        is_new = (self.popularity[rows] != counted) | (self.attention[rows] != scores)
        self._touch(rows[is_new | (self._trends[: len(decayed), rows] != decayed).any(axis=0)])
        self._columns["popularity"][rows] = counted
        self._columns["attention"][rows] = self._singles[ATTENTION][rows] = scores
        self._trends[: len(decayed), rows] = decayed
        self._note_popularity(counted)

    def _touch(self, rows: Rows) -> None:
        if len(self.touched) > MOST_TOUCHED:
            self.leaders.clear()
            del self.touched[:]
        self.touched.extend(rows.tolist())
        self.changes += len(rows)

    def _forget(self) -> None:
        self.changes += 1
        self.selections.clear()
        self.leaders.clear()

    def mark(self, numbers: NDArray[np.int64], *, in_conflict: bool) -> None:
        """Set whether K-Blocks are in conflict, by their numbers."""
        rows = self.present(numbers)
        self._columns["in_conflict"][rows[rows >= 0]] = in_conflict
        self._forget()

    def _open_row(self, number: int) -> int:
        return int(self._row_of[number]) if number < len(self._row_of) else -1

    def _amend(self, row: int, entry: IndexRow) -> None:
        self._columns["in_conflict"][row] = entry.in_conflict
        popularity = kept.popularities([entry.popularity])
        [attention] = kept.attentions([entry.attention])
        self._columns["popularity"][row] = popularity[0]
        self._columns["attention"][row] = self._singles[ATTENTION, row] = attention
        self._trends[:, row] = kept.trends(entry.trends[: len(self._trends)])
        self._note_popularity(popularity)
        self._forget()

    def _note_popularity(self, popularity: NDArray[Any]) -> None:
        greatest = int(popularity.max(initial=0))
        self.greatest_popularity = max(self.greatest_popularity, greatest)

    def _close(self, row: int, until: int) -> None:
        self._columns["until"][row] = until
        self._columns["is_open"][row] = False
        self._forget()
        self._row_of[self._columns["number"][row]] = -1
        self._closed.append(row)

    def add(self, column: Columns) -> None:
        """Add versions of K-Blocks that have no row, by columns; there is at least one."""
        first, self._size = self._size, self._size + len(column["number"])
        self._reserve(self._size, max(column["number"]))
        for name, each in values(column).items():
            self._columns[name][first : self._size] = each
        trends = kept.trends(column["trends"])
        self._trends[:, first : self._size] = trends.T[: len(self._trends)]
        singles = self._singles[:, first : self._size]
        singles[ATTENTION] = self.attention[first:]
        loss = self.loss[first:]
        singles[COHERENCE] = np.where(np.isnan(loss), UNKNOWN_COHERENCE, 1 - loss)
        ahead = (self.created[first:] - self.landmark) / HALF_LIFE_MICROS
        singles[FRESHNESS] = doublings(ahead)
        self.latest = max(self.latest, int(self.created[first:].max()))
        self.greatest_loss = max(self.greatest_loss, 1 - float(singles[COHERENCE].min()))
        self._note_popularity(self.popularity[first:])
        self._forget()
        rows = np.arange(first, self._size, dtype=np.int32)
        is_open = self.is_open[first:]
        self._row_of[self.number[first:][is_open]] = rows[is_open]
        self._closed.extend(rows[~is_open].tolist())
        self._scheduled.extend(rows[np.array(column["is_scheduled"], np.bool_)].tolist())
        self._label(first, column)

    def _label(self, first: int, column: Columns) -> None:
        """Add the rows of versions to the rows of their labels."""
        for field, texts in (
            (Field.KIND, column["kind"]),
            (Field.AUTHOR, column["author"]),
            (Field.TAG, column["tags"]),
            (Field.PRINCIPLE, column["principles"]),
            (Field.SOURCE, column["source"]),
        ):
            same: defaultdict[str, list[int]] = defaultdict(list)  # each text is parsed once
            for row, text in enumerate(texts, first):
                if text is not None:
                    same[text].append(row)
            found: defaultdict[str, list[int]] = defaultdict(list)
            for labels, rows in zip(kept.labels_of(field, list(same)), same.values(), strict=True):
                for label in labels:
                    found[label] += rows
            for label, rows in found.items():
                self._rows_of(field, label).extend(rows)

    def _rows_of(self, field: Field, label: str) -> "array[int]":
        rows = self._labelled.get((field, label))
        if rows is None:
            rows = self._labelled[field, label] = array("i")
            if field is Field.SOURCE:
                self.of_sources.append(rows)
        return rows

    def _reserve(self, size: int, number: int) -> None:
        capacity = len(self._columns["number"])
        if size > capacity:
            # Grow by half: the first load is exact, and later copies are rare.
            capacity = max(size, capacity + capacity // 2)
            for name, column in self._columns.items():
                grown = np.zeros(capacity, column.dtype)
                grown[: len(column)] = column
                self._columns[name] = grown
            singles = np.zeros((3, capacity), np.float32)
            singles[:, : self._singles.shape[1]] = self._singles
            self._singles = singles
            trends = np.zeros((len(self._trends), capacity))
            trends[:, : self._trends.shape[1]] = self._trends
            self._trends = trends
        if number >= len(self._row_of):
            row_of = np.full(max(number + 1, len(self._row_of) * 3 // 2), -1, np.int32)
            row_of[: len(self._row_of)] = self._row_of
            self._row_of = row_of

    def _sort(self) -> None:
        """Add the new rows to the order of time."""
        first = len(self._by_time)
        if first == self._size:
            return
        if (self._size - first) * 8 > self._size:
            self._by_time = np.lexsort((self.number, self.created)).astype(np.int32)
            return
        added = first + np.lexsort((self.number[first:], self.created[first:]))
        self._by_time = np.insert(self._by_time, self._places(added), added)

    def _places(self, rows: Rows) -> Rows:
        """Return the positions at which rows are inserted into the order of time."""
        created = self.created[: len(self._by_time)]
        first, after = (
            np.searchsorted(created, self.created[rows], side, sorter=self._by_time)
            for side in ("left", "right")
        )
        for each in np.flatnonzero(first < after):  # ties are ordered by number
            first[each] = self._place(self.key(int(rows[each])))
        return np.asarray(first, np.int64)

    def _place(self, key: Key) -> int:
        """Return how many rows are before a key in the order of time, oldest first."""
        return bisect_left(self._by_time, key, key=self.key)

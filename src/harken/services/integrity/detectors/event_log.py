"""A log, and the slates of it, as columns: what detectors read.

Both are built page by page, so that only the columns are ever in memory as a whole: 48 bytes an
event (twice that while they are sorted), 8 bytes for each K-Block on a slate, and each id once.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from harken.domain.feedback import GUEST, FeedbackAction

Numbers = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

MICROS = 1_000_000
"""Microseconds in a second; all times of detectors are in microseconds."""
HOUR = 3_600 * MICROS
DAY = 24 * HOUR
WEEK = 7 * DAY

NONE = -1
"""Stands for an absent session or dwell time."""

AT_ONCE = 10_000
"""So many rows are Python objects at the same time."""

ACTIONS = tuple(FeedbackAction)
_ACTION = {action.value: number for number, action in enumerate(ACTIONS)}
_PROMOTING = tuple(map(ACTIONS.index, (FeedbackAction.VIEW, FeedbackAction.ENGAGE)))


class EventRow(NamedTuple):
    """One event; `at` is in microseconds since 1970, `dwell_ms` in milliseconds."""

    reader_id: str
    kblock_id: str
    action: str
    at: int
    dwell_ms: int | None = None
    session_id: str | None = None


class SlateRow(NamedTuple):
    """One page that was shown to a reader; `at` is in microseconds since 1970."""

    reader_id: str
    at: int
    kblock_ids: tuple[str, ...]


class _Codes(dict[str, int]):
    """Numbers ids in the order in which they are first met."""

    def __missing__(self, key: str) -> int:
        self[key] = len(self)
        return self[key]


@dataclass(frozen=True)
class EventLog:
    """Events in the order of time; each array has the shape events.

    `readers`, `kblocks` and `sessions` are places in `reader_ids`, `kblock_ids` and `session_ids`;
    an event without a session has `NONE`. `at` is in microseconds since 1970, `dwells` in
    milliseconds or `NONE`, `actions` are places in `ACTIONS`.
    """

    reader_ids: tuple[str, ...]
    kblock_ids: tuple[str, ...]
    session_ids: tuple[str, ...]
    readers: Numbers
    kblocks: Numbers
    sessions: Numbers
    actions: Numbers
    at: Numbers
    dwells: Numbers

    @classmethod
    def from_rows(cls, rows: Iterable[EventRow]) -> Self:
        """Build the log from events in any order; those of the same time keep their order.

        Raises KeyError for an unknown action.
        """
        pages, builder = iter(rows), EventLogBuilder()
        while page := list(islice(pages, AT_ONCE)):
            builder.add(page)
        return cls(*builder.columns())

    def __len__(self) -> int:
        return len(self.at)

    @property
    def span(self) -> int:
        """The time from the first to the last event, in microseconds."""
        return int(self.at[-1] - self.at[0]) if len(self) else 0

    @cached_property
    def guest(self) -> int:
        """The number of the reader `guest`, who is not one person; `NONE` if absent."""
        return self.reader_ids.index(GUEST) if GUEST in self.reader_ids else NONE

    @cached_property
    def of_named(self) -> Flags:
        """Which events are of a named reader."""
        return np.not_equal(self.readers, self.guest)

    @cached_property
    def first_touches(self) -> Numbers:
        """The places of each named reader's first event with each K-Block, in order of time.

        Dismissals and contradictions are left out: they promote nothing.
        """
        places = np.flatnonzero(self.of_named & np.isin(self.actions, _PROMOTING))
        keys = self.readers[places] * len(self.kblock_ids) + self.kblocks[places]
        return np.sort(places[np.unique(keys, return_index=True)[1]])


@dataclass(frozen=True)
class Slates:
    """Shown pages, with the numbers of an `EventLog`; page p showed `kblocks[starts[p]:…[p+1]]`."""

    readers: Numbers
    at: Numbers
    starts: Numbers
    kblocks: Numbers

    @staticmethod
    def from_rows(rows: Iterable[SlateRow], log: EventLog) -> "Slates":
        """Build the slates of readers and K-Blocks that are in the log; others are left out."""
        pages, builder = iter(rows), SlatesBuilder(log)
        while page := list(islice(pages, AT_ONCE)):
            builder.add(page)
        return builder.slates()

    def __len__(self) -> int:
        return len(self.at)


class EventLogBuilder:
    """Builds an `EventLog` from pages of events, in any order."""

    def __init__(self) -> None:
        self._readers, self._kblocks, self._sessions = _Codes(), _Codes(), _Codes()
        self._pages: list[Numbers] = [np.zeros((0, 6), np.int64)]

    def add(self, rows: Iterable[EventRow]) -> None:
        """Add a page of events. Raises KeyError for an unknown action."""
        columns = [
            (
                self._readers[row.reader_id],
                self._kblocks[row.kblock_id],
                NONE if row.session_id is None else self._sessions[row.session_id],
                _ACTION[row.action],
                row.at,
                NONE if row.dwell_ms is None else row.dwell_ms,
            )
            for row in rows
        ]
        self._pages.append(np.array(columns, np.int64).reshape(-1, 6))

    def columns(self) -> tuple[Any, ...]:
        """Return the fields of the `EventLog`, and forget the pages."""
        columns = np.concatenate(self._pages)
        self._pages.clear()
        # One column after the other, since a sorted copy of all would double the memory.
        order = np.argsort(columns[:, 4], kind="stable")
        ids = tuple(self._readers), tuple(self._kblocks), tuple(self._sessions)
        return *ids, *(column[order] for column in columns.T)

    def log(self) -> EventLog:
        """Return the log of all pages, in the order of time; the builder is used up."""
        return EventLog(*self.columns())


class SlatesBuilder:
    """Builds the `Slates` of a log from pages of slates, in any order."""

    def __init__(self, log: EventLog) -> None:
        self._reader_of = {each: number for number, each in enumerate(log.reader_ids)}
        self._kblock_of = {each: number for number, each in enumerate(log.kblock_ids)}
        self._pages: list[Numbers] = [np.zeros((0, 3), np.int64)]  # reader, time, K-Blocks
        self._kblocks: list[Numbers] = [np.zeros(0, np.int64)]

    def add(self, rows: Iterable[SlateRow]) -> None:
        """Add a page of slates; readers and K-Blocks that are not in the log are left out."""
        slates: list[tuple[int, int, int]] = []
        kblocks: list[int] = []
        for row in rows:
            if row.reader_id in self._reader_of:
                shown = [
                    self._kblock_of[each] for each in row.kblock_ids if each in self._kblock_of
                ]
                slates.append((self._reader_of[row.reader_id], row.at, len(shown)))
                kblocks += shown
        self._pages.append(np.array(slates, np.int64).reshape(-1, 3))
        self._kblocks.append(np.array(kblocks, np.int64))

    def slates(self) -> Slates:
        """Return the slates of all pages, in the order of time; the builder is used up."""
        readers, at, lengths = np.concatenate(self._pages).T
        kblocks = np.concatenate(self._kblocks)
        self._pages.clear()
        self._kblocks.clear()
        order = np.argsort(at, kind="stable")
        begins, starts = np.cumsum(lengths) - lengths, np.cumsum([0, *lengths[order]])
        within = np.arange(len(kblocks)) - np.repeat(starts[:-1], lengths[order])
        places = np.repeat(begins[order], lengths[order]) + within
        return Slates(readers[order], at[order], starts, kblocks[places])

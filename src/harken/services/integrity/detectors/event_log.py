"""A log, and the slates of it, as columns: what detectors read."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Self

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
        readers, kblocks, sessions = _Codes(), _Codes(), _Codes()
        columns = np.array(
            [
                (
                    readers[row.reader_id],
                    kblocks[row.kblock_id],
                    NONE if row.session_id is None else sessions[row.session_id],
                    _ACTION[row.action],
                    row.at,
                    NONE if row.dwell_ms is None else row.dwell_ms,
                )
                for row in rows
            ],
            np.int64,
        ).reshape(-1, 6)
        columns = columns[np.argsort(columns[:, 4], kind="stable")]
        return cls(tuple(readers), tuple(kblocks), tuple(sessions), *columns.T.copy())

    def __len__(self) -> int:
        return len(self.at)

    @property
    def span(self) -> int:
        """The time from the first to the last event, in microseconds."""
        return int(self.at[-1] - self.at[0]) if len(self) else 0

    @cached_property
    def guest(self) -> int:
        """The number of the reader `guest`, who is no person of their own; `NONE` if absent."""
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

    @classmethod
    def from_rows(cls, rows: Iterable[SlateRow], log: EventLog) -> Self:
        """Build the slates of readers and K-Blocks that are in the log; others are left out."""
        reader_of = {each: number for number, each in enumerate(log.reader_ids)}
        kblock_of = {each: number for number, each in enumerate(log.kblock_ids)}
        kept = sorted((row for row in rows if row.reader_id in reader_of), key=lambda row: row.at)
        items = [[kblock_of[each] for each in row.kblock_ids if each in kblock_of] for row in kept]
        return cls(
            np.array([reader_of[row.reader_id] for row in kept], np.int64),
            np.array([row.at for row in kept], np.int64),
            np.cumsum([0, *map(len, items)], dtype=np.int64),
            np.array([each for of_page in items for each in of_page], np.int64),
        )

    def __len__(self) -> int:
        return len(self.at)

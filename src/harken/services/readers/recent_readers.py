"""Who touched which K-Block last: one row of few readers for each, in arrays."""

import numpy as np

from harken.services.readers.co_engagement import (
    ANYBODY,
    NOBODY,
    CandidateReaders,
    CoEngagements,
    Floats,
    Numbers,
)

_FIRST_ROWS = 64
NEVER = -np.inf


class RecentReaders:
    """The last distinct readers of each K-Block, and when each of them last touched it (seconds).

    Readers and rows are numbers. Row 0 is that of every K-Block which nobody touched. A row holds
    `width` readers, at 12 bytes each; the one who was there longest ago makes room.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self._rows = 1
        self._readers = 2
        self._who = np.zeros((_FIRST_ROWS, width), np.int32)
        self._at = np.full((_FIRST_ROWS, width), NEVER)
        self._breadth = np.zeros(_FIRST_ROWS)
        self._scratch = np.zeros(_FIRST_ROWS, np.intp)

    def add_row(self) -> int:
        """Make a row for a K-Block; returns its number."""
        if self._rows == len(self._who):
            self._who = np.concatenate([self._who, np.zeros_like(self._who)])
            self._at = np.concatenate([self._at, np.full_like(self._at, NEVER)])
        self._rows += 1
        return self._rows - 1

    def add_reader(self) -> int:
        """Make a number for a reader."""
        if self._readers == len(self._breadth):
            self._breadth = np.concatenate([self._breadth, np.zeros_like(self._breadth)])
            self._scratch = np.zeros(len(self._breadth), np.intp)
        self._readers += 1
        return self._readers - 1

    def widen(self, reader: int, by: int) -> None:
        """Note that a reader likes so many K-Blocks more, or fewer."""
        self._breadth[reader] += by

    def put(self, row: int, reader: int, at: float) -> None:
        """Note that a reader touched a K-Block at a time (seconds)."""
        there = np.flatnonzero(self._who[row] == reader)
        slot = there[0] if len(there) else self._at[row].argmin()
        self._who[row, slot] = reader
        self._at[row, slot] = max(at, self._at[row, slot]) if len(there) else at

    def remove(self, row: int, reader: int) -> None:
        """Take a reader out of a row, if they stand there."""
        there = self._who[row] == reader
        self._who[row, there] = NOBODY
        self._at[row, there] = NEVER

    def rename(self, row: int, reader: int, other: int) -> None:
        """Have another number stand where a reader stands."""
        self._who[row, self._who[row] == reader] = other

    def who(self, rows: Numbers) -> Numbers:
        """Return the readers of some rows, `width` for each."""
        return np.asarray(self._who[rows], np.intp)

    def ages(self, rows: Numbers, now: float) -> Floats:
        """Return how many seconds ago they were there, at least 0; infinite for nobody."""
        ages: Floats = np.maximum(now - self._at[rows], 0.0)
        return ages

    def count(self, rows: Numbers) -> Floats:
        """Return how many readers stand in each row, guests aside."""
        return np.asarray((self._who[rows] > ANYBODY).sum(axis=1), np.float64)

    def breadth(self, readers: Numbers) -> Floats:
        """Return how many K-Blocks some readers like."""
        breadth: Floats = self._breadth[readers]
        return breadth

    def candidate_readers(self, rows: Numbers, now: float, me: int = ANYBODY) -> CandidateReaders:
        """Return who stands in some rows; `me` does not, unless that is a guest."""
        who = self._who[rows]
        is_there = who > NOBODY
        count = np.count_nonzero(who > ANYBODY, axis=1).astype(np.float64)
        if me > ANYBODY:
            is_there &= who != me
        places = np.flatnonzero(is_there)
        at = places // self.width
        ages = np.maximum(now - self._at[rows].take(places), 0.0)
        people, person = self._distinct(who.take(places).astype(np.intp))
        return CandidateReaders.of(at, ages, len(rows), count, people, person)

    def _distinct(self, readers: Numbers) -> tuple[Numbers, Numbers]:
        """Return each of some readers once, and for each of them which one; guests are the 0th."""
        scratch = self._scratch
        numbers = np.arange(1, len(readers) + 1)
        scratch[readers] = numbers  # the last of each stays
        scratch[ANYBODY] = 0
        people = np.append(ANYBODY, readers[scratch[readers] == numbers])
        scratch[people] = np.arange(len(people))
        person = scratch[readers]
        scratch[people] = 0
        return people, person

    def co_engagements(
        self, candidate_readers: CandidateReaders, sources: Numbers, now: float
    ) -> CoEngagements:
        """Return where those who are present stand among some other rows, guests aside."""
        scratch = self._scratch
        scratch[candidate_readers.people] = np.arange(len(candidate_readers.people))
        person = scratch[self._who[sources]]
        scratch[candidate_readers.people] = 0
        places = np.flatnonzero(person)
        ages = np.maximum(now - self._at[sources].take(places), 0.0)
        return CoEngagements(
            places // self.width, person.take(places), ages, len(candidate_readers.people)
        )

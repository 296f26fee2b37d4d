"""The last readers of each K-Block, in arrays with one row for each K-Block."""

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
    """The last distinct readers of each K-Block, and the time (seconds) when each last read it.

    Readers and rows are numbers. Row 0 is that of all K-Blocks that nobody read. A row holds
    `width` readers, at 12 bytes each; a new one replaces the one who read it longest ago.
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
        """Add a row for a K-Block; returns its number."""
        if self._rows == len(self._who):
            self._who = np.concatenate([self._who, np.zeros_like(self._who)])
            self._at = np.concatenate([self._at, np.full_like(self._at, NEVER)])
        self._rows += 1
        return self._rows - 1

    def add_reader(self) -> int:
        """Add a reader; returns their number."""
        if self._readers == len(self._breadth):
            self._breadth = np.concatenate([self._breadth, np.zeros_like(self._breadth)])
            self._scratch = np.zeros(len(self._breadth), np.intp)
        self._readers += 1
        return self._readers - 1

    def widen(self, reader: int, by: int) -> None:
        """Change the number of K-Blocks that a reader likes."""
        self._breadth[reader] += by

    def reset(self, reader: int) -> None:
        """Set the number of K-Blocks that a reader likes to 0."""
        self._breadth[reader] = 0.0

    def put(self, row: int, reader: int, at: float) -> None:
        """Record that a reader read a K-Block at a time (seconds since 1970)."""
        who, times = self._who[row], self._at[row]
        slot = int((who == reader).argmax())
        if who[slot] == reader:
            times[slot] = max(at, float(times[slot]))
            return
        slot = int(times.argmin())
        who[slot], times[slot] = reader, at

    def remove(self, row: int, reader: int) -> None:
        """Remove a reader from a row, if they are in it."""
        there = self._who[row] == reader
        self._who[row, there] = NOBODY
        self._at[row, there] = NEVER

    def rename(self, row: int, reader: int, other: int) -> None:
        """Replace the number of a reader in a row."""
        self._who[row, self._who[row] == reader] = other

    def named(self, row: int, besides: int) -> tuple[Numbers, Floats]:
        """Return the readers of a row without guests and `besides`, and when each last read it."""
        who = self._who[row]
        kept = np.flatnonzero((who > ANYBODY) & (who != besides))
        return who[kept].astype(np.intp), self._at[row][kept]

    def who(self, rows: Numbers) -> Numbers:
        """Return the readers of some rows, 0 for an empty slot: rows × `width`."""
        return np.asarray(self._who[rows], np.intp)

    def ages(self, rows: Numbers, now: float) -> Floats:
        """Return how many seconds ago the readers of some rows read it: rows × `width`.

        An age is at least 0, and infinite for an empty slot.
        """
        ages: Floats = np.maximum(now - self._at[rows], 0.0)
        return ages

    def count(self, rows: Numbers) -> Floats:
        """Return the number of readers in each row, without guests."""
        return np.asarray((self._who[rows] > ANYBODY).sum(axis=1), np.float64)

    def breadth(self, readers: Numbers) -> Floats:
        """Return how many K-Blocks each of some readers likes."""
        breadth: Floats = self._breadth[readers]
        return breadth

    def candidate_readers(self, rows: Numbers, now: float, me: int = ANYBODY) -> CandidateReaders:
        """Return the readers of some rows at `now` (seconds), without the reader `me`.

        Guests are never left out.
        """
        slots = self._who.take(rows, axis=0)
        places = np.flatnonzero(slots > NOBODY)
        who, at = slots.take(places).astype(np.intp), places // self.width
        count = np.bincount(at[who > ANYBODY], minlength=len(rows)).astype(np.float64)
        if me > ANYBODY and not (is_other := who != me).all():
            places, who, at = places[is_other], who[is_other], at[is_other]
        ages = np.maximum(now - self._at.take(rows, axis=0).take(places), 0.0)
        people, person = self._distinct(who)
        return CandidateReaders.of(at, ages, len(rows), count, people, person)

    def _distinct(self, readers: Numbers) -> tuple[Numbers, Numbers]:
        """Return each reader once, guests first, and the index of each given reader among these."""
        scratch = self._scratch
        numbers = np.arange(1, len(readers) + 1)
        scratch[readers] = numbers  # the last occurrence of each reader is kept
        scratch[ANYBODY] = 0
        people = np.append(ANYBODY, readers[scratch[readers] == numbers])
        scratch[people] = np.arange(len(people))
        person = scratch[readers]
        scratch[people] = 0
        return people, person

    def co_engagements(
        self, candidate_readers: CandidateReaders, sources: Numbers, now: float
    ) -> CoEngagements:
        """Return the entries of candidates' readers in the rows of `sources`, without guests."""
        scratch = self._scratch
        scratch[candidate_readers.people] = np.arange(len(candidate_readers.people))
        person = scratch[self._who[sources]]
        scratch[candidate_readers.people] = 0
        places = np.flatnonzero(person)
        ages = np.maximum(now - self._at[sources].take(places), 0.0)
        return CoEngagements(
            places // self.width, person.take(places), ages, len(candidate_readers.people)
        )

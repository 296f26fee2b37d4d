"""The history of one reader: the last K-Blocks that they touched, and their reading pace."""

import math
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harken.domain.feedback import FeedbackAction, LogEntry

MICROS = 1_000_000

WORDS_PER_MINUTE = 238
"""Silent reading of English non-fiction, on average: Brysbaert, How many words do we read per
minute?, Journal of Memory and Language 109 (2019)."""

TYPICAL_DWELL = 30.0
"""In seconds: the expected dwell time of a K-Block of unknown length, for a new reader."""
SHORTEST_DWELL = 0.5
SHORTEST_READ = 5.0

# After so many timed views, a reader's own pace weighs as much as the usual one; it is a mean over
# about the last `_PACE_MEMORY` of them.
_PACE_PRIOR = 5
_PACE_MEMORY = 50

_FIRST_COLUMNS = 4

VIEW = 1.0
DISMISSAL = -2.0
ENGAGEMENT = 2.0
ENGAGEMENTS: Mapping[str, float] = MappingProxyType(
    {"like": 2.0, "bookmark": 2.5, "follow": 3.0, "comment": 4.0}
)
"""The worth of an engagement by its kind; a view of the expected length is worth 1."""


class Touch(NamedTuple):
    """An event of a reader on a K-Block; `at` is in microseconds since 1970."""

    user_id: str
    kblock_id: str
    action: str
    interaction_type: str | None
    dwell_time_ms: int | None
    at: int

    @classmethod
    def of(cls, entry: LogEntry) -> "Touch":
        """Return the event of an entry of the log."""
        return cls(
            entry.user_id,
            entry.kblock_id,
            entry.action,
            entry.interaction_type,
            entry.dwell_time_ms,
            round(entry.created_at.timestamp() * MICROS),
        )


@dataclass(slots=True)
class Memory:
    """What one reader did with one K-Block: first and last touch (seconds), and its worth.

    The worth is that of the best event. From a dismissal on it is below 0, until the reader engages
    with the K-Block. `column` is where `ReaderHistory.unordered` has it.
    """

    column: int
    place: int
    first: float
    last: float
    worth: float = 0.0

    def add(self, touch: Touch, worth: float) -> None:
        """Add another touch, of a worth."""
        self.first = min(self.first, touch.at / MICROS)
        self.last = max(self.last, touch.at / MICROS)
        if touch.action == FeedbackAction.DISMISS:
            self.worth = worth
        elif self.worth >= 0 or touch.action == FeedbackAction.ENGAGE:
            self.worth = max(self.worth, worth)


class HistoryColumns(NamedTuple):
    """A history as columns, by K-Block: place, first and last touch (seconds), worth.

    Touches are events of any action. The worth is below 0 for what the reader dismissed.
    """

    places: NDArray[np.intp]
    first: NDArray[np.float64]
    last: NDArray[np.float64]
    worth: NDArray[np.float64]

    @classmethod
    def of(cls, fields: NDArray[np.float64]) -> "HistoryColumns":
        """Return the columns of an array: 4 × K-Blocks."""
        places, first, last, worth = fields
        return cls(places.astype(np.intp), first, last, worth)

    @classmethod
    def of_all(cls, histories: Sequence["ReaderHistory"]) -> "HistoryColumns":
        """Return the columns of several histories, one after the other, each in no order."""
        arrays = [history.unordered for history in histories]
        return cls.of(np.concatenate([_NO_FIELDS, *arrays], axis=1))


_NO_FIELDS = np.zeros((len(HistoryColumns._fields), 0))


@dataclass(slots=True)
class ReadingPace:
    """A reader's dwell times, as means of logarithms.

    `against_length` is the mean of ln(dwell time / the time that an average reader takes for the
    words); `plain` is the mean of ln(seconds), for K-Blocks of unknown length. Both start at the
    usual value.
    """

    against_length: float = 0.0
    plain: float = math.log(TYPICAL_DWELL)
    timed: int = 0

    def expected(self, words: int | None) -> float:
        """Return the expected dwell time of this reader in seconds."""
        if not words:
            return math.exp(self.plain)
        return max(_usual(words) * math.exp(self.against_length), SHORTEST_READ)

    def learn(self, seconds: float, words: int | None) -> None:
        """Add a view whose dwell time is known, in seconds."""
        self.timed += 1
        share = 1 / min(self.timed + _PACE_PRIOR, _PACE_MEMORY)
        stayed = math.log(max(seconds, SHORTEST_DWELL))
        self.plain += share * (stayed - self.plain)
        if words:
            self.against_length += share * (stayed - math.log(_usual(words)) - self.against_length)


def _usual(words: int) -> float:
    return max(words * 60 / WORDS_PER_MINUTE, SHORTEST_READ)


class ReaderHistory:
    """The last touches of one reader, a `Memory` of each K-Block, and the reader's pace.

    At most `most` touches are kept, and as many K-Blocks: those touched last. They are kept in
    an array as well, since pages of other readers need those of many readers at once.
    """

    def __init__(self, number: int, most: int) -> None:
        self.number = number
        self.pace = ReadingPace()
        self._most = most
        self._touches: deque[Touch] = deque(maxlen=most)
        self._memories: OrderedDict[str, Memory] = OrderedDict()
        self._array = np.zeros((len(HistoryColumns._fields), _FIRST_COLUMNS))
        self._columns: HistoryColumns | None = None

    def __len__(self) -> int:
        return len(self._memories)

    def __iter__(self) -> Iterator[Memory]:
        """Yield the memory of each K-Block, last touched last."""
        return iter(self._memories.values())

    def get(self, kblock_id: str) -> Memory | None:
        """Return the memory of a K-Block; None without one."""
        return self._memories.get(kblock_id)

    @property
    def interactions(self) -> int:
        """The number of remembered touches."""
        return len(self._touches)

    @property
    def last(self) -> Memory:
        """The memory of the K-Block that was touched last."""
        return next(reversed(self._memories.values()))

    def add(self, touch: Touch, place: int, words: int | None) -> int:
        """Add a touch of a K-Block of so many words, whose place in `ItemAttributes` is given.

        Returns by how much the number of K-Blocks that the reader likes has changed.
        """
        self._columns = None
        self._touches.append(touch)
        liked = 0
        memory = self._memories.get(touch.kblock_id)
        if memory is None:
            at, column = touch.at / MICROS, len(self._memories)
            if column == self._most:
                _, forgotten = self._memories.popitem(last=False)
                liked, column = int(forgotten.worth > 0), forgotten.column
            memory = self._memories[touch.kblock_id] = Memory(column, place, at, at)
        else:
            liked = int(memory.worth > 0)
            self._memories.move_to_end(touch.kblock_id)
        memory.add(touch, self._worth(touch, words))
        self._keep(memory)
        if touch.action == FeedbackAction.VIEW and touch.dwell_time_ms is not None:
            self.pace.learn(touch.dwell_time_ms / 1000, words)
        return (memory.worth > 0) - liked

    def _keep(self, memory: Memory) -> None:
        """Copy a memory to its column of the array."""
        column = memory.column
        if column == self._array.shape[1]:
            self._array = np.concatenate([self._array, np.zeros_like(self._array)], axis=1)
        self._array[:, column] = memory.place, memory.first, memory.last, memory.worth

    def since(self, at: int) -> Iterator[tuple[Touch, int]]:
        """Yield remembered touches from a time on (microseconds since 1970), with their places."""
        for touch in self._touches:
            if touch.at >= at:
                yield touch, self._memories[touch.kblock_id].place

    def recently_liked(self, count: int) -> list[int]:
        """Return the places of those of the last `count` K-Blocks that the reader likes."""
        last = islice(reversed(self._memories.values()), count)
        return [history.place for history in last if history.worth > 0]

    @property
    def columns(self) -> HistoryColumns:
        """The history as columns, last touched last."""
        if self._columns is None:
            order = np.fromiter((each.column for each in self), np.intp, len(self))
            self._columns = HistoryColumns.of(self._array[:, order])
        return self._columns

    @property
    def unordered(self) -> NDArray[np.float64]:
        """The history in no order: 4 × K-Blocks, the fields of `HistoryColumns`.

        It is a view: later touches may change it.
        """
        return self._array[:, : len(self._memories)]

    def _worth(self, touch: Touch, words: int | None) -> float:
        """Return the worth of a touch, by the reader's pace before it.

        A timed view is worth 2·r / (1 + r), where r is its dwell time over the expected one: 1 for
        the expected time, almost 0 for a glance, less than 2 for any time. Dwell times are compared
        with those that item and reader suggest, as in Yi et al., Beyond Clicks: Dwell Time for
        Personalization, RecSys 2014.
        """
        match touch.action:
            case FeedbackAction.VIEW if touch.dwell_time_ms is not None:
                ratio = touch.dwell_time_ms / 1000 / self.pace.expected(words)
                return VIEW * 2 * ratio / (1 + ratio)
            case FeedbackAction.VIEW:
                return VIEW
            case FeedbackAction.ENGAGE:
                return ENGAGEMENTS.get(touch.interaction_type or "", ENGAGEMENT)
            case FeedbackAction.DISMISS:
                return DISMISSAL
            case _:
                return 0.0

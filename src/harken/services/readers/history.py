"""What is remembered of one reader: the last K-Blocks that they touched, and their pace."""

import math
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
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
"""Seconds for a K-Block of unknown length, before anything is known."""
SHORTEST_DWELL = 0.5
SHORTEST_READ = 5.0

# A reader's own pace weighs as much as what is usual once it was seen this often,
# and the last so many are what it is made of.
_PACE_PRIOR = 5
_PACE_MEMORY = 50

VIEW = 1.0
DISMISSAL = -2.0
ENGAGEMENT = 2.0
ENGAGEMENTS: Mapping[str, float] = MappingProxyType(
    {"like": 2.0, "bookmark": 2.5, "follow": 3.0, "comment": 4.0}
)
"""What one touch says, compared with a view that took as long as could be expected."""


class Touch(NamedTuple):
    """That somebody did something with a K-Block; `at` is in microseconds since 1970."""

    user_id: str
    kblock_id: str
    action: str
    interaction_type: str | None
    dwell_time_ms: int | None
    at: int

    @classmethod
    def of(cls, entry: LogEntry) -> "Touch":
        """Return what an entry of the log says."""
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
    """One reader and one K-Block: when it was touched first and last (seconds), what it is worth.

    The worth is that of the best that they did with it, and below 0 from a dismissal on, until
    they engage with it.
    """

    place: int
    first: float
    last: float
    worth: float = 0.0

    def add(self, touch: Touch, worth: float) -> None:
        """Take up another touch."""
        self.first = min(self.first, touch.at / MICROS)
        self.last = max(self.last, touch.at / MICROS)
        if touch.action == FeedbackAction.DISMISS:
            self.worth = worth
        elif self.worth >= 0 or touch.action == FeedbackAction.ENGAGE:
            self.worth = max(self.worth, worth)


class HistoryColumns(NamedTuple):
    """What is remembered of K-Blocks: places, first and last touch, what each is worth."""

    places: NDArray[np.intp]
    first: NDArray[np.float64]
    last: NDArray[np.float64]
    worth: NDArray[np.float64]


@dataclass(slots=True)
class ReadingPace:
    """How long a reader stays, compared with what is usual: a mean of logarithms.

    `against_length` compares with the time that the words would take an average reader, `plain`
    is the logarithm of seconds, for K-Blocks of unknown length. Both start as what is usual.
    """

    against_length: float = 0.0
    plain: float = math.log(TYPICAL_DWELL)
    timed: int = 0

    def expected(self, words: int | None) -> float:
        """Return the seconds that this reader would be expected to stay."""
        if not words:
            return math.exp(self.plain)
        return max(_usual(words) * math.exp(self.against_length), SHORTEST_READ)

    def learn(self, seconds: float, words: int | None) -> None:
        """Take up a view that was timed."""
        self.timed += 1
        share = 1 / min(self.timed + _PACE_PRIOR, _PACE_MEMORY)
        stayed = math.log(max(seconds, SHORTEST_DWELL))
        self.plain += share * (stayed - self.plain)
        if words:
            self.against_length += share * (stayed - math.log(_usual(words)) - self.against_length)


def _usual(words: int) -> float:
    return max(words * 60 / WORDS_PER_MINUTE, SHORTEST_READ)


class ReaderHistory:
    """The last touches of one reader, what they say of each K-Block, and the reader's pace.

    At most `most` touches are kept, and as many K-Blocks: those touched last.
    """

    def __init__(self, number: int, most: int) -> None:
        self.number = number
        self.pace = ReadingPace()
        self._most = most
        self._touches: deque[Touch] = deque(maxlen=most)
        self._memories: OrderedDict[str, Memory] = OrderedDict()
        self._columns: HistoryColumns | None = None

    def __len__(self) -> int:
        return len(self._memories)

    def __iter__(self) -> Iterator[Memory]:
        """Yield what is remembered of each K-Block, last touched last."""
        return iter(self._memories.values())

    def get(self, kblock_id: str) -> Memory | None:
        """Return what is remembered of a K-Block, if anything is."""
        return self._memories.get(kblock_id)

    @property
    def interactions(self) -> int:
        """How many touches are remembered."""
        return len(self._touches)

    @property
    def last(self) -> Memory:
        """What was touched last."""
        return next(reversed(self._memories.values()))

    def add(self, touch: Touch, place: int, words: int | None) -> int:
        """Take up a touch of a K-Block of so many words, whose place in `Contents` is given.

        Returns how many more (or fewer) K-Blocks the reader likes now.
        """
        at = touch.at / MICROS
        self._columns = None
        self._touches.append(touch)
        history = self._memories.setdefault(touch.kblock_id, Memory(place, at, at))
        liked = history.worth > 0
        history.add(touch, self._worth(touch, words))
        self._memories.move_to_end(touch.kblock_id)
        change = (history.worth > 0) - liked
        if touch.action == FeedbackAction.VIEW and touch.dwell_time_ms is not None:
            self.pace.learn(touch.dwell_time_ms / 1000, words)
        if len(self._memories) > self._most:
            _, forgotten = self._memories.popitem(last=False)
            change -= forgotten.worth > 0
        return change

    def since(self, at: int) -> Iterator[tuple[Touch, int]]:
        """Yield touches and places that are remembered from a time on (microseconds since 1970)."""
        for touch in self._touches:
            if touch.at >= at:
                yield touch, self._memories[touch.kblock_id].place

    def lately(self, count: int) -> list[int]:
        """Return the places of the last K-Blocks that were touched, those that were liked."""
        last = islice(reversed(self._memories.values()), count)
        return [history.place for history in last if history.worth > 0]

    @property
    def columns(self) -> HistoryColumns:
        """All that is remembered, K-Block by K-Block, last touched last."""
        if self._columns is None:
            rows = [(each.place, each.first, each.last, each.worth) for each in self]
            places, first, last, worth = np.array(rows, np.float64).reshape(-1, 4).T
            self._columns = HistoryColumns(places.astype(np.intp), first, last, worth)
        return self._columns

    def _worth(self, touch: Touch, words: int | None) -> float:
        """Return what a touch says of the reader's taste, before the touch changes their pace.

        A timed view counts 2·r / (1 + r), r being the time over the expected one: 1 for a view as
        long as expected, almost 0 for a glance, never more than 2. That dwell time has to be
        compared with what item and reader suggest: Yi et al., Beyond Clicks: Dwell Time for
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

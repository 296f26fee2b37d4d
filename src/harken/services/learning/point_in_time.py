"""A walk along a log: what was known at each moment, of readers and of K-Blocks."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from harken.services.features.state import Features
from harken.services.features.traces import Matrix
from harken.services.learning.candidate_generation import CandidateGenerator
from harken.services.learning.impressions import Event, Window
from harken.services.readers.history import Touch
from harken.services.readers.item_attributes import Label


class Description(NamedTuple):
    """What a K-Block is; `created_at` in microseconds since 1970."""

    author: str | None = None
    tags: tuple[str, ...] = ()
    principles: tuple[str, ...] = ()
    layer: int | None = None
    words: int | None = None
    created_at: int | None = None

    @property
    def labels(self) -> list[Label]:
        """Its tags and its author."""
        authors = [] if self.author is None else [Label("authors", self.author)]
        return [*(Label("tags", tag) for tag in self.tags), *authors]


class Slate(NamedTuple):
    """What a reader was shown at a time (microseconds since 1970).

    `position` is that of the first K-Block, counted from 0 across pages.
    """

    request_id: str
    user_id: str
    kblock_ids: tuple[str, ...]
    position: int
    at: int


DESCRIBED: Mapping[str, Description] = MappingProxyType({})


class _CachedMatrix(NamedTuple):
    """What was computed for the last that was asked."""

    user_id: str
    kblock_ids: tuple[str, ...]
    now: int
    matrix: Matrix


class PointInTimeState:
    """What is known of readers and K-Blocks. One of these is described when it is first met.

    Nothing depends on what it is before: it is no candidate, and nobody touched it.
    """

    def __init__(self, descriptions: Mapping[str, Description] = DESCRIBED) -> None:
        self.features = Features()
        self._descriptions = descriptions
        self._met: set[str] = set()
        self._asked: _CachedMatrix | None = None

    def take_up(self, touch: Touch) -> None:
        """Take up what a reader did."""
        self.meet([touch.kblock_id])
        self.features.see(touch)
        self._asked = None

    def meet(self, kblock_ids: Sequence[str]) -> None:
        """Describe K-Blocks that were not met before."""
        for kblock_id in kblock_ids:
            described = self._descriptions.get(kblock_id)
            if described is not None and kblock_id not in self._met:
                self._met.add(kblock_id)
                self.features.affinities.describe(kblock_id, **described._asdict())

    def matrix(self, user_id: str, kblock_ids: tuple[str, ...], now: int) -> Matrix:
        """Return the features of some K-Blocks; the last answer is kept until the next event."""
        asked = self._asked
        if asked is None or asked[:3] != (user_id, kblock_ids, now):
            matrix = self.features.matrix(user_id, kblock_ids, now)
            asked = self._asked = _CachedMatrix(user_id, kblock_ids, now, matrix)
        return asked.matrix


class PointInTimeWalk(PointInTimeState):
    """The state that events made so far: what is known, and what candidates there are."""

    def __init__(self, descriptions: Mapping[str, Description] = DESCRIBED) -> None:
        super().__init__(descriptions)
        self.window = Window()
        self._first_stage = CandidateGenerator(self.features.affinities)

    def see(self, event: Event, *, counted: bool) -> None:
        """Take up an event, and whether it was an impression."""
        kblock_id, known = event.touch.kblock_id, len(self.window.kblocks)
        self.meet([kblock_id])
        number = self.window.see(event, counted=counted)
        if number == known:
            labels = self._descriptions.get(kblock_id, Description()).labels
            self._first_stage.add(number, self.features.affinities.place(kblock_id), labels)
        self._first_stage.see(number, event.touch)
        self.take_up(event.touch)

    def candidates(self, user_id: str, now: int) -> tuple[str, ...]:
        """Return what a feed would look at for a reader, of the candidates that there are."""
        found = self.window.candidates(user_id, now)
        return self.window.named(self._first_stage.narrow(user_id, found, now).tolist())

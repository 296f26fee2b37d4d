"""Point-in-time state: what was known of readers and K-Blocks at each moment of a log."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from harken.services.features.state import Features
from harken.services.features.traces import Matrix
from harken.services.learning.candidate_generation import CandidateGenerator
from harken.services.learning.impressions import Event, Window
from harken.services.learning.part_weights import PartWeights
from harken.services.personal.sources import SOURCES, CandidateSource
from harken.services.readers.affinities import Affinities, AffinitySettings
from harken.services.readers.history import Touch
from harken.services.readers.item_attributes import Label
from harken.services.texts.terms import Terms


class Description(NamedTuple):
    """The attributes of a K-Block; `created_at` in microseconds since 1970.

    `terms` are those of its text, None without a text.
    """

    author: str | None = None
    tags: tuple[str, ...] = ()
    principles: tuple[str, ...] = ()
    layer: int | None = None
    folder: str | None = None
    source: str | None = None
    words: int | None = None
    created_at: int | None = None
    terms: Terms | None = None

    @property
    def labels(self) -> list[Label]:
        """The K-Block's tags and author."""
        authors = [] if self.author is None else [Label("authors", self.author)]
        return [*(Label("tags", tag) for tag in self.tags), *authors]


class Slate(NamedTuple):
    """A page that a reader was shown; `at` in microseconds since 1970.

    `position` is the position of its first K-Block, counted from 0 across pages.
    """

    request_id: str
    user_id: str
    kblock_ids: tuple[str, ...]
    position: int
    at: int


DESCRIBED: Mapping[str, Description] = MappingProxyType({})


class _CachedMatrix(NamedTuple):
    """The latest request for features, and its result."""

    user_id: str
    kblock_ids: tuple[str, ...]
    now: int
    matrix: Matrix


class PointInTimeState:
    """The state of readers and K-Blocks; a K-Block's description is added when it first occurs.

    Before that the description has no effect: the K-Block is no candidate, and nobody touched it.
    """

    def __init__(
        self,
        descriptions: Mapping[str, Description] = DESCRIBED,
        affinities: AffinitySettings | None = None,
    ) -> None:
        self.features = Features(Affinities(affinities))
        self._weights = PartWeights(self.features.affinities)
        self._descriptions = descriptions
        self._described: set[str] = set()
        self._cached: _CachedMatrix | None = None

    def observe_touch(self, touch: Touch, *, from_page: bool = True) -> None:
        """Update the state with what a reader did.

        `from_page` says whether a page of Harken may have led to it: then it teaches no weights.
        """
        self.describe([touch.kblock_id])
        self._weights.observe(touch, from_page=from_page)
        self.features.see(touch)
        self._cached = None

    def describe(self, kblock_ids: Sequence[str]) -> None:
        """Add the descriptions of K-Blocks that did not occur before."""
        for kblock_id in kblock_ids:
            described = self._descriptions.get(kblock_id)
            if described is not None and kblock_id not in self._described:
                self._described.add(kblock_id)
                self._describe(kblock_id, described)

    def _describe(self, kblock_id: str, described: Description) -> None:
        affinities, fields = self.features.affinities, described._asdict()
        terms = fields.pop("terms")
        if terms is not None:
            fields["text"] = place = affinities.place(kblock_id)
            affinities.texts.put([(place, terms)])
        affinities.describe(kblock_id, **fields)

    def matrix(self, user_id: str, kblock_ids: tuple[str, ...], now: int) -> Matrix:
        """Return the features of some K-Blocks (K-Blocks × `NAMES`).

        The latest result is cached until the next event.
        """
        cached = self._cached
        if cached is None or cached[:3] != (user_id, kblock_ids, now):
            matrix = self.features.matrix(user_id, kblock_ids, now)
            cached = self._cached = _CachedMatrix(user_id, kblock_ids, now, matrix)
        return cached.matrix


class PointInTimeReplay(PointInTimeState):
    """A point-in-time state that also knows the candidates of each moment."""

    def __init__(
        self,
        descriptions: Mapping[str, Description] = DESCRIBED,
        affinities: AffinitySettings | None = None,
    ) -> None:
        super().__init__(descriptions, affinities)
        self.window = Window()
        self._first_stage = CandidateGenerator(self.features.affinities)

    def observe(self, event: Event, *, counted: bool) -> None:
        """Update the state with an event; `counted` says whether it was an impression."""
        kblock_id, known = event.touch.kblock_id, len(self.window.kblocks)
        self.describe([kblock_id])
        number = self.window.observe(event, counted=counted)
        if number == known:
            labels = self._descriptions.get(kblock_id, Description()).labels
            self._first_stage.add(number, self.features.affinities.place(kblock_id), labels)
        self._first_stage.observe(number, event.touch)
        self.observe_touch(event.touch, from_page=event.request_id is not None)

    def candidates(
        self, user_id: str, now: int, sources: Sequence[CandidateSource] = SOURCES
    ) -> tuple[str, ...]:
        """Return the ids of the candidates that a feed would score for a reader."""
        found = self.window.candidates(user_id, now)
        narrowed = self._first_stage.narrow(user_id, found, now, sources)
        return self.window.named(narrowed.tolist())

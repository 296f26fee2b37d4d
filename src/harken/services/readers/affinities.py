"""What readers like, learned from what everybody did: the state behind the personal ranking.

A score is a sum of logarithms, as of a product of odds, and untrained: what each part means is
said at `PARTS`, and docs/evaluation.md says how its few constants were found. The state follows
from the log alone, event by event, and is bounded for each reader and for each K-Block.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from types import MappingProxyType

import numpy as np

from harken.domain.feedback import GUEST, FeedbackAction
from harken.services.readers.co_engagement import (
    ANYBODY,
    CandidateReaders,
    CoEngagements,
    Floats,
    Numbers,
)
from harken.services.readers.history import MICROS, HistoryColumns, ReaderHistory, Touch
from harken.services.readers.item_attributes import WIDTHS, ItemAttributes, Label
from harken.services.readers.profile import AffinityScores, ReaderProfile, SimilarReader
from harken.services.readers.recent_readers import RecentReaders

DAY = 86_400.0

CROWD = ("burst", "freshness")
"""The parts that are the same for every reader."""

PARTS: Mapping[str, float] = MappingProxyType(
    {
        "burst": 1.0,  # how many readers are at it just now
        "freshness": 0.25,  # how new it is
        "kinship": 1.0,  # how much the reader shares with those who touched it
        "thread": 0.5,  # how many of them touched what the reader touched last
        "passed": 1.0,  # how often the reader touched others since it appeared
        "tags": 2.0,  # how the reader takes to its tags, and so on
        "authors": 1.0,
        "principles": 1.0,
        "layers": 0.5,
        "aversion": 1.0,  # how many of its readers are also those of what was dismissed
        "seen": 10.0,  # whether the reader touched it before
    }
)
"""The parts of a score, and their weights."""

# Below these, a logarithm says no more: one reader three months ago; a reader with whom nothing is
# shared is taken for one with whom 2 % is; nobody in common is taken for a cosine of 0.1.
_LEAST_BURST = 1e-4
_STRANGER = 0.02
_UNRELATED = 0.1
_FRESH = 300.0  # seconds in which nothing becomes noticeably older
_PRIOR = 5.0  # interactions or K-Blocks that what is known has to outweigh
_NEIGHBOURS = 20


@dataclass(frozen=True)
class AffinitySettings:
    """How tastes are learned, and what a score is made of.

    `half_life` (days) is how fast interactions fade from a profile, `burst` (seconds) after which
    time a reader of a K-Block counts half. A reader with fewer than `min_interactions` gets the
    crowd's parts only. `touches` and `touchers` bound what is remembered of a reader and of a
    K-Block. `weights` go before those of `PARTS`. Raises ValueError for what cannot be.
    """

    half_life: float = 30.0
    burst: float = 900.0
    min_interactions: int = 5
    touches: int = 200
    recent_readers: int = 64
    weights: Mapping[str, float] = field(default_factory=lambda: PARTS)

    def __post_init__(self) -> None:
        if min(self.half_life, self.burst, self.touches, self.recent_readers) <= 0:
            raise ValueError("half_life, burst, touches and touchers must be more than 0")
        if unknown := self.weights.keys() - PARTS.keys():
            raise ValueError(f"weights of {sorted(unknown)} are unknown; known are {list(PARTS)}")


class Affinities:
    """What readers like; times are in microseconds since 1970.

    Nothing here reads a clock or a database: whoever holds it hands over every event, in order.
    """

    def __init__(self, settings: AffinitySettings | None = None) -> None:
        self.settings = settings or AffinitySettings()
        self._weights = dict(PARTS) | dict(self.settings.weights)
        self._attributes = ItemAttributes()
        self._readers: dict[str, ReaderHistory] = {}
        self._names: dict[int, str] = {}
        self._recent_readers = RecentReaders(self.settings.recent_readers)

    # Learning

    def describe(
        self,
        kblock_id: str,
        *,
        author: str | None = None,
        tags: Sequence[str] = (),
        principles: Sequence[str] = (),
        layer: int | None = None,
        words: int | None = None,
        created_at: int | None = None,
    ) -> None:
        """Say what a K-Block is. Of one that is not described, only what is done with it counts."""
        labels: dict[str, Sequence[str | int]] = {
            "tags": tags,
            "authors": () if author is None else (author,),
            "principles": principles,
            "layers": () if layer is None else (layer,),
        }
        created = None if created_at is None else created_at / MICROS
        self._attributes.describe(self._attributes.place(kblock_id), labels, words, created)

    def observe(self, touch: Touch) -> None:
        """Take up an event. A guest's counts for the crowd, and makes no profile."""
        attributes = self._attributes
        place, at = attributes.place(touch.kblock_id), touch.at / MICROS
        row = attributes.row(place)
        if not row:
            row = self._recent_readers.add_row()
            attributes.set_row(place, row)
        attributes.appear(place, at)
        number = ANYBODY
        if touch.user_id != GUEST:
            reader = self._readers.get(touch.user_id)
            if reader is None:
                reader = self._meet(touch.user_id)
            number = reader.number
            self._recent_readers.widen(number, reader.add(touch, place, attributes.words(place)))
        if touch.action in {FeedbackAction.VIEW, FeedbackAction.ENGAGE}:
            self._recent_readers.put(row, number, at)
        elif touch.action == FeedbackAction.DISMISS and number != ANYBODY:
            self._recent_readers.remove(row, number)

    def forget(self, user_id: str, before: int | None = None) -> None:
        """Forget what a reader did, all of it or what they did before a time.

        What the crowd did stays as it is: there, they become somebody without a name, and no
        neighbour.
        """
        reader = self._readers.pop(user_id, None)
        if reader is None:
            return
        del self._names[reader.number]
        if before is None:
            return
        kept = self._meet(user_id)
        for touch, place in reader.since(before):
            self._recent_readers.widen(
                kept.number, kept.add(touch, place, self._attributes.words(place))
            )
            self._recent_readers.rename(self._attributes.row(place), reader.number, kept.number)
        if not len(kept):
            self.forget(user_id)

    def recall(self, user_id: str, touches: Sequence[Touch]) -> None:
        """Replace what is remembered of a reader by these events, the latest last."""
        reader = self._readers.pop(user_id, None)
        if reader is not None:
            del self._names[reader.number]
            for row in self._attributes.rows(reader.columns.places).tolist():
                self._recent_readers.remove(row, reader.number)
        for touch in touches:
            self.observe(touch)

    def _meet(self, user_id: str) -> ReaderHistory:
        reader = ReaderHistory(self._recent_readers.add_reader(), self.settings.touches)
        self._readers[user_id] = reader
        self._names[reader.number] = user_id
        return reader

    # What is known

    def score(self, user_id: str, kblock_ids: Sequence[str], now: int) -> AffinityScores:
        """Score K-Blocks for a reader, by what was observed so far; they need not be known."""
        return self.score_places(user_id, self._attributes.places(kblock_ids, len(kblock_ids)), now)

    @property
    def attributes(self) -> ItemAttributes:
        """What is known of K-Blocks, by their places; to be read."""
        return self._attributes

    @property
    def recent_readers(self) -> RecentReaders:
        """Who touched which K-Block, by their rows; to be read."""
        return self._recent_readers

    def history(self, user_id: str) -> ReaderHistory | None:
        """Return what is remembered of a reader; to be read."""
        return self._readers.get(user_id)

    def place(self, kblock_id: str) -> int:
        """Return the place of a K-Block, by which `score_places` knows it."""
        return self._attributes.place(kblock_id)

    def score_places(self, user_id: str, places: Numbers, now: int) -> AffinityScores:
        """Score K-Blocks that are given by their places."""
        seconds, known = now / MICROS, self._known(user_id)
        me = ANYBODY if known is None else known.number
        candidate_readers = self._recent_readers.candidate_readers(
            self._attributes.rows(places), seconds, me
        )
        return self.score_candidates(user_id, places, candidate_readers, now)

    def score_candidates(
        self,
        user_id: str,
        places: Numbers,
        candidate_readers: CandidateReaders,
        now: int,
        co_engagements: CoEngagements | None = None,
    ) -> AffinityScores:
        """Score K-Blocks, by who stands there and where the reader met them, if that is known."""
        seconds = now / MICROS
        appeared = np.minimum(self._attributes.appeared(places), seconds)  # what nobody knew is new
        parts = dict.fromkeys(self._weights, np.zeros(len(places)))
        parts |= self._of_crowd(candidate_readers, seconds - appeared)
        if (reader := self._known(user_id)) is not None:
            known = reader.columns
            if co_engagements is None:
                sources = self._attributes.rows(known.places)
                co_engagements = self._recent_readers.co_engagements(
                    candidate_readers, sources, seconds
                )
            parts |= self._of_neighbours(known, candidate_readers, co_engagements, seconds)
            parts |= self._attributes.means(places, *self._affinities(known, seconds))
            parts |= self._of_habit(known, places, appeared)
        total = np.zeros(len(places))
        for name, weight in self._weights.items():
            total += weight * parts[name]
        return AffinityScores(total, parts, self._weights, reader is not None)

    def profile(self, user_id: str, now: int) -> ReaderProfile:
        """Return what is known of a reader; nothing, of one who did nothing."""
        reader = self._readers.get(user_id)
        if reader is None:
            reader = ReaderHistory(ANYBODY, self.settings.touches)
        affinities = self.affinities(user_id, now)
        return ReaderProfile(
            interactions=reader.interactions,
            is_personal=self._known(user_id) is not None,
            tags=affinities["tags"],
            authors=affinities["authors"],
            principles=affinities["principles"],
            layers=affinities["layers"],
            neighbours=self._neighbours(reader),
            pace=math.exp(reader.pace.against_length),
            typical_dwell=math.exp(reader.pace.plain),
        )

    def affinities(self, user_id: str, now: int) -> dict[str, dict[str | int, float]]:
        """Return how a reader takes to tags, authors, principles and layers, from -1 to 1."""
        found: dict[str, dict[str | int, float]] = {kind: {} for kind in WIDTHS}
        if (reader := self._readers.get(user_id)) is not None:
            labels, affinities = self._affinities(reader.columns, now / MICROS)
            named = zip(self._attributes.named(labels), affinities.tolist(), strict=True)
            for label, affinity in named:
                found[label.kind][label.name] = affinity
        return found

    def liked(self, user_id: str, kinds: Sequence[str], now: int, count: int) -> list[Label]:
        """Return the labels of some kinds that a reader takes to most."""
        reader = self._readers.get(user_id)
        if reader is None:
            return []
        labels, affinities = self._affinities(reader.columns, now / MICROS)
        labels, first = np.unique(labels[affinities > 0], return_index=True)
        order = np.argsort(-affinities[affinities > 0][first], kind="stable")
        named = (self._attributes.named(labels[[each]])[0] for each in order)
        return list(islice((label for label in named if label.kind in kinds), count))

    def interactions(self, user_id: str) -> int:
        """Return how many interactions of a reader are remembered."""
        reader = self._readers.get(user_id)
        return 0 if reader is None else reader.interactions

    def is_known(self, user_id: str) -> bool:
        """Tell whether enough is known of a reader for an order of their own."""
        return self._known(user_id) is not None

    def reader(self, number: int) -> ReaderHistory | None:
        """Return what is remembered of a reader that `touchers` knows by a number."""
        return self._readers.get(self._names.get(number, GUEST))

    def _known(self, user_id: str) -> ReaderHistory | None:
        reader = self._readers.get(user_id)
        enough = reader is not None and reader.interactions >= self.settings.min_interactions
        return reader if enough else None

    def _fade(self, last: Floats, now: float) -> Floats:
        ages = np.maximum(now - last, 0.0)
        faded: Floats = np.exp2(-ages / (self.settings.half_life * DAY))
        return faded

    # The parts of a score

    def _of_crowd(self, candidate_readers: CandidateReaders, ages: Floats) -> dict[str, Floats]:
        """Count who is at it: a sum of 1 / (1 + t/τ) over distinct readers, each t seconds ago.

        What a reader did themselves makes nothing better for them: they are not present.
        """
        burst = candidate_readers.sum(1 / (1 + candidate_readers.ages / self.settings.burst))
        return {"burst": np.log(burst + _LEAST_BURST), "freshness": -np.log1p(ages / _FRESH)}

    def _of_neighbours(
        self,
        known: HistoryColumns,
        candidate_readers: CandidateReaders,
        co_engagements: CoEngagements,
        now: float,
    ) -> dict[str, Floats]:
        """Compare a reader with those who touched each K-Block.

        Kinship is the mean, over its readers, of how much of what they like this reader likes
        too: the co-touch cosine in its asymmetric form, which does not favour readers of much
        (Aiolli, Efficient top-N recommendation for very large scale binary rated datasets, RecSys
        2013). Thread and aversion are cosines between K-Blocks, by their readers.
        """
        faded = self._fade(known.last, now)
        alike = 1 / np.sqrt(self._recent_readers.count(self._attributes.rows(known.places)) + 1)
        last = np.zeros(len(alike))
        last[-1:] = alike[-1:]
        breadth = self._recent_readers.breadth(candidate_readers.people) + _PRIOR
        kin = candidate_readers.of_people(
            co_engagements.spread(faded * (known.worth > 0)) / breadth
        )
        near = candidate_readers.of_people(co_engagements.spread(last))
        far = np.zeros(candidate_readers.kblocks)
        if (disliked := known.worth < 0).any():
            far = candidate_readers.of_people(co_engagements.spread(alike * faded * disliked))
        scale = np.sqrt(candidate_readers.readers + 1)
        return {
            "kinship": np.log((kin + _STRANGER) / (candidate_readers.readers + 1) / _STRANGER),
            "thread": np.log1p(near / scale / _UNRELATED),
            "aversion": -np.log1p(far / scale / _UNRELATED),
        }

    def _affinities(self, known: HistoryColumns, now: float) -> tuple[Numbers, Floats]:
        """Return net / (gross + 5) of what a reader's interactions say of each label.

        Both sums fade; 5 is what keeps a first impression small.
        """
        worth = known.worth * self._fade(known.last, now)
        return self._attributes.affinities(known.places, worth, _PRIOR)

    def _of_habit(
        self, known: HistoryColumns, places: Numbers, appeared: Floats
    ) -> dict[str, Floats]:
        """Note what the reader touched before, and what they passed over on the way to others."""
        passed = len(known.first) - np.searchsorted(np.sort(known.first), appeared)
        seen = self._attributes.among(places, known.places)
        return {"passed": -np.log1p(passed.astype(np.float64)), "seen": -seen.astype(np.float64)}

    def _neighbours(self, reader: ReaderHistory) -> list[SimilarReader]:
        """Return the readers who like most of the same, by the cosine of both sets."""
        known = reader.columns
        liked = self._attributes.rows(known.places[known.worth > 0])
        who = self._recent_readers.who(liked).ravel()
        numbers, co_engagements = np.unique(who, return_counts=True)
        breadth = self._recent_readers.breadth(numbers)
        cosines = co_engagements / np.sqrt(np.maximum(breadth, co_engagements) * max(len(liked), 1))
        found = [
            SimilarReader(self._names[number], cosine)
            for number, cosine in zip(numbers.tolist(), cosines.tolist(), strict=True)
            if number in self._names and number != reader.number
        ]
        return sorted(found, key=lambda each: (-each.similarity, each.user_id))[:_NEIGHBOURS]

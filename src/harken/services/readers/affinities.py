"""What readers like, learned from all events: the state behind the personal ranking.

A score is a weighted sum of logarithms, as of a product of odds. Nothing in it is trained:
`score_parts` says what each part means, and docs/evaluation.md how the constants were chosen. The
state follows from the log alone, event by event; its size is bounded per reader and per K-Block.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from harken.domain.feedback import GUEST, FeedbackAction
from harken.services.readers.co_engagement import (
    ANYBODY,
    CandidateReaders,
    CoEngagements,
    Numbers,
)
from harken.services.readers.history import MICROS, HistoryColumns, ReaderHistory, Touch
from harken.services.readers.item_attributes import NO_TEXT, WIDTHS, ItemAttributes, Label
from harken.services.readers.personal_parts import PersonalParts
from harken.services.readers.profile import AffinityScores, ReaderProfile, SimilarReader
from harken.services.readers.recent_readers import RecentReaders
from harken.services.readers.score_parts import (
    GUEST_EVENTS,
    PARTS,
    known_weights,
    shares_by_evidence,
)
from harken.services.texts.taste import Taste
from harken.services.texts.vectors import TextVectors

_NEIGHBOURS = 20


@dataclass(frozen=True)
class AffinitySettings:
    """How affinities are learned, and how the personal score is weighed.

    half_life: after so many days, an interaction counts half in a profile.
    activity_scale: after so many seconds, a reader counts half in `recent_activity`.
    min_interactions: a reader with fewer of them gets the parts `EVERYBODYS` alone.
    touches, recent_readers: how many are kept for each reader, and for each K-Block.
    weights: replace those of `PARTS`; the former names of parts are accepted, too.

    Raises ValueError for a size that is not above 0, and for a part that is unknown.
    """

    half_life: float = 30.0
    activity_scale: float = 900.0
    min_interactions: int = 5
    touches: int = 200
    recent_readers: int = 64
    weights: Mapping[str, float] = field(default_factory=lambda: PARTS)

    @property
    def fixed(self) -> frozenset[str]:
        """The parts whose weights were set, so that they are not learned."""
        return frozenset(name for name, weight in self.weights.items() if weight != PARTS[name])

    def __post_init__(self) -> None:
        if min(self.half_life, self.activity_scale, self.touches, self.recent_readers) <= 0:
            raise ValueError(
                "half_life, activity_scale, touches and recent_readers must be more than 0"
            )
        object.__setattr__(self, "weights", known_weights(self.weights))  # as it is frozen


class Affinities:
    """The affinities of all readers; times are in microseconds since 1970.

    The owner passes every event to `observe`, in order of time. No clock and no database is read.
    """

    def __init__(
        self, settings: AffinitySettings | None = None, texts: TextVectors | None = None
    ) -> None:
        """Begin without events; `texts` are the texts of K-Blocks, kept up to date elsewhere."""
        self.settings = settings or AffinitySettings()
        self.texts = TextVectors() if texts is None else texts
        self.weights = dict(PARTS) | dict(self.settings.weights)
        """The weight of each part of the personal score; it may be learned, see `learning`."""
        self._attributes = ItemAttributes()
        self._readers: dict[str, ReaderHistory] = {}
        self._names: dict[int, str] = {}
        self._guest_events = 0
        self._forgotten = 0
        self._recent_readers = RecentReaders(self.settings.recent_readers)
        self._last_taste: tuple[tuple[HistoryColumns, float, int], Taste | None] | None = None
        self._parts = PersonalParts(
            self._attributes,
            self._recent_readers,
            self.texts,
            self.settings.activity_scale,
            self.settings.half_life,
        )

    # Learning

    def describe(
        self,
        kblock_id: str,
        *,
        author: str | None = None,
        tags: Sequence[str] = (),
        principles: Sequence[str] = (),
        layer: int | None = None,
        folder: str | None = None,
        source: str | None = None,
        words: int | None = None,
        created_at: int | None = None,
        text: int = NO_TEXT,
    ) -> None:
        """Set the labels, the length (words), the time of creation, the key of the text.

        A K-Block that is not described is scored by its events alone.
        """
        labels: dict[str, Sequence[str | int]] = {
            "tags": tags,
            "authors": () if author is None else (author,),
            "principles": principles,
            "layers": () if layer is None else (layer,),
            "folders": () if folder is None else (folder,),
            "sources": () if source is None else (source,),
        }
        created = None if created_at is None else created_at / MICROS
        place = self._attributes.place(kblock_id)
        self._attributes.describe(place, labels, words, created, text)

    def observe(self, touch: Touch) -> None:
        """Add an event. A guest's event counts as activity on the K-Block, and makes no profile."""
        attributes = self._attributes
        place, at = attributes.place(touch.kblock_id), touch.at / MICROS
        row = attributes.row(place)
        if not row:
            row = self._recent_readers.add_row()
            attributes.set_row(place, row)
        attributes.appear(place, at)
        number = ANYBODY
        if touch.user_id == GUEST:
            self._guest_events += 1
        else:
            reader = self._readers.get(touch.user_id)
            if reader is None:
                reader = self._add_reader(touch.user_id)
            number = reader.number
            self._recent_readers.widen(number, reader.add(touch, place, attributes.words(place)))
        if touch.action in {FeedbackAction.VIEW, FeedbackAction.ENGAGE}:
            self._recent_readers.put(row, number, at)
        elif touch.action == FeedbackAction.DISMISS and number != ANYBODY:
            self._recent_readers.remove(row, number)

    def forget(self, user_id: str, before: int | None = None) -> None:
        """Forget the history of a reader: all of it, or what lies before a time.

        The reader still counts among the readers of K-Blocks, without a name: they are no longer
        a similar reader of anybody.
        """
        reader = self._readers.pop(user_id, None)
        if reader is None:
            return
        del self._names[reader.number]
        if before is None:
            self._forgotten += 1
            return
        kept = self._add_reader(user_id)
        for touch, place in reader.since(before):
            self._recent_readers.widen(
                kept.number, kept.add(touch, place, self._attributes.words(place))
            )
            self._recent_readers.rename(self._attributes.row(place), reader.number, kept.number)
        if not len(kept):
            self.forget(user_id)

    def recall(self, user_id: str, touches: Sequence[Touch]) -> None:
        """Replace the history of a reader by these events, the latest last.

        The reader's number stays the same, unless there are no events.
        """
        reader = self._readers.pop(user_id, None)
        if reader is not None:
            del self._names[reader.number]
            for row in self._attributes.rows(reader.columns.places).tolist():
                self._recent_readers.remove(row, reader.number)
            self._recent_readers.reset(reader.number)
            if touches:
                self._add_reader(user_id, reader.number)
        for touch in touches:
            self.observe(touch)

    def _add_reader(self, user_id: str, number: int | None = None) -> ReaderHistory:
        if number is None:
            number = self._recent_readers.add_reader()
        reader = ReaderHistory(number, self.settings.touches)
        self._readers[user_id] = reader
        self._names[reader.number] = user_id
        return reader

    # What is known

    def score(self, user_id: str, kblock_ids: Sequence[str], now: int) -> AffinityScores:
        """Score K-Blocks for a reader at `now`; neither has to be known."""
        return self.score_places(user_id, self._attributes.places(kblock_ids, len(kblock_ids)), now)

    @property
    def attributes(self) -> ItemAttributes:
        """The attributes of K-Blocks, by their places; only to be read."""
        return self._attributes

    @property
    def recent_readers(self) -> RecentReaders:
        """The last readers of each K-Block, by its row; only to be read."""
        return self._recent_readers

    def number(self, user_id: str) -> int:
        """Return the number of a reader in `recent_readers`; a new one if they have none."""
        reader = self._readers.get(user_id)
        return (self._add_reader(user_id) if reader is None else reader).number

    def history(self, user_id: str) -> ReaderHistory | None:
        """Return the history of a reader, None without one; only to be read."""
        return self._readers.get(user_id)

    def place(self, kblock_id: str) -> int:
        """Return the place of a K-Block, as `score_places` takes it; a new one if it has none."""
        return self._attributes.place(kblock_id)

    def score_places(self, user_id: str, places: Numbers, now: int) -> AffinityScores:
        """Score K-Blocks that are given by their places."""
        known = self._known(user_id)
        me = ANYBODY if known is None else known.number
        candidate_readers = self._parts.candidate_readers(places, me, now / MICROS)
        return self.score_candidates(user_id, places, candidate_readers, now)

    def score_candidates(
        self,
        user_id: str,
        places: Numbers,
        candidate_readers: CandidateReaders,
        now: int,
        co_engagements: CoEngagements | None = None,
    ) -> AffinityScores:
        """Score K-Blocks whose recent readers are given.

        `co_engagements` are those of these readers with the reader's own K-Blocks; they are
        computed if they are not given.
        """
        seconds, reader = now / MICROS, self._known(user_id)
        appeared = np.minimum(self._attributes.appeared(places), seconds)  # unknown: new
        shares = shares_by_evidence(self._others(is_known=reader is not None))
        weights = {name: weight * shares[name] for name, weight in self.weights.items()}
        parts = dict.fromkeys(weights, np.zeros(len(places)))
        parts |= self._parts.of_everybody(candidate_readers, seconds - appeared)
        if reader is not None:
            known = reader.columns
            if co_engagements is None:
                co_engagements = self._parts.co_engagements(known, candidate_readers, seconds)
            parts |= self._parts.of_similar_readers(
                known, candidate_readers, co_engagements, seconds
            )
            taste = self._taste_of(known, seconds)
            parts |= self._parts.of_contents(known, taste, places, seconds)
            parts |= self._parts.of_own_history(known, places, appeared)
        total = np.zeros(len(places))
        for name, weight in weights.items():
            total += weight * parts[name]
        return AffinityScores(total, parts, weights, shares, reader is not None)

    def _others(self, *, is_known: bool) -> float:
        """Return how many others a reader is among: readers, also forgotten ones, and guests."""
        named = len(self._readers) - is_known + self._forgotten
        return named + self._guest_events / GUEST_EVENTS

    def taste(self, user_id: str, now: int) -> Taste | None:
        """Return a reader's taste in words; None without one, or with too few interactions."""
        reader = self._known(user_id)
        return None if reader is None else self._taste_of(reader.columns, now / MICROS)

    def _taste_of(self, known: HistoryColumns, now: float) -> Taste | None:
        """Return the taste that follows from a history; the last one is kept, as a page asks twice.

        A history that changes gets other columns.
        """
        for_whom = known, now, self.texts.changes
        if self._last_taste is None or not _is_same(for_whom, self._last_taste[0]):
            self._last_taste = for_whom, self._parts.taste(known, now)
        return self._last_taste[1]

    def profile(self, user_id: str, now: int) -> ReaderProfile:
        """Return the profile of a reader; an empty one for a reader without interactions."""
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
            folders=affinities["folders"],
            sources=affinities["sources"],
            neighbours=self._neighbours(reader),
            pace=math.exp(reader.pace.against_length),
            typical_dwell=math.exp(reader.pace.plain),
        )

    def affinities(self, user_id: str, now: int) -> dict[str, dict[str | int, float]]:
        """Return a reader's affinities from -1 to 1: by kind of label, then by label."""
        found: dict[str, dict[str | int, float]] = {kind: {} for kind in WIDTHS}
        if (reader := self._readers.get(user_id)) is not None:
            labels, affinities = self._parts.affinities(reader.columns, now / MICROS)
            named = zip(self._attributes.named(labels), affinities.tolist(), strict=True)
            for label, affinity in named:
                found[label.kind][label.name] = affinity
        return found

    def liked(self, user_id: str, kinds: Sequence[str], now: int, count: int) -> list[Label]:
        """Return the `count` labels of some kinds with the highest affinity, all above 0."""
        reader = self._readers.get(user_id)
        if reader is None:
            return []
        labels, affinities = self._parts.affinities(reader.columns, now / MICROS)
        labels, first = np.unique(labels[affinities > 0], return_index=True)
        order = np.argsort(-affinities[affinities > 0][first], kind="stable")
        named = (self._attributes.named(labels[[each]])[0] for each in order)
        return list(islice((label for label in named if label.kind in kinds), count))

    def interactions(self, user_id: str) -> int:
        """Return how many interactions of a reader are remembered."""
        reader = self._readers.get(user_id)
        return 0 if reader is None else reader.interactions

    def is_known(self, user_id: str) -> bool:
        """Tell whether a reader has enough interactions for a personal order."""
        return self._known(user_id) is not None

    def reader(self, number: int) -> ReaderHistory | None:
        """Return the history of the reader with a number of `recent_readers`; None for another."""
        return self._readers.get(self._names.get(number, GUEST))

    def _known(self, user_id: str) -> ReaderHistory | None:
        reader = self._readers.get(user_id)
        enough = reader is not None and reader.interactions >= self.settings.min_interactions
        return reader if enough else None

    def _neighbours(self, reader: ReaderHistory) -> list[SimilarReader]:
        """Return the most similar readers, by the cosine of the sets of K-Blocks that they like."""
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


def _is_same(
    one: tuple[HistoryColumns, float, int], other: tuple[HistoryColumns, float, int]
) -> bool:
    return one[0] is other[0] and one[1:] == other[1:]

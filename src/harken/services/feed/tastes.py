"""What readers like, learned from what everybody did: the state behind the personal ranking.

A score is a sum of logarithms, as of a product of odds, and untrained: what each part means is
said at `PARTS`, and docs/evaluation.md says how its few constants were found. The state follows
from the log alone, event by event, and is bounded for each reader and for each K-Block.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from harken.domain.feedback import GUEST, FeedbackAction
from harken.services.feed.reader_memory import MICROS, Content, Memory, ReaderMemory, Touch
from harken.services.feed.touchers import ANYBODY, Floats, Numbers, Touchers

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
class TasteSettings:
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
    touchers: int = 64
    weights: Mapping[str, float] = field(default_factory=lambda: PARTS)

    def __post_init__(self) -> None:
        if min(self.half_life, self.burst, self.touches, self.touchers) <= 0:
            raise ValueError("half_life, burst, touches and touchers must be more than 0")
        if unknown := self.weights.keys() - PARTS.keys():
            raise ValueError(f"weights of {sorted(unknown)} are unknown; known are {list(PARTS)}")


@dataclass(frozen=True)
class Scored:
    """Scores of some K-Blocks: `total` is the sum of `parts` times `weights`, in that order."""

    total: Floats
    parts: Mapping[str, Floats]
    weights: Mapping[str, float]
    is_personal: bool


class Neighbour(NamedTuple):
    """A reader of similar taste: the cosine of what both like, from 0 to 1."""

    user_id: str
    similarity: float


@dataclass(frozen=True)
class Profile:
    """What is known of a reader. Affinities lie between -1 (dismissed) and 1 (liked).

    `pace` is how long they stay, compared with what the words take an average reader;
    `typical_dwell` is in seconds.
    """

    interactions: int
    is_personal: bool
    tags: Mapping[str | int, float]
    authors: Mapping[str | int, float]
    principles: Mapping[str | int, float]
    layers: Mapping[str | int, float]
    neighbours: Sequence[Neighbour]
    pace: float
    typical_dwell: float


class Tastes:
    """What readers like; times are in microseconds since 1970.

    Nothing here reads a clock or a database: whoever holds it hands over every event, in order.
    """

    def __init__(self, settings: TasteSettings | None = None) -> None:
        self.settings = settings or TasteSettings()
        self._weights = dict(PARTS) | dict(self.settings.weights)
        self._contents: dict[str, Content] = {}
        self._readers: dict[str, ReaderMemory] = {}
        self._names: dict[int, str] = {}
        self._touchers = Touchers(self.settings.touchers)

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
        content = self._content(kblock_id)
        content.words = words
        labels = {
            "tags": tuple(tags),
            "authors": () if author is None else (author,),
            "principles": tuple(principles),
            "layers": () if layer is None else (layer,),
        }
        content.labels = {kind: each for kind, each in labels.items() if each}
        if created_at is not None:
            content.appeared, content.is_dated = created_at / MICROS, True

    def observe(self, touch: Touch) -> None:
        """Take up an event. A guest's counts for the crowd, and makes no profile."""
        content = self._content(touch.kblock_id)
        if not content.row:
            content.row = self._touchers.add_row()
        if not content.is_dated:
            content.appeared = min(content.appeared, touch.at / MICROS)
        number = ANYBODY
        if touch.user_id != GUEST:
            reader = self._readers.get(touch.user_id)
            if reader is None:
                reader = self._meet(touch.user_id)
            number = reader.number
            self._touchers.widen(number, reader.add(touch, content))
        if touch.action in {FeedbackAction.VIEW, FeedbackAction.ENGAGE}:
            self._touchers.put(content.row, number, touch.at / MICROS)
        elif touch.action == FeedbackAction.DISMISS and number != ANYBODY:
            self._touchers.remove(content.row, number)

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
        for touch, content in reader.since(before):
            self._touchers.widen(kept.number, kept.add(touch, content))
            self._touchers.rename(content.row, reader.number, kept.number)
        if not len(kept):
            self.forget(user_id)

    def recall(self, user_id: str, touches: Sequence[Touch]) -> None:
        """Replace what is remembered of a reader by these events, the latest last."""
        reader = self._readers.pop(user_id, None)
        if reader is not None:
            del self._names[reader.number]
            for memory in reader:
                self._touchers.remove(memory.content.row, reader.number)
        for touch in touches:
            self.observe(touch)

    def _content(self, kblock_id: str) -> Content:
        content = self._contents.get(kblock_id)
        if content is None:
            content = self._contents[kblock_id] = Content(kblock_id)
        return content

    def _meet(self, user_id: str) -> ReaderMemory:
        reader = ReaderMemory(self._touchers.add_reader(), self.settings.touches)
        self._readers[user_id] = reader
        self._names[reader.number] = user_id
        return reader

    # What is known

    def score(self, user_id: str, kblock_ids: Sequence[str], now: int) -> Scored:
        """Score K-Blocks for a reader, by what was observed so far; they need not be known."""
        seconds = now / MICROS
        contents = [self._contents.get(each) or Content(each) for each in kblock_ids]
        rows = np.fromiter((content.row for content in contents), np.intp, len(contents))
        appeared = np.fromiter((content.appeared for content in contents), float, len(contents))
        appeared = np.minimum(appeared, seconds)  # what nobody knew is new
        parts = dict.fromkeys(self._weights, np.zeros(len(contents)))
        reader = self._known(user_id)
        me = ANYBODY if reader is None else reader.number
        parts |= self._of_crowd(rows, seconds - appeared, seconds, me)
        if reader is not None:
            parts |= self._of_neighbours(reader, rows, seconds)
            parts |= self._of_labels(reader, contents, seconds)
            parts |= _of_habit(reader, contents, appeared)
        total = np.zeros(len(contents))
        for name, weight in self._weights.items():
            total += weight * parts[name]
        return Scored(total, parts, self._weights, reader is not None)

    def profile(self, user_id: str, now: int) -> Profile:
        """Return what is known of a reader; nothing, of one who did nothing."""
        reader = self._readers.get(user_id)
        if reader is None:
            reader = ReaderMemory(ANYBODY, self.settings.touches)
        affinities = self._affinities(reader, now / MICROS)
        return Profile(
            interactions=reader.interactions,
            is_personal=self._known(user_id) is not None,
            tags=affinities.get("tags", {}),
            authors=affinities.get("authors", {}),
            principles=affinities.get("principles", {}),
            layers=affinities.get("layers", {}),
            neighbours=self._neighbours(reader),
            pace=math.exp(reader.pace.against_length),
            typical_dwell=math.exp(reader.pace.plain),
        )

    def _known(self, user_id: str) -> ReaderMemory | None:
        reader = self._readers.get(user_id)
        enough = reader is not None and reader.interactions >= self.settings.min_interactions
        return reader if enough else None

    def _fade(self, memory: Memory, now: float) -> float:
        return float(2.0 ** (-max(now - memory.last, 0.0) / (self.settings.half_life * DAY)))

    # The parts of a score

    def _of_crowd(self, rows: Numbers, ages: Floats, now: float, me: int) -> dict[str, Floats]:
        """Count who is at it: a sum of 1 / (1 + t/τ) over distinct readers, each t seconds ago.

        What a reader did themselves makes nothing better for them.
        """
        since = self._touchers.ages(rows, now)
        if me != ANYBODY:
            since[self._touchers.who(rows) == me] = np.inf
        present = (1 / (1 + since / self.settings.burst)).sum(axis=1)
        return {"burst": np.log(present + _LEAST_BURST), "freshness": -np.log1p(ages / _FRESH)}

    def _of_neighbours(self, reader: ReaderMemory, rows: Numbers, now: float) -> dict[str, Floats]:
        """Compare a reader with those who touched each K-Block.

        Kinship is the mean, over its readers, of how much of what they like this reader likes
        too: the co-touch cosine in its asymmetric form, which does not favour readers of much
        (Aiolli, Efficient top-N recommendation for very large scale binary rated datasets, RecSys
        2013). Thread and aversion are cosines between K-Blocks, by their readers.
        """
        who = self._touchers.who(rows)
        count = self._touchers.count(rows)
        liked = [memory for memory in reader if memory.worth > 0]
        disliked = [memory for memory in reader if memory.worth < 0]

        shared = self._spread(reader, liked, [self._fade(each, now) for each in liked], who)
        kin = (shared / (self._touchers.breadth(who) + _PRIOR)).sum(axis=1)
        near = self._alike(reader, [reader.last], [1.0], who, count)
        far = self._alike(
            reader, disliked, [self._fade(each, now) for each in disliked], who, count
        )
        return {
            "kinship": np.log((kin + _STRANGER) / (count + 1) / _STRANGER),
            "thread": np.log1p(near / _UNRELATED),
            "aversion": -np.log1p(far / _UNRELATED),
        }

    def _alike(
        self,
        reader: ReaderMemory,
        memories: Sequence[Memory],
        weights: Sequence[float],
        who: Numbers,
        count: Floats,
    ) -> Floats:
        """Return the weighted sum of cosines with some K-Blocks, by their readers but this one."""
        rows = np.array([memory.content.row for memory in memories], np.intp)
        scaled = np.array(weights) / np.sqrt(self._touchers.count(rows) + 1)
        shared = self._spread(reader, memories, scaled, who).sum(axis=1)
        alike: Floats = shared / np.sqrt(count + 1)
        return alike

    def _spread(
        self,
        reader: ReaderMemory,
        memories: Sequence[Memory],
        weights: Sequence[float] | Floats,
        who: Numbers,
    ) -> Floats:
        rows = np.array([memory.content.row for memory in memories], np.intp)
        return self._touchers.spread(rows, np.asarray(weights, np.float64), who, reader.number)

    def _of_labels(
        self, reader: ReaderMemory, contents: Sequence[Content], now: float
    ) -> dict[str, Floats]:
        """Average a reader's affinities to the labels that each K-Block has."""
        return {
            kind: _means(known, [content.labels.get(kind, ()) for content in contents])
            for kind, known in self._affinities(reader, now).items()
        }

    def _affinities(self, reader: ReaderMemory, now: float) -> dict[str, dict[str | int, float]]:
        """Return net / (gross + 5) of what a reader's interactions say of each label.

        Both sums fade; 5 is what keeps a first impression small.
        """
        net: dict[str, dict[str | int, float]] = {}
        gross: dict[str, dict[str | int, float]] = {}
        for memory in reader:
            worth = memory.worth * self._fade(memory, now)
            for kind, labels in memory.content.labels.items():
                nets, grosses = net.setdefault(kind, {}), gross.setdefault(kind, {})
                for label in labels:
                    nets[label] = nets.get(label, 0.0) + worth
                    grosses[label] = grosses.get(label, 0.0) + abs(worth)
        return {
            kind: {label: each / (gross[kind][label] + _PRIOR) for label, each in nets.items()}
            for kind, nets in net.items()
        }

    def _neighbours(self, reader: ReaderMemory) -> list[Neighbour]:
        """Return the readers who like most of the same, by the cosine of both sets."""
        liked = [memory.content.row for memory in reader if memory.worth > 0]
        who = self._touchers.who(np.array(liked, np.intp)).ravel()
        numbers, shared = np.unique(who, return_counts=True)
        breadth = self._touchers.breadth(numbers)
        cosines = shared / np.sqrt(np.maximum(breadth, shared) * max(len(liked), 1))
        found = [
            Neighbour(self._names[number], cosine)
            for number, cosine in zip(numbers.tolist(), cosines.tolist(), strict=True)
            if number in self._names and number != reader.number
        ]
        return sorted(found, key=lambda each: (-each.similarity, each.user_id))[:_NEIGHBOURS]


def _of_habit(
    reader: ReaderMemory, contents: Sequence[Content], appeared: Floats
) -> dict[str, Floats]:
    """Note what the reader touched before, and what they passed over on the way to others."""
    touched = np.sort([memory.first for memory in reader])
    passed = len(touched) - np.searchsorted(touched, appeared)
    seen = [-1.0 if content.kblock_id in reader else 0.0 for content in contents]
    return {"passed": -np.log1p(passed.astype(np.float64)), "seen": np.array(seen)}


def _means(known: Mapping[str | int, float], labels: Sequence[Sequence[str | int]]) -> Floats:
    """Return the mean of what is known of some labels, 0 for none."""
    of = known.get
    means = [
        sum([of(label, 0.0) for label in each]) / len(each) if each else 0.0 for each in labels
    ]
    return np.array(means)

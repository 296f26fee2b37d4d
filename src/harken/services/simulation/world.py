"""A world: K-Blocks, and readers with known tastes for them, all determined by a seed."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harken.domain.kblock import KBlock
from harken.services.simulation.readers import FADING, Habits, SimulatedReader, Tastes
from harken.services.simulation.topics import (
    AUTHORS,
    NOTICE,
    PRINCIPLES,
    READERS,
    SENTENCES,
    TITLES,
    TOPICS,
)

Floats = NDArray[np.float64]

SIMULATED = "simulated"
"""The mark of drawn K-Blocks, in their authors and as the first folder of their paths.

It is not a tag, since every reader would seem to like that tag.
"""
USER_PREFIX = "sim-"
"""The prefix of the ids of simulated readers."""

# Streams of a seed, each with its own generator, so that drawing more of one does not change the
# others.
_KBLOCKS, _CLUSTERS, _READERS = range(3)
_KINDS = ("tags", "authors", "principles", "layers")


@dataclass(frozen=True)
class Population:
    """How readers are drawn: in clusters, around the tastes that a cluster's readers share.

    A cluster likes a few tags, drawn in proportion to how common they are, and is nearly
    indifferent to the others: interests are sparse. All values except the counts are in log-odds.
    """

    readers: int = 40
    clusters: int = 4
    interests: int = 8
    """Number of tags that a cluster likes."""
    strength: float = 2.5
    """What such a tag adds to the utility."""
    indifference: float = 0.3
    """Standard deviation of what other labels add, for a cluster."""
    within: float = 0.4
    """Standard deviation of readers around their cluster, for each label."""
    base: float = -2.8
    base_spread: float = 0.3
    """Standard deviation of `base` among readers."""
    appeal: float = 0.4
    opinion: float = 0.4
    habits: Habits = field(default_factory=Habits)
    """The habits of the average reader; each reader's habits vary around them."""


AVERAGE = Population()


@dataclass(frozen=True)
class World:
    """The K-Blocks and readers of a simulation."""

    kblocks: tuple[KBlock, ...]
    readers: tuple[SimulatedReader, ...]

    def relevances(self) -> Floats:
        """Return the ground truth: readers × K-Blocks, probabilities of interest."""
        return np.stack([reader.relevances(self.kblocks) for reader in self.readers])


def draw_world(
    seed: int,
    until: datetime,
    kblocks: int = 400,
    population: Population = AVERAGE,
    span: timedelta = timedelta(days=28),
) -> World:
    """Draw K-Blocks, made in the `span` before a time, and readers with tastes for them."""
    drawn = draw_kblocks(seed, kblocks, until, span)
    return World(tuple(drawn), tuple(draw_readers(seed, drawn, population)))


def draw_kblocks(seed: int, count: int, until: datetime, span: timedelta) -> list[KBlock]:
    """Draw K-Blocks, the oldest first, made at any time of the `span` that ends with `until`.

    Each K-Block has one topic; the topic and one or two of its subjects are its tags. Authors write
    about two topics. Author, path and text say that a K-Block is simulated.
    """
    rng = np.random.default_rng([seed, _KBLOCKS])
    ages = sorted(rng.random(count).tolist(), reverse=True)
    return [_kblock(number, until - age * span, rng) for number, age in enumerate(ages)]


def _kblock(number: int, at: datetime, rng: np.random.Generator) -> KBlock:
    topics = list(TOPICS)
    topic = int(rng.integers(len(topics)))
    name = topics[topic]
    first, second = _choose(rng, TOPICS[name], 2)
    # Two of the four authors of a topic also write about the next topic.
    author = AUTHORS[(2 * topic + int(rng.integers(4))) % len(AUTHORS)]
    title = str(rng.choice(TITLES)).format(first, second)
    frames = _choose(rng, SENTENCES, int(rng.integers(3, len(SENTENCES) + 1)))
    paragraph = " ".join(frame.format(first, second) for frame in frames)
    times = int(rng.integers(1, 7))
    return KBlock(
        id=f"{USER_PREFIX}{name}-{number:04d}",
        title=title[0].upper() + title[1:],
        content="\n\n".join([NOTICE, *[_sentence(paragraph)] * times]),
        path=f"{SIMULATED}/{name}/{number:04d}.md",
        kind=FADING,
        layer=int(rng.integers(1, 8)),
        author=f"{author} ({SIMULATED})",
        tags=(name, first, second)[: int(rng.integers(2, 4))],
        principles=tuple(_choose(rng, PRINCIPLES, int(rng.integers(0, 3)))),
        galois_loss=round(float(rng.beta(1.5, 4.0)), 2),
        created_at=at,
    )


def _sentence(text: str) -> str:
    return ". ".join(each[:1].upper() + each[1:] for each in text.split(". "))


def _choose(rng: np.random.Generator, among: Sequence[str], count: int) -> list[str]:
    return [among[i] for i in rng.choice(len(among), count, replace=False).tolist()]


def draw_readers(
    seed: int,
    kblocks: Iterable[KBlock],
    population: Population = AVERAGE,
) -> list[SimulatedReader]:
    """Draw readers with tastes for the labels of some K-Blocks, simulated or not.

    Readers are assigned to clusters in turn, so the sizes of clusters differ by at most one.
    """
    labels = _labels(kblocks)
    rng = np.random.default_rng([seed, _CLUSTERS])
    centres = [_centre(rng, labels, population) for _ in range(population.clusters)]
    return [
        _reader(seed, number, centres[number % population.clusters], labels, population)
        for number in range(population.readers)
    ]


def _labels(kblocks: Iterable[KBlock]) -> dict[str, Counter[Any]]:
    """Count the labels of K-Blocks by kind, in a deterministic order."""
    found: dict[str, Counter[Any]] = {kind: Counter() for kind in _KINDS}
    for kblock in kblocks:
        found["tags"].update(kblock.tags)
        found["principles"].update(kblock.principles)
        found["authors"].update([] if kblock.author is None else [kblock.author])
        found["layers"].update([] if kblock.layer is None else [kblock.layer])
    return {kind: Counter(dict(sorted(counts.items()))) for kind, counts in found.items()}


def _centre(rng: np.random.Generator, labels: Mapping[str, Counter[Any]], of: Population) -> Tastes:
    tastes = _around(Tastes(), rng, labels, of.indifference)
    tags, counts = list(labels["tags"]), np.array(list(labels["tags"].values()), np.float64)
    if not tags:
        return tastes
    count = min(of.interests, len(tags))
    liked = rng.choice(len(tags), count, replace=False, p=counts / counts.sum())
    return replace(tastes, tags={**tastes.tags, **{tags[i]: of.strength for i in liked.tolist()}})


def _around(
    centre: Tastes, rng: np.random.Generator, labels: Mapping[str, Counter[Any]], spread: float
) -> Tastes:
    """Draw tastes for some labels, normally distributed around those of a centre."""
    drawn: dict[str, Any] = {}
    for kind, known in labels.items():
        middle = getattr(centre, kind)
        moved = (spread * rng.standard_normal(len(known))).tolist()
        drawn[kind] = {
            label: middle.get(label, 0.0) + by for label, by in zip(known, moved, strict=True)
        }
    return Tastes(**drawn)


def _reader(
    seed: int, number: int, centre: Tastes, labels: Mapping[str, Counter[Any]], of: Population
) -> SimulatedReader:
    rng = np.random.default_rng([seed, _READERS, number])
    return SimulatedReader(
        user_id=_user_id(number),
        cluster=number % of.clusters,
        tastes=_around(centre, rng, labels, of.within),
        base=of.base + of.base_spread * float(rng.standard_normal()),
        habits=_habits(of.habits, rng),
        seed=seed,
        appeal=of.appeal,
        opinion=of.opinion,
    )


def _user_id(number: int) -> str:
    again, which = divmod(number, len(READERS))
    return USER_PREFIX + READERS[which] + (str(again + 1) if again else "")


def _habits(average: Habits, rng: np.random.Generator) -> Habits:
    """Draw habits around the average: visits, depth, reading speed and peak hour vary."""
    visits, depth, pace = np.exp(0.3 * rng.standard_normal(3)).tolist()
    return replace(
        average,
        visits_per_day=average.visits_per_day * visits,
        depth=average.depth * depth,
        words_per_second=average.words_per_second * pace,
        peak_hour=(average.peak_hour + 4 * float(rng.standard_normal())) % 24,
    )

"""A world: K-Blocks, and readers whose tastes for them are known. A seed settles all of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harken.domain.kblock import KBlock
from harken.services.simulation.readers import Habits, SimulatedReader, Tastes
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
"""The tag of every K-Block that was drawn, and the folder that its path begins with."""
USER_PREFIX = "sim-"
"""What the ids of simulated readers begin with."""

# What is drawn from a seed, each with a generator of its own, so that more of one leaves the others
# as they were.
_KBLOCKS, _CLUSTERS, _READERS = range(3)


@dataclass(frozen=True)
class Population:
    """How readers are drawn: in clusters, around tastes that a cluster's readers share.

    `between` and `within` are standard deviations, in log-odds for a tag: of clusters around 0, and
    of readers around their cluster. Authors, principles and layers count for less.
    """

    readers: int = 40
    clusters: int = 5
    between: float = 0.9
    within: float = 0.4
    authors: float = 0.4
    principles: float = 0.2
    layers: float = 0.2
    base: float = -2.8
    base_spread: float = 0.3
    """Standard deviation of `base` among readers."""
    appeal: float = 0.5
    opinion: float = 0.5
    habits: Habits = field(default_factory=Habits)
    """Of the average reader; each has habits somewhat of their own."""


AVERAGE = Population()


@dataclass(frozen=True)
class World:
    """K-Blocks and readers."""

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

    Each is of one topic: that, and one or two subjects of it, are its tags. Authors write about
    two topics. That they are simulated is said by tag, author, path and text.
    """
    chance = np.random.default_rng([seed, _KBLOCKS])
    ages = sorted(chance.random(count).tolist(), reverse=True)
    return [_kblock(number, until - age * span, chance) for number, age in enumerate(ages)]


def _kblock(number: int, at: datetime, chance: np.random.Generator) -> KBlock:
    topics = list(TOPICS)
    topic = int(chance.integers(len(topics)))
    name = topics[topic]
    first, second = _choose(chance, TOPICS[name], 2)
    # Of four authors who write about a topic, two write about the next one too.
    author = AUTHORS[(2 * topic + int(chance.integers(4))) % len(AUTHORS)]
    title = str(chance.choice(TITLES)).format(first, second)
    frames = _choose(chance, SENTENCES, int(chance.integers(3, len(SENTENCES) + 1)))
    paragraph = " ".join(frame.format(first, second) for frame in frames)
    times = int(chance.integers(1, 7))
    return KBlock(
        id=f"{USER_PREFIX}{name}-{number:04d}",
        title=title[0].upper() + title[1:],
        content="\n\n".join([NOTICE, *[_sentence(paragraph)] * times]),
        path=f"{SIMULATED}/{name}/{number:04d}.md",
        layer=int(chance.integers(1, 8)),
        author=author,
        tags=(SIMULATED, name, first, second)[: int(chance.integers(3, 5))],
        principles=tuple(_choose(chance, PRINCIPLES, int(chance.integers(0, 3)))),
        galois_loss=round(float(chance.beta(1.5, 4.0)), 2),
        created_at=at,
    )


def _sentence(text: str) -> str:
    return ". ".join(each[:1].upper() + each[1:] for each in text.split(". "))


def _choose(chance: np.random.Generator, among: Sequence[str], count: int) -> list[str]:
    return [among[i] for i in chance.choice(len(among), count, replace=False).tolist()]


def draw_readers(
    seed: int,
    kblocks: Iterable[KBlock],
    population: Population = AVERAGE,
) -> list[SimulatedReader]:
    """Draw readers whose tastes are over the labels of some K-Blocks, drawn or not.

    Clusters take turns, so they are of one size, give or take one reader.
    """
    labels = _labels(kblocks)
    chance = np.random.default_rng([seed, _CLUSTERS])
    centres = [_tastes(chance, labels, population, 1.0) for _ in range(population.clusters)]
    return [
        _reader(seed, number, centres[number % population.clusters], labels, population)
        for number in range(population.readers)
    ]


def _labels(kblocks: Iterable[KBlock]) -> dict[str, list[Any]]:
    """Return the labels that there are, in an order that is always the same."""
    found: dict[str, set[Any]] = {"tags": set(), "authors": set(), "principles": set()}
    found["layers"] = set()
    for kblock in kblocks:
        found["tags"].update(kblock.tags)
        found["principles"].update(kblock.principles)
        found["authors"].update([] if kblock.author is None else [kblock.author])
        found["layers"].update([] if kblock.layer is None else [kblock.layer])
    found["tags"].discard(SIMULATED)
    return {kind: sorted(each) for kind, each in found.items()}


def _tastes(
    chance: np.random.Generator, labels: dict[str, list[Any]], of: Population, share: float
) -> Tastes:
    """Draw tastes around 0; `share` is their spread, in units of that between clusters."""
    spreads = {
        "tags": of.between, "authors": of.authors, "principles": of.principles, "layers": of.layers,
    }  # fmt: skip
    drawn = {
        kind: chance.standard_normal(len(each)) * spreads[kind] * share
        for kind, each in labels.items()
    }
    return Tastes(
        **{kind: dict(zip(labels[kind], drawn[kind].tolist(), strict=True)) for kind in labels}
    )


def _reader(
    seed: int, number: int, centre: Tastes, labels: dict[str, list[Any]], of: Population
) -> SimulatedReader:
    chance = np.random.default_rng([seed, _READERS, number])
    own = _tastes(chance, labels, of, of.within / of.between)
    return SimulatedReader(
        user_id=_user_id(number),
        cluster=number % of.clusters,
        tastes=_sum(centre, own),
        base=of.base + of.base_spread * float(chance.standard_normal()),
        habits=_habits(of.habits, chance),
        seed=seed,
        appeal=of.appeal,
        opinion=of.opinion,
    )


def _user_id(number: int) -> str:
    again, which = divmod(number, len(READERS))
    return USER_PREFIX + READERS[which] + (str(again + 1) if again else "")


def _sum(one: Tastes, other: Tastes) -> Tastes:
    kinds = ("tags", "authors", "principles", "layers")
    added: dict[str, Any] = {
        kind: {
            label: value + getattr(other, kind)[label]
            for label, value in getattr(one, kind).items()
        }
        for kind in kinds
    }
    return Tastes(**added)


def _habits(average: Habits, chance: np.random.Generator) -> Habits:
    """Draw habits around the average: some come twice as often, in the morning, read faster."""
    visits, depth, pace = np.exp(0.3 * chance.standard_normal(3)).tolist()
    return replace(
        average,
        visits_per_day=average.visits_per_day * visits,
        depth=average.depth * depth,
        words_per_second=average.words_per_second * pace,
        peak_hour=(average.peak_hour + 4 * float(chance.standard_normal())) % 24,
    )

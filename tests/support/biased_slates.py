"""Simulated slates, ordered by earlier clicks, whose readers look at the top.

What is popular stands at the top, and what stands at the top is clicked: position and popularity
are confounded. What readers would like is known.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np

from harken.domain.kblock import KBlock
from harken.services.evaluation.holdout_replay import HoldoutReplay
from harken.services.learning.impressions import NEWS, Event
from harken.services.learning.point_in_time import Description, PointInTimeReplay, Slate
from harken.services.learning.ranker import Example, Model
from harken.services.learning.rolling_training import TrainingSettings
from harken.services.learning.training_plan import Bounds, TrainingData, plan
from harken.services.readers.history import MICROS, Touch
from harken.services.simulation.clicks import PositionBased
from harken.services.simulation.readers import Habits, SimulatedReader
from harken.services.simulation.sessions import ServedPage, simulate_session
from harken.services.simulation.world import Population, World, draw_world

END = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
FIRST = 10
_LETTERS_PER_WORD = 6


class Size(NamedTuple):
    """The size of a simulation; `noise` is the randomness of a page's order."""

    readers: int = 60
    kblocks: int = 700
    days: int = 42
    visits_per_day: float = 3.0
    page: int = 20
    noise: float = 0.5
    base: float = -1.8
    """The log-odds of a K-Block without labels to be of interest."""


class Biased(NamedTuple):
    """A world, and the log of its readers."""

    world: World
    log: TrainingData


def micros(at: datetime | None) -> int:
    assert at is not None
    return round(at.timestamp() * MICROS)


def _at(now: int) -> datetime:
    return datetime.fromtimestamp(now / MICROS, UTC)


def draw(seed: int, eta: float, size: Size = Size()) -> Biased:  # noqa: B008 — it is immutable
    """Simulate readers who look at the item at k with a probability of 1 / (1 + k)^eta.

    A page has what is new of the last two weeks and was not opened before, by
    ln(1 + events) + noise · Gumbel.
    """
    # Readers scroll to the end, so only the position decides what they look at.
    habits = Habits(visits_per_day=size.visits_per_day, depth=1e6)
    population = Population(readers=size.readers, base=size.base, habits=habits)
    world = draw_world(seed, END, size.kblocks, population, size.days * DAY)
    made = np.array([micros(each.created_at) for each in world.kblocks])
    counts, chance = np.zeros(len(made)), np.random.default_rng([seed, 1])
    places = {kblock.id: place for place, kblock in enumerate(world.kblocks)}
    opened: dict[str, set[str]] = {reader.user_id: set() for reader in world.readers}
    events: list[Event] = []
    slates: list[Slate] = []
    for number, (at, reader) in enumerate(_visits(world, size, chance)):
        is_there = (micros(at) - NEWS <= made) & (made < micros(at))
        is_there[[places[each] for each in opened[reader.user_id]]] = False
        there = np.flatnonzero(is_there)
        if len(there) < size.page:
            continue
        scores = np.log1p(counts[there]) + size.noise * chance.gumbel(size=len(there))
        shown = there[np.argsort(-scores, kind="stable")[: size.page]].tolist()
        page = ServedPage(f"request-{number}", [world.kblocks[place] for place in shown])
        ids = tuple(kblock.id for kblock in page.kblocks)
        slates.append(Slate(page.request_id, reader.user_id, ids, 0, micros(at)))
        done = opened[reader.user_id]
        for each in simulate_session(reader, page, at, PositionBased(eta), chance, done):
            events.append(_event(each))
            counts[places[each.kblock_id]] += 1
            done.add(each.kblock_id)
    events.sort(key=lambda event: event.touch.at)
    return Biased(world, TrainingData(events, slates, describe(world.kblocks)))


def _visits(
    world: World, size: Size, chance: np.random.Generator
) -> list[tuple[datetime, SimulatedReader]]:
    visits = [
        (at, reader)
        for day in range(size.days, 0, -1)
        for reader in world.readers
        for at in reader.habits.visits(END - day * DAY, chance)
    ]
    return sorted(visits, key=lambda visit: visit[0])


def _event(each: Any) -> Event:
    touch = Touch(
        each.user_id, each.kblock_id, each.action.value, each.interaction_type, each.dwell_time_ms,
        micros(each.occurred_at),
    )  # fmt: skip
    return Event(touch, each.session_id, each.request_id)


def describe(kblocks: tuple[KBlock, ...]) -> dict[str, Description]:
    return {
        each.id: Description(
            each.author, each.tags, each.principles, each.layer,
            words=len(each.content) // _LETTERS_PER_WORD, created_at=micros(each.created_at),
        )
        for each in kblocks
    }  # fmt: skip


def true_ndcg(biased: Biased, models: Mapping[str, Model], since: int) -> dict[str, Any]:
    """Return NDCG@10 of models against the true interest at the time: an array, readers × days.

    From a time on (microseconds), each reader is asked once a day, for all that is new and that
    they did not open.
    """
    world, log = biased
    replay, position = PointInTimeReplay(log.descriptions), 0
    opened: dict[str, set[str]] = {reader.user_id: set() for reader in world.readers}
    found: dict[str, list[list[float]]] = {name: [] for name in models}
    day = DAY // timedelta(microseconds=1)
    for now in range(since, log.events[-1].touch.at + 1, day):
        while position < len(log.events) and log.events[position].touch.at < now:
            event = log.events[position]
            replay.observe(event, counted=False)
            opened[event.touch.user_id].add(event.touch.kblock_id)
            position += 1
        new = [i for i, k in enumerate(world.kblocks) if now - NEWS <= micros(k.created_at) < now]
        for name in models:
            found[name].append([])
        for reader in world.readers:
            places = [i for i in new if world.kblocks[i].id not in opened[reader.user_id]]
            ids = tuple(world.kblocks[i].id for i in places)
            replay.describe(ids)
            matrix = replay.matrix(reader.user_id, ids, now)
            truth = reader.interests([world.kblocks[i] for i in places], _at(now))
            for name, model in models.items():
                found[name][-1].append(ndcg(model.score(matrix), truth))
    return {name: np.array(values).T for name, values in found.items()}


def ndcg(scores: Any, relevance: Any) -> float:
    """Return the discounted relevance of the first ten, as a share of the best possible."""
    discounts = 1 / np.log2(np.arange(FIRST) + 2)
    order = np.argsort(-scores, kind="stable")[:FIRST]
    best = np.sort(relevance)[::-1][:FIRST]
    return float(relevance[order] @ discounts / (best @ discounts))


def examples_before(biased: Biased, days: int) -> tuple[list[Example], int]:
    """Return the examples before the last days, and the begin of these days (microseconds)."""
    log, settings = biased.log, TrainingSettings()
    cut = log.events[-1].touch.at - days * (DAY // timedelta(microseconds=1))
    course = HoldoutReplay(log, plan(log, Bounds(0, cut, settings.most, 0, 0)), cut, settings)
    course.learn(lambda _done, _total: None)
    return course.examples.examples(cut), cut

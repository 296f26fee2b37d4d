"""Promotion by trial through the whole service, on simulated readers with a known truth.

Everything but the readers and the clock is real: a database, feeds, slates, recorded events,
trained models, and one step of `harken models trial` at the end of each day. Readers like one of
three tags and one of three authors. An item interests them with the probability
1/(1 + exp(2.2 − 1.6 · liked)), where `liked` counts its tag and its author. They look at the
position k with the probability (1 + k)^−0.7, and engage with what they look at, once, if it
interests them. On some days they come and see a page of 10 of 54 items. Before, each engaged with
ten older items, drawn by interest.

The model in service orders by the affinity to tags. The candidates order by tags and authors
(better), by authors (equal), or by layers, which nobody minds (worse). Equal is exact: each reader
has a twin with tag and author changed over, who engaged with the changed-over items at the same
times; and the model of authors learns from the twins what the model of tags learns.

A gate that is open for three days is no longer asked, so that the trial is seen, too. The rule of
`replay` is asked about the log on the day on which the gate decides, or is given up.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy.ext.asyncio import async_sessionmaker

from benchmarks.experiments.lines import Line, Parts
from harken import migrations
from harken.config import Settings
from harken.database import create_engine
from harken.domain.kblock import KBlock
from harken.services.evaluation.holdout import MOST_MEASURED, TrainingRun, Verdict
from harken.services.evaluation.holdout_replay import HoldoutReplay
from harken.services.evaluation.metrics import evaluate
from harken.services.experiments.definitions import State
from harken.services.experiments.promotion.plans import TrialPlan, trial_id
from harken.services.features.names import NAMES
from harken.services.feed.request import FeedRequest
from harken.services.feed.service import FeedService
from harken.services.kblocks.store import KBlockStore
from harken.services.learning.point_in_time import PointInTimeState
from harken.services.learning.ranker import ENGAGED, PASSED, Example, Model, RankerSettings, train
from harken.services.learning.rolling_training import TrainingSettings
from harken.services.learning.training_plan import Bounds, TrainingData, plan
from harken.services.record.persistence import FeedFeedbackPersistence
from harken.services.registry.training_data import TrainingRange
from harken.services.simulation.simulator import SimulatedClock

SEED, RUNS = 20_267, 3
BEGINS = datetime(2026, 3, 1, tzinfo=UTC)
DAY, GATE_DAYS, MOST_DAYS = timedelta(days=1), 3, 14
KINDS = 3
ITEMS, PAST_ITEMS, PAST_EACH, SHOWN = 54, 36, 10, 10
READERS, COMES = 240, 0.5
BASE, LIKES = -2.2, 1.6
EXAMINED = (1.0 + np.arange(SHOWN)) ** -0.7
FEED = "articles"
PLAN = TrialPlan([FEED], share=0.9, readers=100, window_days=1)
IN_SERVICE = ("tags",)
TRAINED_ON, BEST = 200, 6
CANDIDATES = {"better": ("tags", "authors"), "equal": ("authors",), "worse": ("layers",)}
MARKS = {"better": "≥ 2 of 3", "equal": "0 of 3", "worse": "0 of 3"}


class Reader(NamedTuple):
    """A simulated reader: what they like, how often they come, and what they engaged with."""

    user_id: str
    tag: int
    author: int
    comes: float
    engaged: set[str]

    def interest(self, item: "Item") -> float:
        """Return the probability that an item interests them."""
        liked = (item.tag == self.tag) + (item.author == self.author)
        return float(1 / (1 + np.exp(-BASE - LIKES * liked)))


class Item(NamedTuple):
    """A K-Block by the numbers of its tag, its author and its layer."""

    id: str
    tag: int
    author: int
    layer: int

    def kblock(self, kind: str, at: datetime) -> KBlock:
        """Return it as it is stored."""
        return KBlock.parse(
            {"id": self.id, "title": self.id, "kind": kind, "tags": [f"tag{self.tag}"],
             "author": f"author{self.author}", "layer": self.layer, "created_at": at}
        )  # fmt: skip


@dataclass
class Outcome:
    """What became of a candidate: `true` is the true difference of acts per page."""

    true: float
    gate: str
    end: str
    readers: int
    days: int
    verdict: Verdict

    @property
    def is_promoted(self) -> bool:
        """Whether the trial promoted it."""
        return self.end == "promoted"


def _outcome(given: tuple[str, int]) -> Outcome:
    """Let the service decide on a candidate."""
    name, run = given
    return asyncio.run(_run(name, [SEED, list(CANDIDATES).index(name), run]))


def _lines(found: Sequence[Outcome]) -> list[Line]:
    lines = []
    for place, name in enumerate(CANDIDATES):
        runs = found[place * RUNS : (place + 1) * RUNS]
        promoted = sum(each.is_promoted for each in runs)
        details = "; ".join(map(_told, runs))
        true = np.mean([each.true for each in runs])
        lines += [
            Line(f"through the service: {name} candidate ({true:+.0%} acts per page) promoted",
                 f"{promoted} of {RUNS} ({details})", MARKS[name],
                 promoted >= 2 if name == "better" else promoted == 0),
            Line(f"replay's rule on the same logs: {name} candidate promoted",
                 f"{sum(each.verdict.is_better for each in runs)} of {RUNS} "
                 f"({'; '.join(each.verdict.reason.partition(';')[0] for each in runs)})"),
        ]  # fmt: skip
    return lines


def _told(run: Outcome) -> str:
    """Return what became of a candidate."""
    return f"gate {run.gate}, {run.end} on day {run.days} by {run.readers} readers"


SERVICE = Parts(_outcome, [(name, run) for name in CANDIDATES for run in range(RUNS)], _lines)


async def _run(name: str, seed: Sequence[int]) -> Outcome:
    async with _world(np.random.default_rng(seed)) as world:
        matrices = _matrices(await world.log(), world)
        serving = _model(matrices, IN_SERVICE)
        candidate = _model(matrices, CANDIDATES[name], ("user_similarity",))
        true = _acts(matrices, world, candidate) / _acts(matrices, world, serving) - 1
        models = world.service.registry.models
        data = {"until": world.clock.now.isoformat()}
        await models.promote(await models.add(serving, data, {}, "1.0"))
        world.clock.advance_to(world.clock.now + timedelta(seconds=1))
        model_id = await models.add(candidate, data, {}, "1.0")
        return await _decided(world, model_id, true, lambda log: _verdict(log, serving, candidate))


async def _decided(
    world: "_World", model_id: str, true: float, replay: Callable[[TrainingData], Verdict]
) -> Outcome:
    """Let days pass, each with a step, until the candidate is decided."""
    verdict, gate, day, end = None, "open", 0, None
    details: dict[str, Any] = {}
    while end is None and day < MOST_DAYS:
        await world.a_day()
        day += 1
        plan_ = PLAN._replace(asks_gate=day <= GATE_DAYS)
        details = (await world.service.trials.step(plan_)).details
        end = await _end(world, model_id, details)
        gate = details.get("gate", {}).get("state", gate)
        if verdict is None and (gate != "open" or day == GATE_DAYS):
            verdict = replay(await world.log())
    if verdict is None:
        raise RuntimeError("the gate was never asked")
    return Outcome(true, gate, end or "undecided", _readers(details), day, verdict)


async def _end(world: "_World", model_id: str, details: Any) -> str | None:
    """Return how a candidate ended; None while it may still be promoted."""
    if details.get("gate", {}).get("state") == "failed":
        return "stopped by the gate"
    listed = await world.service.experiments.store.listed()
    trial = next((each for each in listed if each.id == trial_id(model_id)), None)
    if trial is None or trial.state is not State.DECIDED:
        return None
    outcome = details["trial"]["decision"]["outcome"]
    return {"promote": "promoted", "keep": "kept out", "drop": "dropped"}[outcome]


def _readers(details: Any) -> int:
    """Return the readers by whom it was decided."""
    if "trial" not in details or "results" not in details["trial"]:
        return int(details.get("gate", {}).get("readers", 0))
    [comparison] = details["trial"]["results"]["comparisons"]
    return int(comparison["readers"])


class _World:
    """The readers, the items, and the service that they use."""

    def __init__(self, service: FeedService, clock: SimulatedClock, chance: Any) -> None:
        self.service, self.clock, self._chance = service, clock, chance
        self.items = _items(ITEMS, "item", chance)
        self._past = _items(PAST_ITEMS, "past", chance)
        self._by_id = {each.id: each for each in self.items}
        half = READERS // 2
        drawn = chance.integers(KINDS, size=(half, 2)).tolist()
        comes = np.minimum(COMES * np.exp(0.5 * chance.standard_normal(half)), 0.95).tolist()
        self.readers = [
            Reader(f"reader-{2 * n + twin}", likes[twin], likes[1 - twin], share, set())
            for n, (likes, share) in enumerate(zip(drawn, comes, strict=True))
            for twin in (0, 1)
        ]

    async def open(self) -> None:
        """Store the items and the feed, and record what readers did before."""
        made = self.clock.now - 10 * DAY
        for items, kind in ((self.items, "article"), (self._past, "past")):
            await self.service.kblocks.put([each.kblock(kind, made) for each in items])
        only = [{"field": "kind", "operator": "eq", "value": "article"}]
        await self.service.feeds.put(FEED, {"ranking": "learned", "filters": only})
        events = []
        for one, twin in zip(self.readers[::2], self.readers[1::2], strict=True):
            weights = np.array([one.interest(each) for each in self._past])
            chosen = self._chance.choice(
                len(self._past), PAST_EACH, replace=False, p=weights / weights.sum()
            )
            for place in chosen.tolist():
                at = self.clock.now - float(self._chance.uniform(1, 5)) * DAY
                events += [
                    _event(one, self._past[place].id, at),
                    _event(twin, self._past[_changed_over(place)].id, at),
                ]
        events.sort(key=lambda event: event["occurred_at"])
        for start in range(0, len(events), 1_000):
            await self.service.record.record_batch(events[start : start + 1_000])

    async def a_day(self) -> None:
        """Let those readers come who come on this day, each once."""
        begins = self.clock.now
        here = np.flatnonzero(self._chance.random(READERS) < [each.comes for each in self.readers])
        times = np.sort(self._chance.random(len(here)))
        self._chance.shuffle(here)
        for number, at in zip(here.tolist(), times.tolist(), strict=True):
            self.clock.advance_to(begins + at * DAY)
            await self._visit(self.readers[number])
        self.clock.advance_to(begins + DAY)

    async def _visit(self, reader: Reader) -> None:
        page = await self.service.page(FeedRequest(FEED, reader.user_id, limit=SHOWN))
        ids = [item.id for item in page.items]
        interest = np.array([reader.interest(self._by_id[each]) for each in ids])
        wanted = self._chance.random((2, len(ids))) < [EXAMINED[: len(ids)], interest]
        chosen = [
            (place, ids[place])
            for place in np.flatnonzero(wanted.all(axis=0)).tolist()
            if ids[place] not in reader.engaged
        ]
        reader.engaged.update(each for _, each in chosen)
        events = [
            _event(reader, each, self.clock.now)
            | {"request_id": page.request_id, "position": place}
            for place, each in chosen
        ]
        if events:
            await self.service.record.record_batch(events)

    async def log(self) -> TrainingData:
        """Return the log so far, with descriptions of all items."""
        data = self.service.registry.training_data
        ids = {each.id for each in self.items}
        return await data.read(TrainingRange(timedelta(), timedelta(), 0), ids)


@asynccontextmanager
async def _world(chance: np.random.Generator) -> AsyncIterator[_World]:
    with tempfile.TemporaryDirectory() as folder:
        engine = create_engine(Settings(database_url=f"sqlite+aiosqlite:///{folder}/trial.db"))
        await migrations.upgrade(engine)
        sessions, clock = async_sessionmaker(engine, expire_on_commit=False), SimulatedClock(BEGINS)
        opened = FeedService(
            sessions,
            record=FeedFeedbackPersistence(sessions, clock=clock),
            kblocks=KBlockStore(sessions, clock=clock),
            swap_share=1.0,
            clock=clock,
        )
        world = _World(opened, clock, chance)
        await world.open()
        yield world
        await opened.close()
        await engine.dispose()


def _items(count: int, name: str, chance: Any) -> list[Item]:
    """Return items with all pairs of tags and authors, equally often, and layers by chance."""
    layers = chance.integers(KINDS, size=count).tolist()
    return [
        Item(f"{name}-{n:02}", n % KINDS, n // KINDS % KINDS, layer)
        for n, layer in enumerate(layers)
    ]


def _changed_over(place: int) -> int:
    """Return the place of the item with tag and author changed over."""
    group, within = divmod(place, KINDS**2)
    return group * KINDS**2 + within % KINDS * KINDS + within // KINDS


def _event(reader: Reader, kblock_id: str, at: datetime) -> dict[str, Any]:
    return {
        "user_id": reader.user_id, "kblock_id": kblock_id, "action": "engage", "occurred_at": at,
    }  # fmt: skip


def _matrices(log: TrainingData, world: _World) -> list[Any]:
    """Return each reader's features of all items, by what was known before the first page."""
    state = PointInTimeState(log.descriptions, log.affinities)
    ids, now = tuple(each.id for each in world.items), round(BEGINS.timestamp() * 1e6)
    for event in log.events:
        state.observe_touch(event.touch, from_page=False)
    state.describe(ids)
    return [state.matrix(each.user_id, ids, now).copy() for each in world.readers]


def _model(matrices: Sequence[Any], features: Sequence[str], without: Sequence[str] = ()) -> Model:
    """Return a model that was trained to order by the sum of some features."""
    columns = [NAMES.index(each) for each in features]
    is_twin = features == ("authors",)
    order = np.array([_changed_over(n) if is_twin else n for n in range(ITEMS)])
    examples = []
    for number in range(TRAINED_ON):
        matrix = np.zeros_like(matrices[0])
        matrix[:, columns] = matrices[number ^ is_twin][order][:, columns]
        total = matrix.sum(axis=1)
        grades = np.full(len(matrix), PASSED, np.int8)
        grades[np.argsort(-total, kind="stable")[:BEST]] = ENGAGED
        examples.append(Example(number, matrix, grades))
    settings = RankerSettings(
        rounds=60, fewest=10, least_in_leaf=20, share_of_features=1.0, base_below=0,
        without=tuple(without),
    )  # fmt: skip
    model = train(examples, settings)
    if model is None:
        raise RuntimeError("there are too few examples")
    return model


def _acts(matrices: Sequence[Any], world: _World, model: Model) -> float:
    """Return the true mean of acts on a reader's first page by a model."""
    found = []
    for reader, matrix in zip(world.readers, matrices, strict=True):
        top = np.argsort(-model.score(matrix), kind="stable")[:SHOWN]
        found.append(sum(EXAMINED * [reader.interest(world.items[n]) for n in top.tolist()]))
    return float(np.mean(found))


def _verdict(log: TrainingData, serving: Model, candidate: Model) -> Verdict:
    """Return what the rule of `replay` says of a candidate, measured on the pages so far."""
    settings, cut = TrainingSettings(), round(BEGINS.timestamp() * 1e6)
    planned = plan(log, Bounds(cut, cut, 1, MOST_MEASURED, SEED, timedelta()))
    replay = HoldoutReplay(log, planned, cut, settings)
    replay.learn(lambda _done, _total: None)
    outcome = replay.measure(candidate, serving, lambda _done, _total: None)
    begin, end = log.events[0].touch.at, log.events[-1].touch.at
    found = evaluate(outcome, SEED)
    return TrainingRun(
        candidate, found, begin, cut, cut, end, planned.measurable, (0, replay.unreachable)
    ).verdict()

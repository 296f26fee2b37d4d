"""A demo: a database with notes, and simulated readers who read them for some days.

One K-Block describes the demo. It tells readers that all of it is simulated, and it stores the
demo's state, so that the next run continues where an interrupted one ended.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

import harken
from harken.domain.kblock import KBlock
from harken.errors import InvalidInput, Problem
from harken.services.evaluation.verdict import Outcome
from harken.services.feed.service import FeedService
from harken.services.kblocks.importers.markdown import Vault
from harken.services.kblocks.importers.run import ImportItem
from harken.services.kblocks.store import KBlockStore
from harken.services.record.persistence import FeedFeedbackPersistence
from harken.services.simulation.demo_database import ABOUT
from harken.services.simulation.ground_truth import (
    FEEDS,
    LEARNED,
    Floats,
    Preview,
    measure,
)
from harken.services.simulation.reader_state import ReaderState
from harken.services.simulation.readers import DAY
from harken.services.simulation.simulator import (
    MIX,
    FeedShare,
    Progress,
    SimulatedClock,
    SimulationPlan,
    Simulator,
)
from harken.services.simulation.world import (
    SIMULATED,
    USER_PREFIX,
    Population,
    World,
    draw_kblocks,
    draw_readers,
)

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

AfterSimulation = Callable[["Demo"], Awaitable[None]]
"""A step after the simulated days, such as training a model on them."""

# The oldest posts were made this long before the first day.
_BEFORE = timedelta(days=7)
# Feeds are measured at these hours of the first day, and as many hours before the last day ends.
_HOURS = (0, 8, 16)
_STATE = re.compile(r"<!-- (\{.*\}) -->")


NOTES: tuple[str, dict[str, Any]] = (
    "notes",
    {
        "description": "The notes that come with Harken",
        "filters": [{"field": "kind", "operator": "eq", "value": "note"}],
        "ranking": "weighted",
    },
)
"""A feed that fits on one page: off-policy estimates from slates need complete orders."""
_TO_NOTES = FeedShare(0.15, NOTES[0], temperature=0.1, limit=100)


class DemoSettings(BaseModel):
    """The settings that determine a demo, except for its end."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    days: Annotated[int, Field(ge=1, le=28)] = 7
    readers: Annotated[int, Field(ge=2, le=1_000)] = 40
    kblocks: Annotated[int, Field(ge=20, le=20_000)] = 1_000
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0


class DemoModel(BaseModel):
    """The result of training a model; without a `model_id` no model was trained.

    `examples` is the number of training examples. `reason` is the verdict by the log, or why there
    is no model. `by_truth` compares it with the personal order by the truth, and it is in service
    if it is better by that. Demos of an earlier version have no `by_truth`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: str
    model_id: str | None = None
    examples: int = 0
    in_service: bool = False
    by_truth: Outcome | None = None


class DemoState(BaseModel):
    """The state of a demo, and its measurements so far.

    `measured` has, by hour since the begin and by feed, a pair of metrics for each reader: see
    `harken.services.simulation.ground_truth`. A model is measured in the last hour only.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    settings: DemoSettings
    ends: datetime
    measured: dict[int, dict[str, list[list[float]]]] = {}
    lesson: DemoModel | None = None
    is_finished: bool = False
    """Whether all steps after the simulated days are done."""

    @property
    def first_hours(self) -> list[int]:
        """The hours at which the first day is measured."""
        return list(_HOURS)

    @property
    def last_hours(self) -> list[int]:
        """The hours at which the last day is measured."""
        return [self.settings.days * 24 - hour for hour in reversed(_HOURS)]

    @property
    def is_over(self) -> bool:
        """Whether all days were simulated."""
        return self.settings.days * 24 in self.measured

    def mean(self, hours: Sequence[int]) -> dict[str, Floats]:
        """Return the mean of the measurements at some hours: readers × metrics, by feed."""
        return {
            name: np.mean([self.measured[hour][name] for hour in hours], axis=0)
            for name in self.measured[hours[0]]
        }

    def world(self) -> World:
        """Draw the demo's K-Blocks and readers."""
        settings, span = self.settings, self.settings.days * DAY + _BEFORE
        kblocks = [*_notes(), *draw_kblocks(settings.seed, settings.kblocks, self.ends, span)]
        population = Population(readers=settings.readers)
        readers = draw_readers(settings.seed, kblocks, population)
        return World((*kblocks, self.about()), tuple(readers))

    def about(self) -> KBlock:
        """Return the K-Block that describes the demo and stores its state."""
        days, readers = self.settings.days, self.settings.readers
        text = (
            f"This is a demo. Its {readers} readers are simulated: their ids begin with "
            f"`{USER_PREFIX}`, and what they like was drawn by chance. So are the K-Blocks whose "
            f"authors are marked ({SIMULATED}). They read for {days} days in fast motion."
        )
        return KBlock(
            id=ABOUT,
            title="About this demo",
            content=f"{text}\n\n<!-- {self.model_dump_json()} -->\n",
            path=f"{SIMULATED}/about.md",
            author="Harken",
            created_at=self.ends if self.is_over else self.ends - self.settings.days * DAY,
        )


def _notes() -> list[KBlock]:
    """Return the notes that come with Harken."""
    vault = Vault(Path(harken.__file__).parent / "vault")
    return [each.kblock for each in vault if isinstance(each, ImportItem)]


class Demo:
    """A demo in one database, simulated up to some time."""

    def __init__(
        self, session_factory: "async_sessionmaker[AsyncSession]", state: DemoState
    ) -> None:
        """Prepare a demo; nothing is simulated yet."""
        self.state = state
        self.world = state.world()
        plan = SimulationPlan(
            begins=state.ends - state.settings.days * DAY,
            days=state.settings.days,
            seed=state.settings.seed,
            mix=(*MIX, _TO_NOTES),
        )
        clock = SimulatedClock(plan.begins)
        self.service = FeedService(
            session_factory,
            record=FeedFeedbackPersistence(session_factory, clock=clock),
            kblocks=KBlockStore(session_factory, clock=clock),
            clock=clock,
        )
        self._preview = Preview(session_factory, self.service, clock)
        self._player = Simulator(self.service, clock, self.world, plan, ReaderState())

    async def run(self, progress: Progress, afterwards: Sequence[AfterSimulation] = ()) -> None:
        """Simulate the remaining days. It can be interrupted. Raises DatabaseUnavailable."""
        try:
            if self.state.is_finished:
                return
            await self._resume()
            await self._run(progress)
            for step in afterwards:
                await step(self)
            await self._note(is_finished=True)
        finally:
            await self._preview.close()
            await self.service.close()

    async def measure_model(self, model_id: str) -> Floats:
        """Measure a model by the truth as the last day ends, whether or not it is in service.

        Returns how much its metrics exceed those of the personal feed: readers × metrics.
        """
        self._preview.serve(model_id)
        last, measured = self.state.last_hours[-1], self.state.measured
        found = measured[last] | await self._measured(LEARNED)
        await self._note(measured={**measured, last: found})
        at_end = self.state.mean([last])
        difference: Floats = at_end["learned"] - at_end["personal"]
        return difference

    async def set_model(self, lesson: DemoModel) -> None:
        """Store the result of training."""
        await self._note(lesson=lesson)

    async def _resume(self) -> None:
        await self.service.kblocks.put([self.state.about()])
        await self.service.feeds.put(*NOTES)
        latest = None
        async for page in self.service.record.entries(until=self.state.ends):
            for entry in page:
                if entry.user_id.startswith(USER_PREFIX):
                    self._player.reader_state.note(entry.user_id, entry.kblock_id, entry.action)
                    latest = entry.created_at
        if self.state.is_over:
            latest = self.state.ends
        if latest is not None:
            self._player.skip_until(latest)

    async def _run(self, progress: Progress) -> None:
        begins = self._player.plan.begins
        for hour in sorted({*self.state.first_hours, *self.state.last_hours}):
            await self._player.run(begins + timedelta(hours=hour), progress)
            if hour in self.state.measured:
                continue
            found = await self._measured(FEEDS)
            await self._note(measured={**self.state.measured, hour: found})

    async def _measured(self, feeds: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
        found = await measure(self._preview, self._player, feeds)
        return {name: np.round(rows, 4).tolist() for name, rows in found.items()}

    async def _note(self, **changes: Any) -> None:
        self.state = self.state.model_copy(update=changes)
        await self.service.kblocks.put([self.state.about()])


async def open_demo(
    session_factory: "async_sessionmaker[AsyncSession]",
    settings: DemoSettings,
    now: datetime,
) -> Demo:
    """Return the demo of a database; an empty database gets a new one that ends at `now`.

    An existing demo keeps its settings. Raises InvalidInput if the database has data that is not a
    demo's, or a demo of another version of Harken.
    """
    store = KBlockStore(session_factory)
    about = await store.get(ABOUT)
    if about is not None:
        return Demo(session_factory, _read(about.kblock))
    record = FeedFeedbackPersistence(session_factory)
    async with record:
        is_empty = not await store.count()
        async for _ in record.entries():
            is_empty = False
            break
    if not is_empty:
        raise InvalidInput(
            Problem("database", "has data that is not a demo's; name a new database")
        )
    ends = now.astimezone(UTC).replace(microsecond=0)
    return Demo(session_factory, DemoState(settings=settings, ends=ends))


def _read(about: KBlock) -> DemoState:
    found = _STATE.search(about.content)
    try:
        return DemoState.model_validate_json(found[1] if found else "")
    except ValidationError:
        raise InvalidInput(
            Problem("database", "has a demo of another version of Harken; name a new database")
        ) from None

"""A scratch database with notes, and simulated readers who read them for some days.

What a demo is stands in a K-Block of its own, which says that all of it is simulated: for whoever
reads it, and for the next run. That goes on where an interrupted one ended.
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
from harken.services.feed.service import FeedService
from harken.services.kblocks.importers.markdown import Vault
from harken.services.kblocks.importers.run import Found
from harken.services.kblocks.store import KBlockStore
from harken.services.record.persistence import FeedFeedbackPersistence
from harken.services.simulation.demo_database import ABOUT
from harken.services.simulation.ground_truth import FEEDS, LEARNED, Floats, Preview, measure
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
"""What else is made of the days when they are over, such as a model that is trained on them."""

# Posts are made for so long before the first day, too.
_BEFORE = timedelta(days=7)
# When feeds are measured: in the first day as it begins, in the last one as it ends.
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
"""A feed that fits on a page: only of such can other odds be asked for afterwards."""
_TO_NOTES = FeedShare(0.15, NOTES[0], temperature=0.1, limit=100)


class DemoSettings(BaseModel):
    """What settles a demo, but for when it ends."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    days: Annotated[int, Field(ge=1, le=28)] = 7
    readers: Annotated[int, Field(ge=2, le=1_000)] = 40
    kblocks: Annotated[int, Field(ge=20, le=20_000)] = 1_000
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0


class DemoModel(BaseModel):
    """What became of the model that was to be trained; without a `model_id` there is none.

    `examples` are the choices that it learned from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: str
    model_id: str | None = None
    examples: int = 0
    in_service: bool = False


class DemoState(BaseModel):
    """A demo, and what was measured of it so far.

    `measured` has, by the hour since it began and by the feed, a pair for each reader: see
    `harken.services.simulation.ground_truth`. A model in service is measured in the last hour
    alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    settings: DemoSettings
    ends: datetime
    measured: dict[int, dict[str, list[list[float]]]] = {}
    lesson: DemoModel | None = None
    is_finished: bool = False
    """Whether all was made of the days that was to be made of them."""

    @property
    def first_hours(self) -> list[int]:
        """When the first day is measured."""
        return list(_HOURS)

    @property
    def last_hours(self) -> list[int]:
        """When the last day is measured."""
        return [self.settings.days * 24 - hour for hour in reversed(_HOURS)]

    @property
    def is_over(self) -> bool:
        """Whether all days were played."""
        return self.settings.days * 24 in self.measured

    def mean(self, hours: Sequence[int]) -> dict[str, Floats]:
        """Return what was measured at some hours, averaged: readers × metrics, by the feed."""
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
        """Make the K-Block that says what this is."""
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
    """Read the notes that come with Harken."""
    vault = Vault(Path(harken.__file__).parent / "vault")
    return [each.kblock for each in vault if isinstance(each, Found)]


class Demo:
    """A demo in one database, played up to a time."""

    def __init__(
        self, session_factory: "async_sessionmaker[AsyncSession]", state: DemoState
    ) -> None:
        """Take up a demo; nothing is played yet."""
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
        """Play what was not played yet. It can be interrupted. Raises DatabaseUnavailable."""
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

    async def learn(self, lesson: DemoModel) -> None:
        """Note what became of the model, and measure it if it is in service."""
        changes: dict[str, Any] = {"lesson": lesson}
        if lesson.in_service:
            last, measured = self.state.last_hours[-1], self.state.measured
            found = measured[last] | await self._measured(LEARNED)
            changes["measured"] = {**measured, last: found}
        await self._note(**changes)

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
    """Take up the demo that a database has, else begin one that ends now.

    A demo that was begun keeps its settings. Raises InvalidInput where the database has data that
    is not a demo's, or that of another version.
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
        raise InvalidInput(Problem("database", "has data that is not a demo's; name a new one"))
    ends = now.astimezone(UTC).replace(microsecond=0)
    return Demo(session_factory, DemoState(settings=settings, ends=ends))


def _read(about: KBlock) -> DemoState:
    found = _STATE.search(about.content)
    try:
        return DemoState.model_validate_json(found[1] if found else "")
    except ValidationError:
        raise InvalidInput(
            Problem("database", "has a demo of another version of Harken; name a new one")
        ) from None

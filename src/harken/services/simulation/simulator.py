"""Days of simulated readers with a real feed, in fast motion.

    visit   a reader asks `FeedService` for a page, which is in the ledger then
    leave   what they did with it is recorded when they are done, at the times when they did it
    due     K-Blocks that are made meanwhile are put when their time has come

Only the clock is simulated: it jumps from one of these to the next.
"""

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from harken.domain.feedback import Interaction
from harken.domain.kblock import KBlock
from harken.services.feed.request import FeedRequest
from harken.services.feed.service import FeedService
from harken.services.simulation.clicks import ClickModel, PositionBased
from harken.services.simulation.reader_state import ReaderState
from harken.services.simulation.readers import DAY, SimulatedReader
from harken.services.simulation.sessions import ServedPage, read
from harken.services.simulation.world import World

Progress = Callable[[int, int], None]
"""Called with how many visits were played, and how many there are."""

# What is drawn from a plan's seed, each with a generator of its own.
_VISITS, _READING = 10, 11
_SEEDS = 2**53


class SimulatedClock:
    """A clock that is set."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """Return the time that it was set to."""
        return self.now

    def advance_to(self, at: datetime) -> None:
        """Go on to a time; never back."""
        self.now = max(self.now, at)


class FeedShare(NamedTuple):
    """A feed that readers ask for, and for what share of their visits."""

    share: float
    feed: str
    ranking: str | None = None
    temperature: float | None = None
    limit: int = 20


MIX = (
    FeedShare(0.45, "personal"),
    # What is left to chance, with known odds, shows readers what an order alone would not.
    FeedShare(0.25, "personal", temperature=0.5),
    FeedShare(0.2, "cosmos", "chronological"),
    FeedShare(0.1, "cosmos", "trending"),
)
"""Most visits are to the personal feed, some of them with something left to chance."""


@dataclass(frozen=True)
class SimulationPlan:
    """Which days are played, and how."""

    begins: datetime
    days: int = 7
    seed: int = 0
    mix: Sequence[FeedShare] = MIX
    clicks: ClickModel = field(default_factory=lambda: PositionBased(0.4))

    @property
    def ends(self) -> datetime:
        """When the last day is over."""
        return self.begins + self.days * DAY


class _Visit(NamedTuple):
    at: datetime
    reader: SimulatedReader
    rng: np.random.Generator


class _Leave(NamedTuple):
    at: datetime
    number: int  # so that no two are compared further
    events: list[Interaction]


class Simulator:
    """Plays a plan for the readers of a world.

    `clock` is that of `service`, and of the persistence and the store that it was made with.
    """

    def __init__(
        self,
        service: FeedService,
        clock: SimulatedClock,
        world: World,
        plan: SimulationPlan,
        reader_state: ReaderState | None = None,
    ) -> None:
        """Play nothing yet. `memory` is what readers did before the plan begins, if anything."""
        self.plan = plan
        self.world = world
        self.reader_state = reader_state or ReaderState()
        self.published: list[KBlock] = []
        """The K-Blocks that there are by now."""
        self._service = service
        self._clock = clock
        self._kblocks = {kblock.id: kblock for kblock in world.kblocks}
        self._due = sorted(world.kblocks, key=_made, reverse=True)
        self._leaves: list[_Leave] = []
        self._served = 0
        self._shares = np.array([asked.share for asked in plan.mix], np.float64)
        self._visits = self._draw_visits()
        self._played = 0

    @property
    def now(self) -> datetime:
        """The time that was reached."""
        return self._clock.now

    async def run(
        self, until: datetime | None = None, progress: Progress = lambda _done, _total: None
    ) -> None:
        """Play on to a time, else to the end of the last day.

        What was recorded stays when this is interrupted; visits that are under way are lost.
        Raises DatabaseUnavailable.
        """
        end = self.plan.ends if until is None else min(until, self.plan.ends)
        await self.advance_to(self.plan.begins)
        while self._played < len(self._visits) and self._visits[self._played].at <= end:
            visit = self._visits[self._played]
            await self.advance_to(visit.at)
            await self._serve(visit)
            self._played += 1
            progress(self._played, len(self._visits))
        await self.advance_to(end)

    def skip_until(self, until: datetime) -> None:
        """Leave out the visits until a time, which were played before; see `Memory`."""
        while self._played < len(self._visits) and self._visits[self._played].at <= until:
            self._played += 1

    async def advance_to(self, at: datetime) -> None:
        """Go on to a time: record what was done until then, and put what was made."""
        while self._leaves and self._leaves[0].at <= at:
            leave = heapq.heappop(self._leaves)
            self._clock.advance_to(leave.at)
            await self._record(leave.events)
        self._clock.advance_to(at)
        made = []
        while self._due and _made(self._due[-1]) <= at:
            made.append(self._due.pop())
        for start in range(0, len(made), 500):
            await self._service.kblocks.put(made[start : start + 500])
        self.published += made

    def _draw_visits(self) -> list[_Visit]:
        plan, visits = self.plan, []
        midnight = datetime.combine(plan.begins.astimezone(UTC), datetime.min.time(), UTC)
        for number, reader in enumerate(self.world.readers):
            for day in range(plan.days + 1):
                rng = np.random.default_rng([plan.seed, _VISITS, number, day])
                for which, at in enumerate(reader.habits.visits(midnight + day * DAY, rng)):
                    if plan.begins <= at < plan.ends:
                        seeds = [plan.seed, _READING, number, day, which]
                        visits.append(_Visit(at, reader, np.random.default_rng(seeds)))
        return sorted(visits, key=lambda visit: visit.at)

    async def _serve(self, visit: _Visit) -> None:
        reader, rng, reader_state = visit.reader, visit.rng, self.reader_state
        shares = self._shares / self._shares.sum()
        asked = self.plan.mix[int(rng.choice(len(shares), p=shares))]
        seed = int(rng.integers(_SEEDS))
        page = await self._service.page(
            FeedRequest(
                asked.feed,
                user_id=reader.user_id,
                ranking=asked.ranking,
                temperature=asked.temperature,
                seed=None if asked.temperature is None else seed,
                limit=asked.limit,
            )
        )
        served = ServedPage(page.request_id, [self._kblocks[item.id] for item in page.items])
        opened = reader_state.opened[reader.user_id]
        events = read(reader, served, visit.at, self.plan.clicks, rng, opened)
        events = [event for event in events if _happened(event) <= self.plan.ends]
        for event in events:
            reader_state.note(event.user_id, event.kblock_id, event.action)
        if events:
            last = max(map(_happened, events))
            self._served += 1
            heapq.heappush(self._leaves, _Leave(last, self._served, events))

    async def _record(self, events: Iterable[Interaction]) -> None:
        result = await self._service.record.record_batch(list(events))
        for rejection in result.rejected:
            raise rejection.error


def _made(kblock: KBlock) -> datetime:
    return kblock.created_at or datetime.min.replace(tzinfo=UTC)


def _happened(event: Interaction) -> datetime:
    assert event.occurred_at is not None  # noqa: S101 — simulated events all have their time
    return event.occurred_at

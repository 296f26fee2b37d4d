"""Simulates days of readers with a real feed, faster than real time.

    visit   a reader requests a page from `FeedService`, which writes its slate to the ledger
    leave   when the reader is done, their events are recorded, with the times of the events
    due     K-Blocks that are made meanwhile are stored at their time of creation

Only the clock is simulated: it jumps from one of these moments to the next.
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
from harken.services.simulation.sessions import ServedPage, simulate_session
from harken.services.simulation.world import World

Progress = Callable[[int, int], None]
"""Called with the number of simulated visits, and the number of all visits."""

# Streams of a plan's seed, each with its own generator.
_VISITS, _READING = 10, 11
_SEEDS = 2**53


class SimulatedClock:
    """A clock whose time is set."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """Return the current time of the simulation."""
        return self.now

    def advance_to(self, at: datetime) -> None:
        """Advance to a time; an earlier time is ignored."""
        self.now = max(self.now, at)


class FeedShare(NamedTuple):
    """A feed that readers request in a share (0 to 1) of their visits."""

    share: float
    feed: str
    ranking: str | None = None
    temperature: float | None = None
    limit: int = 20
    explore: str | None = None


MIX = (
    FeedShare(0.45, "personal"),
    # Exploration shows readers what a deterministic order would not.
    FeedShare(0.25, "personal", temperature=0.5),
    FeedShare(0.2, "cosmos", "chronological"),
    FeedShare(0.1, "cosmos", "trending"),
)
"""The default mix: most visits are to the personal feed, some of them with exploration."""


@dataclass(frozen=True)
class SimulationPlan:
    """The days to simulate, the mix of feeds and the click model."""

    begins: datetime
    days: int = 7
    seed: int = 0
    mix: Sequence[FeedShare] = MIX
    clicks: ClickModel = field(default_factory=lambda: PositionBased(0.4))

    @property
    def ends(self) -> datetime:
        """The end of the last day."""
        return self.begins + self.days * DAY


class _Visit(NamedTuple):
    at: datetime
    reader: SimulatedReader
    rng: np.random.Generator


class _Leave(NamedTuple):
    at: datetime
    number: int  # unique, so that a heap never compares events
    events: list[Interaction]


class Simulator:
    """Simulates a plan for the readers of a world.

    `clock` must be the clock of `service`, of its persistence and of its K-Block store.
    """

    def __init__(
        self,
        service: FeedService,
        clock: SimulatedClock,
        world: World,
        plan: SimulationPlan,
        reader_state: ReaderState | None = None,
    ) -> None:
        """Prepare; nothing is simulated yet. `reader_state` is what readers did before."""
        self.plan = plan
        self.world = world
        self.reader_state = reader_state or ReaderState()
        self.published: list[KBlock] = []
        """The K-Blocks that exist by now."""
        self._service = service
        self._clock = clock
        self._kblocks = {kblock.id: kblock for kblock in world.kblocks}
        self._due = sorted(world.kblocks, key=_made, reverse=True)
        self._leaves: list[_Leave] = []
        self._served = 0
        self._shares = np.array([requested.share for requested in plan.mix], np.float64)
        self._visits = self._draw_visits()
        self._played = 0

    @property
    def now(self) -> datetime:
        """The current time of the simulation."""
        return self._clock.now

    async def run(
        self, until: datetime | None = None, progress: Progress = lambda _done, _total: None
    ) -> None:
        """Simulate up to a time, by default to the end of the last day.

        If this is interrupted, recorded events stay, and visits in progress are lost. Raises
        DatabaseUnavailable.
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
        """Skip the visits until a time, which an earlier run simulated; see `ReaderState`."""
        while self._played < len(self._visits) and self._visits[self._played].at <= until:
            self._played += 1

    async def advance_to(self, at: datetime) -> None:
        """Advance to a time: record the events and store the K-Blocks until then."""
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
        requested = self.plan.mix[int(rng.choice(len(shares), p=shares))]
        seed = int(rng.integers(_SEEDS))
        page = await self._service.page(
            FeedRequest(
                requested.feed,
                user_id=reader.user_id,
                ranking=requested.ranking,
                temperature=requested.temperature,
                explore=requested.explore,
                seed=seed if requested.temperature or requested.explore else None,
                limit=requested.limit,
            )
        )
        served = ServedPage(page.request_id, [self._kblocks[item.id] for item in page.items])
        opened = reader_state.opened[reader.user_id]
        events = simulate_session(reader, served, visit.at, self.plan.clicks, rng, opened)
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
    assert event.occurred_at is not None  # noqa: S101 — all simulated events have a time
    return event.occurred_at

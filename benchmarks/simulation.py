"""What simulated readers gain from the personal feed, in several worlds.

python -m benchmarks.simulation --seeds=3

One process, no HTTP, SQLite in a temporary file. Each world is simulated for a week with each seed,
and measured three times on the last day: NDCG@10 by the ground truth, its mean over the readers of
all seeds, and the difference from the chronological feed with a paired interval.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from harken import migrations
from harken.config import Settings
from harken.database import create_engine
from harken.services.feed.service import FeedService
from harken.services.kblocks.store import KBlockStore
from harken.services.record.persistence import FeedFeedbackPersistence
from harken.services.simulation.clicks import Cascade, ClickModel, NoBias, PositionBased
from harken.services.simulation.ground_truth import FEEDS, Floats, Preview, estimate, measure
from harken.services.simulation.readers import Habits
from harken.services.simulation.simulator import SimulatedClock, SimulationPlan, Simulator
from harken.services.simulation.world import Population, World, draw_world

ENDS = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAYS, KBLOCKS = 7, 1_000
LAST_DAY = (16, 8, 0)


class Variant(NamedTuple):
    """A population and a click model."""

    population: Population = Population()
    clicks: ClickModel = PositionBased(0.4)


Service = TypeVar("Service", bound=FeedService)


class Scratch(NamedTuple, Generic[Service]):
    """A service on a scratch database, its world and its clock."""

    service: Service
    world: World
    clock: SimulatedClock
    sessions: async_sessionmaker[AsyncSession]


VARIANTS: Mapping[str, Variant] = {
    "as in the demo": Variant(),
    "interest in posts never fades": Variant(Population(habits=Habits(fades=None))),
    "interest in posts halves in a day": Variant(
        Population(habits=Habits(fades=timedelta(days=1)))
    ),
    "every reader is a cluster": Variant(Population(clusters=40)),
    "readers come once a day": Variant(Population(habits=Habits(visits_per_day=1.0))),
    "labels say nothing": Variant(
        Population(interests=0, indifference=0.0, within=0.0, appeal=1.0, opinion=1.0)
    ),
    "no position bias": Variant(clicks=NoBias()),
    "strong position bias, eta = 1": Variant(clicks=PositionBased(1.0)),
    "cascade": Variant(clicks=Cascade()),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    seeds = parser.parse_args().seeds
    say(f"| world | {' | '.join(FEEDS)} | personal − chronological |")
    say("|---|" + "---|" * (len(FEEDS) + 1))
    for name, variant in VARIANTS.items():
        say(f"| {name} | {' | '.join(asyncio.run(_row(variant, seeds)))} |")
    return 0


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def _row(variant: Variant, seeds: int) -> list[str]:
    played = [await _run(variant, seed) for seed in range(seeds)]
    found = {name: np.concatenate([each[name] for each in played]) for name in FEEDS}
    values = {name: estimate(rows)["ndcg@10"].value for name, rows in found.items()}
    gained, (low, high) = estimate(found["personal"] - found["chronological"])["ndcg@10"]
    return [
        *(f"{value:.3f}" for value in values.values()),
        f"{gained:+.3f} ({low:+.3f}…{high:+.3f})",
    ]


@asynccontextmanager
async def scratch(
    variant: Variant, seed: int, make: Callable[..., Service]
) -> AsyncIterator[Scratch[Service]]:
    """Yield a world, and a service on an empty database that is `DAYS` before `ENDS`."""
    with tempfile.TemporaryDirectory() as folder:
        engine = create_engine(Settings(database_url=f"sqlite+aiosqlite:///{folder}/scratch.db"))
        await migrations.upgrade(engine)
        sessions = async_sessionmaker(engine, expire_on_commit=False)
        days = timedelta(days=DAYS)
        world = draw_world(seed, ENDS, KBLOCKS, variant.population, 2 * days)
        clock = SimulatedClock(ENDS - days)
        service = make(
            sessions,
            record=FeedFeedbackPersistence(sessions, clock=clock),
            kblocks=KBlockStore(sessions, clock=clock),
            clock=clock,
        )
        yield Scratch(service, world, clock, sessions)
        await service.close()
        await engine.dispose()


async def _run(variant: Variant, seed: int) -> dict[str, Floats]:
    async with scratch(variant, seed, FeedService) as (service, world, clock, sessions):
        preview = Preview(sessions, service, clock)
        plan = SimulationPlan(clock(), DAYS, seed, clicks=variant.clicks)
        player = Simulator(service, clock, world, plan)
        seen = []
        for hours in LAST_DAY:
            await player.run(ENDS - timedelta(hours=hours))
            seen.append(await measure(preview, player))
        await preview.close()
    return {name: np.mean([each[name] for each in seen], axis=0) for name in FEEDS}


if __name__ == "__main__":
    sys.exit(main())

"""What reads from a standby cost and see, while events are recorded on the primary.

    python -m benchmarks.standby_reads --seconds=10

A primary and a standby of PostgreSQL run on this machine. 8 tasks record events one by one, and 2
read analytics in turn: with the standby, and without one. A read must count every event that was
acknowledged before it began; how often one did not is printed, and must be 0.
"""

import argparse
import asyncio
import json
import time
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Any
from uuid import uuid4

from sqlalchemy.ext.asyncio import async_sessionmaker
from tests.support.postgres import PostgresServer

from harken.config import Settings
from harken.database import STANDBYS, close_engine, create_engine
from harken.databases.standbys import Standbys, follow
from harken.models.base import init_db
from harken.services.record.persistence import FeedFeedbackPersistence

WRITERS, READERS = 8, 2


@dataclass
class Round:
    """What one round measured; times in milliseconds."""

    recorded: int = 0
    missed: int = 0
    reads: list[float] = field(default_factory=list)
    served: int = 0
    declined: int = 0

    def figures(self) -> dict[str, Any]:
        """Return the figures as they are printed."""
        cuts = quantiles(self.reads, n=100)
        asked = self.served + self.declined
        return {
            "events": self.recorded,
            "reads": len(self.reads),
            "read p50 ms": round(cuts[49], 2),
            "read p99 ms": round(cuts[98], 2),
            "reads on the standby": f"{self.served / asked:.1%}" if asked else "none",
            "reads that missed an event": self.missed,
        }


def main() -> None:
    """Measure, and print a JSON object with a list of rounds for each way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with PostgresServer() as primary:
        asyncio.run(init_db(Settings(database_url=primary.url)))
        standby = primary.standby()
        try:
            standby.start_first()
            ways: dict[str, list[dict[str, Any]]] = {"with the standby": [], "without": []}
            for _ in range(options.rounds):
                for way, urls in (("with the standby", (standby.url,)), ("without", ())):
                    settings = Settings(database_url=primary.url, read_urls=urls)
                    found = asyncio.run(_round(settings, options.seconds))
                    ways[way].append(found.figures())
        finally:
            standby.remove()
    print(json.dumps(ways, indent=2))


async def _round(settings: Settings, seconds: float) -> Round:
    engine = follow(create_engine(settings), settings)
    factory = async_sessionmaker(engine, expire_on_commit=False)
    found = Round()
    async with FeedFeedbackPersistence(factory) as record:
        earlier = await record.count()
        acknowledged = [earlier]
        end = time.monotonic() + seconds
        async with asyncio.TaskGroup() as group:
            for number in range(WRITERS):
                group.create_task(_write(record, number, acknowledged, end))
            for _ in range(READERS):
                group.create_task(_read(record, acknowledged, found, end))
        found.recorded = acknowledged[0] - earlier
    standbys: Standbys | None = engine.get_execution_options().get(STANDBYS)
    if standbys is not None:
        found.served, found.declined = standbys.served, standbys.declined
    await close_engine(engine)
    return found


async def _write(
    record: FeedFeedbackPersistence, number: int, acknowledged: list[int], end: float
) -> None:
    while time.monotonic() < end:
        await record.record_interaction(f"u{number}", f"k-{uuid4().hex[:2]}", "view")
        acknowledged[0] += 1


async def _read(
    record: FeedFeedbackPersistence, acknowledged: list[int], found: Round, end: float
) -> None:
    while time.monotonic() < end:
        least, began = acknowledged[0], time.perf_counter()
        counted = (await record.get_analytics())["totals"]["views"]
        found.reads.append(1_000 * (time.perf_counter() - began))
        found.missed += counted < least


if __name__ == "__main__":
    main()

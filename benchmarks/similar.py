"""Time of similar K-Blocks, and what the K-Blocks of similar readers add to a personal page.

One process, no HTTP, synthetic data in a temporary SQLite file. Personal pages are made with and
without the K-Blocks that similar readers liked, in turn; `ratio` compares the two times.
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from sqlalchemy.ext.asyncio import async_sessionmaker

from harken import migrations
from harken.config import Settings
from harken.database import create_engine
from harken.domain.kblock import KBlock
from harken.services.feed.request import FeedRequest
from harken.services.feed.service import FeedService
from harken.services.personal.ordering import PersonalScorer
from harken.services.personal.sources import SOURCES, SimilarReaders

LABELS = [f"label{n}" for n in range(50)]
WORDS = [f"word{n:04}" for n in range(5_000)]
READERS = 200
EVENTS = 30_000
NOW = datetime.now(UTC)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.similar", description=__doc__)
    parser.add_argument("--kblocks", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=20_251_225)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    found = asyncio.run(_measure(options))
    for name, figure in found.items():
        sys.stdout.write(f"{name:28} {figure:8.3f}\n")
    if options.json:
        options.json.write_text(json.dumps(found, indent=2))
    return 0


async def _measure(options: argparse.Namespace) -> dict[str, float]:
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(database_url=f"sqlite+aiosqlite:///{folder}/scratch.db")
        engine = create_engine(settings)
        await migrations.upgrade(engine)
        service = FeedService(async_sessionmaker(engine))
        await _fill(service, rng, options.kblocks)
        try:
            return await _timed(service, rng, options)
        finally:
            await service.close()
            await engine.dispose()


async def _fill(service: FeedService, rng: random.Random, count: int) -> None:
    for first in range(0, count, 1_000):
        await service.kblocks.put(
            [_kblock(rng, n) for n in range(first, min(first + 1_000, count))]
        )
    events = [
        {
            "user_id": f"u{rng.randrange(READERS)}",
            "kblock_id": f"k{min(int(rng.paretovariate(0.7)), count - 1)}",
            "action": rng.choices(("view", "engage", "dismiss"), (75, 18, 7))[0],
            "occurred_at": NOW - timedelta(seconds=rng.randrange(7 * 86_400)),
        }
        for _ in range(EVENTS)
    ]
    for first in range(0, EVENTS, 1_000):
        await service.record.record_batch(events[first : first + 1_000])


def _kblock(rng: random.Random, number: int) -> KBlock:
    return KBlock.parse(
        {
            "id": f"k{number}",
            "title": " ".join(rng.choices(WORDS, k=6)),
            "content": " ".join(rng.choices(WORDS, k=120)),
            "tags": rng.sample(LABELS, 3),
            "author": f"author{rng.randrange(1_000)}",
            "created_at": NOW - timedelta(seconds=rng.randrange(90 * 86_400)),
        }
    )


async def _timed(
    service: FeedService, rng: random.Random, options: argparse.Namespace
) -> dict[str, float]:
    similar: list[float] = []
    both: dict[bool, list[float]] = {True: [], False: []}
    without = [each for each in SOURCES if each.name != SimilarReaders.name]
    for n in range(-10, options.rounds):
        kblock_id = f"k{int(rng.paretovariate(0.7)) % options.kblocks}"
        took = await _time(service.similar(kblock_id))
        request = FeedRequest("personal", user_id=f"u{rng.randrange(READERS)}")
        pages = {}
        # One page first, so that neither variant pays for filling the caches.
        await service.page(request)
        for with_similar_readers in rng.sample((True, False), 2):
            if with_similar_readers:
                pages[True] = await _time(service.page(request))
            else:
                with patch.object(PersonalScorer, "sources", without):
                    pages[False] = await _time(service.page(request))
        if n >= 0:
            similar.append(took)
            for each, page in pages.items():
                both[each].append(page)
    with_them, alone = (statistics.median(both[each]) for each in (True, False))
    return {
        "similar, median ms": statistics.median(similar),
        "similar, p99 ms": statistics.quantiles(similar, n=100)[98],
        "personal page, median ms": with_them,
        "… without similar readers": alone,
        "ratio": with_them / alone,
        "p99 ratio": _p99(both[True]) / _p99(both[False]),
    }


def _p99(times: list[float]) -> float:
    return statistics.quantiles(times, n=100)[98]


async def _time(work: Any) -> float:
    began = time.perf_counter()
    await work
    return (time.perf_counter() - began) * 1_000


if __name__ == "__main__":
    sys.exit(main())

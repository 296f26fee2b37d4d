"""Counting what is unread, and pages that hide what was read, for a reader with many marks.

    python -m benchmarks.reading --kblocks=100000 --read=50000

On a new SQLite file, in one process. Times are those of the processor of this process, so that
other work on the machine counts less; the clock's are beside them.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from statistics import median, quantiles
from typing import Any

from sqlalchemy.ext.asyncio import async_sessionmaker

from harken import migrations
from harken.config import Settings
from harken.database import create_engine
from harken.domain.kblock import KBlock
from harken.domain.preferences import Preferences
from harken.services.feed.request import FeedRequest
from harken.services.feed.service import FeedService

READER = "ada"
AT_ONCE = 1_000
START = datetime(2026, 1, 1, tzinfo=UTC)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reading", description=__doc__)
    parser.add_argument("--kblocks", type=int, default=100_000)
    parser.add_argument("--read", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(_measure(f"sqlite+aiosqlite:///{folder}/harken.db", options))
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    return 0


async def _measure(url: str, options: argparse.Namespace) -> dict[str, Any]:
    engine = create_engine(Settings(database_url=url))
    await migrations.upgrade(engine)
    service = FeedService(async_sessionmaker(engine))
    ids = [f"k{number}" for number in range(options.kblocks)]
    for at in range(0, len(ids), AT_ONCE):
        await service.kblocks.put([_kblock(at + i) for i in range(len(ids[at : at + AT_ONCE]))])
    store = service.reading.store

    async def page() -> Any:
        return await service.page(FeedRequest("cosmos", user_id=READER, ranking="weighted"))

    async def count() -> Any:
        return await service.reading.counts(READER)

    found = {
        "no marks": {"counts": await _timed(count, options), "page": await _timed(page, options)}
    }
    marking = time.process_time()
    some = ids[:: max(1, len(ids) // options.read)][: options.read]
    for at in range(0, len(some), AT_ONCE):
        await store.mark_read(READER, some[at : at + AT_ONCE])
    marked = (time.process_time() - marking) / max(1, len(some)) * 1e6
    shown = {"counts": await _timed(count, options), "page": await _timed(page, options)}
    await service.readers.prefer(READER, Preferences(hide_read=True))
    hidden = {"page": await _timed(page, options)}
    unread = (await count()).unread["cosmos"]
    await service.close()
    await engine.dispose()
    return {
        "kblocks": len(ids), "read": len(some), "unread": unread, "mark_us_each": round(marked, 1),
        **found, "read, shown": shown, "read, hidden": hidden,
    }  # fmt: skip


def _kblock(number: int) -> KBlock:
    return KBlock(
        id=f"k{number}", title=f"K {number}", content="Text.", layer=number % 8,
        galois_loss=number % 100 / 100, tags=[f"t{number % 50}"],
        created_at=START + timedelta(seconds=number),
    )  # fmt: skip


async def _timed(
    work: Callable[[], Awaitable[Any]], options: argparse.Namespace
) -> dict[str, float]:
    """Return the median and 95th percentile in milliseconds, after three calls to warm up."""
    used, taken = [], []
    for turn in range(options.rounds + 3):
        began, clock = time.process_time(), time.perf_counter()
        await work()
        if turn >= 3:
            used.append((time.process_time() - began) * 1e3)
            taken.append((time.perf_counter() - clock) * 1e3)
    return {
        "cpu_p50": round(median(used), 2), "cpu_p95": round(quantiles(used, n=20)[-1], 2),
        "wall_p50": round(median(taken), 2),
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())

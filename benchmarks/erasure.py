"""Erasing a reader with many events, while events of others are recorded.

    python -m benchmarks.erasure --events=1000000 --own=100000
    python -m benchmarks.erasure --database=sqlite --events=50000 --own=5000

The log is filled with events of many readers and of one reader, over the same K-Blocks, which are
popular by a Zipf distribution. Then 8 tasks record single events of others: for some seconds, and
during `harken user erase` in another process. At the end the log is compared with what was
acknowledged, and `verify` must find no difference.
"""

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles
from typing import Any
from uuid import uuid4

from sqlalchemy.ext.asyncio import async_sessionmaker
from tests.support.postgres import PostgresServer

from harken import migrations
from harken.config import Settings
from harken.database import Database, create_engine
from harken.errors import Unavailable
from harken.services.integrity.receipts import ReceiptStore
from harken.services.record.admission.subjects import Subject
from harken.services.record.persistence import FeedFeedbackPersistence

BATCH = 1_000
TASKS = 8
READERS = 2_000
ERASED = "the-erased-reader"
ACTIONS = ("view", "view", "view", "engage", "dismiss")


class Writers:
    """Tasks that record events of others, and note when each was acknowledged."""

    def __init__(self, record: FeedFeedbackPersistence, draw: random.Random, kblocks: int) -> None:
        self._record, self._draw, self._kblocks = record, draw, kblocks
        self._is_over = False
        self.seconds: list[float] = []
        self.at: list[float] = []
        self.refused = 0

    async def run(self) -> None:
        while not self._is_over:
            began = time.perf_counter()
            fields = {
                "user_id": f"reader-{self._draw.randrange(READERS)}",
                "kblock_id": _kblock(self._draw, self._kblocks),
                "action": "view", "interaction_id": str(uuid4()),
            }  # fmt: skip
            while not await self._is_recorded(fields):
                self.refused += 1  # sent again, as clients do
            self.at.append(time.perf_counter())
            self.seconds.append(self.at[-1] - began)

    async def _is_recorded(self, fields: dict[str, Any]) -> bool:
        try:
            await self._record.record_interaction(**fields)
        except Unavailable:
            return False
        return True

    async def during(self, work: Any) -> dict[str, float]:
        """Record until `work` is done; returns what others waited, in milliseconds."""
        self._is_over, self.seconds, self.at = False, [], [time.perf_counter()]
        self.refused = 0
        tasks = [asyncio.create_task(self.run()) for _ in range(TASKS)]
        began = time.perf_counter()
        await work
        took = time.perf_counter() - began
        self._is_over = True
        await asyncio.gather(*tasks)
        gaps = [after - before for before, after in zip(self.at, self.at[1:], strict=False)]
        return {
            "seconds": took,
            "events": len(self.seconds),
            "refused": self.refused,
            "per_second": len(self.seconds) / took,
            "p50_ms": 1e3 * median(self.seconds),
            "p99_ms": 1e3 * quantiles(self.seconds, n=100)[-1],
            "slowest_ms": 1e3 * max(self.seconds),
            "longest_pause_ms": 1e3 * max(gaps),
        }


def main() -> int:
    options = options_of(__doc__)
    with ExitStack() as stack:
        found = asyncio.run(_measure(opened(stack, options.database), options))
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    return 1 if found["differences"] or found["left"] or found["lost"] else 0


def opened(stack: ExitStack, database: str) -> str:
    """Return the URL of a new database, which ends with the stack."""
    if database == "postgresql":
        return stack.enter_context(PostgresServer()).url
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    return f"sqlite+aiosqlite:///{folder / 'harken.db'}"


def options_of(description: str | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--database", choices=["postgresql", "sqlite"], default="postgresql")
    parser.add_argument("--events", type=int, default=200_000, help="of others")
    parser.add_argument("--own", type=int, default=20_000, help="of one reader")
    parser.add_argument("--kblocks", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=5.0, help="before it begins")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


async def _measure(url: str, options: argparse.Namespace) -> dict[str, Any]:
    engine = create_engine(Settings(database_url=url))
    await migrations.upgrade(engine)
    sessions = async_sessionmaker(engine)
    draw = random.Random(options.seed)
    async with FeedFeedbackPersistence(sessions) as record:
        loading = await fill(record, draw, options)
        writers = Writers(record, draw, options.kblocks)
        before = await writers.during(asyncio.sleep(options.seconds))
        during = await writers.during(_erase(url))
        verification = await record.verify()
        preview = await ReceiptStore(Database(sessions)).preview(Subject.READER, ERASED)
    await engine.dispose()
    expected = options.events + int(before["events"] + during["events"])
    return {
        "database": options.database, "others": options.events, "own": options.own,
        "loading_seconds": loading, "before": before, "during_erasure": during,
        "differences": verification.differences, "left": preview.counts["events"],
        "lost": expected - verification.events,
    }  # fmt: skip


async def fill(
    record: FeedFeedbackPersistence, draw: random.Random, options: argparse.Namespace
) -> float:
    """Record events of others and of the one reader, mixed; returns the seconds it took."""
    owners = [ERASED] * options.own + [""] * options.events
    draw.shuffle(owners)
    began = time.perf_counter()
    for start in range(0, len(owners), BATCH):
        some = owners[start : start + BATCH]
        await record.record_batch([_event(draw, each, options.kblocks) for each in some])
    return time.perf_counter() - began


def _event(draw: random.Random, owner: str, kblocks: int) -> dict[str, Any]:
    ago = timedelta(seconds=draw.randrange(30 * 86_400))
    return {
        "user_id": owner or f"reader-{draw.randrange(READERS)}",
        "kblock_id": _kblock(draw, kblocks),
        "action": draw.choice(ACTIONS),
        "dwell_time_ms": draw.randrange(60_000),
        "occurred_at": datetime.now(UTC) - ago,
    }


def _kblock(draw: random.Random, kblocks: int) -> str:
    """Draw a K-Block whose popularity is about the inverse of its rank."""
    return f"k{int(kblocks ** draw.random())}"


async def _erase(url: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "harken", "user", "erase", ERASED, "--json",
        env=os.environ | {"HARKEN_DATABASE_URL": url},
        stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    if await process.wait():
        raise RuntimeError("the erasure failed")


if __name__ == "__main__":
    sys.exit(main())

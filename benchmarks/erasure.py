"""Exporting and erasing a reader with many events, while events of others are recorded.

    python -m benchmarks.erasure --events=1000000 --own=100000
    python -m benchmarks.erasure --database=sqlite --events=50000 --own=5000

The log is filled with events of many readers and of one reader, over the same K-Blocks, which are
popular by a Zipf distribution. Then 8 tasks record single events of others: for some seconds,
during `harken user export` in another process, and during `harken user erase`. That process is
killed (SIGKILL) when a third of the events is removed, and the command is run again. At the end the
log is compared with what was acknowledged, every column of every table and the files of SQLite are
searched for the reader's id, and `verify` must find no difference.
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

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import async_sessionmaker
from tests.support.postgres import PostgresServer
from tests.support.remains import files_of, places_of
from uuid_utils import uuid7

from harken import migrations
from harken.config import Settings
from harken.database import Database, Kind, create_engine
from harken.domain.preferences import Preferences
from harken.errors import Unavailable
from harken.services.record.persistence import FeedFeedbackPersistence
from harken.services.record.readers import ReaderStore
from harken.services.record.transaction import LOG

BATCH = 5_000
TASKS = 8
READERS = 2_000
ERASED = "the-erased-reader"
POLL_SECONDS = 0.25
KILL_AT = 2 / 3  # of the reader's events are left
ACTIONS = ("view", "view", "view", "engage", "dismiss")


class Writers:
    """Tasks that record events of others, and note when each was acknowledged."""

    def __init__(
        self,
        record: FeedFeedbackPersistence,
        draw: random.Random,
        kblocks: int,
        limit: float | None = None,
    ) -> None:
        """`limit` is the most seconds that something may take during which events are recorded."""
        self._record, self._draw, self._kblocks, self._limit = record, draw, kblocks, limit
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

    async def during(self, phase: str, work: Any) -> dict[str, float]:
        """Record until `work` is done; returns, and says, what others waited, in milliseconds."""
        self._is_over, self.seconds, self.at = False, [], [time.perf_counter()]
        self.refused = 0
        tasks = [asyncio.create_task(self.run()) for _ in range(TASKS)]
        began = time.perf_counter()
        try:
            await asyncio.wait_for(work, self._limit)
        finally:  # else the record would wait for writers that never end
            took = time.perf_counter() - began
            self._is_over = True
            await asyncio.gather(*tasks)
        gaps = [after - before for before, after in zip(self.at, self.at[1:], strict=False)]
        found = {
            "seconds": took,
            "events": len(self.seconds),
            "refused": self.refused,
            "per_second": len(self.seconds) / took,
            "p50_ms": 1e3 * median(self.seconds),
            "p99_ms": 1e3 * quantiles(self.seconds, n=100)[-1],
            "slowest_ms": 1e3 * max(self.seconds),
            "longest_pause_ms": 1e3 * max(gaps),
        }
        sys.stderr.write(f"{phase}: {json.dumps(found)}\n")
        return found


def main() -> int:
    options = options_of(__doc__)
    with ExitStack() as stack:
        found = asyncio.run(_measure(opened(stack, options.database), options))
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    is_wrong = found["differences"] or found["left"] or found["lost"] or found["in_files"]
    return 1 if is_wrong else 0


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
    parser.add_argument("--limit", type=float, default=300.0, help="seconds of each phase")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


async def _measure(url: str, options: argparse.Namespace) -> dict[str, Any]:
    engine = create_engine(Settings(database_url=url))
    await migrations.upgrade(engine)
    sessions = async_sessionmaker(engine)
    draw = random.Random(options.seed)
    async with FeedFeedbackPersistence(sessions) as record:
        loading = await fill(record, database := Database(sessions), draw, options)
        sys.stderr.write(f"loaded in {loading:.0f} s\n")
        await ReaderStore(database).prefer(ERASED, Preferences(muted_tags=("politics",)))
        writers = Writers(record, draw, options.kblocks, options.limit)
        before = await writers.during("before", asyncio.sleep(options.seconds))
        export = await writers.during("export", _export(url))
        kill_at = int(options.own * KILL_AT)
        killed = await writers.during("until killed", _erase_and_kill(url, database, kill_at))
        left_then = await _own_events(database)
        during = await writers.during("continued", _erase(url))
        verification = await record.verify()
        left = await places_of(database, ERASED)
    await engine.dispose()
    phases = (before, export, killed, during)
    expected = options.events + sum(int(each["events"]) for each in phases)
    return {
        "database": options.database, "others": options.events, "own": options.own,
        "loading_seconds": loading, "before": before, "during_export": export,
        "until_killed": killed, "left_when_killed": left_then, "continued": during,
        "differences": verification.differences, "left": left,
        "in_files": sum(ERASED.encode() in content for content in files_of(url)),
        "lost": expected - verification.events,
    }  # fmt: skip


async def fill(
    record: FeedFeedbackPersistence, database: Database, draw: random.Random,
    options: argparse.Namespace,
) -> float:  # fmt: skip
    """Add events of others and of the one reader, mixed; returns the seconds it took."""
    owners = [ERASED] * options.own + [""] * options.events
    draw.shuffle(owners)
    began = time.perf_counter()
    for start in range(0, len(owners), BATCH):
        rows = [_row(draw, each, options.kblocks) for each in owners[start : start + BATCH]]
        async with database.transaction(Kind.BULK_WRITE) as connection:
            await connection.execute(insert(LOG), rows)
    await record.rebuild()
    return time.perf_counter() - began


def _row(draw: random.Random, owner: str, kblocks: int) -> dict[str, Any]:
    """Draw a row of the log; they are inserted directly, and counted by `rebuild`, to save time."""
    at = datetime.now(UTC) - timedelta(seconds=draw.randrange(30 * 86_400))
    return {
        "id": str(uuid7()),
        "user_id": owner or f"reader-{draw.randrange(READERS)}",
        "kblock_id": _kblock(draw, kblocks),
        "action": draw.choice(ACTIONS),
        "dwell_time_ms": draw.randrange(60_000),
        "created_at": at,
        "updated_at": at,
    }


def _kblock(draw: random.Random, kblocks: int) -> str:
    """Draw a K-Block whose popularity is about the inverse of its rank."""
    return f"k{int(kblocks ** draw.random())}"


async def _own_events(database: Database) -> int:
    async with database.reading() as connection:
        wanted = select(func.count()).select_from(LOG).where(LOG.c.user_id == ERASED)
        return int((await connection.execute(wanted)).scalar_one())


async def _start(url: str, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "harken", "user", *arguments,
        env=os.environ | {"HARKEN_DATABASE_URL": url},
        stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip


async def _export(url: str) -> None:
    if await (await _start(url, "export", ERASED)).wait():
        raise RuntimeError("the export failed")


async def _erase(url: str) -> None:
    if await (await _start(url, "erase", ERASED, "--yes", "--json")).wait():
        raise RuntimeError("the erasure failed")


async def _erase_and_kill(url: str, database: Database, until: int) -> None:
    process = await _start(url, "erase", ERASED, "--yes", "--json")
    while process.returncode is None and await _own_events(database) > until:  # noqa: ASYNC110
        await asyncio.sleep(POLL_SECONDS)
    if process.returncode is not None:
        raise RuntimeError("the erasure ended before it could be killed")
    process.kill()
    await process.wait()


if __name__ == "__main__":
    sys.exit(main())

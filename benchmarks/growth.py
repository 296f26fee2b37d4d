"""Whether recording and analytics stay fast while the log grows.

One server has two databases, with a small and a large log; the same calls go to both in turn.
Record calls do not overlap, so the latency of a call is that of one transaction.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import uvloop
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker
from tests.support.postgres import PostgresServer

from benchmarks.servers import create_database
from harken import migrations
from harken.config import Settings
from harken.database import create_engine
from harken.domain.feedback import LogEntry
from harken.services.feed.service import FeedService
from harken.services.record.persistence import FeedFeedbackPersistence

T = TypeVar("T")

COLUMNS = [*LogEntry._fields, "updated_at"]
PAGE = 50_000
SPAN = timedelta(days=90)
ACTIVE = "active reader"


def main() -> int:
    options = _parse()
    with PostgresServer() as server:
        figures = uvloop.run(_measure(server.url, options))
    sys.stdout.write(_report(figures, options))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2))
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--small", type=int, default=100_000, help="events in the small log")
    parser.add_argument("--large", type=int, default=1_000_000, help="events in the large log")
    parser.add_argument("--full", action="store_true", help="10,000,000 events in the large log")
    parser.add_argument("--kblocks", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=20_251_225)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the medians")
    options = parser.parse_args()
    if options.full:
        options.large = 10_000_000
    return options


async def _measure(server: str, options: argparse.Namespace) -> dict[str, Any]:
    engines, records = [], []
    for size in (options.small, options.large):
        engine, record = await _filled(server, size, options)
        engines.append(engine)
        records.append(record)
    rng = random.Random(options.seed)

    async def recording(record: FeedFeedbackPersistence) -> None:
        reader, kblock = rng.randrange(10_000), rng.randrange(options.kblocks)
        await record.record_interaction(f"user-{reader}", f"kblock-{kblock}", "view")

    async def by_active(record: FeedFeedbackPersistence) -> None:
        kblock = rng.randrange(options.kblocks)
        await record.record_interaction(ACTIVE, f"kblock-{kblock}", "view")

    async def analytics(record: FeedFeedbackPersistence) -> None:
        await record.get_analytics()

    found = {
        name: await _in_turn(call, records, rounds)
        for name, call, rounds in (
            ("record", recording, options.rounds),
            ("record, by a reader with a tenth of all events", by_active, options.rounds),
            ("analytics", analytics, options.rounds // 4),
        )
    }
    profiles = [FeedService(async_sessionmaker(engine)) for engine in engines]
    found["profile of that reader"] = await _in_turn(
        lambda service: service.profile(ACTIVE), profiles, options.rounds
    )
    for engine, record in zip(engines, records, strict=True):
        await record.close()
        await engine.dispose()
    return found


async def _filled(
    server: str, size: int, options: argparse.Namespace
) -> tuple[AsyncEngine, FeedFeedbackPersistence]:
    name = f"growth_{size}"
    await create_database(server.replace("+asyncpg", ""), name)
    url = server.removesuffix("postgres") + name
    engine = create_engine(Settings(database_url=url))
    await migrations.upgrade(engine)
    raw = await asyncpg.connect(url.replace("+asyncpg", ""))
    began = time.perf_counter()
    for start in range(0, size, PAGE):
        rows = _rows(start, min(PAGE, size - start), size, options)
        await raw.copy_records_to_table("feed_interactions", records=rows, columns=COLUMNS)
    record = FeedFeedbackPersistence(async_sessionmaker(engine))
    await record.rebuild()
    await raw.execute("VACUUM ANALYZE")
    await raw.execute("CHECKPOINT")
    await raw.close()
    sys.stderr.write(f"{size:,} events were loaded in {time.perf_counter() - began:.0f} s\n")
    return engine, record


def _rows(start: int, count: int, size: int, options: argparse.Namespace) -> list[tuple[Any, ...]]:
    rng = random.Random(options.seed + start)
    now = datetime.now(UTC)
    kblocks = options.kblocks
    rows = []
    for number in range(start, start + count):
        at = now - SPAN + SPAN * (number / size)
        # Like a UUIDv7, an id begins with its time.
        made = UUID(int=int(at.timestamp() * 1000) << 80 | 7 << 76 | 2 << 62 | number)
        action = rng.choices(("view", "engage", "dismiss"), (75, 18, 7))[0]
        kblock = int(kblocks * rng.random() ** 3)
        reader = ACTIVE if number % 10 == 0 else f"user-{rng.randrange(10_000)}"
        rows.append(
            (str(made), reader, f"kblock-{kblock}", action, 3_000, None, None, at, None,
             None, None, at)
        )  # fmt: skip
    return rows


async def _in_turn(
    call: Callable[[T], Awaitable[Any]], records: list[T], rounds: int
) -> dict[str, float]:
    times: list[list[float]] = [[] for _ in records]
    for number in range(rounds + 10):
        for record, taken in zip(records, times, strict=True):
            began = time.perf_counter()
            await call(record)
            if number >= 10:
                taken.append(1000 * (time.perf_counter() - began))
    small, large = (median(taken) for taken in times)
    return {"small_ms": small, "large_ms": large, "ratio": large / small}


def _report(figures: dict[str, Any], options: argparse.Namespace) -> str:
    lines = [
        f"| what | at {options.small:,} events, ms | at {options.large:,}, ms | ratio |",
        "|---|---:|---:|---:|",
    ]
    for name, row in figures.items():
        lines.append(
            f"| {name} | {row['small_ms']:.2f} | {row['large_ms']:.2f} | {row['ratio']:.2f} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())

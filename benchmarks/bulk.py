"""Bulk recording and score lookups, each compared with the limit of the database.

    batch      POST /feed/feedback/batch, 1,000 events a request, 8 connections
    loop       the same events in transactions of 1,000, without HTTP: the bare group commit
    copy       raw COPY of the same rows into a log with the same indexes, without statistics
    sqlite     record_batch of 1,000 on SQLite, synchronous=FULL
    executemany  raw executemany of the same rows into the same tables
    lookups    get_attention_score from 16 tasks, by readers with a history on the K-Block
    select     the overall score of the same K-Blocks: a prepared SELECT over 16 raw connections

The order of contestants is random in each round; rows are counted after each run.
"""

import argparse
import asyncio
import json
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg
import uvloop
from sqlalchemy.ext.asyncio import async_sessionmaker
from tests.support.postgres import PostgresServer
from uuid_utils import uuid7

from benchmarks.servers import CLIENT_CPU, HARKEN, create_database, pin_self, started
from harken import migrations
from harken.config import Settings
from harken.database import create_engine
from harken.domain.feedback import Interaction, LogEntry
from harken.models.types import utc_text
from harken.services.record.persistence import FeedFeedbackPersistence

BATCH = 1_000
CONNECTIONS = 8
TASKS = 16
COLUMNS = [*LogEntry._fields, "updated_at"]
NOW = datetime.now(UTC) - timedelta(hours=1)


def main() -> int:
    options = _parse()
    pin_self(CLIENT_CPU)
    with ExitStack() as stack:
        server = stack.enter_context(PostgresServer())
        service = stack.enter_context(started(HARKEN, server.url))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        rates = uvloop.run(_rounds(options, server.url, service.port, folder))
    sys.stdout.write(_report(rates))
    if options.json:
        options.json.write_text(json.dumps(rates, indent=2))
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bulk", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=24, help="batches of 1,000 events per run")
    parser.add_argument("--seed", type=int, default=20_251_225)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round's rates")
    return parser.parse_args()


def _events(rng: random.Random, count: int) -> list[dict[str, Any]]:
    actions = rng.choices(("view", "engage", "dismiss"), (75, 18, 7), k=count)
    return [
        {
            "interaction_id": str(uuid7()),
            "user_id": f"user-{rng.randrange(1_000):04}",
            "kblock_id": f"kblock-{rng.randrange(10_000):05}",
            "action": action,
            "dwell_time_ms": rng.randrange(500, 60_000) if action == "view" else None,
        }
        for action in actions
    ]


async def _rounds(
    options: argparse.Namespace, server: str, port: int, folder: Path
) -> dict[str, list[float]]:
    plain = server.replace("+asyncpg", "").removesuffix("postgres")
    await create_database(plain + "postgres", "loop")
    bench = Bench(options, port, plain, folder)
    await bench.open(server.removesuffix("postgres") + "loop")
    contestants: dict[str, Callable[[], Awaitable[float]]] = {
        "batch": bench.batch, "loop": bench.loop, "copy": bench.copy, "sqlite": bench.sqlite,
        "executemany": bench.executemany, "lookups": bench.lookups, "select": bench.select,
    }  # fmt: skip
    rng = random.Random(options.seed)
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(options.rounds + 1):
        for name in rng.sample(list(contestants), len(contestants)):
            rate = await contestants[name]()
            if number:  # the first round warms up
                rates[name].append(rate)
                sys.stderr.write(f"round {number}  {name:12} {rate:10,.0f}/s\n")
    await bench.close()
    return rates


class Bench:
    """The contestants and their databases; each method returns operations per second."""

    def __init__(self, options: argparse.Namespace, port: int, plain: str, folder: Path) -> None:
        self._options = options
        self._port = port
        self._plain = plain
        self._folder = folder
        self._rng = random.Random(options.seed)
        self._sqlite = 0

    async def open(self, url: str) -> None:
        self._engine = create_engine(Settings(database_url=url))
        await migrations.upgrade(self._engine)
        self._record = FeedFeedbackPersistence(
            async_sessionmaker(self._engine), queue_limit=2 * BATCH * self._options.batches
        )
        self._raw = [await asyncpg.connect(self._plain + "loop") for _ in range(TASKS)]
        self._served = await asyncpg.connect(self._plain + HARKEN)
        # The readers and K-Blocks to look up; every second reader also has preferences.
        history = _events(self._rng, 10 * BATCH)
        await self._record.record_batch(history)
        self._pairs = [(event["user_id"], event["kblock_id"]) for event in history]
        await self._raw[0].execute(
            "INSERT INTO feed_users (user_id, principles, created_at, updated_at) SELECT DISTINCT"
            " user_id, '[]', now(), now() FROM feed_interactions WHERE right(user_id, 1) < '5'"
        )
        await self._raw[0].execute(
            "CREATE TABLE copied (LIKE feed_interactions INCLUDING DEFAULTS INCLUDING INDEXES)"
        )

    async def close(self) -> None:
        await self._record.close()
        for connection in (*self._raw, self._served):
            await connection.close()
        await self._engine.dispose()

    def _batches(self) -> list[list[dict[str, Any]]]:
        return [_events(self._rng, BATCH) for _ in range(self._options.batches)]

    def _rows(self, events: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
        return [
            (*Interaction.parse(event).entry(NOW, "")._replace(created_at=NOW), NOW)
            for event in events
        ]

    async def batch(self) -> float:
        bodies = [json.dumps({"events": events}).encode() for events in self._batches()]
        head = b"POST /api/feed/feedback/batch HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        requests = [
            head
            + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
            + body
            for body in bodies
        ]
        accepted = 0

        async def connection() -> None:
            nonlocal accepted
            incoming, outgoing = await asyncio.open_connection("127.0.0.1", self._port)
            while requests:
                outgoing.write(requests.pop())
                headers = (await incoming.readuntil(b"\r\n\r\n")).lower()
                length = int(headers.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
                accepted += json.loads(await incoming.readexactly(length))["accepted"]
            outgoing.close()

        before = await self._served.fetchval("SELECT count(*) FROM feed_interactions")
        began = time.perf_counter()
        await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))
        seconds = time.perf_counter() - began
        after = await self._served.fetchval("SELECT count(*) FROM feed_interactions")
        _check(accepted, after - before)
        return accepted / seconds

    async def loop(self) -> float:
        batches = [[Interaction.parse(e) for e in events] for events in self._batches()]
        began = time.perf_counter()
        results = await asyncio.gather(*(self._record.record_batch(batch) for batch in batches))
        seconds = time.perf_counter() - began
        _check(sum(result.accepted for result in results), BATCH * len(batches))
        return BATCH * len(batches) / seconds

    async def copy(self) -> float:
        batches = [self._rows(events) for events in self._batches()]
        before = await self._raw[0].fetchval("SELECT count(*) FROM copied")
        began = time.perf_counter()
        for rows in batches:
            await self._raw[0].copy_records_to_table("copied", records=rows, columns=COLUMNS)
        seconds = time.perf_counter() - began
        after = await self._raw[0].fetchval("SELECT count(*) FROM copied")
        _check(BATCH * len(batches), after - before)
        return BATCH * len(batches) / seconds

    async def _sqlite_file(self) -> Path:
        self._sqlite += 1
        path = self._folder / f"{self._sqlite}.db"
        engine = create_engine(Settings(database_url=f"sqlite+aiosqlite:///{path}"))
        await migrations.upgrade(engine)
        await engine.dispose()
        return path

    async def sqlite(self) -> float:
        path = await self._sqlite_file()
        batches = [[Interaction.parse(e) for e in events] for events in self._batches()]
        engine = create_engine(Settings(database_url=f"sqlite+aiosqlite:///{path}"))
        async with FeedFeedbackPersistence(async_sessionmaker(engine)) as record:
            began = time.perf_counter()
            accepted = sum([(await record.record_batch(each)).accepted for each in batches])
            seconds = time.perf_counter() - began
        await engine.dispose()
        _check(accepted, BATCH * len(batches))
        return accepted / seconds

    async def executemany(self) -> float:
        path = await self._sqlite_file()
        batches = [self._rows(events) for events in self._batches()]
        return BATCH * len(batches) / await asyncio.to_thread(_executemany, path, batches)

    async def lookups(self) -> float:
        return await self._request(lambda _task, pair: self._record.get_attention_score(*pair))

    async def select(self) -> float:
        query = "SELECT attention_score FROM feed_engagement_stats WHERE kblock_id = $1"
        return await self._request(lambda task, pair: self._raw[task].fetchval(query, pair[1]))

    async def _request(self, ask: Callable[[int, tuple[str, str]], Awaitable[Any]]) -> float:
        each: int = 20 * self._options.batches

        async def task(number: int) -> None:
            for _ in range(each):
                await ask(number, self._rng.choice(self._pairs))

        began = time.perf_counter()
        await asyncio.gather(*(task(number) for number in range(TASKS)))
        seconds: float = time.perf_counter() - began
        return TASKS * each / seconds


def _executemany(path: Path, batches: list[list[tuple[Any, ...]]]) -> float:
    """Write the rows and two rows of statistics for each by plain SQL; returns seconds."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = FULL")
    places = ", ".join("?" * len(COLUMNS))
    log = f"INSERT INTO feed_interactions ({', '.join(COLUMNS)}) VALUES ({places})"
    reader = (
        "INSERT INTO feed_user_engagement_stats (user_id, kblock_id, view_count) VALUES (?, ?, 1)"
        " ON CONFLICT DO UPDATE SET view_count = view_count + 1"
    )
    kblock = (
        "INSERT INTO feed_engagement_stats (kblock_id, view_count, created_at, updated_at)"
        " VALUES (?, 1, ?, ?) ON CONFLICT DO UPDATE SET view_count = view_count + 1"
    )
    now = utc_text(NOW)
    texts = [
        [tuple(utc_text(v) if isinstance(v, datetime) else v for v in row) for row in rows]
        for rows in batches
    ]
    began = time.perf_counter()
    for rows in texts:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(log, rows)
        connection.executemany(reader, [(row[1], row[2]) for row in rows])
        connection.executemany(kblock, [(row[2], now, now) for row in rows])
        connection.execute("COMMIT")
    seconds = time.perf_counter() - began
    [[count]] = connection.execute("SELECT count(*) FROM feed_interactions")
    connection.close()
    _check(count, sum(map(len, batches)))
    return seconds


def _check(recorded: int, expected: int) -> None:
    if recorded != expected:
        raise SystemExit(f"{recorded} events were recorded, {expected} were expected")


RATIOS = (
    ("batch", "loop", "POST /feed/feedback/batch ÷ bare group-commit loop"),
    ("loop", "copy", "group-commit loop ÷ raw COPY with all indexes"),
    ("sqlite", "executemany", "SQLite, batches of 1,000 ÷ raw executemany"),
    ("lookups", "select", "get_attention_score ÷ raw point select"),
)


def _report(rates: dict[str, list[float]]) -> str:
    lines = ["| what | ours/s | limit/s | ratio (least–greatest) |", "|---|---:|---:|---:|"]
    for ours, limit, title in RATIOS:
        ratios = [mine / most for mine, most in zip(rates[ours], rates[limit], strict=True)]
        lines.append(
            f"| {title} | {median(rates[ours]):,.0f} | {median(rates[limit]):,.0f} | "
            f"{median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f}) |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())

"""Feeds over HTTP on PostgreSQL: time to the first page, and latency of further pages.

It starts a server with many K-Blocks and measures the time to its first page, its memory compared
with a server without K-Blocks, and the latencies of pages for concurrent readers. At the end it
checks that the database has a slate for every page.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import asyncpg
import psutil
from tests.support.postgres import PostgresServer, free_port
from uuid_utils import uuid7

from benchmarks.servers import (
    CLIENT_CPU,
    SERVER_CPU,
    STOP_SECONDS,
    create_database,
    idle,
    pin,
)
from harken.domain.feedback import LogEntry

CONNECTIONS = 16
LABELS = [f"label{i}" for i in range(50)]
NOW = datetime.now(UTC)
RANKINGS = ("chronological", "weighted", "trending", "personal")
READERS = 200
EVENTS = 30_000


def main() -> int:
    options = _parse()
    with PostgresServer() as server:
        rows = []
        for _ in range(options.rounds):
            empty = _measure(server.url, 0, options)
            full = _measure(server.url, options.kblocks, options)
            full["index_mb"] = (full["rss"] - empty["rss"]) / 1e6
            rows.append(full)
            sys.stderr.write(json.dumps(full) + "\n")
    sys.stdout.write(_report(rows, options))
    if options.json:
        Path(options.json).write_text(json.dumps(rows, indent=2))
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kblocks", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--connections", type=int, default=CONNECTIONS)
    parser.add_argument("--seed", type=int, default=20251225)
    parser.add_argument("--json", help="also write every round to this file")
    return parser.parse_args()


def _measure(server_url: str, kblocks: int, options: argparse.Namespace) -> dict[str, Any]:
    name = f"feed_{kblocks}_{time.monotonic_ns()}"
    environment = prepare(server_url, name, kblocks, options.seed)
    database = environment["HARKEN_DATABASE_URL"].replace("+asyncpg", "")
    began = time.perf_counter()
    with serving(environment) as (port, process_id):
        wait_for_first_page(port, kblocks)
        found: dict[str, Any] = {"kblocks": kblocks, "first_answer_s": time.perf_counter() - began}
        if kblocks:
            for ranking in RANKINGS:
                path = f"/api/feed/cosmos?ranking={ranking}"
                figures = asyncio.run(read_pages(port, path, options, process_id))
                found |= {f"{ranking}_{what}": value for what, value in figures.items()}
            found["personal_to_weighted"] = found["personal_p99_ms"] / found["weighted_p99_ms"]
            kept = asyncio.run(_slates(database))
            served = 1 + sum(found[f"{ranking}_pages"] for ranking in RANKINGS)
            if kept != served:
                raise SystemExit(f"{served} pages were served, {kept} slates are in the ledger")
        found["rss"] = psutil.Process(process_id).memory_info().rss
    return found


def prepare(
    server_url: str, name: str, kblocks: int, seed: int, more: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Create a database with K-Blocks and events; returns the environment of its server.

    `more` are further variables of it.
    """
    asyncio.run(create_database(server_url.replace("+asyncpg", ""), name))
    url = server_url.removesuffix("postgres") + name
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HARKEN_")}
    environment |= {"HARKEN_DATABASE_URL": url, **(more or {})}
    harken = [sys.executable, "-m", "harken"]
    subprocess.run([*harken, "migrate"], env=environment, check=True, capture_output=True)
    database = url.replace("+asyncpg", "")
    asyncio.run(_fill(database, kblocks, seed))
    if kblocks:
        subprocess.run([*harken, "rebuild"], env=environment, check=True, capture_output=True)
        asyncio.run(_settle(database))
    return environment


@contextmanager
def serving(environment: dict[str, str], *, is_pinned: bool = True) -> Iterator[tuple[int, int]]:
    """Start `harken serve`; yields its port and its process id, and stops it at the end."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "harken", "serve", "--port", str(port)],
                               env=environment, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)  # fmt: skip
    if is_pinned:
        pin(process, SERVER_CPU)
    try:
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)


async def _slates(url: str) -> int:
    database = await asyncpg.connect(url)
    kept = await database.fetchval("SELECT count(*) FROM feed_slates")
    await database.close()
    return int(kept)


async def _fill(url: str, count: int, seed: int) -> None:
    database = await asyncpg.connect(url)
    rng = random.Random(seed)
    names = [
        "id", "number", "revision", "version", "digest", "title", "preview", "content", "layer",
        "kind", "author", "tags", "principles", "galois_loss", "created_at", "updated_at",
    ]  # fmt: skip
    rows = [
        (
            f"kblock-{i}", i, 1, 1, "", f"Title of {i}", "A preview. " * 10, "Content. " * 40,
            rng.randrange(8), "note", f"author{rng.randrange(500)}",
            json.dumps(rng.sample(LABELS, 3)), json.dumps(rng.sample(LABELS[:6], 2)),
            rng.random(), NOW - timedelta(minutes=rng.randrange(500_000)), NOW,
        )
        for i in range(1, count + 1)
    ]  # fmt: skip
    await database.copy_records_to_table("kblocks", records=rows, columns=names)
    if count:
        events = sorted(_events(rng, count), key=lambda event: event[7])
        columns = [*LogEntry._fields, "updated_at"]
        await database.copy_records_to_table("feed_interactions", records=events, columns=columns)
    await database.execute("UPDATE kblock_clock SET revision = 1, last_number = $1", count)
    await database.execute("ANALYZE")
    await database.close()


def _events(rng: random.Random, count: int) -> list[tuple[Any, ...]]:
    events = []
    for _ in range(EVENTS):
        at = NOW - timedelta(hours=1) - timedelta(days=30 * rng.random())
        action = rng.choices(("view", "engage", "dismiss"), (75, 18, 7))[0]
        reader, kblock = rng.randrange(READERS), 1 + int(count * rng.random() ** 3)
        events.append(
            (str(uuid7()), f"user-{reader}", f"kblock-{kblock}", action, None, None, None, at,
             None, None, None, at)
        )  # fmt: skip
    return events


async def _settle(url: str) -> None:
    """Age the statistics, so that the server does not treat them as recent changes."""
    database = await asyncpg.connect(url)
    await database.execute(
        "UPDATE feed_engagement_stats SET updated_at = now() - interval '1 hour'"
    )
    await database.execute("VACUUM ANALYZE")
    await database.close()


def wait_for_first_page(port: int, total: int) -> None:
    """Wait for the first page, and check that it has all K-Blocks."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        try:
            with urlopen(f"http://127.0.0.1:{port}/api/feed/cosmos?limit=1", timeout=300) as page:
                if json.load(page)["total"] != total:
                    raise SystemExit("the first page does not have all K-Blocks")
                return
        except OSError:
            time.sleep(0.02)
    raise SystemExit("the server does not answer")


async def read_pages(
    port: int, path: str, options: argparse.Namespace, server: int | None = None
) -> dict[str, Any]:
    """Read pages of a path with a query for concurrent readers; returns counts and latencies.

    Each reader has a page first, which is not measured. With the process id of the `server`, what
    these pages have it read in the background ends first: it takes `settled_s` seconds.
    """
    latencies: list[float] = []
    pages = 0
    waiting = list(range(READERS))
    rng = random.Random(options.seed)
    path += "&user_id=user-"

    async def reader(stop: float, asked: list[int] | None) -> None:
        nonlocal pages
        incoming, outgoing = await asyncio.open_connection("127.0.0.1", port)
        while asked or (asked is None and time.perf_counter() < stop):
            user = rng.randrange(READERS) if asked is None else asked.pop()
            began = time.perf_counter()
            outgoing.write(f"GET {path}{user} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            head = (await incoming.readuntil(b"\r\n\r\n")).lower()
            if b" 200 " not in head.split(b"\r\n", 1)[0]:
                raise SystemExit(head.decode())
            length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
            await incoming.readexactly(length)
            pages += 1
            if asked is None:
                latencies.append(1000 * (time.perf_counter() - began))
        outgoing.close()

    await asyncio.gather(*(reader(0.0, waiting) for _ in range(options.connections)))
    began = time.perf_counter()
    if server is not None:
        await idle(server)
    settled = time.perf_counter() - began
    stop = time.perf_counter() + options.seconds
    await asyncio.gather(*(reader(stop, None) for _ in range(options.connections)))
    latencies.sort()
    return {
        "pages": pages,
        "settled_s": settled,
        "per_second": len(latencies) / options.seconds,
        "p50_ms": latencies[len(latencies) // 2],
        "p99_ms": latencies[int(len(latencies) * 0.99)],
    }


def _report(rows: list[dict[str, Any]], options: argparse.Namespace) -> str:
    names = {
        "first_answer_s": "start to first answer, s",
        "index_mb": "memory above a server without K-Blocks, MB",
        **{
            f"{ranking}_{what}": f"{ranking}: {what.replace('_', ' ')}"
            for ranking in RANKINGS
            for what in ("per_second", "p50_ms", "p99_ms")
        },
    }
    names["personal_settled_s"] = "personal: texts are read so long after the first pages, s"
    names["personal_to_weighted"] = "personal ÷ weighted, p99"
    lines = [
        f"{options.kblocks:,} K-Blocks, {options.connections} connections, {len(rows)} rounds",
        "", "| what | median (least–greatest) |", "|---|---:|",
    ]  # fmt: skip
    for name, title in names.items():
        values = [row[name] for row in rows]
        spread = f"{min(values):,.1f}–{max(values):,.1f}"
        lines.append(f"| {title} | {statistics.median(values):,.1f} ({spread}) |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[CLIENT_CPU]})
    raise SystemExit(main())

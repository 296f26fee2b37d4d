"""One, two and four workers of `harken serve` on PostgreSQL: events and pages per second, memory.

Each round measures all numbers of workers in a random order, each on an emptied log: first events,
then pages. Nothing is pinned: the load generator and PostgreSQL share the processors with the
workers, so on two processors more workers cannot double anything. After each run the log, the
statistics and the slates in the database are compared with what was acknowledged.

`--memory` measures no speed: it starts two workers on so many K-Blocks, asks for pages until each
worker has served some, and prints the memory of each.
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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import asyncpg
import psutil
from tests.support.postgres import PostgresServer, free_port

from benchmarks.feed_http import prepare, read_pages, wait_for_first_page
from benchmarks.servers import STOP_SECONDS

RANKING = "weighted"
PAGES_OF_EACH = 40
BUSY_PERCENT = 20
Result = dict[str, Any]


def main() -> int:
    options = _parse()
    found: list[Result] = []
    with PostgresServer() as server:
        for result in (_memory if options.memory else _rounds)(options, server.url):
            found.append(result)
            print(json.dumps(result), file=sys.stderr, flush=True)
    print(_memory_table(found) if options.memory else _table(found, options))
    print(f"\n{os.cpu_count()} processors, load average {os.getloadavg()[0]:.2f} at the end.")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    return 1 if any(not each["exact"] for each in found) else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workers", description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5, help="measured seconds of each load")
    parser.add_argument("--warm", type=float, default=2, help="seconds of warm-up")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--kblocks", type=int, default=10_000)
    parser.add_argument("--memory", type=int, nargs="+", metavar="KBLOCKS")
    parser.add_argument("--seed", type=int, default=20_251_225)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every run's figures")
    return parser.parse_args()


def _rounds(options: argparse.Namespace, server_url: str) -> Iterator[Result]:
    environment = prepare(server_url, "workers", options.kblocks, options.seed)
    source = random.Random(options.seed)
    for number in range(1, options.rounds + 1):
        for workers in source.sample(options.workers, len(options.workers)):
            yield {"round": number} | _run(environment, workers, options, source.getrandbits(32))


def _run(
    environment: dict[str, str], workers: int, options: argparse.Namespace, seed: int
) -> Result:
    url = environment["HARKEN_DATABASE_URL"].replace("+asyncpg", "")
    before = asyncio.run(_rows(url))
    with serving(environment, workers) as (port, process):
        wait_for_first_page(port, options.kblocks)
        _await_workers(port, process, workers)
        events = _load(options, port, seed)
        pages = asyncio.run(read_pages(port, f"/api/feed/cosmos?ranking={RANKING}", options))
    after = asyncio.run(_rows(url))
    log, counted, slates = (new - old for new, old in zip(after, before, strict=True))
    return {
        "workers": workers,
        "events_per_second": events["events_per_second"],
        "events_p99_ms": events["p99_ms"],
        "pages_per_second": pages["per_second"],
        "pages_p99_ms": pages["p99_ms"],
        "errors": events["errors"],
        "exact": log == counted == events["acknowledged"] and slates >= pages["pages"],
    }


@contextmanager
def serving(environment: dict[str, str], workers: int) -> Iterator[tuple[int, psutil.Process]]:
    """Start `harken serve --workers`; yields its port and its first process, and ends it."""
    port, quiet = free_port(), subprocess.DEVNULL
    command = [sys.executable, "-m", "harken", "serve", "--port", str(port), "--workers"]
    process = subprocess.Popen(
        [*command, str(workers)], env=environment, stdout=quiet, stderr=quiet
    )
    try:
        yield port, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(STOP_SECONDS + workers)


def workers_of(process: psutil.Process) -> list[psutil.Process]:
    """Return the processes that serve: the children of a supervisor, or the process itself."""
    found = [each for each in process.children() if "spawn_main" in " ".join(each.cmdline())]
    return found or [process]


def _await_workers(port: int, process: psutil.Process, workers: int) -> None:
    """Wait until all workers accept connections, then ask for pages, which all of them serve."""
    deadline = time.monotonic() + 300
    while sum(_has_loaded(each) for each in workers_of(process)) < workers:
        if time.monotonic() > deadline:
            raise SystemExit("the workers do not start")
    for _ in range(PAGES_OF_EACH * workers):
        with urlopen(f"http://127.0.0.1:{port}/api/feed/cosmos?limit=20&user_id=a", timeout=60):
            pass


def _has_loaded(process: psutil.Process) -> bool:
    """Return whether a worker is ready, as far as others see it: it works on nothing any more."""
    return float(process.cpu_percent(interval=1)) < BUSY_PERCENT


def _load(options: argparse.Namespace, port: int, seed: int) -> Result:
    given = {"port": port, "keys": "zipf", "connections": options.connections, "seed": seed}
    given |= {"warm": options.warm, "seconds": options.seconds}
    command = [sys.executable, "-m", "benchmarks.load", *(f"--{k}={v}" for k, v in given.items())]
    found: Result = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return found


async def _rows(url: str) -> tuple[int, int, int]:
    """Return the numbers of events in the log, of those in the statistics, and of slates."""
    connection = await asyncpg.connect(url)
    row = await connection.fetchrow(
        "SELECT (SELECT count(*) FROM feed_interactions),"
        " (SELECT coalesce(sum(view_count + engage_count + dismiss_count + contradict_count), 0)"
        " FROM feed_engagement_stats), (SELECT count(*) FROM feed_slates)"
    )
    await connection.close()
    return int(row[0]), int(row[1]), int(row[2])


def _memory(options: argparse.Namespace, server_url: str) -> Iterator[Result]:
    for count in options.memory:
        environment = prepare(server_url, f"memory_{count}", count, options.seed)
        with serving(environment, 2) as (port, process):
            wait_for_first_page(port, count)
            _await_workers(port, process, 2)
            workers = [each.memory_full_info() for each in workers_of(process)]
            yield {
                "kblocks": count,
                "supervisor_mb": process.memory_info().rss / 1e6,
                "worker_mb": [each.rss / 1e6 for each in workers],
                "worker_own_mb": [each.uss / 1e6 for each in workers],
                "exact": len(workers) == 2,
            }


def _memory_table(found: list[Result]) -> str:
    lines = [
        "| K-Blocks | a worker, MB | of it its own, MB | supervisor, MB |",
        "|---:|---:|---:|---:|",
    ]
    for each in found:
        worker, own = (_spread(each[name]) for name in ("worker_mb", "worker_own_mb"))
        lines.append(f"| {each['kblocks']:,} | {worker} | {own} | {each['supervisor_mb']:.0f} |")
    return "\n".join(lines)


def _table(found: list[Result], options: argparse.Namespace) -> str:
    what = (
        f"{options.rounds} rounds of {options.seconds:g} s, {options.connections} connections, "
        f"{options.kblocks:,} K-Blocks; medians (least–greatest)"
    )
    lines = [
        what, "",
        "| workers | events/s | p99 ms | pages/s | p99 ms |", "|---:|---:|---:|---:|---:|",
    ]  # fmt: skip
    for workers in options.workers:
        runs = [each for each in found if each["workers"] == workers]
        names = ("events_per_second", "events_p99_ms", "pages_per_second", "pages_p99_ms")
        cells = " | ".join(_spread([run[name] for run in runs]) for name in names)
        lines.append(f"| {workers} | {cells} |")
    return "\n".join(lines)


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):,.0f} ({min(values):,.0f}–{max(values):,.0f})"


if __name__ == "__main__":
    raise SystemExit(main())

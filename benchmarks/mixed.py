"""Recording while a server does all its other work: latency mixed ÷ alone, and a rebuild's pause.

One `harken serve` on PostgreSQL, with K-Blocks, readers and events. Events come at a given rate, by
a clock that does not wait for answers: first while the server builds the state of readers for its
first personal page, then in each round alone, and while there are also

    pages       of named readers at a given rate, in equal parts chronological, weighted, personal
    analytics   all counts and the last week by hours, again and again, by REST
    an import   of K-Blocks from a file, again and again (`harken import jsonl`)
    a report    of the log, again and again (`harken report`)

At the end, events come while `harken rebuild` computes all statistics again, which bars recording
by design. The longest time that an event waited is the pause. At the end of each part, the log has
to hold exactly the events that were acknowledged.

    python -m benchmarks.mixed --rounds=3
"""

import argparse
import asyncio
import json
import random
import statistics
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import cycle
from pathlib import Path
from time import perf_counter
from typing import Any

import asyncpg
from tests.support.postgres import PostgresServer
from uuid_utils import uuid7

from benchmarks.feed_http import READERS, prepare, serving, wait_for_first_page
from benchmarks.page_load import MOST_OPEN, Connection, Measured, PageLoad, connected, read_page
from benchmarks.servers import run_harken

START, ALONE, MIXED, REBUILD = "start", "alone", "mixed", "rebuild"
RANKINGS = ("chronological", "weighted", "personal")
PERSONAL_PAGE = "/api/feed/cosmos?ranking=personal&user_id=user-1"
ANALYTICS = ("/api/feed/analytics", "/api/feed/analytics/timeseries?bucket=hour")
SHARES = {"p50_ms": 0.5, "p99_ms": 0.99, "most_ms": 1.0}
IMPORTED = 2_000
HEAD = (
    b"POST /api/feed/feedback/record HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n"
)
PAUSE_SECONDS = 0.2
# Longer than the longest answer: the server still answers pages that a part asked for last.
SETTLE_SECONDS = 3.0


class Recorder(Connection):
    """A connection that records one event at a time."""

    async def record(self, event: bytes) -> None:
        """Record an event. Raises RuntimeError for another status than 200."""
        self._outgoing.write(HEAD % len(event) + event)
        head = (await self._incoming.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        body = await self._incoming.readexactly(length)
        if b" 200 " not in head.split(b"\r\n", 1)[0]:
            raise RuntimeError(body.decode())


class EventLoad:
    """Events of readers by chance, each in a request of its own."""

    def __init__(self, port: int, kblocks: int, seed: int) -> None:
        self._port = port
        self._kblocks = kblocks
        self._chance = random.Random(seed)
        self.recorded = 0

    async def at_rate(self, rate: float, until: "asyncio.Future[Any]") -> Measured:
        """Record events at a mean rate per second, at times by chance, until something is done."""
        measured = Measured(0.0)
        idle: asyncio.Queue[Recorder] = asyncio.Queue()
        for _ in range(MOST_OPEN):
            idle.put_nowait(Recorder(*await asyncio.open_connection("127.0.0.1", self._port)))

        async def record(due: float) -> None:
            connection = await idle.get()
            await connection.record(self._event())
            measured.latencies.append(perf_counter() - due)
            self.recorded += 1
            idle.put_nowait(connection)

        due, asked = perf_counter(), []
        while not until.done():
            due += self._chance.expovariate(rate)
            await asyncio.sleep(max(0.0, due - perf_counter()))
            asked.append(asyncio.create_task(record(due)))
        await asyncio.gather(*asked)
        while not idle.empty():
            idle.get_nowait().close()
        return measured

    def _event(self) -> bytes:
        chance = self._chance
        event = {
            "interaction_id": str(uuid7()),
            "user_id": f"user-{chance.randrange(READERS)}",
            "kblock_id": f"kblock-{1 + int(self._kblocks * chance.random() ** 3)}",
            "action": chance.choices(("view", "engage", "dismiss"), (75, 18, 7))[0],
        }
        return json.dumps(event).encode()


def main() -> int:
    options = _parse()
    with PostgresServer() as server, tempfile.TemporaryDirectory() as folder:
        environment = prepare(server.url, "mixed", options.kblocks, options.seed)
        with serving(environment, is_pinned=False) as (port, _process_id):
            wait_for_first_page(port, options.kblocks)
            url = environment["HARKEN_DATABASE_URL"]
            found = asyncio.run(_measure(port, url, Path(folder), options))
    _write(found, options)
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.mixed", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--kblocks", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=15, help="of each part of a round")
    parser.add_argument("--rate", type=float, default=100, help="events per second")
    parser.add_argument("--pages", type=float, default=10, help="pages per second")
    parser.add_argument("--seed", type=int, default=20_261_127)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every part")
    return parser.parse_args()


async def _measure(
    port: int, url: str, folder: Path, options: argparse.Namespace
) -> list[dict[str, Any]]:
    database = await asyncpg.connect(url.replace("+asyncpg", ""))
    events, found = EventLoad(port, options.kblocks, options.seed), []
    before = int(await database.fetchval("SELECT count(*) FROM feed_interactions"))

    async def part(name: str, number: int, done: "asyncio.Future[Any]") -> None:
        began = perf_counter()
        measured = await events.at_rate(options.rate, done)
        seconds = perf_counter() - began
        figures = {figure: measured.at(share) for figure, share in SHARES.items()}
        found.append({"part": name, "round": number, "seconds": seconds, **figures})
        kept = int(await database.fetchval("SELECT count(*) FROM feed_interactions")) - before
        if kept != events.recorded:
            raise SystemExit(f"{events.recorded} events were acknowledged, {kept} are in the log")
        await asyncio.sleep(SETTLE_SECONDS)

    await part(START, 0, asyncio.ensure_future(read_page(port, PERSONAL_PAGE)))
    for number in range(options.rounds):
        await part(ALONE, number, asyncio.ensure_future(asyncio.sleep(options.seconds)))
        async with _others(port, url, folder, options):
            await part(MIXED, number, asyncio.ensure_future(asyncio.sleep(options.seconds)))
    await part(REBUILD, 0, asyncio.ensure_future(run_harken(url, "rebuild")))
    await database.close()
    return found


@asynccontextmanager
async def _others(
    port: int, url: str, folder: Path, options: argparse.Namespace
) -> AsyncIterator[None]:
    """Do all other work within the context."""
    imported = ("import", "jsonl", str(_file(folder)))
    each_page = (
        PageLoad(port, f"/api/feed/cosmos?ranking={ranking}&user_id=user-", READERS, options.seed)
        for ranking in RANKINGS
    )
    rate = options.pages / len(RANKINGS)
    tasks = [
        *(asyncio.create_task(pages.at_rate(rate, options.seconds)) for pages in each_page),
        asyncio.create_task(_analytics(port)),
        asyncio.create_task(_again(url, *imported)),
        asyncio.create_task(_again(url, "report")),
    ]
    try:
        yield
    finally:
        for task in tasks:
            if task.done():
                task.result()  # raises what failed
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _analytics(port: int) -> None:
    connection = await connected(port)
    for path in cycle(ANALYTICS):
        await connection.page(path)
        await asyncio.sleep(PAUSE_SECONDS)


async def _again(url: str, *arguments: str) -> None:
    while True:
        await run_harken(url, *arguments)


def _file(folder: Path) -> Path:
    """Write a file of K-Blocks, with other texts each time, so that all are written."""
    file, number = folder / "import.jsonl", random.getrandbits(32)
    lines = (
        json.dumps({"id": f"new-{n}", "title": f"New {n} {number}", "content": "Some text. " * 40})
        for n in range(IMPORTED)
    )
    file.write_text("\n".join(lines))
    return file


def ratios(parts: Sequence[dict[str, Any]], figure: str = "p99_ms") -> list[float]:
    """Return mixed ÷ alone of each round."""
    by = {(each["part"], each["round"]): each[figure] for each in parts}
    rounds = sorted({each["round"] for each in parts if each["part"] == MIXED})
    return [by[MIXED, number] / by[ALONE, number] for number in rounds]


def _write(found: list[dict[str, Any]], options: argparse.Namespace) -> None:
    load = f"{options.rate:g} events and {options.pages:g} pages per second"
    lines = [
        f"{options.kblocks:,} K-Blocks, {load}, {options.rounds} rounds", "",
        "| recording | p50 ms | p99 ms | longest, ms |", "|---|---:|---:|---:|",
    ]  # fmt: skip
    for part in (START, ALONE, MIXED, REBUILD):
        of_part = [each for each in found if each["part"] == part]
        cells = (_range([each[figure] for each in of_part]) for figure in SHARES)
        lines.append(f"| {part} | {' | '.join(cells)} |")
    lines += ["", f"p99 mixed ÷ alone: {_range(ratios(found), '.2f')}"]
    seconds = next(each["seconds"] for each in found if each["part"] == REBUILD)
    lines.append(f"The rebuild took {seconds:.1f} s.")
    print("\n".join(lines))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


def _range(values: Sequence[float], form: str = ".1f") -> str:
    return f"{statistics.median(values):{form}} ({min(values):{form}}–{max(values):{form}})"


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        raise SystemExit(main())

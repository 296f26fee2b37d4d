"""Refreshing many sources against a local server with ETags: requests, bytes, processor time.

    python -m benchmarks.refresh --sources=10000 --items=20

Each source is a host of its own, which a resolver leads to one server, in a process of its own. The
first round reads all of them. In the second nothing has changed: each is asked once, answers 304,
and nothing is written. In the third, one source of ten has one new item. On a new SQLite file, in
one process. The exit status is 1 if something comes twice or is missing.
"""

import argparse
import asyncio
import json
import multiprocessing
import re
import sys
import tempfile
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import psutil
from sqlalchemy.ext.asyncio import async_sessionmaker

from harken import migrations
from harken.config import Settings
from harken.database import create_engine
from harken.services.feed.service import FeedService
from harken.services.kblocks.importers.syndication.fetching import Fetcher
from harken.services.sources.refreshing import Politeness
from harken.services.sources.service import SourceOptions
from harken.services.sources.subscription import Subscription

WORDS = "feeds readers order evidence change quiet loud rare often new old place share reason"
ONE_IN = 10
AT_ONCE = 500
START = datetime(2026, 1, 1, tzinfo=UTC)
_REQUEST = re.compile(rb"GET /feed/(\d+) ")
_ETAG = re.compile(rb"(?i)if-none-match: (\S+)")


class Counts(NamedTuple):
    """What the server counted: requests, answers 304, and bytes of answers."""

    requests: int
    unchanged: int
    sent: int


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.refresh", description=__doc__)
    parser.add_argument("--sources", type=int, default=10_000)
    parser.add_argument("--items", type=int, default=20)
    parser.add_argument("--at-once", type=int, default=8)
    options = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs, options))
    server.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            url = f"sqlite+aiosqlite:///{folder}/harken.db"
            found = asyncio.run(_measure(url, ours, options))
    finally:
        server.terminate()
        server.join()
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    return 0 if found["nothing_twice"] else 1


async def _measure(url: str, server: Any, options: argparse.Namespace) -> dict[str, Any]:
    port = server.recv()
    engine = create_engine(Settings(database_url=url))
    await migrations.upgrade(engine)
    fetcher = Fetcher(allow_private=True, resolver=lambda _host, _port: ["127.0.0.1"])
    politeness = Politeness(at_once=options.at_once)
    every = SourceOptions(timedelta(hours=1), fetcher, politeness)
    service = FeedService(async_sessionmaker(engine), sources=every)
    await service.sources.store.add(
        Subscription(url=f"http://s{number}.example:{port}/feed/{number}", due_at=START)
        for number in range(options.sources)
    )
    rounds = []
    for name in ("first", "unchanged", "one in ten has news"):
        server.send("change" if name.startswith("one") else "go on")
        before = server.recv()
        rounds.append({"round": name, **await _round(service, server, before)})
        sys.stderr.write(f"{json.dumps(rounds[-1])}\n")  # a run that is ended has what it found
    wanted = options.sources * options.items
    news = len(range(0, options.sources, ONE_IN))
    first, unchanged, last = rounds
    checks = [
        first["added"] == wanted,
        all(each["requests"] == options.sources for each in rounds),
        unchanged["answers_304"] == options.sources,
        unchanged["writes_of_kblocks"] == 0,
        (last["added"], last["answers_304"]) == (news, options.sources - news),
        await service.kblocks.count() == wanted + news,
    ]
    await service.close()
    await engine.dispose()
    return {"sources": options.sources, "rounds": rounds, "nothing_twice": all(checks)}


async def _round(service: FeedService, server: Any, before: Counts) -> dict[str, Any]:
    writes, cpu, began = service.kblocks.writes, time.process_time(), time.perf_counter()
    await service.sources.ask_all()
    added = failed = 0
    while due := await service.sources.due(AT_ONCE):
        for each in await service.sources.refresher.refresh(due):
            added += each.added
            failed += each.source.failures > 0
        sys.stderr.write(f"{added} added in {time.process_time() - cpu:.1f} s of the processor\n")
    cpu, took = time.process_time() - cpu, time.perf_counter() - began
    server.send("count")
    counts = Counts(*(now - then for now, then in zip(server.recv(), before, strict=True)))
    return {
        "requests": counts.requests,
        "answers_304": counts.unchanged,
        "bytes_of_answers": counts.sent,
        "added": added,
        "failed": failed,
        "writes_of_kblocks": service.kblocks.writes - writes,
        "cpu_seconds": round(cpu, 1),
        "cpu_ms_per_source": round(cpu * 1_000 / max(1, counts.requests), 2),
        "memory_mb": round(psutil.Process().memory_info().rss / 1e6),
        "seconds": round(took, 1),
    }


# The server, in a process of its own


def _serve(pipe: Any, options: argparse.Namespace) -> None:
    asyncio.run(_Server(pipe, options).run())


class _Server:
    def __init__(self, pipe: Any, options: argparse.Namespace) -> None:
        self._pipe = pipe
        self._items = options.items
        self._counts = [0, 0, 0]
        self._changed = False

    async def run(self) -> None:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0, backlog=1_000)
        self._pipe.send(server.sockets[0].getsockname()[1])
        asyncio.get_running_loop().add_reader(self._pipe.fileno(), self._told)
        await server.serve_forever()

    def _told(self) -> None:
        with suppress(EOFError):
            self._changed = self._changed or self._pipe.recv() == "change"
            self._pipe.send(Counts(*self._counts))

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                request = await reader.readuntil(b"\r\n\r\n")
                answer = self._made(request)
                writer.write(answer)
                await writer.drain()
        writer.close()

    def _made(self, request: bytes) -> bytes:
        asked = _REQUEST.match(request)
        number = int(asked[1]) if asked else 0
        has_news = self._changed and number % ONE_IN == 0
        etag = b'"%d-%d"' % (number, has_news)
        known = _ETAG.search(request)
        is_known = known is not None and known[1] == etag
        body = b"" if is_known else _feed(number, self._items + has_news)
        status = b"304 Not Modified" if is_known else b"200 OK"
        head = b"HTTP/1.1 %s\r\nETag: %s\r\nContent-Type: application/rss+xml\r\n" % (status, etag)
        length = b"" if is_known else b"Content-Length: %d\r\n" % len(body)
        answer = head + length + b"\r\n" + body
        self._counts[0] += 1
        self._counts[1] += is_known
        self._counts[2] += len(answer)
        return answer


def _feed(number: int, items: int) -> bytes:
    words = WORDS.split()
    count = len(words)
    home = f"https://s{number}.example"
    entries = "".join(
        f"<item><title>{words[(number + i) % count]} {i} of {number}</title><guid>{home}/{i}</guid>"
        f"<link>{home}/{i}</link><pubDate>{START + timedelta(hours=i):%a, %d %b %Y %H:%M:%S} GMT"
        f"</pubDate><description>{' '.join(words[(number * i + k) % count] for k in range(60))}"
        "</description></item>"
        for i in reversed(range(items))
    )
    head = f"<title>Source {number}</title><link>{home}/</link>"
    return f'<rss version="2.0"><channel>{head}{entries}</channel></rss>'.encode()


if __name__ == "__main__":
    sys.exit(main())

"""The cost of the worst request bodies: response time, delay of other requests, memory.

Each body is sent to a new server on SQLite. Another client requests `/healthz` continuously: its
longest wait is the longest time for which the body blocked the event loop.
"""

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import httpx
import psutil
from tests.support.server import HarkenServer

MEGABYTE = 1_000_000
RECORD = ("POST", "/api/feed/feedback/record")
EVENTS = ("POST", "/api/feed/feedback/batch")
KBLOCK = ("PUT", "/api/kblocks/worst")
KBLOCKS = ("POST", "/api/kblocks/batch")
RANK = ("POST", "/api/feed/rank")


class Worst(NamedTuple):
    """A body and its route."""

    name: str
    route: tuple[str, str]
    make: Callable[[], bytes]


def _repeated(before: bytes, each: bytes, after: bytes, size: float) -> bytes:
    count = int((size * MEGABYTE - len(before) - len(after)) // (len(each) + 1))
    return before + b",".join([each] * count) + after


def _wide(size: float) -> bytes:
    return json.dumps({f"k{i}": 1 for i in range(int(size * 70_000))}).encode()


def _bad_events() -> bytes:
    event = {f"unknown{i}": "x" * 300 for i in range(20)} | {"user_id": "x" * 1_000}
    return json.dumps({"events": [event] * 1_000}).encode()


def _metadata() -> bytes:
    event = {"user_id": "u", "kblock_id": "k", "action": "view"}
    return json.dumps({"events": [event | {"metadata": {"a": ["x"] * 1_500}}] * 1_000}).encode()


TAGS = b'{"title":"t","tags":['
EDGES = b'{"title":"t","edges":['
TAGGED = b'{"id":"a","title":"t","tags":[' + b",".join([b'"aa"'] * 1_560) + b"]}"

BODIES = [
    Worst("4 MB of wrong tags", KBLOCK, lambda: _repeated(TAGS, b"1", b"]}", 4)),
    Worst("4 MB of wrong edges", KBLOCK, lambda: _repeated(EDGES, b'{"a":1}', b"]}", 4)),
    Worst("4 MB of unknown fields", KBLOCK, lambda: _wide(4)),
    Worst("4 MB of wrong candidates", RANK, lambda: _repeated(b'{"kblock_ids":[', b"1", b"]}", 4)),
    Worst("8 MB, 1,000 wrong events", EVENTS, _bad_events),
    Worst("8 MB, 1,000 events of much metadata", EVENTS, _metadata),
    Worst(
        "8 MB, 1,000 K-Blocks of wrong tags",
        KBLOCKS,
        lambda: _repeated(b'{"kblocks":[', TAGGED, b"]}", 7.9),
    ),
    Worst("8 MB of empty lists", EVENTS, lambda: _repeated(b'{"events":[', b"[]", b"]}", 8)),
    Worst("8 MB of [", KBLOCK, lambda: b"[" * (8 * MEGABYTE)),
    Worst("a number of 8,000,000 digits", KBLOCK, lambda: b'{"layer":' + b"9" * 8_000_000 + b"}"),
    Worst("8 MB of escapes", KBLOCK, lambda: b'{"title":"' + b"\\u00e9" * 1_300_000 + b'"}'),
    Worst("8 MB of surrogates", KBLOCK, lambda: b'{"title":"' + b"\\ud800" * 1_300_000 + b'"}'),
]


class Waiting:
    """Another client, which sends requests continuously and records its longest wait."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.longest = 0.0

    def __enter__(self) -> "Waiting":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

    def _ask(self) -> None:
        with httpx.Client(base_url=self._url, timeout=300, trust_env=False) as client:
            while not self._ends.is_set():
                began = time.perf_counter()
                client.get("/healthz")
                self.longest = max(self.longest, time.perf_counter() - began)
                self._ends.wait(0.01)


def measure(worst: Worst) -> str:
    """Send one body to a new server, and return a row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        database = f"sqlite+aiosqlite:///{Path(folder) / 'harken.db'}"
        with HarkenServer(database) as server:
            process = _process_on(server.port)
            before = _peak(process)
            body = worst.make()
            method, path = worst.route
            headers = {"Content-Type": "application/json"}
            with (
                Waiting(server.url) as waiting,
                httpx.Client(base_url=server.url, timeout=300, trust_env=False) as client,
            ):
                used, began = _processor(process), time.perf_counter()
                answer = client.request(method, path, content=body, headers=headers)
                taken, used = time.perf_counter() - began, _processor(process) - used
            grown = _peak(process) - before
    return (
        f"| {worst.name} | {answer.status_code} | {len(answer.content):,} | {taken:.2f} "
        f"| {used:.2f} | {1e3 * waiting.longest:.0f} | {grown / MEGABYTE:.0f} |"
    )


def _process_on(port: int) -> psutil.Process:
    for child in psutil.Process().children():
        if str(port) in child.cmdline():
            return child
    raise RuntimeError("the server process was not found")


def _processor(process: psutil.Process) -> float:
    """Return the processor seconds of a process."""
    times = process.cpu_times()
    return float(times.user + times.system)


def _peak(process: psutil.Process) -> int:
    """Return the peak memory of a process, in bytes."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.worst_bodies", description=__doc__)
    parser.add_argument("--first", type=int, metavar="N", help="only the first N bodies")
    options = parser.parse_args()
    print(f"load average {os.getloadavg()[0]:.2f} before", file=sys.stderr)
    print(
        "| Body | Status | Answer, bytes | Answered after, s | Processor, s | Others waited, ms | "
        "Memory, MB |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|")
    for worst in BODIES[: options.first]:
        print(measure(worst), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

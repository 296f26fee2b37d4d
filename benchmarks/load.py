"""A load generator: keep-alive connections, each with one request at a time.

A connection sends its next request when the response to the last one arrived. At the end, requests
in progress are finished, so that every sent event has a counted response.
"""

import argparse
import asyncio
import json
import random
from array import array
from collections import Counter
from collections.abc import Iterator
from itertools import accumulate, cycle
from time import perf_counter
from typing import Any, cast

import uvloop

PATH = "/api/feed/feedback/record"
KBLOCKS = 10_000
USERS = 1_000
EVENTS = 100_000  # made before the clock starts; then they repeat with other ids
FINISH_SECONDS = 30.0  # for requests in progress at the end
DISTRIBUTIONS = ("uniform", "zipf", "one-hot")
ACTIONS = ("view", "engage", "dismiss", "contradict")
ACTION_WEIGHTS = (70, 18, 9, 3)

_ID = "%08x-0000-7000-8000-%012x"
_ID_LENGTH = 36


def kblocks(distribution: str, source: random.Random, count: int) -> list[int]:
    """Draw the K-Blocks of `count` events."""
    if distribution == "one-hot":
        return [0] * count
    if distribution == "uniform":
        return [source.randrange(KBLOCKS) for _ in range(count)]
    weights = list(accumulate(1 / rank for rank in range(1, KBLOCKS + 1)))
    return source.choices(range(KBLOCKS), cum_weights=weights, k=count)


def templates(distribution: str, source: random.Random, port: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield requests endlessly, as the bytes before and after the event's id."""
    made = []
    for kblock in kblocks(distribution, source, EVENTS):
        action = source.choices(ACTIONS, ACTION_WEIGHTS)[0]
        dwell = f',"dwell_time_ms":{source.randrange(500, 60_000)}' if action == "view" else ""
        before = '{"interaction_id":"'
        after = (
            f'","user_id":"user-{source.randrange(USERS):04}","kblock_id":"kblock-{kblock:05}"'
            f',"action":"{action}"{dwell}}}'
        )
        length = len(before) + _ID_LENGTH + len(after)
        head = (
            f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{before}"
        )
        made.append((head.encode(), after.encode()))
    return cycle(made)


class Load:
    """The shared state of all connections: the requests, the clock and the counts."""

    def __init__(self, requests: Iterator[tuple[bytes, bytes]], run: int) -> None:
        self.answers: Counter[str] = Counter()
        self.latencies = array("d")
        self.measured = 0
        self.sent = 0
        self.start = self.stop = 0.0
        self.open = 0
        self.finished = asyncio.Event()
        self._requests = requests
        self._run = run

    def next(self) -> tuple[bytes, bytes]:
        """Return the next request, and the id that its response must contain."""
        head, tail = next(self._requests)
        self.sent += 1
        interaction_id = (_ID % (self._run, self.sent)).encode()
        return head + interaction_id + tail, interaction_id

    def count(self, outcome: str, began: float, now: float) -> None:
        """Count a response, and record its latency within the measured time."""
        self.answers[outcome] += 1
        if outcome == "200" and self.start <= now < self.stop:
            self.measured += 1
            self.latencies.append(now - began)

    def close(self) -> None:
        """Count a connection as closed."""
        self.open -= 1
        if not self.open:
            self.finished.set()


class Connection(asyncio.Protocol):
    """One keep-alive connection, with the part of HTTP/1.1 that the contestants use."""

    transport: asyncio.Transport

    def __init__(self, load: Load) -> None:
        self._load = load
        self._buffer = b""
        self._began = 0.0
        self._id = b""
        self._waiting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._load.open += 1

    def send(self) -> None:
        """Send the next request."""
        request, self._id = self._load.next()
        self._waiting = True
        self._began = perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer = data = self._buffer + data if self._buffer else data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return
        head = data[:end].lower()
        at = head.index(b"content-length:") + len(b"content-length:")
        length = int(head[at:].split(b"\r\n", 1)[0])
        if len(data) < end + 4 + length:
            return
        self._buffer = b""
        now = perf_counter()
        outcome = data[9:12].decode()
        if outcome == "200" and (self._id not in data or b"duplicate" in data):
            outcome = "200 for another event"
        self._waiting = False
        self._load.count(outcome, self._began, now)
        if now < self._load.stop:
            self.send()
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting:
            self._load.count(f"connection lost ({exc})", self._began, perf_counter())
        self._load.close()


async def run(options: argparse.Namespace) -> dict[str, Any]:
    """Run the load; returns the counts and latencies (ms)."""
    source = random.Random(options.seed)
    load = Load(templates(options.keys, source, options.port), source.getrandbits(32))
    loop = asyncio.get_running_loop()
    connections = [
        (await loop.create_connection(lambda: Connection(load), "127.0.0.1", options.port))[1]
        for _ in range(options.connections)
    ]
    load.start = perf_counter() + options.warm
    load.stop = load.start + options.seconds
    for connection in connections:
        connection.send()
    async with asyncio.timeout(options.warm + options.seconds + FINISH_SECONDS):
        await load.finished.wait()
    ordered = sorted(load.latencies)
    return {
        "sent": load.sent,
        "acknowledged": load.answers.pop("200", 0),
        "errors": dict(load.answers),
        "measured": load.measured,
        "events_per_second": load.measured / options.seconds,
        "p50_ms": _percentile(ordered, 0.50),
        "p99_ms": _percentile(ordered, 0.99),
    }


def _percentile(ordered: list[float], share: float) -> float:
    return 1000 * ordered[int(share * (len(ordered) - 1))] if ordered else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--keys", choices=DISTRIBUTIONS, required=True)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--warm", type=float, required=True, help="seconds of warm-up")
    parser.add_argument("--seconds", type=float, required=True, help="measured seconds")
    parser.add_argument("--seed", type=int, required=True)
    options = parser.parse_args()
    print(json.dumps(uvloop.run(run(options))))


if __name__ == "__main__":
    main()

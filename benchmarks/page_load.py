"""A load of pages: as many as some connections can ask for, or at a given rate.

At a rate, requests begin by the clock, whether or not earlier ones are answered, so that a slow
answer delays what is counted after it (no coordinated omission).
"""

import asyncio
import json
import random
from dataclasses import dataclass, field
from time import perf_counter

MOST_OPEN = 64
"""So many connections serve requests at a rate; a request that finds none waits, which counts."""


@dataclass
class Measured:
    """The latencies of pages (s), within some seconds."""

    seconds: float
    latencies: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        """Pages per second."""
        return len(self.latencies) / self.seconds

    def at(self, share: float) -> float:
        """Return the latency (ms) that a share of the pages is not above."""
        return 1_000 * sorted(self.latencies)[int(share * (len(self.latencies) - 1))]


class Connection:
    """A connection with one request at a time."""

    def __init__(self, incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter) -> None:
        self._incoming = incoming
        self._outgoing = outgoing

    async def page(self, path: str) -> bytes:
        """Ask for a page and return its body. Raises RuntimeError for another status than 200."""
        self._outgoing.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        head = (await self._incoming.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        body = await self._incoming.readexactly(length)
        if b" 200 " not in head.split(b"\r\n", 1)[0]:
            raise RuntimeError(f"{path}: {body.decode()}")
        return body

    @property
    def is_closed(self) -> bool:
        """Whether the server closed it, since it was idle for some seconds."""
        return self._incoming.at_eof()

    def close(self) -> None:
        """Close it."""
        self._outgoing.close()


async def connected(port: int) -> Connection:
    """Open a connection."""
    return Connection(*await asyncio.open_connection("127.0.0.1", port))


async def read_page(port: int, path: str) -> list[str]:
    """Return the ids of the items of a page."""
    connection = await connected(port)
    page = json.loads(await connection.page(path))
    connection.close()
    return [item["id"] for item in page["items"]]


class PageLoad:
    """Pages of readers by chance: `path` ends where the number of a reader follows."""

    def __init__(self, port: int, path: str, readers: int, seed: int) -> None:
        self._port = port
        self._path = path
        self._readers = readers
        self._chance = random.Random(seed)

    def _next(self) -> str:
        return f"{self._path}{self._chance.randrange(self._readers)}"

    async def of_all(self) -> None:
        """Ask for a page of each reader, one after the other."""
        connection = await connected(self._port)
        for reader in range(self._readers):
            await connection.page(f"{self._path}{reader}")
        connection.close()

    async def at_most(self, connections: int, seconds: float) -> Measured:
        """Ask for pages by some connections; each asks again as soon as it is answered."""
        measured = Measured(seconds)
        stop = perf_counter() + seconds

        async def ask() -> None:
            connection = await connected(self._port)
            while (began := perf_counter()) < stop:
                await connection.page(self._next())
                measured.latencies.append(perf_counter() - began)
            connection.close()

        await asyncio.gather(*(ask() for _ in range(connections)))
        return measured

    async def at_rate(self, rate: float, seconds: float) -> Measured:
        """Ask for pages at a mean rate per second, at times by chance (a Poisson process)."""
        measured = Measured(seconds)
        idle: asyncio.Queue[Connection] = asyncio.Queue()
        for _ in range(MOST_OPEN):
            idle.put_nowait(await connected(self._port))

        async def ask(due: float) -> None:
            connection = await idle.get()
            if connection.is_closed:
                connection = await connected(self._port)
            await connection.page(self._next())
            measured.latencies.append(perf_counter() - due)
            idle.put_nowait(connection)

        due, asked = perf_counter(), []
        stop = due + seconds
        while (due := due + self._chance.expovariate(rate)) < stop:
            await asyncio.sleep(max(0.0, due - perf_counter()))
            asked.append(asyncio.create_task(ask(due)))
        await asyncio.gather(*asked)
        while not idle.empty():
            idle.get_nowait().close()
        return measured

"""Connections that idle or dribble end after a while, and leave everybody else served."""

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from harken.protocols.http.connections import room_for
from harken.services.record.persistence import FeedFeedbackPersistence
from tests.faults import SOAK
from tests.support.load import Load, assert_recorded
from tests.support.server import HarkenServer

IDLE, SLOW = (2_000, 500) if SOAK else (150, 50)
SECONDS = 5
PLACES = 40
END_SECONDS = 120

HEAD = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: " + b"x" * 10_000
BODY = (
    b"POST /api/feed/feedback/record HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"Content-Type: application/json\r\nContent-Length: 10000\r\n\r\n"
)


@pytest.fixture
def server(database_url: str) -> Iterator[HarkenServer]:
    assert room_for(2 * (IDLE + SLOW)) >= IDLE + SLOW, "the test cannot open as many files"
    limits = {"HARKEN_HEADER_TIMEOUT": str(SECONDS), "HARKEN_BODY_TIMEOUT": str(SECONDS)}
    with HarkenServer(database_url, **limits) as started:
        yield started


@pytest.fixture
def small_server(database_url: str) -> Iterator[HarkenServer]:
    limits = {"HARKEN_HEADER_TIMEOUT": "600", "HARKEN_MAX_CONNECTIONS": str(PLACES)}
    with HarkenServer(database_url, **limits) as started:
        yield started


async def test_idle_and_slow_connections_leave_others_served_and_end(
    server: HarkenServer, persistence: FeedFeedbackPersistence
) -> None:
    load = Load(server.url)
    async with asyncio.TaskGroup() as group:
        idle = [group.create_task(dribbled(server.port)) for _ in range(IDLE)]
        heads = [group.create_task(dribbled(server.port, rest=HEAD)) for _ in range(SLOW // 2)]
        bodies = [
            group.create_task(dribbled(server.port, BODY, b"x" * 9_999)) for _ in range(SLOW // 2)
        ]
        everybody = [*idle, *heads, *bodies]
        async with (
            load.running(),
            httpx.AsyncClient(base_url=server.url, timeout=60, trust_env=False) as client,
        ):
            while not all(task.done() for task in everybody):
                await load.until_acknowledged(20)
                page = await client.get("/api/feed/cosmos", params={"user_id": "ada"})
                assert page.status_code == 200

    assert {task.result() for task in idle} == {b""}
    for slow in (heads, bodies):
        answers = [task.result() for task in slow]
        # A byte that was under way at the end may have taken the answer along.
        assert all(answer.startswith(b"HTTP/1.1 408 ") or not answer for answer in answers)
        assert b"application/problem+json" in max(answers)
    assert load.acknowledged == set(load.sent)
    await assert_recorded(persistence, load.sent)


async def test_new_connections_take_the_places_of_those_that_idle_longest(
    small_server: HarkenServer,
) -> None:
    idle = [
        await asyncio.open_connection("127.0.0.1", small_server.port) for _ in range(2 * PLACES)
    ]
    async with httpx.AsyncClient(base_url=small_server.url, timeout=60, trust_env=False) as client:
        assert (await client.get("/healthz")).status_code == 200
    first, last = idle[0][0], idle[-1][0]
    assert await asyncio.wait_for(first.read(), END_SECONDS) == b""
    reader, writer = idle[-1]
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    assert (await asyncio.wait_for(reader.read(), END_SECONDS)).startswith(b"HTTP/1.1 200 ")
    assert last.at_eof()
    for _, each in idle:
        each.close()


async def test_where_every_connection_is_at_work_a_new_one_is_refused(
    small_server: HarkenServer,
) -> None:
    busy = [await asyncio.open_connection("127.0.0.1", small_server.port) for _ in range(PLACES)]
    for _, writer in busy:
        # An answer to the head of a request says that it is at work.
        writer.write(BODY.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
    for reader, _ in busy:
        assert b"100" in await asyncio.wait_for(reader.readline(), END_SECONDS)
    async with httpx.AsyncClient(base_url=small_server.url, timeout=60, trust_env=False) as client:
        refused = await client.get("/healthz")
    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "1"
    assert refused.headers["content-type"] == "application/problem+json"
    for _, writer in busy:
        writer.close()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"414"),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", b"431"),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 70_000, b"431"),
        (b"\x16\x03\x01 this is TLS\r\n\r\n", b"400"),
    ],
)
async def test_heads_that_are_too_large_or_no_http(
    server: HarkenServer, request_: bytes, status: bytes
) -> None:
    answer = await dribbled(server.port, request_)
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert b"application/problem+json" in answer
    assert len(answer) < 1_000


async def dribbled(port: int, first: bytes = b"", rest: bytes = b"") -> bytes:
    """Send some bytes, then one a second, until the server ends it; returns what it answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answered = asyncio.create_task(reader.read())
    writer.write(first)
    for byte in rest or (None,):
        if byte is not None:
            writer.write(bytes([byte]))
        await asyncio.wait({answered}, timeout=1 if rest else END_SECONDS)
        if answered.done():
            break
    writer.close()
    try:
        return await answered
    except ConnectionError:
        return b""

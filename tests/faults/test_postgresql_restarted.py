"""PostgreSQL goes away in mid-load, and comes back: clients are told, and nothing is lost."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import httpx
import pytest

from harken.config import Settings
from harken.models.base import init_db
from harken.services.record.persistence import FeedFeedbackPersistence
from tests.conftest import session_factory_for
from tests.faults import SOAK
from tests.support.load import Load, assert_recorded, assert_refusal
from tests.support.postgres import PostgresServer
from tests.support.server import HarkenServer

STOPS = 20 if SOAK else 5
EVENTS_BETWEEN = 100
READINESS_SECONDS = 60
POLL_SECONDS = 0.02


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    """A server of the test's own, as durable as PostgreSQL is by default."""
    with PostgresServer() as started:
        yield started


@pytest.fixture
def server(postgres: PostgresServer) -> Iterator[HarkenServer]:
    asyncio.run(init_db(Settings(database_url=postgres.url)))
    with HarkenServer(postgres.url) as started:
        yield started


async def test_an_outage_is_a_503_and_loses_nothing(
    postgres: PostgresServer, server: HarkenServer
) -> None:
    load = Load(server.url, may_refuse=True)
    async with (
        httpx.AsyncClient(base_url=server.url, timeout=60, trust_env=False) as client,
        load.running(),
        watched(client),
    ):
        for number in range(STOPS):
            await load.until_acknowledged(EVENTS_BETWEEN)
            await asyncio.to_thread(postgres.stop)
            await until_readiness(client, 503)
            # Every other outage outlasts the server's own attempts.
            if number % 2 == 0:
                await load.until_refused(1)
            await asyncio.to_thread(postgres.start)
            await until_readiness(client, 200)
        await load.until_acknowledged(EVENTS_BETWEEN)

    assert load.acknowledged == set(load.sent)
    async with (
        session_factory_for(postgres.url) as session_factory,
        FeedFeedbackPersistence(session_factory) as persistence,
    ):
        await assert_recorded(persistence, load.sent)
    assert "Traceback" not in server.output
    assert "deadlock detected" not in (postgres._folder / "log").read_text()


@asynccontextmanager
async def watched(client: httpx.AsyncClient) -> AsyncIterator[None]:
    """Meanwhile, the process answers always, and readers get their answer or a proper refusal."""
    done = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(watch(client, done))
        yield
        done.set()


async def watch(client: httpx.AsyncClient, done: asyncio.Event) -> None:
    while not done.is_set():
        health = await client.get("/healthz")
        assert health.status_code == 200
        assert health.json() == {"status": "ok"}
        analytics = await client.get("/api/feed/analytics")
        if analytics.status_code != 200:
            assert_refusal(analytics)
        await asyncio.sleep(POLL_SECONDS)


async def until_readiness(client: httpx.AsyncClient, wanted: int) -> None:
    async with asyncio.timeout(READINESS_SECONDS):
        while True:
            answer = await client.get("/readyz")
            assert answer.status_code in {200, 503}, f"{answer.status_code}: {answer.text}"
            if answer.status_code == wanted:
                break
            await asyncio.sleep(POLL_SECONDS)
    report = answer.json()
    assert report["status"] == ("ready" if wanted == 200 else "not ready")
    assert wanted == 200 or report["problem"]

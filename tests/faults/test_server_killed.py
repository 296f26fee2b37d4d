"""The server is killed in mid-load: no acknowledged event is lost, none counts twice."""

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from harken.services.record.persistence import FeedFeedbackPersistence
from tests.faults import SOAK
from tests.support.load import Load, assert_recorded
from tests.support.server import HarkenServer

KILLS = 30 if SOAK else 6
EVENTS_BETWEEN = 40


@pytest.fixture
def server(database_url: str) -> Iterator[HarkenServer]:
    with HarkenServer(database_url) as started:
        yield started


async def test_acknowledged_events_survive_and_resent_events_count_once(
    server: HarkenServer, persistence: FeedFeedbackPersistence
) -> None:
    reachable = asyncio.Event()
    reachable.set()
    load = Load(server.url, reachable)

    async with load.running():
        for _ in range(KILLS):
            await load.until_acknowledged(EVENTS_BETWEEN)
            acknowledged = set(load.acknowledged)
            interrupted = load.interrupted
            reachable.clear()
            server.kill()
            await assert_logged(persistence, acknowledged)
            await asyncio.to_thread(server.start)
            reachable.set()
            await load.until_acknowledged(1)
            assert load.interrupted > interrupted, "the server was killed while nobody sent"
        await load.until_acknowledged(EVENTS_BETWEEN)

    assert load.acknowledged == set(load.sent)
    await assert_recorded(persistence, load.sent)

    # The log knows every one of them still.
    async with httpx.AsyncClient(base_url=server.url, timeout=60, trust_env=False) as client:
        answer = await client.post(
            "/api/feed/feedback/batch", json={"events": list(load.sent.values())[:500]}
        )
    assert answer.json() == {
        "accepted": 0,
        "duplicates": min(500, len(load.sent)),
        "rejected": [],
    }
    server.terminate()
    await assert_recorded(persistence, load.sent)


async def assert_logged(persistence: FeedFeedbackPersistence, acknowledged: set[str]) -> None:
    """Check the log at once after the end, before anything was sent again."""
    logged = {entry.id async for page in persistence.entries() for entry in page}
    assert acknowledged - logged == set()
    found = await persistence.verify()
    assert found.differences == 0, found.examples

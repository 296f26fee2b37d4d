"""Several processes of a server: they end and are replaced, and no acknowledged event is lost.

What the supervisor does with its processes is in `test_supervisor`.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from harken.services.record.persistence import FeedFeedbackPersistence
from tests.conftest import Databases, session_factory_for
from tests.faults import SOAK
from tests.support.load import Load, assert_recorded
from tests.support.server import HarkenWorkers
from tests.support.waiting import until

WORKERS = 4 if SOAK else 2
CLIENTS = 64
ROUNDS = 5 if SOAK else 1
# A process that starts takes some seconds of a processor, and a round of a soak starts nine.
SECONDS = 3_600 if SOAK else 300
# Without a pause, the clients would take the processors from the processes that start.
PAUSE_SECONDS = 0.5
EVENTS_BETWEEN = 200
ASKED = 8


@pytest.fixture
def url(postgresql: Databases) -> Iterator[str]:
    made = postgresql.create()
    yield made
    postgresql.drop(made)


@pytest.mark.skipif(not SOAK, reason="the drill on SQLite is for soak")
@pytest.mark.timeout(SECONDS)
async def test_restarts_and_kills_lose_nothing_on_sqlite(tmp_path: Path) -> None:
    await test_restarts_and_kills_lose_no_acknowledged_event(
        f"sqlite+aiosqlite:///{tmp_path / 'harken.db'}"
    )


@pytest.mark.timeout(SECONDS)
async def test_restarts_and_kills_lose_no_acknowledged_event(url: str) -> None:
    with HarkenWorkers(url, WORKERS, HARKEN_METRICS="true") as server:
        server.await_starts(WORKERS)
        sent = await _check_sums(server.url)
        async with _clients(server.url) as (load, reachable):
            for _ in range(ROUNDS):
                await _kill_and_replace(server, load)
                if SOAK:
                    await _restart(server, load, reachable)
        assert load.acknowledged == set(load.sent)
        async with session_factory_for(url) as sessions, FeedFeedbackPersistence(sessions) as log:
            await assert_recorded(log, sent | load.sent)
            await _assert_counted(server.url, sum((await log.counts()).values()))
        assert server.terminate() == 0


@asynccontextmanager
async def _clients(url: str) -> AsyncIterator[tuple[Load, asyncio.Event]]:
    """Run clients; while a server is slow it may refuse, and they send again."""
    reachable = asyncio.Event()
    reachable.set()
    load = Load(url, reachable, may_refuse=True, clients=CLIENTS, pause_seconds=PAUSE_SECONDS)
    async with load.running():
        await load.until_acknowledged(EVENTS_BETWEEN)
        yield load, reachable


async def _kill_and_replace(server: HarkenWorkers, load: Load) -> None:
    """Kill a process, remove one, replace the others one by one, and add one again."""
    before, starts = server.pids, server.starts
    server.kill_worker(min(before))
    await load.until_acknowledged(EVENTS_BETWEEN)
    await asyncio.to_thread(server.await_starts, starts + 1)
    assert len(server.pids & before) == WORKERS - 1
    await asyncio.to_thread(server.remove_worker)
    await asyncio.to_thread(server.replace_workers)
    await load.until_acknowledged(EVENTS_BETWEEN)
    if SOAK:
        await asyncio.to_thread(server.add_worker)


async def _restart(server: HarkenWorkers, load: Load, reachable: asyncio.Event) -> None:
    starts = server.starts
    reachable.clear()
    assert await asyncio.to_thread(server.terminate) == 0
    await asyncio.to_thread(server.start)
    reachable.set()
    await load.until_acknowledged(EVENTS_BETWEEN)
    await asyncio.to_thread(server.await_starts, starts + WORKERS)


async def _check_sums(url: str) -> dict[str, Any]:
    """Check that the metrics of any process are the sums of all; return the events sent."""
    load = Load(url, clients=8)
    async with load.running():
        await load.until_acknowledged(100)

    async def counted() -> dict[str, float]:
        return {
            each.name: each.value
            for each in await _samples(url)
            if each.labels.get("http_route", "").endswith("/record") or not each.labels
        }

    def is_of_all(found: dict[str, float]) -> bool:
        requests = found.get("http_server_request_duration_seconds_count")
        return requests == found["harken_commit_events_sum"] == len(load.sent)

    async def are_counted() -> bool:
        return is_of_all(await counted())

    await until(are_counted)  # others note their requests once a second
    for _ in range(ASKED):  # each time over a new connection, which any process takes
        found = await counted()
        assert is_of_all(found)
        assert found["harken_workers"] == WORKERS
    return load.sent


async def _assert_counted(url: str, events: int) -> None:
    """Check the metrics of a server whose processes were replaced."""
    found: dict[str, float] = {}
    for each in await _samples(url):
        found[each.name] = found.get(each.name, 0) + each.value
    assert found["harken_interactions_total"] == events
    assert found["harken_database_up"] == 1
    assert found["harken_commit_events_sum"] > 0


async def _samples(url: str) -> list[Sample]:
    async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as client:
        answer = await client.get("/metrics", headers={"Connection": "close"})
    return [
        sample
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    ]


def test_a_server_that_cannot_start_says_why_and_ends(url: str) -> None:
    wrong = HarkenWorkers(url, 2, HARKEN_TOKEN_JWKS="/no/such/file")
    with pytest.raises(RuntimeError, match="ended by itself") as raised, wrong:
        pass
    assert "HARKEN_TOKEN_JWKS=/no/such/file cannot be read" in str(raised.value)
    assert "Traceback" not in str(raised.value)

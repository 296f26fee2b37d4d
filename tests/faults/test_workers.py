"""Several processes of a server: they end and are replaced, and no acknowledged event is lost."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from harken.services.record.persistence import FeedFeedbackPersistence
from tests.conftest import Databases, session_factory_for
from tests.faults import SOAK
from tests.support.load import Load, assert_recorded
from tests.support.server import START_SECONDS, HarkenWorkers

WORKERS = 4 if SOAK else 2
CLIENTS = 64
ROUNDS = 5 if SOAK else 1
# Without a pause, the clients would take the processors from the processes that start.
PAUSE_SECONDS = 0.5
EVENTS_BETWEEN = 200
POLL_SECONDS = 0.02


@pytest.fixture
def url(postgresql: Databases) -> Iterator[str]:
    made = postgresql.create()
    yield made
    postgresql.drop(made)


@pytest.mark.skipif(not SOAK, reason="the drill on SQLite is for soak")
async def test_restarts_and_kills_lose_nothing_on_sqlite(tmp_path: Path) -> None:
    await test_restarts_and_kills_lose_no_acknowledged_event(
        f"sqlite+aiosqlite:///{tmp_path / 'harken.db'}"
    )


async def test_restarts_and_kills_lose_no_acknowledged_event(url: str) -> None:
    with HarkenWorkers(url, WORKERS, HARKEN_METRICS="true") as server:
        server.await_starts(WORKERS)
        reachable = asyncio.Event()
        reachable.set()
        load = Load(server.url, reachable, clients=CLIENTS, pause_seconds=PAUSE_SECONDS)
        async with load.running():
            for _ in range(ROUNDS):
                await load.until_acknowledged(EVENTS_BETWEEN)
                before, starts = server.pids, server.starts
                server.kill_worker(min(before))
                await load.until_acknowledged(EVENTS_BETWEEN)
                await asyncio.to_thread(server.await_starts, starts + 1)
                assert len(server.pids & before) == WORKERS - 1

                await asyncio.to_thread(server.replace_workers)
                await load.until_acknowledged(EVENTS_BETWEEN)

                reachable.clear()
                assert await asyncio.to_thread(server.terminate) == 0
                await asyncio.to_thread(server.start)
                reachable.set()
                await load.until_acknowledged(EVENTS_BETWEEN)
        assert load.acknowledged == set(load.sent)
        async with session_factory_for(url) as sessions, FeedFeedbackPersistence(sessions) as log:
            await assert_recorded(log, load.sent)
            await assert_counted(server.url, sum((await log.counts()).values()))


async def assert_counted(url: str, events: int) -> None:
    """Check that whichever process is asked for metrics tells the sums of all."""
    async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as client:
        answer = await client.get("/metrics")
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0) + sample.value
    assert found["harken_interactions_total"] == events
    assert found["harken_database_up"] == 1
    assert found["harken_commit_events_sum"] > 0


async def test_metrics_of_any_process_are_the_sums_of_all(url: str) -> None:
    with HarkenWorkers(url, 2, HARKEN_METRICS="true") as server:
        server.await_starts(2)
        load = Load(server.url, clients=8)
        async with load.running():
            await load.until_acknowledged(100)
        sums = []
        async with httpx.AsyncClient(base_url=server.url, timeout=60, trust_env=False) as client:
            for _ in range(8):  # each time over a new connection, which either process takes
                answer = await client.get("/metrics", headers={"Connection": "close"})
                sums.append(
                    {
                        sample.name: sample.value
                        for family in text_string_to_metric_families(answer.text)
                        for sample in family.samples
                        if sample.labels.get("http_route", "").endswith("/record")
                        or not sample.labels
                    }
                )
        for each in sums:
            assert each["http_server_request_duration_seconds_count"] == len(load.sent)
            assert each["harken_commit_events_sum"] == len(load.sent)
            assert each["harken_workers"] == 2
        # The processes do not outlive their supervisor, also if it is killed.
        pids = server.pids
        server.kill()
        await until(lambda: not any(map(psutil.pid_exists, pids)))


def test_more_and_fewer_processes(url: str) -> None:
    with HarkenWorkers(url, 2) as server:
        server.await_starts(2)
        supervisor = server._running().pid
        os.kill(supervisor, signal.SIGTTOU)
        asyncio.run(until(lambda: len(server.pids) == 1))
        os.kill(supervisor, signal.SIGTTIN)
        server.await_starts(3)
        assert len(server.pids) == 2
        assert server.terminate() == 0


def test_a_server_whose_processes_cannot_start_says_why_and_ends(url: str) -> None:
    wrong = HarkenWorkers(url, 2, HARKEN_TOKEN_JWKS="/no/such/file")
    with pytest.raises(RuntimeError, match="ended by itself") as raised, wrong:
        pass
    assert "HARKEN_TOKEN_JWKS=/no/such/file" in str(raised.value)
    assert "The server cannot start." in str(raised.value)


async def until(reached: Callable[[], bool]) -> None:
    """Wait for a condition of other processes."""
    deadline = time.monotonic() + START_SECONDS
    while not reached():
        assert time.monotonic() < deadline
        await asyncio.sleep(POLL_SECONDS)

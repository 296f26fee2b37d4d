"""PostgreSQL is there and does not answer: nobody waits for it longer than they may."""

import asyncio
import time
from collections.abc import Iterator

import asyncpg
import pytest

from harken.config import Settings
from harken.models.base import init_db
from tests.faults import SOAK
from tests.support.drills import (
    BEGAN,
    ENDED,
    QUICK,
    client_of,
    event,
    logged,
    readiness,
    record,
    report,
    until,
)
from tests.support.load import Load
from tests.support.postgres import PostgresServer
from tests.support.server import HarkenServer

FREEZES = 5 if SOAK else 2
EVENTS_BETWEEN = 60
LOCK_SECONDS = 40 if SOAK else 4


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer() as started:
        asyncio.run(init_db(Settings(database_url=started.url)))
        yield started
        started.thaw()


@pytest.fixture
def server(postgres: PostgresServer) -> Iterator[HarkenServer]:
    settings = {} if SOAK else QUICK
    with HarkenServer(postgres.url, **settings) as started:
        yield started


async def test_a_frozen_server(postgres: PostgresServer, server: HarkenServer) -> None:
    load = Load(server.url, may_refuse=True)
    refusals, recoveries = [], []
    async with client_of(server.url) as client, load.running():
        for _ in range(FREEZES):
            await load.until_acknowledged(EVENTS_BETWEEN)
            postgres.freeze()
            # All of these are answered while it is frozen.
            refused, ready = await asyncio.gather(record(client), readiness(client))
            assert (refused.status, ready.status) == (503, 503)
            assert ready.body["status"] == "not ready"
            page = await client.get("/api/feed/cosmos")
            assert page.status_code == 503
            refusals += [refused.seconds]
            again = await readiness(client)
            assert "it does not answer in time" in again.body["problem"]
            postgres.thaw()
            recoveries.append((await until(client, 200)).seconds)
        await load.until_acknowledged(EVENTS_BETWEEN)

    assert load.acknowledged == set(load.sent)
    # Who was refused was told nothing; their event may be there.
    assert load.acknowledged <= await logged(postgres.url)
    assert server.output.count(BEGAN) == server.output.count(ENDED) == FREEZES
    assert "Traceback" not in server.output
    report("frozen", record_503=max(refusals), readiness_503=ready.seconds, back=max(recoveries))


async def test_a_server_ends_whose_database_is_frozen(
    postgres: PostgresServer, server: HarkenServer
) -> None:
    async with client_of(server.url) as client:
        assert (await record(client)).status == 200
        postgres.freeze()
        waiting = asyncio.create_task(record(client))
        asked = asyncio.create_task(readiness(client))
        await asked
        begun = time.monotonic()
        await asyncio.to_thread(server.terminate)  # raises where it does not end
        seconds = time.monotonic() - begun
        assert (await waiting).status == 503
    assert "Traceback" not in server.output
    report("ended while frozen", sigterm=seconds)


async def test_a_table_that_somebody_has_locked(
    postgres: PostgresServer, server: HarkenServer
) -> None:
    """Nothing is recorded while it lasts, and nobody is left behind in the line for the lock."""
    somebody = await asyncpg.connect(postgres.url.replace("+asyncpg", ""))
    async with client_of(server.url) as client:
        assert (await record(client)).status == 200
        sent = event()
        begun = time.monotonic()
        async with somebody.transaction():
            await somebody.execute("LOCK TABLE feed_interactions IN ACCESS EXCLUSIVE MODE")
            refused = await record(client, sent)
            assert refused.status == 503
            ready = await readiness(client)
            assert ready.status == 503
            assert "another process holds a lock" in ready.body["problem"]
            while time.monotonic() - begun < LOCK_SECONDS:
                assert (await record(client, sent)).status == 503
            waiting = await somebody.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted")
            assert waiting <= 2  # not one for each attempt
        recovery = await until(client, 200)
        assert (await record(client, sent)).status == 200
    await somebody.close()
    assert sent["interaction_id"] in await logged(postgres.url)
    assert server.output.count(BEGAN) == server.output.count(ENDED) == 1
    assert "Traceback" not in server.output
    report("locked table", record_503=refused.seconds, back=recovery.seconds)

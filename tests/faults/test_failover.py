"""A standby takes over; the address stays the same.

With synchronous replication, all that was acknowledged is there. With asynchronous replication,
what was acknowledged in the last seconds may be gone; then nothing of it may be left in what the
server keeps in memory.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
import pytest

from harken.config import Settings
from harken.models.base import init_db
from harken.services.record.persistence import FeedFeedbackPersistence
from tests.conftest import session_factory_for
from tests.support.address import Address
from tests.support.drills import (
    QUICK,
    client_of,
    event,
    logged,
    record,
    report,
    until,
)
from tests.support.load import Load, assert_recorded
from tests.support.postgres import PostgresServer, free_port
from tests.support.server import HarkenServer

KEPT, LOST = 30, 20
EVENTS = 200


@pytest.fixture
def primary() -> Iterator[PostgresServer]:
    with PostgresServer() as started:
        asyncio.run(init_db(Settings(database_url=started.url)))
        yield started


@pytest.fixture
def standby(primary: PostgresServer) -> Iterator[PostgresServer]:
    made = primary.standby()
    made.port = free_port()
    try:
        made.start()
        yield made
    finally:
        made.remove()


@asynccontextmanager
async def serving(primary: PostgresServer) -> AsyncIterator[tuple[HarkenServer, Address]]:
    """Run a server whose database's address leads to the primary."""
    address = Address(primary.port)
    url = primary.url.replace(f":{primary.port}/", f":{address.port}/")
    async with address.open():
        server = HarkenServer(url, **QUICK)
        await asyncio.to_thread(server.__enter__)
        try:
            yield server, address
        finally:
            await asyncio.to_thread(server.__exit__, None, None, None)


async def take_over(standby: PostgresServer, address: Address) -> None:
    """Promote a standby, and let the address lead to it."""
    await asyncio.to_thread(standby.promote)
    address.target = standby.port
    address.cut()


async def test_a_synchronous_standby_takes_over_within_a_load(
    primary: PostgresServer, standby: PostgresServer
) -> None:
    # Not before the copy was made: the standby would wait for one of its own.
    await asyncio.to_thread(primary.reload, synchronous_standby_names="*")
    async with serving(primary) as (server, address):
        load = Load(server.url, may_refuse=True, pause_seconds=0.01)
        async with load.running():
            await load.until_acknowledged(EVENTS)
            began = time.monotonic()
            await asyncio.to_thread(primary.stop)
            await take_over(standby, address)
            await load.until_acknowledged(1)
            seconds = time.monotonic() - began
            await load.until_acknowledged(EVENTS)
    async with (
        session_factory_for(standby.url) as factory,
        FeedFeedbackPersistence(factory) as persistence,
    ):
        await assert_recorded(persistence, load.sent)
    # How many are refused depends on how long it takes: the server tries again before it refuses.
    report(
        "synchronous failover",
        seconds=seconds, acknowledged=len(load.acknowledged), refused=load.refused,
    )  # fmt: skip


async def test_a_standby_that_had_not_heard_of_the_last_seconds(
    primary: PostgresServer, standby: PostgresServer
) -> None:
    async with serving(primary) as (server, address):
        async with client_of(server.url) as client:
            figures = await drill(client, address, primary, standby)
        output = server.output
    assert output.count("The database lost data") == 1
    assert "Traceback" not in output
    report("asynchronous failover", **figures)


async def drill(
    client: httpx.AsyncClient, address: Address, primary: PostgresServer, standby: PostgresServer
) -> dict[str, Any]:
    kept = await use(client, "kept", KEPT)
    await until_replayed(primary, standby)
    await asyncio.to_thread(standby.stop)
    lost = await use(client, "lost", LOST)
    before = await served(client)
    assert before["ids"] == {"kept", "lost"}
    assert before["popularity"]["kept"] == KEPT + LOST
    assert before["readers"] == {"kept": KEPT, "lost": LOST}

    await asyncio.to_thread(primary.stop)
    await asyncio.to_thread(standby.start)
    await take_over(standby, address)
    back = await until(client, 200)

    there = await logged(standby.url)
    assert there == kept  # all that the database kept
    assert not there & lost
    after = await served(client)
    assert after["ids"] == {"kept"}
    assert after["popularity"] == {"kept": KEPT}
    assert after["readers"] == {"kept": KEPT, "lost": 0}
    # Numbers and revisions that were given once are given again, to others.
    await use(client, "new", 5)
    assert (await served(client))["ids"] == {"kept", "new"}
    await logged(standby.url)
    return {"back": back.seconds, "kept": len(there), "lost": len(lost)}


async def use(client: httpx.AsyncClient, name: str, events: int) -> set[str]:
    """Add a K-Block, and have a reader touch the one that is always kept; returns the events."""
    put = await client.put(f"/api/kblocks/{name}", json={"title": name, "content": name})
    assert put.status_code in {200, 201}, put.text
    ids = set()
    for _ in range(events):
        sent = event(kblock_id="kept", user_id=name)
        assert (await record(client, sent)).status == 200
        ids.add(sent["interaction_id"])
    return ids


async def served(client: httpx.AsyncClient) -> dict[str, Any]:
    """Return what a server has in memory, as its answers show it."""
    page = await client.get("/api/feed/cosmos", params={"ranking": "popularity", "explain": True})
    items = page.json()["items"]
    profiles = {}
    for name in ("kept", "lost"):
        profile = (await client.get(f"/api/users/{name}/profile")).json()
        profiles[name] = profile["interactions"]
    return {
        "ids": {item["id"] for item in items},
        "popularity": {
            item["id"]: count
            for item in items
            if (count := item["explanation"]["popularity"]["value"])
        },
        "readers": profiles,
    }


async def until_replayed(primary: PostgresServer, standby: PostgresServer) -> None:
    """Wait until a standby has all that its primary has."""
    first, second = [
        await asyncpg.connect(each.url.replace("+asyncpg", "")) for each in (primary, standby)
    ]
    wanted = await first.fetchval("SELECT pg_current_wal_flush_lsn()::text")
    async with asyncio.timeout(60):
        while True:
            replayed = "SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn"
            if await second.fetchval(replayed, wanted):
                break
            await asyncio.sleep(0.02)
    await first.close()
    await second.close()

"""PostgreSQL answers, and refuses: it can only be read, is full, or accepts no more connections."""

import asyncio
import tempfile
from collections.abc import Iterator

import asyncpg
import pytest

from harken.config import Settings
from harken.models.base import init_db
from tests.support.disks import SmallDisk, small_disk
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

EVENTS = 60


def prepared(postgres: PostgresServer) -> PostgresServer:
    asyncio.run(init_db(Settings(database_url=postgres.url)))
    return postgres


async def test_a_server_that_can_only_be_read() -> None:
    with PostgresServer() as postgres:
        await asyncio.to_thread(prepared, postgres)
        with HarkenServer(postgres.url, **QUICK) as server:
            load = Load(server.url, may_refuse=True)
            async with client_of(server.url) as client, load.running():
                await load.until_acknowledged(EVENTS)
                await asyncio.to_thread(postgres.reload, default_transaction_read_only="on")
                seen = await until(client, 503)
                assert "it can only be read" in seen.body["problem"]
                assert (await record(client)).status == 503
                assert (await client.get("/api/feed/analytics")).status_code == 200
                await asyncio.to_thread(postgres.reload, default_transaction_read_only="off")
                back = await until(client, 200)
                await load.until_acknowledged(EVENTS)
            output = server.output
        assert load.acknowledged <= await logged(postgres.url)
    assert "it can only be read" in output
    assert output.count(BEGAN) == output.count(ENDED) == 1
    assert "Traceback" not in output
    report("read-only", readiness_503=seen.seconds, back=back.seconds)


async def test_a_server_with_fewer_connections_than_ours() -> None:
    """Those that it gives are shared; nobody gets an error for it."""
    with PostgresServer(max_connections="10", superuser_reserved_connections="0") as postgres:
        await asyncio.to_thread(prepared, postgres)
        others = [await asyncpg.connect(postgres.url.replace("+asyncpg", "")) for _ in range(4)]
        with HarkenServer(postgres.url, HARKEN_DATABASE_POOL_SIZE="20") as server:
            load = Load(server.url)
            async with client_of(server.url) as client, load.running():
                for _ in range(3):
                    pages = [client.get("/api/feed/cosmos") for _ in range(40)]
                    assert {each.status_code for each in await asyncio.gather(*pages)} == {200}
                    await load.until_acknowledged(EVENTS)
                assert (await readiness(client)).status == 200
            output = server.output
        for other in others:
            await other.close()
        assert load.acknowledged == await logged(postgres.url)
    assert BEGAN not in output
    assert "Traceback" not in output
    report("10 connections", events=len(load.acknowledged))


@pytest.fixture
def disk() -> Iterator[SmallDisk]:
    with small_disk(512) as mounted:
        yield mounted


async def test_a_full_disk(disk: SmallDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(disk.path))
    small = {"min_wal_size": "32MB", "max_wal_size": "64MB", "shared_buffers": "16MB"}
    postgres = PostgresServer(**small)
    monkeypatch.undo()
    with postgres:
        await asyncio.to_thread(prepared, postgres)
        with HarkenServer(postgres.url, **QUICK) as server:
            async with client_of(server.url) as client:
                acknowledged = []
                disk.fill()
                # Until what is free in the files of the tables is used up.
                while True:
                    sent = event(metadata={"text": "x" * 1_000})
                    answer = await record(client, sent)
                    if answer.status != 200:
                        break
                    acknowledged.append(sent["interaction_id"])
                assert answer.status == 503
                seen = await readiness(client)
                assert seen.status == 503
                assert "its disk is full" in seen.body["problem"]
                disk.empty()
                back = await until(client, 200)
                assert (await record(client, sent)).status == 200
                acknowledged.append(sent["interaction_id"])
            output = server.output
        assert set(acknowledged) <= await logged(postgres.url)
    assert output.count(BEGAN) == output.count(ENDED) == 1
    assert "its disk is full" in output
    assert "Traceback" not in output
    report("full disk, PostgreSQL", record_503=answer.seconds, back=back.seconds)

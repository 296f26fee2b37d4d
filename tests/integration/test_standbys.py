"""Long reads are answered by a standby that knows all that was committed; else by the primary."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import async_sessionmaker

from harken.config import Settings
from harken.database import STANDBYS, Database, Kind, close_engine, create_engine
from harken.databases import standbys
from harken.databases.standbys import Standbys, follow
from harken.models.base import init_db
from harken.services.record.persistence import FeedFeedbackPersistence
from harken.services.record.window_analytics import WindowAnalytics
from tests.support.postgres import PostgresServer
from tests.support.waiting import until

EVENTS = 40


@pytest.fixture(scope="module")
def primary() -> Iterator[PostgresServer]:
    with PostgresServer() as started:
        asyncio.run(init_db(Settings(database_url=started.url)))
        yield started


@pytest.fixture(scope="module")
def standby(primary: PostgresServer) -> Iterator[PostgresServer]:
    made = primary.standby()
    try:
        made.start_first()
        yield made
    finally:
        made.remove()


@pytest.fixture
async def factory(
    primary: PostgresServer, standby: PostgresServer
) -> AsyncIterator[async_sessionmaker[Any]]:
    settings = Settings(database_url=primary.url, read_urls=(standby.url,), read_wait=30)
    engine = follow(create_engine(settings), settings)
    yield async_sessionmaker(engine, expire_on_commit=False)
    await close_engine(engine)


def of(factory: async_sessionmaker[Any]) -> Standbys:
    found = factory.kw["bind"].get_execution_options()[STANDBYS]
    assert isinstance(found, Standbys)
    return found


async def port_of_read(factory: async_sessionmaker[Any]) -> int:
    async with Database(factory).reading_anywhere(Kind.SNAPSHOT) as connection:
        found = await connection.exec_driver_sql("SELECT inet_server_port()")
        return int(found.scalar_one())


async def test_every_read_sees_what_was_just_committed(
    factory: async_sessionmaker[Any], standby: PostgresServer
) -> None:
    async with FeedFeedbackPersistence(factory) as record:
        before = (await record.get_analytics())["totals"]["views"]
        for number in range(1, EVENTS + 1):
            await record.record_interaction("ada", f"k{number % 3}", "view", dwell_time_ms=number)
            assert (await record.get_analytics())["totals"]["views"] == before + number
            assert (await WindowAnalytics(Database(factory)).dwell()).views == before + number
    assert await port_of_read(factory) == standby.port
    assert of(factory).declined == 0
    assert of(factory).served >= 2 * EVENTS


async def test_a_standby_that_lags_is_passed_over_and_asked_again(
    primary: PostgresServer, standby: PostgresServer
) -> None:
    settings = Settings(database_url=primary.url, read_urls=(standby.url,), read_wait=0.05)
    engine = follow(create_engine(settings), settings)
    factory = async_sessionmaker(engine, expire_on_commit=False)
    follower = await asyncpg.connect(standby.url.replace("+asyncpg", ""))
    try:
        await follower.execute("SELECT pg_wal_replay_pause()")
        await until(lambda: _is_paused(follower))
        async with FeedFeedbackPersistence(factory) as record:
            before = (await record.get_analytics())["totals"]["views"]
            await record.record_interaction("ada", "k1", "view")
            assert (await record.get_analytics())["totals"]["views"] == before + 1
        assert await port_of_read(factory) == primary.port
        await follower.execute("SELECT pg_wal_replay_resume()")
        await until(lambda: _is_answered_by(factory, standby.port))
    finally:
        await follower.execute("SELECT pg_wal_replay_resume()")
        await follower.close()
        await close_engine(engine)


async def _is_paused(follower: Any) -> bool:
    state = await follower.fetchval("SELECT pg_get_wal_replay_pause_state()")
    return bool(state == "paused")


async def _is_answered_by(factory: async_sessionmaker[Any], port: int) -> bool:
    return await port_of_read(factory) == port


async def test_a_standby_that_is_gone_is_passed_over(
    primary: PostgresServer, standby: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standbys, "REST_SECONDS", 0.01)
    settings = Settings(database_url=primary.url, read_urls=(standby.url,), read_wait=30)
    engine = follow(create_engine(settings), settings)
    factory = async_sessionmaker(engine, expire_on_commit=False)
    try:
        assert await port_of_read(factory) == standby.port
        await asyncio.to_thread(standby.stop)
        assert await port_of_read(factory) == primary.port
        await asyncio.to_thread(standby.start)
        await until(lambda: _is_answered_by(factory, standby.port))
    finally:
        await close_engine(engine)


async def test_a_server_that_follows_nobody_answers_no_reads(primary: PostgresServer) -> None:
    settings = Settings(database_url=primary.url, read_urls=(primary.url,))
    engine = follow(create_engine(settings), settings)
    factory = async_sessionmaker(engine, expire_on_commit=False)
    try:
        assert await port_of_read(factory) == primary.port
        assert of(factory).declined == 1
    finally:
        await close_engine(engine)

"""Reads are answered by a standby that knows all that was committed; else by the primary."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.ext.asyncio import async_sessionmaker

from harken.config import Settings
from harken.database import STANDBYS, Database, Kind, close_engine, create_engine
from harken.databases import standbys
from harken.databases.standbys import Standbys, follow
from harken.domain.feedback import GUEST
from harken.domain.kblock import KBlock
from harken.models.base import init_db
from harken.services.feed.caches import catalogue, log_reads
from harken.services.feed.request import FeedRequest
from harken.services.feed.service import FeedService
from harken.services.kblocks.store import KBlockStore
from harken.services.record.persistence import FeedFeedbackPersistence
from harken.services.record.window_analytics import WindowAnalytics
from tests.conftest import session_factory_for
from tests.support.postgres import PostgresServer
from tests.support.server import HarkenServer
from tests.support.waiting import until

EVENTS = 40
ROUNDS = 4


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


@asynccontextmanager
async def following(
    primary: PostgresServer, standby: PostgresServer, seconds: float = 30
) -> AsyncIterator[async_sessionmaker[Any]]:
    """Connect to a primary whose reads may wait so long for a standby."""
    settings = Settings(database_url=primary.url, read_urls=(standby.url,), read_wait=seconds)
    engine = follow(create_engine(settings), settings)
    try:
        yield async_sessionmaker(engine, expire_on_commit=False)
    finally:
        await close_engine(engine)


@pytest.fixture
async def factory(
    primary: PostgresServer, standby: PostgresServer
) -> AsyncIterator[async_sessionmaker[Any]]:
    async with following(primary, standby) as made:
        yield made


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
    follower = await asyncpg.connect(standby.url.replace("+asyncpg", ""))
    async with following(primary, standby, 0.05) as factory:
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


async def _is_paused(follower: Any) -> bool:
    state = await follower.fetchval("SELECT pg_get_wal_replay_pause_state()")
    return bool(state == "paused")


async def _is_answered_by(factory: async_sessionmaker[Any], port: int) -> bool:
    return await port_of_read(factory) == port


async def test_a_standby_that_is_gone_is_passed_over(
    primary: PostgresServer, standby: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standbys, "REST_SECONDS", 0.01)
    async with following(primary, standby) as factory:
        assert await port_of_read(factory) == standby.port
        await asyncio.to_thread(standby.stop)
        assert await port_of_read(factory) == primary.port
        await asyncio.to_thread(standby.start)
        await until(lambda: _is_answered_by(factory, standby.port))


async def test_a_standby_that_hangs_is_passed_over_until_it_answers(
    primary: PostgresServer, standby: PostgresServer
) -> None:
    async with following(primary, standby, 0.05) as factory:
        await until(lambda: _is_answered_by(factory, standby.port))
        await asyncio.to_thread(standby.freeze)
        try:
            for _ in range(100):  # more than there are connections
                assert await port_of_read(factory) == primary.port
        finally:
            await asyncio.to_thread(standby.thaw)
        await until(lambda: _is_answered_by(factory, standby.port))


async def test_a_server_that_follows_nobody_answers_no_reads(primary: PostgresServer) -> None:
    async with following(primary, primary) as factory:
        assert await port_of_read(factory) == primary.port
        assert of(factory).declined == 1


async def test_metrics_say_how_many_reads_a_standby_answered(
    primary: PostgresServer, standby: PostgresServer
) -> None:
    environment = {"HARKEN_READ_URLS": standby.url, "HARKEN_READ_WAIT": "5", "HARKEN_METRICS": "1"}
    follower = await asyncpg.connect(standby.url.replace("+asyncpg", ""))
    with HarkenServer(primary.url, **environment) as server:
        async with httpx.AsyncClient(base_url=server.url, timeout=60, trust_env=False) as client:
            before = await _standby_reads(client)
            for _ in range(7):
                await _record_and_read(client)
            try:
                await follower.execute("SELECT pg_wal_replay_pause()")
                await until(lambda: _is_paused(follower))
                await _record_and_read(client)
            finally:
                await follower.execute("SELECT pg_wal_replay_resume()")
                await follower.close()
            await _record_and_read(client)
            after = await _standby_reads(client)
    assert {name: count - before.get(name, 0) for name, count in after.items()} == {
        ("count", "standby"): 2 * 7 + 1 + 2, ("count", "primary"): 1,
        # The wait in vain is as long as the setting.
        ("within 1.0", "standby"): 2 * 7 + 1 + 2, ("within 1.0", "primary"): 0,
    }  # fmt: skip


async def _record_and_read(client: httpx.AsyncClient) -> None:
    counted = (await client.get("/api/feed/analytics")).json()["totals"]["views"]
    event = {"user_id": "ada", "kblock_id": "k1", "action": "view"}
    (await client.post("/api/feed/feedback/record", json=event)).raise_for_status()
    assert (await client.get("/api/feed/analytics")).json()["totals"]["views"] == counted + 1


async def _standby_reads(client: httpx.AsyncClient) -> dict[tuple[str, str], float]:
    """Return how many reads were answered by which database, and how many of them within 1 s."""
    text = (await client.get("/metrics")).text
    name, found = "harken_standby_wait_duration_seconds", {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == f"{name}_count":
                found["count", sample.labels["outcome"]] = sample.value
            elif sample.name == f"{name}_bucket" and sample.labels["le"] == "1.0":
                found["within 1.0", sample.labels["outcome"]] = sample.value
    return found


# Pages: what other processes wrote is read on a standby, own writes are there at once


@pytest.fixture
async def other(primary: PostgresServer) -> AsyncIterator[FeedFeedbackPersistence]:
    """Return the record of another process."""
    async with session_factory_for(primary.url) as factory, FeedFeedbackPersistence(factory) as it:
        yield it


@asynccontextmanager
async def serving(
    primary: PostgresServer, standby: PostgresServer
) -> AsyncIterator[tuple[FeedService, Standbys]]:
    """Return the service of a process whose reads may go to a standby, with a loaded index."""
    async with (
        following(primary, standby, 60) as factory,
        FeedFeedbackPersistence(factory) as record,
    ):
        kblocks = KBlockStore(factory)
        await kblocks.put([KBlock(id=each, title=each, content=each) for each in ("own", "others")])
        service = FeedService(factory, record=record, kblocks=kblocks)
        await service.page(FeedRequest("cosmos", user_id="ada", ranking="personal"))
        yield service, of(factory)
        await service.profiles.close()


async def counted(service: FeedService, kblock_id: str) -> float:
    """Return the popularity of a K-Block as a page shows it."""
    request = FeedRequest("cosmos", user_id="ada", ranking="popularity", explain=True)
    [found] = [item for item in (await service.page(request)).items if item.id == kblock_id]
    assert found.explanation is not None
    return found.explanation["popularity"].value


async def known(service: FeedService, user_id: str) -> int:
    """Return how many events of a reader the personal order of others knows."""
    return (await service.profiles.fresh(GUEST)).affinities.interactions(user_id)


async def follows(service: FeedService, other: FeedFeedbackPersistence) -> None:
    """Check that pages have own events at once, and those of another process soon."""
    own, others = await counted(service, "own"), await counted(service, "others")
    interactions = await known(service, "bob")
    for number in range(1, ROUNDS + 1):
        await service.record.record_interaction("ada", "own", "engage")
        assert await counted(service, "own") == own + number
        await other.record_interaction("bob", "others", "engage")

        async def is_counted(wanted: float = others + number) -> bool:
            return await counted(service, "others") == wanted

        async def is_known(wanted: int = interactions + number) -> bool:
            return await known(service, "bob") == wanted

        await until(is_counted)
        await until(is_known)
        assert await counted(service, "own") == own + number


async def test_a_standby_tells_what_other_processes_wrote(
    primary: PostgresServer, standby: PostgresServer,
    other: FeedFeedbackPersistence, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for each in (catalogue, log_reads):
        monkeypatch.setattr(each, "STANDBY_SECONDS", 60)
    async with serving(primary, standby) as (service, standbys):
        before = standbys.served
        await follows(service, other)
        assert standbys.served >= before + 2 * ROUNDS
        assert standbys.declined == 0


async def test_a_standby_that_lags_delays_no_page(
    primary: PostgresServer, standby: PostgresServer, other: FeedFeedbackPersistence
) -> None:
    follower = await asyncpg.connect(standby.url.replace("+asyncpg", ""))
    async with serving(primary, standby) as (service, standbys):
        try:
            await follower.execute("SELECT pg_wal_replay_pause()")
            await until(lambda: _is_paused(follower))
            served = standbys.served
            async with asyncio.timeout(60):  # less than the setting
                await follows(service, other)
            assert standbys.served == served
            assert standbys.declined >= 2 * ROUNDS
        finally:
            await follower.execute("SELECT pg_wal_replay_resume()")
            await follower.close()


async def test_a_standby_that_fails_is_replaced_by_the_primary(
    primary: PostgresServer, standby: PostgresServer, other: FeedFeedbackPersistence
) -> None:
    async with serving(primary, standby) as (service, _standbys):
        await asyncio.to_thread(standby.stop)
        try:
            await follows(service, other)
        finally:
            await asyncio.to_thread(standby.start)

"""Databases of every older schema, with what its version wrote, work with this one.

The files in tests/vectors/schemas have rows that the versions themselves wrote: readers who view,
engage, dismiss and report contradictions, and what each version had beside it, such as K-Blocks,
slates, preferences, keys, an experiment, a quarantine and an erasure.
"""

import os
from contextlib import asynccontextmanager

import httpx
import pytest
from sqlalchemy import Connection, MetaData, func, inspect, select, text
from sqlalchemy.ext.asyncio import async_sessionmaker

from harken import migrations
from harken.config import Settings
from harken.database import create_engine
from harken.errors import SchemaMismatch
from harken.services.feed.asking import FeedRequest
from harken.services.feed.service import FeedService
from harken.services.providers import close_providers, setup_providers
from harken.services.record.persistence import FeedFeedbackPersistence
from tests.conftest import session_factory_for
from tests.support.load import Load
from tests.support.schema import NEWEST, RELEASED, make_database, released
from tests.support.server import HarkenServer

SOAK = bool(os.environ.get("HARKEN_TEST_SOAK"))
REVISIONS = sorted(path.stem for path in RELEASED.glob("*.json"))
BEFORE = 100
WITH_SEARCH = "0012"
DERIVED = {"kblock_clock", "feed_half_lives"}
"""Tables whose rows a migration or the first start may change."""


@asynccontextmanager
async def opened(url: str):
    engine = create_engine(Settings(database_url=url))
    try:
        yield engine
    finally:
        await engine.dispose()


def counts(connection: Connection) -> dict[str, int]:
    """Return the number of rows of each table."""
    names = [each for each in inspect(connection).get_table_names() if "search" not in each]
    found = MetaData()
    found.reflect(connection, only=names)
    counted = ((each, select(func.count()).select_from(each)) for each in found.sorted_tables)
    return {each.name: connection.execute(count).scalar_one() for each, count in counted}


@pytest.mark.parametrize(
    ("database_kind", "revision"),
    [*(("sqlite", each) for each in REVISIONS),
     # The migrations are the same; a soak has all of them.
     *(("postgresql", each) for each in (REVISIONS if SOAK else REVISIONS[::4]))],
)  # fmt: skip
async def test_what_a_version_wrote_is_there_after_the_upgrade(empty_url, revision):
    tables = released(revision)
    expected = {name: len(each["rows"]) for name, each in tables.items()}
    async with opened(empty_url) as engine:
        await make_database(engine, revision)
        assert await migrations.upgrade(engine) == (revision, NEWEST)
        async with engine.connect() as connection:
            kept = await connection.run_sync(counts)
        for name in expected.keys() - DERIVED:
            assert kept[name] == expected[name], name
        sessions = async_sessionmaker(engine)
        async with FeedFeedbackPersistence(sessions) as record:
            found = await record.verify()
            assert found.differences == 0, found.examples
            assert found.events == expected["feed_interactions"]
            event = {"user_id": "ada", "kblock_id": "k0", "action": "view", "dwell_time_ms": 1}
            old, new = event | {"interaction_id": "e1"}, event | {"interaction_id": "new"}
            recorded = await record.record_batch([old, new])
            assert (recorded.accepted, recorded.duplicates) == (1, 1), recorded.rejected
            assert (await record.verify()).differences == 0
        service = FeedService(sessions)
        if revision >= WITH_SEARCH:
            await service.kblocks.search_index.rebuild()  # the files leave out its rows
        assert (await service.kblocks.search_index.check()).differences == 0
        page = await service.page(FeedRequest("cosmos", user_id="ada"))
        assert {item.id for item in page.items} == shown(tables)
        await service.close()


def shown(tables) -> set[str]:
    """Return the K-Blocks that ada has not dismissed and whose tags she has not muted."""

    def rows(name):
        found = tables.get(name, {"columns": [], "rows": []})
        return [dict(zip(found["columns"], row, strict=True)) for row in found["rows"]]

    hidden = {row["kblock_id"] for row in rows("feed_dismissals") if row["user_id"] == "ada"}
    has_muted = any("metal" in row["muted_tags"] for row in rows("feed_users"))
    return {
        row["id"]
        for row in rows("kblocks")
        if row["id"] not in hidden and not (has_muted and "metal" in row["tags"])
    }


def test_every_schema_but_those_between_two_versions_has_its_file():
    assert [*REVISIONS, NEWEST][-1] == NEWEST
    assert len(REVISIONS) >= 11


@pytest.mark.slow
async def test_servers_that_run_go_on_while_the_schema_becomes_newer(database_url, monkeypatch):
    """As in a rolling upgrade: `harken migrate` of the next version, while this one serves."""

    def become_newer(connection: Connection) -> None:
        connection.execute(text("ALTER TABLE feed_interactions ADD COLUMN of_the_next INTEGER"))
        connection.execute(text("CREATE TABLE feed_of_the_next (id INTEGER PRIMARY KEY)"))
        connection.execute(text(f"UPDATE {migrations.VERSION_TABLE} SET version_num = '9999'"))

    with HarkenServer(database_url) as server:
        load = Load(server.url)
        async with load.running():
            await load.until(lambda: len(load.acknowledged) >= BEFORE)
            async with opened(database_url) as engine:
                await migrations._within_transaction(engine, become_newer)
            since = len(load.acknowledged)
            await load.until(lambda: len(load.acknowledged) >= since + BEFORE)
            async with httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
                ready = await client.get("/readyz")
                page = await client.get("/api/feed/cosmos")
        assert (ready.status_code, page.status_code) == (503, 200)
        assert "was made by a newer one" in ready.json()["problem"]
        server.terminate()
        # One that ends is not started again, so that no old version stays by mistake.
        monkeypatch.setenv("HARKEN_DATABASE_URL", database_url)
        with pytest.raises(SchemaMismatch, match="was made by a newer one"):
            await setup_providers()
        await close_providers()
    async with session_factory_for(database_url) as sessions:
        async with FeedFeedbackPersistence(sessions) as record:
            found = await record.verify()
        assert (found.events, found.differences) == (len(load.acknowledged), 0)

"""The log becomes partitioned while events are recorded, keeps what it had, and goes back."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, select, text

from harken import migrations
from harken.config import Settings
from harken.database import Database, create_engine
from harken.migrations import log_order
from harken.services.integrity.partitions.layout import DEFAULT, read_layout
from harken.services.record.persistence import FeedFeedbackPersistence
from harken.services.record.transaction import LOG
from tests.conftest import session_factory_for
from tests.integration.test_migrations import ROOT, alembic, inspected
from tests.support.partitions import cut, made_at

BEFORE = "0018"
EVENT = {"user_id": "ada", "kblock_id": "k", "action": "view"}
NOW = datetime.now(UTC)


async def ids(sessions) -> set[str]:
    async with Database(sessions).reading() as connection:
        return set((await connection.execute(select(LOG.c.id))).scalars())


@pytest.mark.parametrize("large", [1, 1_000])
async def test_events_are_recorded_while_the_log_becomes_partitioned(empty_url, monkeypatch, large):
    monkeypatch.setattr(log_order, "LARGE", large)
    await asyncio.to_thread(alembic, ROOT, empty_url, "upgrade", BEFORE)
    acknowledged: list[str] = []
    async with session_factory_for(empty_url) as sessions, FeedFeedbackPersistence(sessions) as log:
        is_over = asyncio.Event()
        enough = asyncio.Event()

        async def send() -> None:
            while not is_over.is_set():
                own = (f"mine-{len(acknowledged)}", made_at(NOW, len(acknowledged)))
                await log.record_batch([EVENT | {"interaction_id": each} for each in own])
                acknowledged.extend(own)
                enough.set()

        sending = [asyncio.create_task(send()) for _ in range(1)]
        await enough.wait()
        engine = create_engine(Settings(database_url=empty_url))
        assert (await migrations.upgrade(engine))[0] == BEFORE
        enough.clear()
        await enough.wait()
        is_over.set()
        await asyncio.gather(*sending)
        await engine.dispose()
        assert await ids(sessions) == set(acknowledged)
        again = await log.record_batch([EVENT | {"interaction_id": each} for each in acknowledged])
        assert again.duplicates == len(acknowledged)
        assert (await log.verify()).differences == 0


@pytest.mark.parametrize("database_kind", ["postgresql"])
async def test_it_becomes_one_table_again(empty_url):
    """With what its partitions have, and the numbers and indexes of before."""
    await asyncio.to_thread(alembic, ROOT, empty_url, "upgrade", "head")
    async with session_factory_for(empty_url) as sessions:
        database = Database(sessions)
        await cut(database, NOW - timedelta(days=2), NOW + timedelta(days=1), timedelta(days=1))
        async with FeedFeedbackPersistence(sessions) as log:
            own = [made_at(NOW - timedelta(hours=9 * n), n) for n in range(8)]
            sent = [EVENT | {"interaction_id": each} for each in (*own, "mine")]
            assert (await log.record_batch(sent)).accepted == 9
        numbers = select(LOG.c.id, LOG.c.transaction_number)
        async with database.reading() as connection:
            assert len((await read_layout(connection, database)).partitions) == 3
            before = set((await connection.execute(numbers)).all())
    indexes = await inspected(empty_url, names_of_indexes)
    await asyncio.to_thread(alembic, ROOT, empty_url, "downgrade", BEFORE)
    assert await inspected(empty_url, names_of_indexes) == indexes
    await asyncio.to_thread(alembic, ROOT, empty_url, "upgrade", "head")
    async with session_factory_for(empty_url) as sessions:
        database = Database(sessions)
        async with database.reading() as connection:
            assert set((await connection.execute(numbers)).all()) == before
            assert set((await read_layout(connection, database)).sizes) == {DEFAULT}
        async with FeedFeedbackPersistence(sessions) as log:
            assert (await log.record_batch(sent)).duplicates == 9
            assert (await log.verify()).differences == 0


@pytest.mark.parametrize("database_kind", ["postgresql"])
async def test_who_may_read_the_log_still_may(empty_url):
    await asyncio.to_thread(alembic, ROOT, empty_url, "upgrade", BEFORE)

    def grant(connection: Connection) -> None:
        connection.execute(text("GRANT SELECT ON feed_interactions TO pg_monitor"))
        connection.commit()

    def may(connection: Connection) -> bool:
        found = text("SELECT has_table_privilege('pg_monitor', 'feed_interactions', 'SELECT')")
        return bool(connection.execute(found).scalar_one())

    await inspected(empty_url, grant)
    await asyncio.to_thread(alembic, ROOT, empty_url, "upgrade", "head")
    assert await inspected(empty_url, may)


def names_of_indexes(connection: Connection) -> set[str]:
    found = text("SELECT indexname FROM pg_indexes WHERE tablename = 'feed_interactions'")
    return set(connection.execute(found).scalars())

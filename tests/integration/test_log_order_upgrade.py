"""A log of before schema 0018 can be followed: its events come first, then the numbered ones."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, bindparam, inspect, text

from harken import migrations
from harken.config import Settings
from harken.database import Database, create_engine
from harken.migrations import log_order
from harken.models.types import UtcDateTime
from harken.services.record.log_order.following import LogFollower
from harken.services.record.persistence import FeedFeedbackPersistence
from tests.conftest import session_factory_for
from tests.integration.test_migrations import ROOT, alembic, inspected

OLD = """
    INSERT INTO feed_interactions (id, user_id, kblock_id, action, created_at, updated_at)
    VALUES (:id, 'ada', 'k', 'view', :at, :at)
"""


def fill(connection: Connection) -> None:
    insert = text(OLD).bindparams(bindparam("at", type_=UtcDateTime))
    for each in ("z", "m", "a"):
        connection.execute(insert, {"id": each, "at": datetime(2026, 1, 1, tzinfo=UTC)})
    connection.commit()


@pytest.mark.parametrize("large", [1, 1_000])
async def test_events_of_before_come_first(empty_url, monkeypatch, large):
    monkeypatch.setattr(log_order, "LARGE", large)  # so that both ways to its index are taken
    alembic(ROOT, empty_url, "upgrade", "0016")
    await inspected(empty_url, fill)
    engine = create_engine(Settings(database_url=empty_url))
    await migrations.upgrade(engine)
    await engine.dispose()
    assert log_order.INDEX in await inspected(empty_url, indexes)
    async with (
        session_factory_for(empty_url) as sessions,
        FeedFeedbackPersistence(sessions) as persistence,
    ):
        follower = LogFollower(Database(sessions), persistence)
        await persistence.record_interaction("ada", "k", "view", interaction_id="b")
        found: list[str] = []
        after = None
        while len(found) < 4:
            page = await follower.page(after, 3, wait=5)
            found += [each.entry.id for each in page.events]
            after = page.cursor
        assert found == ["a", "m", "z", "b"]


def indexes(connection: Connection) -> set[str]:
    found = inspect(connection).get_indexes("feed_interactions")
    return {str(index["name"]) for index in found}

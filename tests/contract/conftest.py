"""A record whose clock a test sets, on each database."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select

from harken.database import Database
from harken.models import FeedEngagementStats, FeedInteraction
from harken.services.feed.service import FeedService
from harken.services.record.persistence import FeedFeedbackPersistence
from tests.conftest import session_factory_for

NOW = datetime(2026, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC)


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def record(session_factory, clock):
    async with FeedFeedbackPersistence(session_factory, clock=clock) as opened:
        yield opened


@pytest.fixture
async def other_process(database_url, clock):
    """A service that shares nothing with the first but the database."""
    async with session_factory_for(database_url) as factory:
        opened = FeedService(factory, clock=clock)
        yield opened
        await opened.close()


@pytest.fixture
def database(session_factory) -> Database:
    return Database(session_factory)


async def stats(database: Database, kblock_id: str) -> Any:
    table = FeedEngagementStats.__table__
    async with database.reading() as connection:
        found = await connection.execute(select(table).where(table.c.kblock_id == kblock_id))
        return found.one()


async def log(database: Database) -> list[Any]:
    async with database.reading() as connection:
        table = FeedInteraction.__table__
        return list((await connection.execute(select(table).order_by(table.c.id))).all())


async def act(record: FeedFeedbackPersistence, **counts: int) -> None:
    """Record so many interactions of each action with the K-Block `k`."""
    await record.record_batch(
        [
            {"user_id": f"u{i}", "kblock_id": "k", "action": action}
            for action, count in counts.items()
            for i in range(count)
        ]
    )

"""A service whose user owns none of its tables, as where one user migrates and another serves."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import make_url, text

from harken.database import Database, Kind
from harken.errors import DatabaseUnavailable
from harken.services.integrity.archive.archiving import Archive
from harken.services.integrity.erasure import Erasure
from harken.services.record.admission.subjects import Subject
from harken.services.record.persistence import FeedFeedbackPersistence
from tests.conftest import PASSWORD, Databases, session_factory_for
from tests.contract.conftest import NOW
from tests.support.partitions import cut, made_at
from tests.support.statistics import figures

DAY = timedelta(days=1)
MIDNIGHT = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
PAGE = (Path(__file__).parents[2] / "docs" / "postgresql.md").read_text("utf-8")


@pytest.fixture
def database_kind() -> str:
    return "postgresql"


@pytest.fixture
def user(postgresql: Databases) -> str:
    """Return the name of a user that owns nothing."""
    name = f"service_{uuid4().hex}"
    postgresql.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'")
    return name


@pytest.fixture
async def served_url(database_url: str, user: str) -> AsyncIterator[str]:
    """Yield the URL of this user, with exactly the rights that the docs give to the service."""
    owner = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    given = PAGE.split("```sql", 1)[1].split("```", 1)[0]
    await owner.execute(given.replace("harken_service", user))
    yield make_url(database_url).set(username=user).render_as_string(hide_password=False)
    await owner.close()


def events(days: int) -> list[dict[str, object]]:
    return [
        {"interaction_id": made_at(at, n), "user_id": f"u{n % 3}", "kblock_id": f"k{day % 4}",
         "action": "view", "occurred_at": at}
        for day, at in ((day, NOW - day * DAY) for day in range(days)) for n in range(5)
    ]  # fmt: skip


async def test_it_records_archives_and_erases(session_factory, served_url, tmp_path):
    owner = Database(session_factory)
    await cut(owner, MIDNIGHT - 19 * DAY, MIDNIGHT + 2 * DAY, 3 * DAY)
    async with (
        session_factory_for(served_url) as factory,
        FeedFeedbackPersistence(factory, clock=lambda: NOW) as record,
    ):
        await record.record_batch(events(20))
        before = await figures(owner)
        archive = Archive(factory, tmp_path / "old", clock=lambda: NOW)
        there = (await archive.partitions.layout()).partitions
        assert (await archive.run(MIDNIGHT - 10 * DAY)).events == 5 * 9
        assert (await archive.partitions.layout()).partitions == there
        assert await figures(owner) == before
        await Erasure(factory).erase(Subject.READER, "u1")
        await record.rebuild()
        assert (await record.verify()).differences == 0


def harken(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harken", *arguments], env=os.environ | {"HARKEN_DATABASE_URL": url},
        capture_output=True, text=True, encoding="utf-8", check=False, timeout=120,
    )  # fmt: skip


async def test_it_need_not_migrate(served_url, database_url):
    there = harken(served_url, "migrate")
    assert there.returncode == 0, there.stderr
    owner = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    await owner.execute("UPDATE harken_alembic_version SET version_num = '0018'")
    await owner.close()
    refused = harken(served_url, "migrate")
    assert refused.returncode == 1
    assert "lacks a right, which the owner of the tables has" in " ".join(refused.stderr.split())
    assert "Traceback" not in refused.stderr


async def test_a_right_that_is_missing(session_factory, served_url, user):
    async with Database(session_factory).transaction(Kind.WRITE) as connection:
        await connection.execute(text(f"REVOKE INSERT ON feed_engagement_stats FROM {user}"))
    event: dict[str, Any] = {
        "interaction_id": "e",
        "user_id": "u",
        "kblock_id": "k",
        "action": "view",
    }
    async with session_factory_for(served_url) as factory:
        async with FeedFeedbackPersistence(factory) as record:
            with pytest.raises(DatabaseUnavailable, match="lacks a right"):
                await record.record_interaction(**event)
        async with Database(session_factory).transaction(Kind.WRITE) as connection:
            await connection.execute(text(f"GRANT INSERT ON feed_engagement_stats TO {user}"))
        async with FeedFeedbackPersistence(factory) as record:
            assert await record.record_interaction(**event) == "e"
            assert (await record.verify()).differences == 0

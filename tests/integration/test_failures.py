"""What a database refuses, and what it means for the events beside it."""

import asyncio
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from sqlalchemy.ext.asyncio import async_sessionmaker

from harken.config import Settings
from harken.database import Database, create_engine
from harken.domain.feedback import Interaction, LogEntry
from harken.errors import DatabaseUnavailable, InvalidInput, QueueFull, SchemaMismatch
from harken.services.record.admission.outcomes import Recorded
from harken.services.record.admission.tombstones import Tombstones
from harken.services.record.group_commit import GroupCommit
from harken.services.record.persistence import FeedFeedbackPersistence
from harken.services.record.transaction import append
from tests.support.postgres import free_port

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def entry(entry_id: str, **fields) -> LogEntry:
    good = Interaction(user_id="u", kblock_id="k", action="view").entry(NOW, entry_id)
    return good._replace(**fields)


async def one_of_twenty_is_refused(session_factory, **broken) -> None:
    database = Database(session_factory)
    tombstones = Tombstones(database)
    commits = GroupCommit(
        lambda entries, _writer: append(database, entries, 0, tombstones), queue_limit=100
    )
    entries = [entry(f"e{i}") for i in range(20)]
    entries[7] = entry("e7", **broken)
    outcomes = await commits.submit(entries)
    assert [type(each) for each in outcomes].count(Recorded) == 19
    assert isinstance(outcomes[7], InvalidInput)
    async with FeedFeedbackPersistence(session_factory) as record:
        found = await record.verify()
        assert (found.events, found.differences) == (19, 0)


async def test_an_event_that_the_database_refuses_fails_alone(session_factory):
    """What passed every check of ours, and still cannot be stored."""
    await one_of_twenty_is_refused(session_factory, user_id=None)


@pytest.mark.parametrize("database_kind", ["postgresql"])
@pytest.mark.parametrize(
    "broken", [{"dwell_time_ms": "no number"}, {"kblock_id": "k" * 65}], ids=["type", "length"]
)
async def test_an_event_that_the_driver_refuses_fails_alone(session_factory, broken):
    """SQLite would store these: its columns have neither types nor lengths."""
    await one_of_twenty_is_refused(session_factory, **broken)


async def test_more_than_may_wait_is_refused_and_the_rest_recorded(session_factory):
    async with FeedFeedbackPersistence(session_factory, queue_limit=10) as record:
        waiting = [
            asyncio.create_task(record.record_interaction("u", "k", "view")) for _ in range(30)
        ]
        done = await asyncio.gather(*waiting, return_exceptions=True)
        refused = [each for each in done if isinstance(each, QueueFull)]
        assert refused
        assert refused[0].retry_after > 0
        assert (await record.verify()).events == 30 - len(refused)


async def test_a_batch_larger_than_the_queue_is_recorded_all_the_same(session_factory):
    async with FeedFeedbackPersistence(session_factory, queue_limit=10) as record:
        event = {"user_id": "u", "kblock_id": "k", "action": "view"}
        assert (await record.record_batch([event] * 2_500)).accepted == 2_500


async def test_a_database_without_our_tables_says_how_to_get_them(database_kind, request, tmp_path):
    if database_kind == "sqlite":
        url = f"sqlite+aiosqlite:///{tmp_path / 'empty.db'}"
    else:
        databases = request.getfixturevalue("postgresql")
        url = await asyncio.to_thread(databases.create, migrated=False)
    engine = create_engine(Settings(database_url=url))
    async with FeedFeedbackPersistence(async_sessionmaker(engine)) as record:
        with pytest.raises(SchemaMismatch, match="run `harken migrate`"):
            await record.record_interaction("u", "k", "view")
        with pytest.raises(SchemaMismatch, match="run `harken migrate`"):
            await record.get_analytics()
    await engine.dispose()
    if database_kind == "postgresql":
        await asyncio.to_thread(databases.drop, url)


async def test_a_database_that_is_not_there(monkeypatch):
    monkeypatch.setattr("harken.services.record.group_commit.RETRY_SECONDS", (0.01,))
    url = f"postgresql+asyncpg://nobody@127.0.0.1:{free_port()}/none"
    engine = create_engine(Settings(database_url=url))
    async with FeedFeedbackPersistence(async_sessionmaker(engine)) as record:
        with pytest.raises(DatabaseUnavailable):
            await record.record_interaction("u", "k", "view")
        with pytest.raises(DatabaseUnavailable):
            await record.get_attention_score("u", "k")
    await engine.dispose()


SCRIPT = """
import asyncio
from harken.services.providers import get_feed_feedback_persistence
from harken.services.feed.feedback import PersistentAttentionTracker, FeedbackAction

async def main():
    persistence = await get_feed_feedback_persistence()
    assert persistence is await get_feed_feedback_persistence()
    tracker = PersistentAttentionTracker(persistence)
    await tracker.record_view("user_123", "kb_abc")
    await tracker.record_engagement("user_123", "kb_abc")
    score = await tracker.get_attention_score("user_123", "kb_abc")
    print(f"Attention score: {score}")

asyncio.run(main())
asyncio.run(main())
"""


def test_a_script_that_never_closes_ends_cleanly(database_url, tmp_path):
    """The seed's usage example, in one event loop and then in another."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={"HARKEN_DATABASE_URL": database_url, "PATH": ""},
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "Attention score: 0.4166666666666667", "Attention score: 0.5",
    ]  # fmt: skip

"""Many writers at once: every count is exact, and they never wait for each other in a circle."""

import asyncio
import json
import random
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from harken.services.record.persistence import FeedFeedbackPersistence
from harken.services.record.statistics import KBLOCKS
from tests.conftest import Databases, session_factory_for
from tests.support.load import EPOCH, EVENTS, WRITERS, assert_recorded, events_of, sendings_of

ROOT = Path(__file__).parents[2]
TASKS = 64
ROUNDS = 5
BATCHES = 40
WRITER_SECONDS = 200
POLL_SECONDS = 0.02

COUNTED = ("view_count", "engage_count", "dismiss_count", "contradict_count")


@pytest.mark.parametrize("objects", [1, TASKS])
async def test_the_first_interactions_with_a_kblock_at_once(
    session_factory: async_sessionmaker[AsyncSession], objects: int
) -> None:
    # Objects do not share transactions, so several race in the database.
    writers = [FeedFeedbackPersistence(session_factory) for _ in range(objects)]
    for number in range(ROUNDS):
        await asyncio.gather(
            *(
                writers[task % objects].record_interaction(f"user-{task}", f"new-{number}", "view")
                for task in range(TASKS)
            )
        )

    rows = await kblocks(session_factory)
    assert len(rows) == ROUNDS
    for row in rows.values():
        assert row["view_count"] == TASKS
        assert row["unique_viewers"] == TASKS
        assert row["engage_count"] == row["unique_engagers"] == 0
    found = await writers[0].verify()
    assert found.differences == 0, found.examples
    assert found.events == TASKS * ROUNDS
    for writer in writers:
        await writer.close()


@pytest.fixture
def postgresql_url(postgresql: Databases) -> Iterator[str]:
    url = postgresql.create()
    yield url
    postgresql.drop(url)


async def test_processes_that_write_the_same_kblocks(postgresql_url: str) -> None:
    with started_writers(postgresql_url) as processes:
        counted = await asyncio.to_thread(let_write, processes)

    sent = {e["interaction_id"]: e for writer in range(WRITERS) for e in events_of(writer)}
    sendings = sum(len(sendings_of(writer)) for writer in range(WRITERS))
    assert len(sent) == WRITERS * EVENTS
    assert counted == {"accepted": len(sent), "duplicates": sendings - len(sent)}
    assert counted["duplicates"] == len(sent) // 10

    async with (
        session_factory_for(postgresql_url) as session_factory,
        FeedFeedbackPersistence(session_factory) as persistence,
    ):
        await assert_recorded(persistence, sent)
        kept = await kblocks(session_factory)
        assert kept == recounted(sent)
        assert await deadlocks(session_factory) == 0


async def test_writers_of_one_shard_wait_in_line(postgresql_url: str) -> None:
    # Whoever has another's K-Block must not wait for that one's minute, nor the other way round.
    async with session_factory_for(postgresql_url) as session_factory:
        writers = [FeedFeedbackPersistence(session_factory) for _ in range(WRITERS)]
        for writer in writers:
            writer._shards = [0, 0]
        await asyncio.gather(*(send_batches(*each) for each in enumerate(writers)))
        found = await writers[0].verify()
        assert found.differences == 0, found.examples
        for writer in writers:
            await writer.close()
    async with session_factory_for(postgresql_url) as session_factory:
        assert await deadlocks(session_factory) == 0


async def send_batches(number: int, writer: FeedFeedbackPersistence) -> None:
    """Send batches of K-Blocks that others send as well, each in an order of its own."""
    chance = random.Random(number)
    for _ in range(BATCHES):
        result = await writer.record_batch(
            [
                {
                    "user_id": f"user-{chance.randrange(50)}",
                    "kblock_id": f"kblock-{chance.randrange(50)}",
                    "action": "view",
                    "occurred_at": EPOCH + timedelta(minutes=chance.randrange(5)),
                }
                for _ in range(chance.randint(1, 10))
            ]
        )
        assert not result.rejected


async def kblocks(session_factory: async_sessionmaker[AsyncSession]) -> dict[str, dict[str, int]]:
    """Return the counts that are kept of every K-Block."""
    names = [*COUNTED, "unique_viewers", "unique_engagers", "dwell_count", "dwell_sum_ms"]
    async with session_factory() as session:
        found = await session.execute(select(KBLOCKS.c.kblock_id, *(KBLOCKS.c[n] for n in names)))
        return {row[0]: dict(zip(names, row[1:], strict=True)) for row in found}


def recounted(sent: dict[str, dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Count what was sent, for every K-Block, without any SQL."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    readers: defaultdict[str, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for event in sent.values():
        kblock, action = event["kblock_id"], event["action"]
        counts[kblock][f"{action}_count"] += 1
        readers[kblock][action].add(event["user_id"])
        if "dwell_time_ms" in event:
            counts[kblock]["dwell_count"] += 1
            counts[kblock]["dwell_sum_ms"] += event["dwell_time_ms"]
    return {
        kblock: {
            **{name: of_kblock[name] for name in (*COUNTED, "dwell_count", "dwell_sum_ms")},
            "unique_viewers": len(readers[kblock]["view"]),
            "unique_engagers": len(readers[kblock]["engage"]),
        }
        for kblock, of_kblock in counts.items()
    }


async def deadlocks(session_factory: async_sessionmaker[AsyncSession]) -> int:
    """Return how often PostgreSQL broke a circle of waiting in this database."""
    others = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    counted = text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    # A connection reports what it counted at its end at the latest.
    async with asyncio.timeout(30), session_factory() as session:
        while (await session.execute(others)).scalar_one():
            await session.rollback()
            await asyncio.sleep(POLL_SECONDS)
        await session.rollback()
        return int((await session.execute(counted)).scalar_one())


@contextmanager
def started_writers(url: str) -> Iterator[list["subprocess.Popen[str]"]]:
    processes: list[subprocess.Popen[str]] = []
    try:
        for writer in range(WRITERS):
            command = [sys.executable, "-m", "tests.support.load", url, str(writer)]
            processes.append(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def let_write(processes: list["subprocess.Popen[str]"]) -> Counter[str]:
    """Let all begin at once, and return the sums of what they counted."""
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    with ThreadPoolExecutor(len(processes)) as pool:
        results = list(pool.map(_finish, processes))
    return sum(results, Counter())


def _finish(process: "subprocess.Popen[str]") -> Counter[str]:
    output, _ = process.communicate("\n", timeout=WRITER_SECONDS)
    assert process.returncode == 0
    return Counter(json.loads(output))

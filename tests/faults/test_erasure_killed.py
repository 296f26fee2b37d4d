"""Erasures that meet others: killed half-way, or beside a transaction that began before them."""

import asyncio
import json
import os
import signal
import subprocess
import sys

import pytest
from sqlalchemy import func, select, text

from harken.database import Database, Kind
from harken.services.integrity.erasure import Erasure
from harken.services.record.admission.subjects import Subject
from harken.services.record.statistics import KBLOCKS
from harken.services.record.transaction import LOG

EVENTS = 3_000
POLL_SECONDS = 0.02


async def count(database: Database, user_id: str) -> int:
    async with database.reading() as connection:
        wanted = select(func.count()).select_from(LOG).where(LOG.c.user_id == user_id)
        return int((await connection.execute(wanted)).scalar_one())


def events_of(user_id: str, number: int) -> list[dict[str, object]]:
    return [
        {"user_id": user_id, "kblock_id": f"k{i % 50}", "action": ("view", "engage")[i % 2]}
        for i in range(number)
    ]


@pytest.mark.slow
async def test_a_killed_erasure_is_continued(persistence, session_factory, database_url):
    database = Database(session_factory)
    await persistence.record_batch(events_of("ada", EVENTS))
    await persistence.record_batch(events_of("bob", 500))
    command = [sys.executable, "-m", "harken", "user", "erase", "ada", "--yes", "--json"]
    environment = os.environ | {"HARKEN_DATABASE_URL": database_url}
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=subprocess.PIPE
    )
    try:
        async with asyncio.timeout(60):
            while await count(database, "ada") == EVENTS:  # noqa: ASYNC110 — of another process
                await asyncio.sleep(POLL_SECONDS)
    finally:
        process.send_signal(signal.SIGKILL)
        await process.communicate()
    left = await count(database, "ada")
    assert 0 < left < EVENTS
    assert (await persistence.verify()).differences == 0
    assert len((await persistence.record_batch(events_of("ada", 3))).rejected) == 3

    again = await asyncio.create_subprocess_exec(*command, env=environment, stdout=subprocess.PIPE)
    output, _ = await again.communicate()
    assert again.returncode == 0
    receipt = json.loads(output)
    assert receipt["removed"]["events"] == EVENTS  # of both processes
    assert await count(database, "ada") == 0
    assert await count(database, "bob") == 500
    assert (await persistence.verify()).differences == 0


@pytest.mark.parametrize("database_kind", ["postgresql"])
async def test_what_began_before_the_tombstone_is_removed_too(persistence, session_factory):
    """A statement is held up after it has written to the log, until the first sweep is over."""
    database = Database(session_factory)
    await persistence.record_batch(
        [
            {"user_id": "ada", "kblock_id": "k1", "action": "view"},
            {"user_id": "bob", "kblock_id": "k2", "action": "view"},
        ]
    )
    async with database.transaction(Kind.BULK_WRITE) as holder:
        locked = select(KBLOCKS.c.kblock_id).where(KBLOCKS.c.kblock_id == "k2").with_for_update()
        await holder.execute(locked)
        late = asyncio.create_task(persistence.record_interaction("ada", "k2", "view"))
        async with asyncio.timeout(20):
            while not await _waits(database):  # noqa: ASYNC110 — PostgreSQL has no event for it
                await asyncio.sleep(POLL_SECONDS)
            erasing = asyncio.create_task(Erasure(session_factory).erase(Subject.READER, "ada"))
            while await count(database, "ada"):  # noqa: ASYNC110 — nor for this
                await asyncio.sleep(POLL_SECONDS)
        assert not late.done()
        assert not erasing.done()
    await late  # it was acknowledged: it came before the tombstone
    receipt = await erasing
    assert receipt.counts["events"] == 2
    assert await count(database, "ada") == 0
    assert (await persistence.verify()).differences == 0


async def _waits(database: Database) -> bool:
    async with database.reading() as connection:
        found = await connection.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted"))
        return bool(found.scalar_one())

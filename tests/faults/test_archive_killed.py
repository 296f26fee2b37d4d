"""Archives that are killed under load: no event is lost, counts twice, or is in two files."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from harken.database import Database
from harken.services.integrity.archive import file_register
from harken.services.integrity.archive.event_files import read
from harken.services.record.transaction import LOG

ROUNDS = 20 if os.environ.get("HARKEN_TEST_SOAK") else 1
EVENTS = 1_500
ARCHIVE = "archive", "--days", "30", "--out"


def old_events() -> list[dict[str, object]]:
    now = datetime.now(UTC)
    return [
        {
            "user_id": f"u{n % 70}", "kblock_id": f"k{n % 50}", "interaction_id": f"old-{n}",
            "action": ("view", "engage", "dismiss")[n % 3],
            "occurred_at": now - timedelta(days=40, minutes=n),
        }
        for n in range(EVENTS)
    ]  # fmt: skip


@pytest.mark.slow
async def test_archives_that_are_killed_lose_nothing(
    persistence, session_factory, database_url, tmp_path
):
    draw = random.Random(7)
    await persistence.record_batch(old_events())
    acknowledged: list[str] = []
    done = asyncio.Event()

    async def send() -> None:
        while not done.is_set():
            own = [
                {"user_id": "u1", "kblock_id": "k1", "action": "view",
                 "interaction_id": f"new-{len(acknowledged) + n}"}
                for n in range(3)
            ]  # fmt: skip
            assert (await persistence.record_batch(own)).accepted == 3
            acknowledged.extend(str(each["interaction_id"]) for each in own)
            await asyncio.sleep(0.03)

    sending = asyncio.create_task(send())
    for turn in range(ROUNDS + 1):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "harken", *ARCHIVE, str(tmp_path / "old"),
            env=os.environ | {"HARKEN_DATABASE_URL": database_url},
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        if turn < ROUNDS:
            await killed_after_a_file(process, tmp_path / "old", draw)
        else:  # the last one is left to its end
            _out, said = await process.communicate()
            assert process.returncode == 0, said
        assert (await persistence.verify()).differences == 0
    done.set()
    await sending
    found = await persistence.verify()
    assert (found.differences, found.archived, found.events) == (0, EVENTS, len(acknowledged))
    database = Database(session_factory)
    async with database.reading() as connection:
        assert set((await connection.execute(select(LOG.c.id))).scalars()) == set(acknowledged)
        files = await file_register.registered(connection)
    ids = Counter(row["interaction_id"] for file in files for row in read(file))
    assert ids == Counter(f"old-{n}" for n in range(EVENTS))
    assert files_in(tmp_path / "old") == {str(file.path) for file in files}


def files_in(folder: Path) -> set[str]:
    return {str(path) for path in folder.glob("day=*/*.parquet")}


async def killed_after_a_file(
    process: asyncio.subprocess.Process, folder: Path, draw: random.Random
) -> None:
    """Kill a process some moments after it has written one more file, or let it end."""
    known = files_in(folder)
    while process.returncode is None and files_in(folder) <= known:  # noqa: ASYNC110 — another process
        await asyncio.sleep(0.005)
    await asyncio.sleep(draw.uniform(0, 0.15))
    if process.returncode is None:
        process.send_signal(signal.SIGKILL)
    await process.communicate()

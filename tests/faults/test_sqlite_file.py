"""The file of an SQLite database goes away, is another one, or cannot grow."""

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.support.disks import small_disk
from tests.support.drills import (
    BEGAN,
    ENDED,
    QUICK,
    client_of,
    event,
    logged,
    readiness,
    record,
    report,
    until,
)
from tests.support.server import HarkenServer

LOST = "The database lost data"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data.db"


@pytest.fixture
def server(path: Path) -> Iterator[HarkenServer]:
    with HarkenServer(f"sqlite+aiosqlite:///{path}", **QUICK) as started:
        yield started


def copy(path: Path, to: Path) -> None:
    """Copy a database as SQLite itself does, while others use it."""
    with closing(sqlite3.connect(path)) as here, closing(sqlite3.connect(to)) as there:
        here.backup(there)


def remove(path: Path) -> None:
    remove_journal(path)
    path.unlink()


def remove_journal(path: Path) -> None:
    for name in ("-wal", "-shm"):
        Path(f"{path}{name}").unlink(missing_ok=True)


async def use(client: httpx.AsyncClient, name: str, events: int) -> set[str]:
    """Add a K-Block, and have it viewed; returns the ids of the events."""
    put = await client.put(f"/api/kblocks/{name}", json={"title": name, "content": name})
    assert put.status_code in {200, 201}, put.text
    sent = [event(kblock_id=name, user_id=name) for _ in range(events)]
    for each in sent:
        assert (await record(client, each)).status == 200
    return {each["interaction_id"] for each in sent}


async def pages(client: httpx.AsyncClient) -> set[str]:
    answer = await client.get("/api/feed/cosmos")
    assert answer.status_code == 200, answer.text
    return {item["id"] for item in answer.json()["items"]}


async def touches(client: httpx.AsyncClient, name: str) -> int:
    answer = await client.get(f"/api/users/{name}/profile")
    return int(answer.json()["interactions"])


def with_a_backup(path: Path, backup: Path) -> None:
    backup.replace(path)


def with_a_new_one(path: Path, _backup: Path) -> None:
    environment = {**os.environ, "HARKEN_DATABASE_URL": f"sqlite+aiosqlite:///{path}"}
    migrate = [sys.executable, "-m", "harken", "migrate"]
    subprocess.run(migrate, env=environment, check=True, capture_output=True)


@pytest.mark.parametrize("comes_back", [with_a_backup, with_a_new_one])
async def test_a_file_that_was_removed(
    server: HarkenServer,
    path: Path,
    tmp_path: Path,
    comes_back: Callable[[Path, Path], None],
) -> None:
    async with client_of(server.url) as client:
        has_kept = comes_back is with_a_backup
        kept = await use(client, "kept", 10)
        backup = tmp_path / "backup.db"
        await asyncio.to_thread(copy, path, backup)
        await use(client, "lost", 5)
        assert await pages(client) == {"kept", "lost"}
        assert await touches(client, "lost") == 5

        remove(path)
        refused = await record(client)
        assert refused.status == 503
        assert (await client.get("/api/feed/cosmos")).status_code == 503
        ready = await readiness(client)
        assert ready.status == 503
        assert "file was removed" in ready.body["problem"]
        assert not await asyncio.to_thread(
            path.exists
        )  # an empty one would answer as if all were well

        await asyncio.to_thread(comes_back, path, backup)
        back = await until(client, 200)
        expected = kept if has_kept else set()
        assert await logged(f"sqlite+aiosqlite:///{path}") == expected
        assert await pages(client) == ({"kept"} if has_kept else set())
        assert await touches(client, "lost") == 0
        new = await use(client, "new", 3)
        assert "new" in await pages(client)
    assert await logged(f"sqlite+aiosqlite:///{path}") == expected | new
    assert server.output.count(BEGAN) == server.output.count(ENDED) == 1
    assert server.output.count(LOST) == 1
    assert "Traceback" not in server.output
    report("removed file", record_503=refused.seconds, back=back.seconds)


async def test_a_file_that_is_replaced_under_the_server(
    server: HarkenServer, path: Path, tmp_path: Path
) -> None:
    """Without a moment in which there is none: what is written goes to the one that is there."""
    async with client_of(server.url) as client:
        kept = await use(client, "kept", 10)
        backup = tmp_path / "backup.db"
        await asyncio.to_thread(copy, path, backup)
        lost = await use(client, "lost", 5)
        assert await pages(client) == {"kept", "lost"}
        # As it has to be done: a journal of the old file would be taken for the new one's.
        remove_journal(path)
        with_a_backup(path, backup)
        new = await use(client, "new", 3)
        assert await pages(client) == {"kept", "new"}
        assert await touches(client, "lost") == 0
    there = await logged(f"sqlite+aiosqlite:///{path}")
    assert there == kept | new
    assert not there & lost
    assert server.output.count(LOST) == 1
    assert "Traceback" not in server.output


async def test_a_backup_that_is_written_into_the_file(
    server: HarkenServer, path: Path, tmp_path: Path
) -> None:
    """It is the same file still, and knows less."""
    async with client_of(server.url) as client:
        kept = await use(client, "kept", 10)
        backup = tmp_path / "backup.db"
        await asyncio.to_thread(copy, path, backup)
        await use(client, "kept", 5)  # the same K-Blocks, so the revision is the same
        assert await touches(client, "kept") == 15
        await asyncio.to_thread(copy, backup, path)
        back = await until(client, 200)
        await asyncio.sleep(1)  # as long as an index may be old
        assert await touches(client, "kept") == 10
        assert await pages(client) == {"kept"}
    assert await logged(f"sqlite+aiosqlite:///{path}") == kept
    assert server.output.count(LOST) == 1
    report("restored in place", back=back.seconds)


async def test_a_disk_that_is_full() -> None:
    with small_disk(16) as disk:
        url = f"sqlite+aiosqlite:///{disk.path / 'data.db'}"
        with HarkenServer(url, **QUICK) as server:
            async with client_of(server.url) as client:
                acknowledged = await use(client, "k", 5)
                disk.fill()
                seen = await until(client, 503)
                assert "no space left on device" in seen.body["problem"]
                answer = None
                while answer is None or answer.status == 200:
                    sent = event(metadata={"text": "x" * 1_000})
                    answer = await record(client, sent)
                    if answer.status == 200:
                        acknowledged.add(sent["interaction_id"])
                assert answer.status == 503
                assert (await readiness(client)).status == 503
                disk.empty()
                back = await until(client, 200)
                assert (await record(client, sent)).status == 200
                acknowledged.add(sent["interaction_id"])
            output = server.output
        assert await logged(url) == acknowledged
    assert output.count(BEGAN) == output.count(ENDED) == 1
    assert "Traceback" not in output
    report("full disk, SQLite", readiness_503=seen.seconds, back=back.seconds)


async def test_a_file_that_somebody_keeps_locked(server: HarkenServer, path: Path) -> None:
    async with client_of(server.url) as client:
        kept = await use(client, "kept", 1)
        with closing(sqlite3.connect(path, isolation_level=None)) as somebody:
            somebody.execute("BEGIN IMMEDIATE")
            sent = event()
            refused = await record(client, sent)
            assert refused.status == 503
            ready = await readiness(client)
            assert ready.status == 503
            assert "locked" in ready.body["problem"]
            assert (await client.get("/api/feed/analytics")).status_code == 200
            somebody.execute("ROLLBACK")
        back = await until(client, 200)
        assert (await record(client, sent)).status == 200
    assert await logged(f"sqlite+aiosqlite:///{path}") == kept | {sent["interaction_id"]}
    assert server.output.count(BEGAN) == server.output.count(ENDED) == 1
    report("locked file", record_503=refused.seconds, back=back.seconds)


async def test_only_its_owner_may_read_it(server: HarkenServer, path: Path) -> None:
    async with client_of(server.url) as client:
        await use(client, "kept", 1)
        files = list(path.parent.glob("data.db*"))
        assert len(files) == 3  # with the journal and its index
        assert {stat.S_IMODE(each.stat().st_mode) for each in files} == {0o600}

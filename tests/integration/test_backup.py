"""`harken backup`: the copy is what an SQLite database was at one moment, whatever is written."""

import asyncio
import json
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from harken.config import Settings
from harken.database import create_engine
from harken.domain.feedback import Interaction
from harken.errors import DamagedDatabase, InvalidInput
from harken.services.integrity.backup.pg_dump import pg_dump_command
from harken.services.integrity.backup.sqlite_backup import back_up
from harken.services.record.persistence import FeedFeedbackPersistence
from tests.conftest import session_factory_for
from tests.support.load import Load
from tests.support.schema import NEWEST
from tests.support.server import HarkenServer

BEFORE = 150


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


def settings(url: str) -> Settings:
    return Settings(database_url=url)


def ids(file: Path) -> set[str]:
    with sqlite3.connect(file) as database:
        return {row[0] for row in database.execute("SELECT id FROM feed_interactions")}


async def more_than(load: Load, count: int) -> None:
    """Wait until more events are acknowledged."""
    await load.until(lambda: len(load.acknowledged) > count)


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def test_a_copy_while_a_server_records(database_url, tmp_path):
    folder = tmp_path / "backups"
    folder.mkdir()
    with HarkenServer(database_url) as server:
        load = Load(server.url)
        async with load.running():
            for number in range(3):
                await more_than(load, BEFORE * (number + 1))
                before = set(load.acknowledged)
                made = await back_up(settings(database_url), folder / f"{number}.db")
                assert (made.differences, made.unverified) == (0, None)
                assert (made.events or 0) >= len(before)
                copied = ids(made.file)
                assert before <= copied <= set(load.sent)
                # The server went on meanwhile, and still does.
                await more_than(load, len(load.acknowledged))
    assert left_in(folder) == {"0.db", "1.db", "2.db"}
    assert stat.S_IMODE((folder / "0.db").stat().st_mode) == 0o600


async def test_a_server_that_is_given_the_copy_goes_on_from_it(database_url, tmp_path):
    folder = tmp_path / "backups"
    folder.mkdir()
    async with (
        session_factory_for(database_url) as sessions,
        FeedFeedbackPersistence(sessions) as record,
    ):
        await record.record_interaction("ada", "one", "view", interaction_id="first")
        made = await back_up(settings(database_url), folder / "copy.db")
        await record.record_interaction("ada", "one", "view", interaction_id="second")
    async with (
        session_factory_for(f"sqlite+aiosqlite:///{made.file}") as sessions,
        FeedFeedbackPersistence(sessions) as record,
    ):
        event = {"user_id": "ada", "kblock_id": "one", "action": "view"}
        again = [Interaction.parse(event | {"interaction_id": each}) for each in ("first", "third")]
        recorded = await record.record_batch(again)
        assert (recorded.accepted, recorded.duplicates) == (1, 1)
        assert (await record.verify()).differences == 0
    assert ids(made.file) == {"first", "third"}


async def test_nothing_is_overwritten(database_url, tmp_path):
    path, other = tmp_path / "harken.db", tmp_path / "other.db"
    other.write_text("keep me")
    for file, message in (
        (other, "is already there; give another name, or --force"),
        (path, "is the database itself"),
        (tmp_path, "is a folder"),
        (tmp_path / "no" / "copy.db", "No such file or directory"),
    ):
        with pytest.raises(InvalidInput, match=message):
            await back_up(settings(database_url), file)
    with pytest.raises(InvalidInput, match="is the database itself"):
        await back_up(settings(database_url), path, replace=True)
    assert other.read_text() == "keep me"
    # What SQLite would take for the journal of the new file.
    (tmp_path / "other.db-wal").write_text("of another database")
    with pytest.raises(InvalidInput, match=r"other.db-wal belongs to another"):
        await back_up(settings(database_url), other, replace=True)
    (tmp_path / "other.db-wal").unlink()
    made = await back_up(settings(database_url), other, replace=True)
    assert (made.events, made.differences) == (0, 0)
    assert left_in(tmp_path) == {"harken.db", "other.db"}


async def test_a_database_that_is_not_there_is_not_made(database_url, tmp_path):
    missing = tmp_path / "missing.db"
    with pytest.raises(InvalidInput, match=rf"there is no database {missing}"):
        await back_up(settings(f"sqlite+aiosqlite:///{missing}"), tmp_path / "copy.db")
    with pytest.raises(InvalidInput, match="no plain file"):
        await back_up(settings("sqlite+aiosqlite://"), tmp_path / "copy.db")
    assert left_in(tmp_path) == {"harken.db"}


async def test_damage_is_found_and_no_copy_is_left(database_url, tmp_path):
    path = tmp_path / "harken.db"
    with path.open("rb+") as file:
        file.seek(4096)
        file.write(b"\xff" * 16_384)
    with pytest.raises(DamagedDatabase):
        await back_up(settings(database_url), tmp_path / "copy.db")
    assert left_in(tmp_path) <= {"harken.db", "harken.db-wal", "harken.db-shm"}


async def test_a_database_of_an_older_version_is_copied_as_it_is(tmp_path):
    """As before an upgrade, with the new version installed already."""
    url, folder = f"sqlite+aiosqlite:///{tmp_path / 'old.db'}", Path(__file__).parents[2]
    environment = os.environ | {"HARKEN_DATABASE_URL": url}
    command = [sys.executable, "-m", "alembic", "upgrade", "0012"]
    await asyncio.to_thread(
        subprocess.run, command, cwd=folder, env=environment, check=True, capture_output=True
    )
    made = await back_up(settings(url), tmp_path / "copy.db")
    assert made.events is None
    assert "schema is 0012" in (made.unverified or "")
    for name in ("old.db", "copy.db"):
        with sqlite3.connect(tmp_path / name) as database:
            [[version]] = database.execute("SELECT version_num FROM harken_alembic_version")
        assert version == "0012" != NEWEST


async def test_statistics_that_differ_are_told_and_the_copy_is_kept(database_url, tmp_path):
    async with (
        session_factory_for(database_url) as sessions,
        FeedFeedbackPersistence(sessions) as record,
    ):
        await record.record_interaction("ada", "one", "view")
    engine = create_engine(settings(database_url))
    async with engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE feed_engagement_stats SET view_count = 7")
    await engine.dispose()
    command = [sys.executable, "-m", "harken", "backup", "copy.db", "--json"]
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=tmp_path, capture_output=True, text=True, check=False,
        env=os.environ | {"HARKEN_DATABASE_URL": database_url},
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    said = json.loads(done.stdout)
    assert (said["file"], said["events"], said["differences"]) == ("copy.db", 1, 1)
    assert len(ids(tmp_path / "copy.db")) == 1
    unasked = await back_up(settings(database_url), tmp_path / "other.db", verified=False)
    assert unasked.differences is None


async def test_postgresql_is_named_with_its_command_and_without_its_password(tmp_path):
    url = "postgresql+asyncpg://shop:s%40cret@db:5433/feed?ssl=require"
    with pytest.raises(InvalidInput) as found:
        await back_up(settings(url), tmp_path / "copy.dump")
    assert str(found.value).endswith(
        f": pg_dump --format=custom --file={tmp_path}/copy.dump "
        "'--dbname=postgresql://shop@db:5433/feed?sslmode=require'"
    )
    socket = "postgresql+asyncpg:///feed?host=/run/postgresql"
    assert pg_dump_command(socket, "own", Path("a b")).endswith(
        "'--file=a b' --schema=own '--dbname=postgresql:///feed?host=%2Frun%2Fpostgresql'"
    )

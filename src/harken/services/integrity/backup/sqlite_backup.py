"""A copy of an SQLite database, by SQLite's online backup, while others write to it.

The copy is what the database was at one moment: a reading transaction is open from the first page
to the last, so writers go on, and what they write is not in the copy. Until it is checked and
flushed to the disk, the copy has another name.
"""

import os
import sqlite3
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import aiosqlite
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker

from harken import migrations
from harken.config import Settings
from harken.database import close_engine, create_engine
from harken.errors import DamagedDatabase, InvalidInput, Problem, SchemaMismatch
from harken.services.integrity.backup.pg_dump import pg_dump_command
from harken.services.kblocks.store import KBlockStore
from harken.services.record.persistence import FeedFeedbackPersistence

STEP_PAGES = 1_024
"""Pages that are copied in one step, 4 MB; between steps, the copy can be interrupted."""
LEFT_BESIDE = ("-wal", "-journal")
"""What SQLite would take for the journal of a file of that name."""


class Backup(NamedTuple):
    """A finished copy: its size in bytes, and what `verify` found in it.

    events, differences: None if the copy was not verified; `unverified` says why it was not.
    """

    file: Path
    size: int
    events: int | None = None
    differences: int | None = None
    unverified: str | None = None


async def back_up(
    settings: Settings, file: Path, *, replace: bool = False, verified: bool = True
) -> Backup:
    """Copy the configured SQLite database to a file, and check the copy.

    Nothing is migrated. `verified` recounts the log of the copy, too. Raises InvalidInput if the
    file cannot be written, or is there already and must not be replaced, and for PostgreSQL;
    DamagedDatabase if the copy fails SQLite's own check.
    """
    source = _source(settings, file)
    _check_target(source, file, replace=replace)
    try:
        part = _part(file)
        try:
            await _copy(source, part, settings.database_command_timeout)
            found = await _verified(part) if verified else Backup(file, 0, unverified="not asked")
            await _make_one_file(part)
            size = _flush(part)
            _publish(part, file, replace=replace)
        finally:
            for name in ("", "-shm", *LEFT_BESIDE):
                part.with_name(part.name + name).unlink(missing_ok=True)
    except OSError as error:
        raise InvalidInput(Problem("file", f"{file}: {error.strerror}")) from error
    return found._replace(file=file, size=size)


def _source(settings: Settings, file: Path) -> Path:
    url = make_url(settings.database_url)
    if url.get_backend_name() != "sqlite":
        command = pg_dump_command(settings.database_url, settings.database_schema, file)
        raise InvalidInput(
            Problem("", f"this database is PostgreSQL; its own tools back it up: {command}")
        )
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        raise InvalidInput(Problem("", "the database of HARKEN_DATABASE_URL is no plain file"))
    source = Path(url.database).absolute()
    if not source.is_file():
        raise InvalidInput(Problem("", f"there is no database {source}"))
    return source


def _check_target(source: Path, file: Path, *, replace: bool) -> None:
    """Raise InvalidInput for a file that must not be written."""
    problem = None
    if file.is_dir():
        problem = f"{file} is a folder; name a file in it"
    elif file.exists() and file.samefile(source):
        problem = f"{file} is the database itself"
    elif file.exists() and not replace:
        problem = f"{file} is already there; give another name, or --force to replace it"
    elif left := [name for each in LEFT_BESIDE if Path(name := f"{file}{each}").exists()]:
        # SQLite would apply it to the copy, and so destroy it.
        problem = f"{left[0]} belongs to another database of this name; give another name"
    if problem is not None:
        raise InvalidInput(Problem("file", problem))


def _part(file: Path) -> Path:
    """Create an empty file beside the one that will be written, for its owner only."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.", suffix=".part")
    os.close(handle)
    return Path(name).absolute()


async def _copy(source: Path, part: Path, seconds: float) -> None:
    # `mode=rw` creates no file, as the plain path would if it vanished meanwhile.
    uri = f"file:{quote(str(source))}?mode=rw"
    try:
        async with (
            aiosqlite.connect(uri, uri=True, timeout=seconds) as database,
            aiosqlite.connect(part) as copy,
        ):
            # Without this transaction, each write of another process would begin the copy anew.
            await database.execute("BEGIN")
            await database.execute_fetchall("SELECT 1 FROM sqlite_master LIMIT 1")
            await database.backup(copy, pages=STEP_PAGES)
            found = [row[0] for row in await copy.execute_fetchall("PRAGMA integrity_check")]
    except sqlite3.DatabaseError as error:
        raise DamagedDatabase(f"{source} cannot be copied: {error}") from error
    if found != ["ok"]:
        raise DamagedDatabase(f"{source} was copied, and the copy is damaged: {found[0]}")


async def _verified(part: Path) -> Backup:
    """Recount the log of a copy; one of another schema than this version's is left as it is."""
    async with _opened(part) as engine:
        try:
            await migrations.check(engine)
        except SchemaMismatch as error:
            return Backup(part, 0, unverified=str(error))
        sessions = async_sessionmaker(engine)
        async with FeedFeedbackPersistence(sessions) as record:
            found = await record.verify()
        index = await KBlockStore(session_factory=sessions).search_index.check()
    return Backup(part, 0, found.events, found.differences + index.differences)


@asynccontextmanager
async def _opened(part: Path) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(Settings(database_url=f"sqlite+aiosqlite:///{part}"))
    try:
        yield engine
    finally:
        await close_engine(engine)


async def _make_one_file(part: Path) -> None:
    """Let a copy need no journal beside it; a server that opens it brings its own back."""
    async with aiosqlite.connect(part) as copy:
        await copy.execute("PRAGMA journal_mode = DELETE")


def _flush(part: Path) -> int:
    """Flush a file to the disk, and return its size."""
    with part.open("rb+") as opened:
        os.fsync(opened.fileno())
        return os.fstat(opened.fileno()).st_size


def _publish(part: Path, file: Path, *, replace: bool) -> None:
    """Give the copy its name, and flush that to the disk, too."""
    if replace:
        part.replace(file)
    else:
        try:
            os.link(part, file)  # fails if the file appeared meanwhile
        except FileExistsError:
            raise InvalidInput(
                Problem("file", f"{file} is already there, and was not replaced")
            ) from None
    if os.name == "posix":
        folder = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

"""Removes what deleted rows leave in the files of a database.

SQLite       deleted content is overwritten; at the end the file is rebuilt, and its journal
             truncated
PostgreSQL   VACUUM removes dead rows from tables and indexes, while others write
"""

import asyncio

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from harken.database import Database, Kind, translated
from harken.services.integrity.reader_tables import written_for_readers
from harken.services.integrity.writers import qualified
from harken.services.record.admission.quarantines import SET_ASIDE
from harken.services.record.baseline.definitions import BASELINE_MINUTES, BASELINE_READERS
from harken.services.record.statistics import CONTRADICTIONS, KBLOCKS, MINUTES
from harken.services.record.transaction import LOG

TABLES = (
    *written_for_readers(), KBLOCKS, CONTRADICTIONS, MINUTES, SET_ASIDE, BASELINE_MINUTES,
)  # fmt: skip
ATTEMPTS = 50
PAUSE_SECONDS = 0.2


async def overwrite_deleted(connection: AsyncConnection, database: Database) -> None:
    """Let this transaction overwrite what it deletes; only SQLite needs it."""
    if not database.is_postgresql:
        await connection.execute(text("PRAGMA main.secure_delete = ON"))


async def vacuum(database: Database, *, full: bool = False) -> None:
    """Make the room of dropped events free for new ones; only PostgreSQL needs it.

    With `full`, the log or the SQLite file is rebuilt without that room, and recording waits.
    """
    if not database.is_postgresql:
        if full:
            await _vacuum(database, "VACUUM")
            await _truncate(database)
        return
    async with database.reading() as connection:
        names = [
            qualified(connection, each.name) for each in (LOG, BASELINE_READERS, BASELINE_MINUTES)
        ]
    for name in names:
        # The log has partitions: PostgreSQL finds the statistics of all together only if asked to.
        await _vacuum(database, f"VACUUM ({'FULL, ' if full else ''}ANALYZE) {name}")


async def _vacuum(database: Database, statement: str) -> None:
    with translated():
        async with database.transaction(Kind.MAINTENANCE) as connection:
            await connection.execute(text(statement))


async def compact(database: Database, *, rebuild_file: bool = True) -> bool:
    """Remove the remains of deleted rows; returns whether that was done completely.

    On SQLite, writers wait while the file is rebuilt. The journal cannot be truncated while a
    reader uses it; that is tried for ten seconds.
    """
    if database.is_postgresql:
        with translated():
            async with database.transaction(Kind.MAINTENANCE) as connection:
                names = ", ".join(qualified(connection, each.name) for each in TABLES)
                await connection.execute(text(f"VACUUM {names}"))
        return True
    if rebuild_file:
        with translated():
            async with database.transaction(Kind.MAINTENANCE) as connection:
                await connection.execute(text("VACUUM"))
    return await _truncate(database) and rebuild_file


async def _truncate(database: Database) -> bool:
    for _ in range(ATTEMPTS):
        with translated():
            async with database.transaction(Kind.MAINTENANCE) as connection:
                found = await connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
                is_busy = bool(found.one()[0])
        if not is_busy:
            return True
        await asyncio.sleep(PAUSE_SECONDS)
    return False

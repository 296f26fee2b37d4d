"""Waits for transactions that began before a tombstone or a rule, and may still write rows.

On PostgreSQL a statement locks its tables before it takes its snapshot. So a statement that does
not see a committed tombstone holds its locks already when the tombstone is committed. SQLite has
one writer at a time, so no other one is at work when the tombstone is written.
"""

import asyncio

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import String

from harken.database import Database
from harken.services.integrity.reader_tables import written_for_readers

POLL_SECONDS = 0.05

_WRITERS = text(
    """
    SELECT DISTINCT virtualtransaction FROM pg_locks
    WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND pid <> pg_backend_pid()
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND relation IN (SELECT to_regclass(name)::oid FROM unnest(:names) AS name)
    """
).bindparams(bindparam("names", type_=ARRAY(String)))


async def wait_for_writers(database: Database) -> None:
    """Return when all transactions that now write to tables of readers have ended."""
    if not database.is_postgresql:
        return
    waiting = await _writers(database)
    while waiting:
        await asyncio.sleep(POLL_SECONDS)
        waiting &= await _writers(database)


async def _writers(database: Database) -> set[str]:
    async with database.reading() as connection:
        names = [qualified(connection, each.name) for each in written_for_readers()]
        return set((await connection.execute(_WRITERS, {"names": names})).scalars())


def qualified(connection: AsyncConnection, name: str) -> str:
    """Return the name of a table with its PostgreSQL schema, if one is configured."""
    sync = connection.sync_connection
    options = {} if sync is None else sync.get_execution_options()
    schema = (options.get("schema_translate_map") or {}).get(None)
    return f'"{schema}"."{name}"' if schema else f'"{name}"'

"""A check that a database can be written to, without blocking others.

    PostgreSQL   commits a message to the write-ahead log, which is flushed, and replicated if
                 replication is synchronous. It changes no table.
    SQLite       checks that the file is still the opened one, and that a file of a transaction's
                 size can be written in its folder.

During an outage by a full disk or a lock, it also checks that the tables can be locked as for
recording, and that they can grow. These changes are rolled back.
"""

import asyncio
import base64
import contextlib
import os

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    MetaData,
    String,
    Table,
    case,
    insert,
    literal_column,
    not_,
    select,
    text,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from harken import migrations
from harken.database import Database, Kind, Prepared, translated
from harken.errors import DatabaseUnavailable
from harken.failures import Obstacle
from harken.models import FeedReport
from harken.models.types import table, utc_now
from harken.services.record.statistics import CONTRADICTIONS, KBLOCKS, MINUTES, READERS, TOTALS
from harken.services.record.transaction import DISMISSALS, LOG, SAVES

REPORTS = table(FeedReport)
RECORDING = (LOG, READERS, KBLOCKS, CONTRADICTIONS, DISMISSALS, SAVES, MINUTES, TOTALS)
VERSION = Table(migrations.VERSION_TABLE, MetaData(), Column("version_num", String))

# In bytes: more than the free space within a table's file, so that the file must grow. The bytes
# are random, since repeated ones would be compressed.
GROWTH = 1 << 20


class WriteProbe:
    """Checks whether one database can be written to, without leaving rows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def outage(self) -> str | None:
        """Return since when the database cannot be used, and why; None if no outage is known."""
        return self._database.connections.outages.describe()

    async def run(self) -> str:
        """Check the database, and return the revision of its schema.

        Raises DatabaseUnavailable or SchemaMismatch.
        """
        outages = self._database.connections.outages
        failures, obstacle = outages.failures, outages.obstacle
        with translated():
            check = self._postgresql if self._database.is_postgresql else self._sqlite
            revision = migrations.check_revision(await check())
            if obstacle in {Obstacle.DISK, Obstacle.LOCK}:
                await self._check_tables()
        outages.wrote(failures)
        return revision

    async def _postgresql(self) -> str | None:
        [[is_read_only, _, revision]] = await self._database.execute_alone(_EMIT, {})
        if is_read_only:
            # The address may lead to another server by now; new connections will find it.
            error = _ReadOnly()
            self._database.connections.renew()
            self._database.connections.failed(error, None)
            raise error
        found: str | None = revision
        return found

    async def _sqlite(self) -> str | None:
        connections = self._database.connections
        if connections.file is not None:
            try:
                await asyncio.to_thread(connections.file.check_writable)
            except OSError as error:
                connections.failed(error, None)
                raise
        async with self._database.transaction(Kind.READ) as connection:
            found = await connection.execute(select(VERSION.c.version_num))
            revision: str | None = found.scalar_one_or_none()
        return revision

    async def _check_tables(self) -> None:
        with contextlib.suppress(_Undo):
            async with self._database.transaction(Kind.WRITE) as connection:
                if self._database.is_postgresql:
                    await connection.run_sync(_lock)
                    await _grow(connection)
                await _undo()


class _Undo(Exception):
    """Rolls a transaction back."""


async def _undo() -> None:
    raise _Undo


class _ReadOnly(DatabaseUnavailable):
    """PostgreSQL's error for a read-only server, raised without an attempt to write."""

    sqlstate = "25006"

    def __init__(self) -> None:
        super().__init__("the database can only be read, as after a failover")


_IS_READ_ONLY = literal_column(
    "(pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on')", Boolean
)
# In a CASE, since a read-only server would fail with a less specific error.
_RECORD = literal_column("CAST(pg_logical_emit_message(true, 'harken', '') AS text)", String)
_EMIT = Prepared(
    select(
        _IS_READ_ONLY,
        case((not_(_IS_READ_ONLY), _RECORD)),
        select(VERSION.c.version_num).scalar_subquery(),
    )
)


async def _grow(connection: AsyncConnection) -> None:
    filler = base64.b64encode(os.urandom(GROWTH)).decode()
    row = {"report_id": "probe", "created_at": utc_now(), "code_version": "", "report": filler}
    await connection.execute(insert(REPORTS).values(row))


def _lock(connection: Connection) -> None:
    options = connection.get_execution_options()
    schema = (options.get("schema_translate_map") or {}).get(None)
    names = [f'"{schema}".{each.name}' if schema else each.name for each in RECORDING]
    connection.execute(text(f"LOCK TABLE {', '.join(names)} IN ROW EXCLUSIVE MODE NOWAIT"))

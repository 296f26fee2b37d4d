"""The kinds of transactions, and how each of them begins.

A transaction on PostgreSQL that reads from one snapshot would not find the rows of a partition that
left the log after its snapshot was taken, as tables have no versions. Therefore it locks the table
with the begin of the log before its first query, and who takes a partition out waits for it. A
single statement needs no such lock: it locks what it reads before it takes its snapshot.
"""

from enum import Enum
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

LOG_START = "feed_log_start"


class Kind(Enum):
    """What a transaction is for."""

    READ = "reads"
    SNAPSHOT = "reads from one snapshot"
    WRITE = "writes"
    LOAD = "reads much from one snapshot, with a longer limit per statement"
    BULK_READ = "reads whole tables from one snapshot, without a time limit"
    BULK_WRITE = "writes whole tables, without a time limit"
    MAINTENANCE = "runs one statement outside a transaction, such as VACUUM, without a time limit"


WRITES = {Kind.WRITE, Kind.BULK_WRITE}
BULK = {Kind.BULK_READ, Kind.BULK_WRITE}

_REPEATABLE = {"isolation_level": "REPEATABLE READ"}
# Named, since a database or a user may have another as its default. What writes looks again at
# rows that others wrote meanwhile, which a snapshot would hide.
_COMMITTED = {"isolation_level": "READ COMMITTED"}
POSTGRESQL: dict[Kind, dict[str, Any]] = {
    Kind.WRITE: _COMMITTED,
    Kind.BULK_WRITE: _COMMITTED,
    Kind.SNAPSHOT: _REPEATABLE,
    Kind.LOAD: _REPEATABLE,
    Kind.BULK_READ: _REPEATABLE,
    # Without BEGIN and COMMIT, a statement takes one round trip instead of three. It sees what was
    # committed when it began, as in a READ COMMITTED transaction.
    Kind.READ: {"isolation_level": "AUTOCOMMIT"},
    Kind.MAINTENANCE: {"isolation_level": "AUTOCOMMIT"},
}
# An operator's own limits are for requests; hosting services have some by default.
_NO_LIMITS = "SELECT " + ", ".join(
    f"set_config('{name}', '0', true)"
    for name in ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
)
_SQLITE_BEGIN = {
    Kind.SNAPSHOT: "BEGIN",
    Kind.LOAD: "BEGIN",
    Kind.BULK_READ: "BEGIN",
    # Takes the lock at once: later, it would fail if another process wrote meanwhile.
    Kind.WRITE: "BEGIN IMMEDIATE",
    Kind.BULK_WRITE: "BEGIN IMMEDIATE",
}


async def begin(connection: AsyncConnection, kind: Kind, *, has_limits: bool) -> None:
    """Begin a transaction; `has_limits` tells whether connections have time limits."""
    if connection.dialect.name == "sqlite":
        await begin_sqlite(connection, kind)
        return
    if kind in BULK and has_limits:
        await connection.exec_driver_sql(_NO_LIMITS)
    if POSTGRESQL.get(kind) == _REPEATABLE:
        sync = connection.sync_connection
        options = {} if sync is None else sync.get_execution_options()
        schema = (options.get("schema_translate_map") or {}).get(None)
        name = f'"{schema}".{LOG_START}' if schema else LOG_START
        await connection.exec_driver_sql(f"LOCK TABLE {name} IN ACCESS SHARE MODE")


async def begin_sqlite(connection: AsyncConnection, kind: Kind) -> None:
    """Begin a transaction on SQLite, whose driver would begin it only at the first write.

    Does nothing on PostgreSQL, and on an engine that begins transactions by itself.
    """
    begin = _SQLITE_BEGIN.get(kind)
    if begin is None or connection.dialect.name != "sqlite":
        return
    raw = await connection.get_raw_connection()
    if raw.driver_connection is None or not raw.driver_connection.in_transaction:
        await connection.exec_driver_sql(begin)

"""The numbers of the log on PostgreSQL, beside the schema's migrations.

The number of an event is the id of its transaction plus `shift`. Ids of transactions belong to one
PostgreSQL server. A database that is restored on another one, by `pg_restore`, may get lower ids
than its log has. Then `continue_numbers` raises the shift.
"""

from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from harken.errors import SchemaMismatch

COLUMN = "transaction_number"
INDEX = "idx_transaction_number"
IS_NUMBERED = text("transaction_number IS NOT NULL")
LARGE = 100_000
"""From so many events on, the index is built without a lock."""

_AHEAD = text("""
    SELECT newest - next FROM
        (SELECT coalesce(max(transaction_number), 0) AS newest FROM feed_interactions) AS events,
        (SELECT shift + pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS next
         FROM feed_log_order) AS transactions
""")
_SHIFT = text("UPDATE feed_log_order SET shift = shift + :more RETURNING shift")
_LARGE = text("SELECT EXISTS (SELECT 1 FROM feed_interactions OFFSET :count)")
_LOCK = text("LOCK TABLE feed_interactions IN ACCESS EXCLUSIVE MODE")
# The log, or its partitions; whether an index is whole. Valid, so that a failed one is built again.
_PARTS = text("""
    SELECT part.oid::regclass::text, part.relname, part.relkind = 'p' AS is_parent,
        (SELECT bool_or(indisvalid) FROM pg_index JOIN pg_class AS own ON own.oid = indexrelid
         WHERE indrelid = part.oid AND own.relname LIKE :name) AS is_valid
    FROM pg_class AS part
    WHERE part.oid = to_regclass('feed_interactions') OR part.oid IN
        (SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass('feed_interactions'))
    ORDER BY is_parent
""")


def compare_default(_context: Any, _inspected: Any, column: Any, *_rendered: Any) -> bool | None:
    """Tell Alembic that the default of the numbers differs between the databases on purpose."""
    return False if column.name == COLUMN else None


def is_large(connection: Connection) -> bool:
    """Tell whether building an index on the log would block recording for long."""
    return bool(connection.execute(_LARGE, {"count": LARGE}).scalar_one())


def number_from(connection: Connection, shift: int) -> None:
    """Let new events get the id of their transaction plus `shift` as their number."""
    own = f"pg_current_xact_id()::text::bigint + {shift:d}"
    connection.execute(
        text(f"ALTER TABLE feed_interactions ALTER COLUMN {COLUMN} SET DEFAULT ({own})")
    )


def check(connection: Connection) -> None:
    """Raise SchemaMismatch if new events would be numbered below events of the log."""
    if connection.dialect.name == "postgresql" and _lead(connection) >= 0:
        raise SchemaMismatch(
            "the database was restored on another PostgreSQL server, whose transactions have lower "
            "numbers than the log: run `harken migrate` before events are recorded"
        )


def continue_numbers(connection: Connection) -> None:
    """Give new events numbers above all of the log, in a database that another server wrote."""
    if connection.dialect.name != "postgresql" or _lead(connection) < 0:
        return
    connection.execute(_LOCK)
    more = _lead(connection) + 1
    if more > 0:
        number_from(connection, connection.execute(_SHIFT, {"more": more}).scalar_one())


def _lead(connection: Connection) -> int:
    return int(connection.execute(_AHEAD).scalar_one())


async def complete(connection: AsyncConnection) -> None:
    """Build the index on a large log of PostgreSQL, while events are recorded.

    The connection commits each statement by itself. A partitioned log gets one index for each
    partition, under one of the log.
    """
    found = (await connection.execute(_PARTS, {"name": f"%{INDEX}"})).all()
    if not any(row.is_valid is None or not row.is_valid for row in found):
        return
    is_partitioned = any(row.is_parent for row in found)
    on = f"({COLUMN}) WHERE {IS_NUMBERED.text}"
    for name, short, is_parent, is_valid in found:
        if is_parent:
            await connection.execute(
                text(f"CREATE INDEX IF NOT EXISTS {INDEX} ON ONLY {name} {on}")
            )
        elif not is_valid:
            own = f"{short}_{INDEX}" if is_partitioned else INDEX
            await connection.execute(text(f'DROP INDEX IF EXISTS "{own}"'))
            await connection.execute(text(f'CREATE INDEX CONCURRENTLY "{own}" ON {name} {on}'))
    if is_partitioned:
        for _name, short, is_parent, is_valid in found:
            if not is_parent and not is_valid:
                attach = f'ALTER INDEX {INDEX} ATTACH PARTITION "{short}_{INDEX}"'
                await connection.execute(text(attach))

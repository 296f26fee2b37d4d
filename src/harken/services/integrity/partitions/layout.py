"""Which partitions the log has, as PostgreSQL's catalog says."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Table, text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.schema import MetaData

from harken.database import Database
from harken.services.integrity.partitions.bounds import Range
from harken.services.integrity.writers import qualified
from harken.services.record.admission.log_start import LOG_START
from harken.services.record.transaction import LOG

DEFAULT = f"{LOG.name}_default"
TIMED = f"{LOG.name}_timed"
UNTIMED = f"{LOG.name}_untimed"

_RANGE = re.compile(r"FOR VALUES FROM \('([0-9a-f]{8})'\) TO \('([0-9a-f]{8})'\)")
# An index that is not built yet would be built where a partition is attached.
_TREE = text("""
    SELECT part.relname AS name, pg_get_expr(part.relpartbound, part.oid) AS bound, tree.isleaf,
        pg_relation_size(part.oid) AS bytes,
        pg_has_role(part.relowner, 'USAGE') AS is_own,
        NOT EXISTS (SELECT 1 FROM pg_index WHERE indrelid = part.oid AND NOT indisvalid) AS is_whole
    FROM pg_partition_tree(to_regclass(:log)) AS tree JOIN pg_class AS part ON part.oid = relid
""")


class Partition(NamedTuple):
    """A partition with the ids of a range."""

    name: str
    ids: Range


class Layout(NamedTuple):
    """The partitions of the log. On SQLite there are none: its only leaf is the log.

    sizes       bytes of each leaf, without its indexes
    partitions  those of ranges, in their order
    is_open     whether there is a place for these
    may_change  whether this user owns them, and their indexes are built
    """

    sizes: dict[str, int]
    partitions: Sequence[Partition]
    is_open: bool
    may_change: bool

    @property
    def leaves(self) -> list[Table]:
        """The tables that together have all rows of the log, those of the latest ids last."""
        names = [name for name in (DEFAULT, UNTIMED, LOG.name) if name in self.sizes]
        return [leaf(name) for name in (*names, *(each.name for each in self.partitions))]


WHOLE = Layout({LOG.name: 0}, [], is_open=False, may_change=False)
"""A log that is one table."""


async def read_layout(connection: AsyncConnection, database: Database) -> Layout:
    """Return the partitions that the log has now."""
    if not database.is_postgresql:
        return WHOLE
    rows = (await connection.execute(_TREE, {"log": qualified(connection, LOG.name)})).all()
    found = ((row.name, _RANGE.fullmatch(row.bound or "")) for row in rows if row.isleaf)
    partitions = [Partition(name, Range(*bound.groups())) for name, bound in found if bound]
    return Layout(
        {row.name: int(row.bytes) for row in rows if row.isleaf},
        sorted(partitions, key=lambda each: each.ids),
        any(row.name == TIMED for row in rows),
        all(row.is_own and row.is_whole for row in rows),
    )


@lru_cache(64)
def leaf(name: str) -> Table:
    """Return a partition as a table with the columns of the log."""
    return LOG if name == LOG.name else LOG.to_metadata(MetaData(), name=name)


async def run(connection: AsyncConnection, *statements: str, **values: Any) -> None:
    """Execute statements with the names of tables in them."""
    for each in statements:
        await connection.execute(text(each), values)


def name_of(ids: Range) -> str:
    """Return the name of the partition of a range."""
    return f"{LOG.name}_{ids.start}"


async def lock_snapshots(connection: AsyncConnection) -> None:
    """Wait for those who read from one snapshot, and keep others from beginning.

    They would not find a row in its place of before; see `harken.databases.transactions`.
    """
    start = qualified(connection, LOG_START.name)
    await run(connection, f"LOCK TABLE {start} IN ACCESS EXCLUSIVE MODE")

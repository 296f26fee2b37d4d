"""Counts K-Blocks again before their rows are locked, so that others wait for a shorter time.

On PostgreSQL only. One statement reads the rows of the K-Blocks, each with the transaction that
wrote it, and counts their events: both as of one snapshot. When the rows are locked, those that the
same transaction wrote have no other events, and the counts are theirs. The others are counted then.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import (
    Column,
    ColumnElement,
    MetaData,
    Select,
    String,
    Table,
    and_,
    delete,
    insert,
    literal_column,
    not_,
    select,
)
from sqlalchemy.schema import CreateTable

from harken.services.record import statistics
from harken.services.record.statistics import KBLOCKS

FROM_EVENTS = 1_000
"""With fewer events, it takes longer to prepare than to count."""
_WRITER = literal_column("kept.xmin::text", String)


class EarlyRecount(NamedTuple):
    """The statements; the first three come before the lock of the rows, the others under it."""

    create: Any
    clear: Any
    count: Any
    stale: Select[Any]
    """K-Blocks whose rows were written since they were counted."""
    fill: Any
    """Inserts the rows of all K-Blocks but those of the parameter `stale`."""


def early_recount(
    counted: Select[Any],
    is_chosen: Callable[[Any], ColumnElement[bool]],
    is_stale: Callable[[Any], ColumnElement[bool]],
) -> EarlyRecount:
    """Return the statements for the K-Blocks that `is_chosen` tells; `counted` selects counts."""
    names = [column.name for column in counted.selected_columns]
    others = [name for name in names if name != "kblock_id"]
    early = Table(
        "harken_recounted",
        MetaData(schema="pg_temp"),
        *(Column(name, KBLOCKS.c[name].type) for name in names),
        Column("writer", String),
        prefixes=["TEMPORARY"],
        postgresql_on_commit="DROP",
    )
    kept = KBLOCKS.alias("kept")
    found = counted.subquery("found")
    rows = (
        select(kept.c.kblock_id, *(found.c[name] for name in others), _WRITER)
        .select_from(kept.outerjoin(found, kept.c.kblock_id == found.c.kblock_id))
        .where(is_chosen(kept.c))
    )
    same = and_(early.c.kblock_id == kept.c.kblock_id, early.c.writer == _WRITER)
    known = select(*(early.c[name] for name in names)).where(
        early.c.view_count.is_not(None), not_(is_stale(early.c))
    )
    filled = statistics.stamped(known).order_by(early.c.kblock_id)
    return EarlyRecount(
        create=CreateTable(early, if_not_exists=True),
        clear=delete(early),
        count=insert(early).from_select(["kblock_id", *others, "writer"], rows),
        stale=select(kept.c.kblock_id)
        .select_from(kept.outerjoin(early, same))
        .where(is_chosen(kept.c), early.c.kblock_id.is_(None)),
        fill=insert(KBLOCKS).from_select([*names, "created_at", "updated_at"], filled),
    )

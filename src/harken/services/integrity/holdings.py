"""The rows of a person outside the log and its statistics, and how many there are by kind.

`reader_tables` declares every table with a reader's id.
"""

from typing import Any

from sqlalchemy import Table, and_, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from harken.services.integrity.alerts.alert_store import MEMBERS, remove_naming
from harken.services.integrity.quarantine.audit import ACTS
from harken.services.integrity.reader_tables import ORDERS_OF_SLATES, Removal, tables
from harken.services.record.admission.quarantines import QUARANTINES, Target
from harken.services.record.admission.subjects import Subject
from harken.services.record.slates import SLATES
from harken.services.record.statistics import CONTRADICTIONS, KBLOCKS
from harken.services.sources.store import SOURCES

OF_KBLOCK = tables(Removal.WITH_LOG, Removal.IN_PIECES)
"""The tables from which the erasure of a K-Block's log removes rows."""
MOST_ROWS = 500
"""Rows that a transaction deletes."""


async def count_holdings(
    connection: AsyncConnection, subject: Subject, own_id: str
) -> dict[str, int]:
    """Return how many rows are held on a reader, or on the log of a K-Block, by kind."""
    is_reader = subject is Subject.READER
    column = "user_id" if is_reader else "kblock_id"
    counts = {}
    for name, own in (tables() if is_reader else OF_KBLOCK).items():
        counts[name] = await _count(connection, own, own.c[column] == own_id)
    if is_reader:
        shown = select(SLATES.c.request_id).where(SLATES.c.user_id == own_id)
        counts["orders"] = sum(
            [
                await _count(connection, each, each.c.request_id.in_(shown))
                for each in ORDERS_OF_SLATES
            ]
        )
        counts["quarantines"] = await _count(connection, QUARANTINES, set_aside(own_id))
        counts["sources"] = await _count(connection, SOURCES, SOURCES.c.added_by == own_id)
        counts["alerts"] = await _count(connection, MEMBERS, MEMBERS.c.member_id == own_id)
    else:
        counts["statistics"] += await _count(connection, KBLOCKS, KBLOCKS.c.kblock_id == own_id)
        reported = CONTRADICTIONS.c.kblock_id == own_id
        counts["statistics"] += await _count(connection, CONTRADICTIONS, reported)
    return counts


async def _count(connection: AsyncConnection, table: Table, condition: Any) -> int:
    counted = await connection.execute(select(func.count()).select_from(table).where(condition))
    return int(counted.scalar_one())


async def remove_holdings(
    connection: AsyncConnection, subject: Subject, own_id: str
) -> dict[str, int]:
    """Delete some rows outside the log; returns their number by kind, nothing if none are left."""
    if subject is Subject.KBLOCK:
        return await _remove_some(connection, "kblock_id", own_id)
    removed = await _remove_slates(connection, own_id)
    removed = removed or await _remove_some(connection, "user_id", own_id)
    for name, held in tables(Removal.AT_ONCE).items():
        if not removed:
            gone = await connection.execute(delete(held).where(held.c.user_id == own_id))
            removed = {name: gone.rowcount} if gone.rowcount else {}
    if not removed:  # a source is of all readers: it only forgets who added it
        own = SOURCES.c.added_by == own_id
        named = await connection.execute(update(SOURCES).where(own).values(added_by=None))
        removed = {"sources": named.rowcount} if named.rowcount else {}
    return removed or await _remove_suspicions(connection, own_id)


def set_aside(user_id: str) -> Any:
    """Return the condition that a row of `feed_quarantines` is the rule for a reader."""
    return and_(QUARANTINES.c.target == Target.READER.value, QUARANTINES.c.subject_id == user_id)


async def _remove_suspicions(connection: AsyncConnection, own_id: str) -> dict[str, int]:
    """Delete a reader's quarantine and the alerts that name them; the audit forgets the id."""
    own = ACTS.c.target == Target.READER.value, ACTS.c.subject_id == own_id
    await connection.execute(update(ACTS).where(*own).values(subject_id=None))
    rules = await connection.execute(delete(QUARANTINES).where(set_aside(own_id)))
    alerts = await remove_naming(connection, own_id)
    counts = {"quarantines": rules.rowcount, "alerts": alerts}
    return {name: count for name, count in counts.items() if count}


async def _remove_slates(connection: AsyncConnection, user_id: str) -> dict[str, int]:
    wanted = select(SLATES.c.request_id).where(SLATES.c.user_id == user_id).limit(MOST_ROWS)
    ids = (await connection.execute(wanted)).scalars().all()
    if not ids:
        return {}
    orders = 0
    for each in ORDERS_OF_SLATES:
        gone = await connection.execute(delete(each).where(each.c.request_id.in_(ids)))
        orders += gone.rowcount
    slates = await connection.execute(delete(SLATES).where(SLATES.c.request_id.in_(ids)))
    return {"slates": slates.rowcount, "orders": orders}


async def _remove_some(connection: AsyncConnection, column: str, own_id: str) -> dict[str, int]:
    """Delete some rows of the tables that have a row for a reader and a K-Block."""
    for name, held in tables(Removal.IN_PIECES).items():
        own = held.c[column] == own_id
        keys = list(held.primary_key)
        rows = (await connection.execute(select(*keys).where(own).limit(MOST_ROWS))).all()
        if rows:
            each = (zip(keys, row, strict=True) for row in rows)
            those = or_(*(and_(*(key == value for key, value in pairs)) for pairs in each))
            gone = await connection.execute(delete(held).where(own, those))
            return {name: gone.rowcount}
    return {}

"""The rows of a person outside the log and its statistics, and how many there are by kind.

`PERSONAL` names every table with a reader's id. Tests compare it with the tables of the models and
with the sections of an export, so that a new table with readers is erased and exported too.
"""

from typing import Any

from sqlalchemy import Table, delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from harken.services.record.admission.subjects import Subject
from harken.services.record.readers import USERS
from harken.services.record.slates import EXPOSURES, ORDERS, SAMPLES, SLATES
from harken.services.record.statistics import CONTRADICTIONS, KBLOCKS, READERS
from harken.services.record.transaction import DISMISSALS, LOG

PERSONAL: dict[str, Table] = {
    "events": LOG,
    "statistics": READERS,
    "slates": SLATES,
    "dismissals": DISMISSALS,
    "preferences": USERS,
    "exposures": EXPOSURES,
}
"""The tables with a column `user_id`, by the name of what they hold."""
OF_KBLOCK: dict[str, Table] = {"events": LOG, "statistics": READERS, "dismissals": DISMISSALS}
"""The tables from which the erasure of a K-Block's log removes rows."""
OF_SLATES = (ORDERS, SAMPLES)
"""The tables with the orders that slates were taken from, by the slate's id."""
MOST_ROWS = 500
"""Rows that a transaction deletes."""


async def count_holdings(
    connection: AsyncConnection, subject: Subject, own_id: str
) -> dict[str, int]:
    """Return how many rows are held on a reader, or on the log of a K-Block, by kind."""
    is_reader = subject is Subject.READER
    column = "user_id" if is_reader else "kblock_id"
    counts = {}
    for name, table in (PERSONAL if is_reader else OF_KBLOCK).items():
        counts[name] = await _count(connection, table, table.c[column] == own_id)
    if is_reader:
        own = select(SLATES.c.request_id).where(SLATES.c.user_id == own_id)
        counts["orders"] = sum(
            [await _count(connection, each, each.c.request_id.in_(own)) for each in OF_SLATES]
        )
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
    """Delete some rows that are not in the log; an empty result says that none are left."""
    if subject is Subject.KBLOCK:
        return await _remove_dismissals(connection, DISMISSALS.c.kblock_id == own_id)
    removed = await _remove_slates(connection, own_id)
    removed = removed or await _remove_dismissals(connection, DISMISSALS.c.user_id == own_id)
    for name, table in (("exposures", EXPOSURES), ("preferences", USERS)):
        if not removed:
            gone = await connection.execute(delete(table).where(table.c.user_id == own_id))
            removed = {name: gone.rowcount} if gone.rowcount else {}
    return removed


async def _remove_slates(connection: AsyncConnection, user_id: str) -> dict[str, int]:
    wanted = select(SLATES.c.request_id).where(SLATES.c.user_id == user_id).limit(MOST_ROWS)
    ids = (await connection.execute(wanted)).scalars().all()
    if not ids:
        return {}
    orders = 0
    for each in OF_SLATES:
        gone = await connection.execute(delete(each).where(each.c.request_id.in_(ids)))
        orders += gone.rowcount
    slates = await connection.execute(delete(SLATES).where(SLATES.c.request_id.in_(ids)))
    return {"slates": slates.rowcount, "orders": orders}


async def _remove_dismissals(connection: AsyncConnection, own: Any) -> dict[str, int]:
    columns = DISMISSALS.c.user_id, DISMISSALS.c.kblock_id
    pairs = (await connection.execute(select(*columns).where(own).limit(MOST_ROWS))).all()
    if not pairs:
        return {}
    those = or_(*((columns[0] == user) & (columns[1] == kblock) for user, kblock in pairs))
    gone = await connection.execute(delete(DISMISSALS).where(own, those))
    return {"dismissals": gone.rowcount}

"""Removes events of one reader or K-Block, in transactions of bounded size.

A transaction removes some events and their marks of a quarantine, and corrects the statistics of
those that counted (see `recounting`). Dismissals of the same readers and K-Blocks are deleted.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Row, Select, and_, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from harken.database import Database
from harken.services.integrity.key_lists import listed
from harken.services.integrity.quarantine.audit import ACTS
from harken.services.integrity.recounting import Event, Recount
from harken.services.record.admission.quarantines import QUARANTINES, SET_ASIDE, Target
from harken.services.record.admission.subjects import Subject
from harken.services.record.statistics import KBLOCKS
from harken.services.record.transaction import DISMISSALS, LOG

MOST_EVENTS = {Subject.READER: 500, Subject.KBLOCK: 5_000}
"""Events that a transaction removes. Nobody waits for the rows of an erased K-Block."""
MOST_RECOUNTED = 10_000
"""Events that a transaction counts again, unless a single K-Block has more."""
MOST_OF_LARGE = 5_000
"""Events that a transaction removes of one K-Block with more than `MOST_RECOUNTED`."""
COUNTED_PER_REMOVED = 15
"""Each transaction that removes events of such a K-Block counts all of its events again. So it
removes one event for each 15 that it counts. Removing one takes about as long as counting six."""

COLUMN = {Subject.READER: LOG.c.user_id, Subject.KBLOCK: LOG.c.kblock_id}


class Removal(NamedTuple):
    """The rows that a transaction removed; `vanished` are the K-Blocks without any event now."""

    events: int = 0
    dismissals: int = 0
    vanished: frozenset[str] = frozenset()


async def remove_events(
    connection: AsyncConnection, database: Database, subject: Subject, own_id: str
) -> Removal:
    """Remove some events of a reader or a K-Block within a transaction; none if none are left."""
    chosen = await _choose(connection, subject, own_id)
    if not chosen:
        return Removal()
    recount = Recount(
        connection, database, [Event(row.id, row.user_id, row.kblock_id) for row in chosen]
    )
    counted = await recount.read()
    keys = {
        "ids": database.as_list([row.id for row in chosen]),
        "users": database.as_list(sorted({row.user_id for row in chosen})),
        "kblocks": database.as_list(sorted({row.kblock_id for row in chosen})),
    }
    statements = _statements(postgresql=database.is_postgresql)
    for statement in statements.remove:
        await connection.execute(statement, keys)
    vanished = await recount.again()
    dismissals = (await connection.execute(statements.dismissals, keys)).rowcount
    await recount.subtract(counted.minutes)
    # If nobody reports a contradiction any more, it may no longer set its two K-Blocks in conflict.
    return Removal(len(chosen), dismissals, vanished | counted.contradictory)


async def _choose(connection: AsyncConnection, subject: Subject, own_id: str) -> Sequence[Row[Any]]:
    """Lock and return the events that this transaction removes, of few K-Blocks at a time."""
    wanted: Select[Any] = select(LOG.c.id, LOG.c.user_id, LOG.c.kblock_id).where(
        COLUMN[subject] == own_id
    )
    if subject is Subject.READER:
        wanted = wanted.order_by(LOG.c.kblock_id)
    found = await connection.execute(wanted.limit(MOST_EVENTS[subject]).with_for_update())
    chosen: Sequence[Row[Any]] = found.all()
    if subject is Subject.KBLOCK or not chosen:
        return chosen
    counts = await sizes(connection, chosen)
    first = chosen[0].kblock_id
    most = min(counts.get(first, 0) // COUNTED_PER_REMOVED, MOST_OF_LARGE)
    if counts.get(first, 0) > MOST_RECOUNTED and most > len(chosen) == MOST_EVENTS[subject]:
        more = wanted.where(LOG.c.kblock_id == first).limit(most).with_for_update()
        chosen = (await connection.execute(more)).all()
    return bounded(chosen, counts)


async def sizes(connection: AsyncConnection, chosen: Sequence[Row[Any]]) -> dict[str, int]:
    """Return how many events each K-Block of some events has."""
    kblock_ids = list(dict.fromkeys(row.kblock_id for row in chosen))
    own = KBLOCKS.c
    counts = own.view_count + own.engage_count + own.dismiss_count + own.contradict_count
    found = await connection.execute(
        select(KBLOCKS.c.kblock_id, counts).where(KBLOCKS.c.kblock_id.in_(kblock_ids))
    )
    return {row[0]: int(row[1]) for row in found}


def bounded(chosen: Sequence[Row[Any]], counts: Mapping[str, int]) -> Sequence[Row[Any]]:
    """Return the first events whose K-Blocks have few events enough to be counted again."""
    kblock_ids = list(dict.fromkeys(row.kblock_id for row in chosen))
    kept, total = set(kblock_ids[:1]), 0
    for kblock_id in kblock_ids:
        total += counts.get(kblock_id, 0)
        if total > MOST_RECOUNTED:
            break
        kept.add(kblock_id)
    return [row for row in chosen if row.kblock_id in kept]


class _Statements(NamedTuple):
    remove: list[Any]
    dismissals: Any


@cache
def _statements(*, postgresql: bool) -> _Statements:
    def among(column: Any, name: str) -> Any:
        return listed(column, name, postgresql=postgresql)

    def named(columns: Any) -> Any:
        return and_(columns.target == Target.EVENT.value, among(columns.subject_id, "ids"))

    # One of the lists has one member, so these are exactly the pairs of the chosen events.
    pairs = and_(among(DISMISSALS.c.user_id, "users"), among(DISMISSALS.c.kblock_id, "kblocks"))
    return _Statements(
        remove=[
            delete(LOG).where(among(LOG.c.id, "ids")),
            delete(SET_ASIDE).where(among(SET_ASIDE.c.interaction_id, "ids")),
            delete(QUARANTINES).where(named(QUARANTINES.c)),
            update(ACTS).where(named(ACTS.c)).values(subject_id=None),
        ],
        dismissals=delete(DISMISSALS).where(pairs),
    )

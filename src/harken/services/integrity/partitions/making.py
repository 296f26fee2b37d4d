"""Makes partitions for the time to come: nothing has to be moved into them.

What has no partition goes to the default, so it is no failure if none could be made.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Table, and_, delete, func, insert, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from harken.database import Database, FailureKind, Kind, classify
from harken.services.integrity.partitions.bounds import (
    END,
    UNIT,
    Range,
    bound_at,
    ranges_after,
    width_for,
)
from harken.services.integrity.partitions.layout import (
    DEFAULT,
    TIMED,
    UNTIMED,
    Layout,
    leaf,
    lock_snapshots,
    name_of,
    read_layout,
    run,
)
from harken.services.integrity.retrying import repeated
from harken.services.integrity.writers import qualified
from harken.services.record.admission.rules_token import take_turn
from harken.services.record.transaction import LOG

log = logging.getLogger(__name__)

MOST_BYTES = 256 * 2**20
"""A default partition of this size is searched by PostgreSQL in a fraction of a second; everybody
who uses the log waits for that. A larger one is searched only if they wait anyway."""
MOST_MOVED = 20_000
"""Rows that are moved while others wait."""
LEAD = 4 * UNIT
"""How far from now a first partition begins: ids of now would have to be moved into it."""
LEAST_AHEAD = timedelta(days=2)
"""How far from now partitions reach, at least: the server looks once an hour."""
PAUSES = (0.5, 1, 2)
"""Seconds before each further attempt to get the locks."""
LOCK_TIMEOUT = text("SET LOCAL lock_timeout = '200ms'")
"""How long others wait behind this process while it waits for those before it."""


class Partitions:
    """The partitions of the log of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def layout(self) -> Layout:
        """Return the partitions that there are. Raises DatabaseUnavailable."""
        async with self._database.reading() as connection:
            return await read_layout(connection, self._database)

    async def lack(self, now: datetime, kept: timedelta) -> bool:
        """Tell whether there should be more partitions. Raises DatabaseUnavailable."""
        return bool(wanted(await self.layout(), now, kept, MOST_BYTES))

    async def make(self, now: datetime, kept: timedelta, *, at_any_size: bool = False) -> int:
        """Make what partitions there should be if so much is kept; returns how many were made.

        With `at_any_size`, also where everybody waits while a large table is searched. None is made
        while others use the log for long; a later call makes them. Raises DatabaseUnavailable.
        """
        most = 2**62 if at_any_size else MOST_BYTES
        for pause in (*PAUSES, 0):
            made = await repeated(lambda: self._make(now, kept, most))
            if made is not None:
                return made
            await asyncio.sleep(pause)
        log.info("No partition of the log was made, since the log is in use.")
        return 0

    async def _make(self, now: datetime, kept: timedelta, most_bytes: int) -> int | None:
        async with self._database.transaction(Kind.BULK_WRITE) as connection:
            await take_turn(connection, self._database)
            layout = await read_layout(connection, self._database)
            new = wanted(layout, now, kept, most_bytes)
            if not new:
                return 0
            try:
                async with connection.begin_nested():
                    return await _add(connection, layout, new, is_bounded=most_bytes <= MOST_BYTES)
            except DBAPIError as error:
                if classify(error) is not FailureKind.RETRY:
                    raise
        return None


async def _add(
    connection: AsyncConnection, layout: Layout, new: Sequence[Range], *, is_bounded: bool
) -> int:
    await connection.execute(LOCK_TIMEOUT)
    source = UNTIMED if layout.is_open else DEFAULT
    await run(
        connection, f"LOCK TABLE ONLY {qualified(connection, source)} IN ACCESS EXCLUSIVE MODE"
    )
    moved = Range(new[0].start, new[-1].end if layout.is_open else END)
    if is_bounded and await _is_much(connection, leaf(source), moved):
        return 0
    await (_extend if layout.is_open else _open)(connection, new)
    return len(new)


def wanted(layout: Layout, now: datetime, kept: timedelta, most_bytes: int) -> list[Range]:
    """Return the ranges for which there should be partitions, and are none.

    None, if the table that PostgreSQL would search is larger than `most_bytes`.
    """
    searched = UNTIMED if layout.is_open else DEFAULT
    if not layout.may_change or layout.sizes[searched] > most_bytes:
        return []
    width = width_for(kept)
    ends = [each.ids.end for each in layout.partitions]
    start = max([bound_at(now + LEAD), *ends])
    return ranges_after(start, now + max(width, LEAST_AHEAD), width)


async def _is_much(connection: AsyncConnection, source: Table, ids: Range) -> bool:
    some = select(source.c.id).where(_within(source, ids)).limit(MOST_MOVED + 1)
    found = await connection.execute(select(func.count()).select_from(some.subquery()))
    return int(found.scalar_one()) > MOST_MOVED


async def _open(connection: AsyncConnection, new: Sequence[Range]) -> None:
    """Make the place of timed ids, with its partitions, and move what belongs there."""
    log, timed, untimed = (qualified(connection, each) for each in (LOG.name, TIMED, UNTIMED))
    like = f"(LIKE {log} INCLUDING DEFAULTS INCLUDING INDEXES)"
    await run(
        connection,
        f"CREATE TABLE {timed} {like} PARTITION BY RANGE (id)",
        f"CREATE TABLE {untimed} PARTITION OF {timed} DEFAULT",
    )
    for ids in new:
        name = qualified(connection, name_of(ids))
        await run(connection, f"CREATE TABLE {name} PARTITION OF {timed} {_values(ids)}")
    whole = Range(new[0].start, END)
    await _move(connection, leaf(DEFAULT), leaf(TIMED), whole)
    await run(connection, f"ALTER TABLE {log} ATTACH PARTITION {timed} {_values(whole)}")


async def _extend(connection: AsyncConnection, new: Sequence[Range]) -> None:
    """Make partitions beside those that there are, and move what belongs there."""
    log, timed = (qualified(connection, each) for each in (LOG.name, TIMED))
    for ids in new:
        name = qualified(connection, name_of(ids))
        # Made alone and then attached: whoever writes to other partitions does not wait.
        await run(connection, f"CREATE TABLE {name} (LIKE {log} INCLUDING DEFAULTS)")
        await _move(connection, leaf(UNTIMED), leaf(name_of(ids)), ids)
        await run(connection, f"ALTER TABLE {timed} ATTACH PARTITION {name} {_values(ids)}")


async def _move(connection: AsyncConnection, source: Table, target: Table, ids: Range) -> None:
    rows = _within(source, ids)
    if (await connection.execute(select(source.c.id).where(rows).limit(1))).first() is None:
        return
    await lock_snapshots(connection)
    names = [each.name for each in LOG.columns]
    await connection.execute(insert(target).from_select(names, select(source).where(rows)))
    await connection.execute(delete(source).where(rows))


def _within(log: Table, ids: Range) -> ColumnElement[bool]:
    return and_(log.c.id >= ids.start, log.c.id < ids.end)


def _values(ids: Range) -> str:
    return f"FOR VALUES FROM ('{ids.start}') TO ('{ids.end}')"

"""Drops a partition of the log with all of its old events in one transaction.

First the events are written to files, some at a time. The transaction checks that the files have
exactly the events that it drops, adds these to the baseline by one aggregation, registers the
files, and removes the partition. What stays, such as events that are set aside, and ids from
another time that fall into this range by chance, moves to another partition.
"""

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Numeric, Table, and_, cast, func, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from harken.database import Database, Kind
from harken.domain.times import EARLIEST_TIME
from harken.models.types import utc_now
from harken.services.integrity.archive import dropping, file_register
from harken.services.integrity.archive.event_files import EventFolder, Prepared
from harken.services.integrity.partitions.layout import Partition, leaf
from harken.services.integrity.partitions.making import MOST_MOVED
from harken.services.integrity.partitions.removing import InUse, remove
from harken.services.integrity.quarantine.marks import Marks
from harken.services.integrity.retrying import repeated
from harken.services.record.admission.rules_token import take_turn

MOST_READ = 20_000
"""Events that are in memory at a time."""


class _Sum(NamedTuple):
    """What tells a set of events from others: how many these are, and the sum of their hashes."""

    events: int = 0
    hashes: int = 0


class WholePartitions:
    """Drops partitions of one log into one folder.

    `pause` is the time between two files, as a multiple of the time that the one before took.
    """

    def __init__(self, database: Database, folder: EventFolder, pause: float) -> None:
        self._database = database
        self._folder = folder
        self._pause = pause

    async def drop(self, partition: Partition, before: datetime) -> int:
        """Drop a partition; returns the number of its old events that went to files.

        0, and no change, if too many events would stay, if some of them were changed meanwhile, or
        if others use the log for long: its events are then dropped one by one. Raises
        DatabaseUnavailable, and InvalidInput for a folder that cannot be used.
        """
        log = leaf(partition.name)
        leaving = _leaving(log, before)
        async with self._database.reading(Kind.BULK_READ) as connection:
            staying = select(func.count()).select_from(log).where(not_(leaving))
            if (await connection.execute(staying)).scalar_one() > MOST_MOVED:
                return 0
        files: list[Prepared] = []
        try:
            written = await self._write(log, leaving, files)
            is_done = await repeated(lambda: self._replace(partition, leaving, written, files))
            if is_done:
                await asyncio.to_thread(_settle, files)
        finally:
            for each in files:
                await asyncio.to_thread(each.discard)
        return written.events if is_done else 0

    async def _write(self, log: Table, leaving: ColumnElement[bool], files: list[Prepared]) -> _Sum:
        """Write the events that leave to files, which are added to a list."""
        hashed = _hash(log).label("hash")
        last_at, last_id, written = EARLIEST_TIME, "", _Sum()
        while True:
            began = time.monotonic()
            later = or_(log.c.created_at > last_at, log.c.id > last_id)
            some = (
                select(*dropping.columns(log), hashed)
                .where(leaving, log.c.created_at >= last_at, later)
                .order_by(log.c.created_at, log.c.id)
                .limit(MOST_READ)
            )
            async with self._database.reading(Kind.BULK_READ) as connection:
                rows = (await connection.execute(some)).all()
            if not rows:
                return written
            written = _Sum(
                written.events + len(rows), written.hashes + sum(row.hash for row in rows)
            )
            last_at, last_id = rows[-1].created_at, rows[-1].id
            events = dropping.as_events(rows)
            for day, own in groupby(events, lambda each: each["occurred_at"].date()):
                files.append(await asyncio.to_thread(self._folder.prepare, day, list(own)))
            await asyncio.sleep((time.monotonic() - began) * self._pause)

    async def _replace(
        self, partition: Partition, leaving: ColumnElement[bool], written: _Sum,
        files: Sequence[Prepared],
    ) -> bool:  # fmt: skip
        log = leaf(partition.name)
        try:
            async with self._database.transaction(Kind.BULK_WRITE) as connection:
                await take_turn(connection, self._database)
                await Marks(connection, self._database).exclude_rebuild()
                if await _sum(connection, log, leaving) != written:
                    return False  # some were erased, set aside or released since they were read
                for statement in dropping.merges(log, leaving, postgresql=True):
                    await connection.execute(statement)
                for each in files:
                    await asyncio.to_thread(each.place)
                    await file_register.register(connection, each.file)
                await remove(connection, partition, select(log).where(not_(leaving)))
        except InUse:  # nothing is committed
            return False
        return True


def _leaving(log: Table, before: datetime) -> ColumnElement[bool]:
    """Tell whether an event leaves the log: it is old, and was recorded before this transaction.

    Events from before the begin are refused, so that there are no newer ones; if there are any,
    they stay.
    """
    return and_(dropping.old(log, before), log.c.updated_at < utc_now())


def _hash(log: Table) -> ColumnElement[int]:
    return func.hashtextextended(log.c.id, 0)


async def _sum(connection: AsyncConnection, log: Table, leaving: ColumnElement[bool]) -> _Sum:
    total: ColumnElement[Any] = func.coalesce(func.sum(cast(_hash(log), Numeric)), 0)
    found = (await connection.execute(select(func.count(), total).where(leaving))).one()
    return _Sum(*map(int, found))


def _settle(files: Sequence[Prepared]) -> None:
    for each in files:
        each.settle()

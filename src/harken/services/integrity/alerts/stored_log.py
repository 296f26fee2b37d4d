"""The log and the slates of one database, as detectors read them.

Events in quarantine are left out, since somebody has decided on them.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from harken.database import Database, Kind
from harken.domain.feedback import GUEST
from harken.models.types import UtcDateTime, utc_micros
from harken.services.integrity.detectors import EventLog, EventRow, SlateRow, Slates
from harken.services.record.admission.quarantines import counts, has_counting_reader
from harken.services.record.slates import SLATES
from harken.services.record.transaction import LOG
from harken.unreadable_rows import parsed

HISTORY = timedelta(days=28)
"""The history before the time looked at; detectors learn from it what is usual."""
PAGE = 10_000
MOST_SLATES = 200_000


class StoredLog(NamedTuple):
    """A log, and the slates of its time; None if there are none."""

    log: EventLog
    slates: Slates | None


async def read_log(database: Database, since: datetime | None) -> StoredLog:
    """Read the log from `HISTORY` before a time on, or all of it. Raises DatabaseUnavailable."""
    begin = None if since is None else since - HISTORY
    async with database.reading(Kind.BULK_READ) as connection:
        log = EventLog.from_rows(await _events(connection, begin))
        rows = await _slates(connection, since or await _first(connection))
    return StoredLog(log, Slates.from_rows(rows, log) if rows else None)


async def _first(connection: AsyncConnection) -> datetime | None:
    first = select(func.min(SLATES.c.created_at, type_=UtcDateTime))
    found: datetime | None = (await connection.execute(first)).scalar_one()
    return found


async def _events(connection: AsyncConnection, begin: datetime | None) -> list[EventRow]:
    columns = LOG.c
    wanted = select(
        columns.user_id, columns.kblock_id, columns.action, utc_micros(columns.created_at),
        columns.dwell_time_ms, columns.session_id,
    ).where(counts(LOG))  # fmt: skip
    if begin is not None:
        wanted = wanted.where(columns.created_at >= begin)
    rows: list[EventRow] = []
    found = await connection.stream(wanted)
    async for page in found.partitions(PAGE):
        rows += [EventRow(*row) for row in page if row[3] is not None]
    return rows


async def _slates(connection: AsyncConnection, since: datetime | None) -> list[SlateRow]:
    """Return the latest slates of named readers since a time."""
    if since is None:
        return []
    columns = SLATES.c
    wanted = (
        select(columns.user_id, utc_micros(columns.created_at), columns["items"])
        .where(
            columns.created_at >= since, columns.user_id != GUEST, has_counting_reader(SLATES)
        )
        .order_by(columns.created_at.desc())
        .limit(MOST_SLATES)
    )  # fmt: skip
    rows: list[SlateRow] = []
    found = await connection.stream(wanted)
    async for page in found.partitions(PAGE):
        for user_id, at, items in page:
            shown = parsed(items, list)
            if at is not None and shown is not None:
                rows.append(SlateRow(user_id, at, tuple(map(str, shown))))
    return rows

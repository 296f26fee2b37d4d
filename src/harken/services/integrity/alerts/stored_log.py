"""The log and the slates of one database, as detectors read them.

Events in quarantine are left out, since somebody has decided on them. Rows are read in the order of
time, `PAGE` at once, from one snapshot, and become columns at once. So 1 M events take 130 MB at
the peak, and not the 490 MB that their rows take besides.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from harken.database import Database, Kind
from harken.domain.feedback import GUEST
from harken.models.types import UtcDateTime, utc_micros
from harken.services.integrity.detectors import EventLog, EventRow, SlateRow, Slates
from harken.services.integrity.detectors.event_log import EventLogBuilder, SlatesBuilder
from harken.services.record.admission.quarantines import counts, has_counting_reader
from harken.services.record.slates import SLATES
from harken.services.record.transaction import LOG
from harken.unreadable_rows import parsed

HISTORY = timedelta(days=28)
"""The history before the time looked at; detectors learn from it what is usual."""
PAGE = 10_000
"""So many rows are in memory as rows."""
MOST_SLATES = 200_000


class StoredLog(NamedTuple):
    """A log, and the slates of its time; None if there are none."""

    log: EventLog
    slates: Slates | None


async def read_log(database: Database, since: datetime | None) -> StoredLog:
    """Read the log from `HISTORY` before a time on, or all of it. Raises DatabaseUnavailable."""
    begin = None if since is None else since - HISTORY
    async with database.reading_anywhere(Kind.BULK_READ) as connection:
        log = await _events(connection, begin)
        slates = await _slates(connection, log, since or await _first(connection))
    return StoredLog(log, slates)


async def _first(connection: AsyncConnection) -> datetime | None:
    first = select(func.min(SLATES.c.created_at, type_=UtcDateTime))
    found: datetime | None = (await connection.execute(first)).scalar_one()
    return found


async def _events(connection: AsyncConnection, begin: datetime | None) -> EventLog:
    columns = LOG.c
    wanted = select(
        columns.user_id, columns.kblock_id, columns.action, utc_micros(columns.created_at),
        columns.dwell_time_ms, columns.session_id,
    ).where(counts(LOG)).order_by(columns.created_at, columns.id)  # fmt: skip
    if begin is not None:
        wanted = wanted.where(columns.created_at >= begin)
    builder = EventLogBuilder()
    found = await connection.stream(wanted)
    async for page in found.partitions(PAGE):
        builder.add(EventRow(*row) for row in page if row[3] is not None)
    return builder.log()


async def _slates(
    connection: AsyncConnection, log: EventLog, since: datetime | None
) -> Slates | None:
    """Return the latest slates of named readers since a time; None if there are none."""
    if since is None:
        return None
    columns = SLATES.c
    wanted = (
        select(columns.user_id, utc_micros(columns.created_at), columns["items"])
        .where(
            columns.created_at >= since, columns.user_id != GUEST, has_counting_reader(SLATES)
        )
        .order_by(columns.created_at.desc())
        .limit(MOST_SLATES)
    )  # fmt: skip
    builder, is_empty = SlatesBuilder(log), True
    found = await connection.stream(wanted)
    async for page in found.partitions(PAGE):
        rows = [
            SlateRow(user_id, at, tuple(map(str, shown)))
            for user_id, at, items in page
            if at is not None and (shown := parsed(items, list)) is not None
        ]
        is_empty = is_empty and not rows
        builder.add(rows)
    return None if is_empty else builder.slates()

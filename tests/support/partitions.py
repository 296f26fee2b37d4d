"""Partitions of the log for tests: on PostgreSQL, as small as a test needs them."""

from datetime import datetime, timedelta
from itertools import pairwise
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from harken.database import Database, Kind
from harken.migrations import log_partitions
from harken.services.integrity.partitions import making
from harken.services.integrity.partitions.bounds import Range, bound_at


def made_at(at: datetime, nth: int = 0) -> str:
    """Return a UUID of version 7 that was made at a time."""
    return str(UUID(int=int(at.timestamp() * 1_000) << 80 | 7 << 76 | 2 << 62 | nth))


async def cut(database: Database, since: datetime, until: datetime, width: timedelta) -> None:
    """Give a log no partitions but those of these times, where it can have any."""
    if not database.is_postgresql:
        return
    bounds = [bound_at(since + n * width) for n in range((until - since) // width + 1)]
    async with database.transaction(Kind.BULK_WRITE) as connection:
        await _join(connection)
        ranges = [Range(*each) for each in pairwise(bounds)]
        await making._open(connection, ranges)


async def _join(connection: AsyncConnection) -> None:
    await connection.run_sync(log_partitions.join)
    await connection.run_sync(log_partitions.partition)

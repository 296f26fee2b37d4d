"""The files that count, and the begin of the log, of one database."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils import uuid7

from harken.database import Database
from harken.models import FeedArchiveFile
from harken.models.types import table
from harken.services.integrity.archive.event_files import EventFile
from harken.services.record.admission.log_start import LOG_START, complete_since
from harken.services.record.admission.rules_token import renew

FILES = table(FeedArchiveFile)


async def archive_id(connection: AsyncConnection, database: Database) -> str:
    """Return the name of this database's files; it is made with the first call."""
    dialect: Any = postgresql if database.is_postgresql else sqlite
    new = dialect.insert(LOG_START).values(id=1, complete_since=None, archive_id=str(uuid7()))
    await connection.execute(new.on_conflict_do_nothing())
    return str((await connection.execute(select(LOG_START.c.archive_id))).scalar_one())


async def begin_later(connection: AsyncConnection, database: Database, at: datetime) -> bool:
    """Let the log begin at a time, unless it begins later already; returns whether it changed.

    All processes read it before they write again.
    """
    known = await complete_since(connection)
    if known is not None and known >= at:
        return False
    await connection.execute(update(LOG_START).values(complete_since=at))
    await renew(connection, database)
    return True


async def registered(connection: AsyncConnection) -> list[EventFile]:
    """Return the files that count, in the order of their days."""
    columns = [FILES.c[name] for name in EventFile._fields]
    found = await connection.execute(select(*columns).order_by(FILES.c.day, FILES.c.first_at))
    return [EventFile(*row) for row in found]


async def register(connection: AsyncConnection, file: EventFile) -> None:
    """Let a file count."""
    await connection.execute(insert(FILES).values(**file._asdict()))


async def unregister(connection: AsyncConnection, files: Collection[EventFile]) -> bool:
    """Let files count no more; returns whether all of them counted until now."""
    own = FILES.c.sha256.in_([each.sha256 for each in files])
    gone = await connection.execute(delete(FILES).where(own))
    return int(gone.rowcount) == len(files)

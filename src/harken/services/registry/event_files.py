"""Gives the whole log of one database as Parquet files, for training by an engine.

What was dropped from the log is in the archive's files; the log itself is written to one more file.
Both are of one snapshot. Readers' choices and quarantine are respected as by `training_data`: the
archive does not know them, so they are tables beside the files.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import file_digest
from pathlib import Path
from typing import Any

from sqlalchemy import Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from harken.database import Database, Kind
from harken.domain.times import FutureItems, micros
from harken.errors import InvalidInput, Problem
from harken.models import FeedArchiveFile
from harken.models.types import table, utc_micros
from harken.services.kblocks import dates
from harken.services.learning.event_files import EventFiles
from harken.services.record.admission.quarantines import QUARANTINES, Target, counts
from harken.services.record.contradictions import KBLOCKS
from harken.services.record.files.parquet_records import pyarrow
from harken.services.record.transaction import LOG
from harken.services.registry.training_data import withheld_readers

PAGE = 50_000
"""So many events are in memory at a time."""
FILES: Table = table(FeedArchiveFile)
_TEXTS = ("interaction_id", "user_id", "kblock_id", "action", "session_id")


class EventFileStore:
    """Writes the log to a file, and lists the files of the archive."""

    def __init__(self, database: Database, future: FutureItems = FutureItems.SHOW) -> None:
        self._database = database
        self._future = future

    async def write(self, folder: Path, since: datetime | None = None) -> EventFiles:
        """Write the log to a folder; returns all files of events, from `since` on.

        Raises InvalidInput if a file of the archive is missing or damaged, MissingExtra, or
        DatabaseUnavailable.
        """
        pa = pyarrow()
        async with self._database.reading_anywhere(Kind.BULK_READ) as connection:
            archived = await _archived(connection, since)
            log = folder / "log.parquet"
            await _write_log(connection, pa, log)
            created = await _created(connection, self._future)
            withheld = await withheld_readers(connection)
            aside = {
                target: await _set_aside(connection, target)
                for target in (Target.READER, Target.SESSION)
            }
        await asyncio.to_thread(_check, archived)
        return EventFiles(
            [*archived, log],
            _columns(pa, kblock=[*created], created_at=[*created.values()]),
            _columns(pa, reader=[*withheld], until=[*withheld.values()]),
            _columns(pa, reader=aside[Target.READER]),
            _columns(pa, session=aside[Target.SESSION]),
            None if since is None else micros(since),
        )


async def _archived(connection: AsyncConnection, since: datetime | None) -> dict[Path, str]:
    """Return the files of the archive with events from `since` on, each with its SHA-256."""
    wanted = select(FILES.c.folder, FILES.c.name, FILES.c.sha256).order_by(FILES.c.day)
    if since is not None:
        wanted = wanted.where(FILES.c.last_at >= since)
    return {Path(folder) / name: own for folder, name, own in await connection.execute(wanted)}


def _check(archived: Mapping[Path, str]) -> None:
    """Raise InvalidInput if a file is not what was registered."""
    for path, own in archived.items():
        try:
            with path.open("rb") as file:
                is_whole = file_digest(file, "sha256").hexdigest() == own
        except OSError as error:
            raise InvalidInput(Problem("archive", f"{path}: {error.strerror}")) from None
        if not is_whole:
            message = f"{path} is damaged: its SHA-256 is not the registered one"
            raise InvalidInput(Problem("archive", message))


async def _write_log(connection: AsyncConnection, pa: Any, path: Path) -> None:
    """Write the events that count, with the columns of the archive that engines read."""
    schema = (
        pa.schema([(name, pa.string()) for name in _TEXTS])
        .append(pa.field("dwell_time_ms", pa.int64()))
        .append(pa.field("occurred_at", pa.timestamp("us", tz="UTC")))
    )
    columns = (LOG.c.id, *(LOG.c[name] for name in _TEXTS[1:]), LOG.c.dwell_time_ms)
    wanted = select(*columns, utc_micros(LOG.c.created_at)).where(counts(LOG))
    rows = await connection.stream(wanted)
    with pa.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        async for page in rows.partitions(PAGE):
            # The time of an event is null where the stored one is invalid.
            kept = [row for row in page if row[-1] is not None]
            await asyncio.to_thread(_write_page, pa, writer, schema, kept)


def _write_page(pa: Any, writer: Any, schema: Any, rows: Sequence[Sequence[Any]]) -> None:
    columns = zip(*rows, strict=True) if rows else ([] for _ in schema)
    arrays = [pa.array(each, of.type) for each, of in zip(columns, schema, strict=True)]
    writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


async def _created(connection: AsyncConnection, future: FutureItems) -> dict[str, int]:
    """Return when K-Blocks appeared, in microseconds since 1970, where it is known."""
    columns = KBLOCKS.c
    rows = await connection.stream(
        select(
            columns.id, dates.created(KBLOCKS, future), utc_micros(columns.received_at),
            columns.source,
        )
    )  # fmt: skip
    found: dict[str, int] = {}
    async for kblock_id, created, received, source in rows:
        at = dates.appeared(created, received, source)
        if at is not None:
            found[kblock_id] = at
    return found


async def _set_aside(connection: AsyncConnection, target: Target) -> list[str]:
    named = select(QUARANTINES.c.subject_id).where(QUARANTINES.c.target == target.value)
    return [*(await connection.execute(named)).scalars()]


def _columns(pa: Any, **columns: Sequence[Any]) -> Any:
    """Return a table of pyarrow; `until` and `created_at` are times, the others ids."""
    times = {"until", "created_at"}
    return pa.table(
        {
            name: pa.array(values, pa.int64() if name in times else pa.string())
            for name, values in columns.items()
        }
    )

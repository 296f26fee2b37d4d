"""Takes a reader or a K-Block out of what was dropped: the baseline, then the files.

The rows of the baseline go in transactions of bounded size, each of which counts the statistics of
its readers and K-Blocks again. The counts per minute of dropped events are known from the files
alone: the transaction that replaces a file subtracts those of the rows that it loses.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, Select, and_, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from harken.database import Database, Kind
from harken.domain.feedback import FeedbackAction
from harken.services.integrity.activity import Activity
from harken.services.integrity.archive import file_register
from harken.services.integrity.archive.event_files import EventFile, EventFolder, Split, split
from harken.services.integrity.archive.merging import tidy
from harken.services.integrity.event_removal import MOST_EVENTS, bounded, sizes
from harken.services.integrity.key_lists import as_pairs, listed_pair
from harken.services.integrity.recounting import Event, Recount
from harken.services.integrity.retrying import repeated
from harken.services.record.admission.rules_token import take_turn
from harken.services.record.admission.subjects import Subject
from harken.services.record.baseline.definitions import (
    BASELINE_CONTRADICTIONS,
    BASELINE_MINUTES,
    BASELINE_READERS,
)
from harken.services.record.statistics import COUNTERS

if TYPE_CHECKING:
    from datetime import datetime

COLUMN = {Subject.READER: "user_id", Subject.KBLOCK: "kblock_id"}
Note = Callable[[AsyncConnection, Mapping[str, int]], Awaitable[None]]
"""Adds numbers of removed rows to the receipt, within the transaction."""


async def remove_baseline(
    connection: AsyncConnection, database: Database, subject: Subject, own_id: str
) -> tuple[int, frozenset[str]]:
    """Remove some rows of the baseline, and count their statistics again.

    Returns their number, 0 if none are left, and the K-Blocks in which nothing counts any more.
    """
    rows = BASELINE_READERS.c
    wanted: Select[Any] = select(rows.user_id, rows.kblock_id).where(
        rows[COLUMN[subject]] == own_id
    )
    some: Select[Any] = wanted.order_by(rows.kblock_id).limit(MOST_EVENTS[subject])
    chosen: Sequence[Row[Any]] = (await connection.execute(some)).all()
    if not chosen:
        return 0, frozenset()
    if subject is Subject.READER:
        chosen = bounded(chosen, await sizes(connection, chosen))
    pairs = sorted({(row.user_id, row.kblock_id) for row in chosen})
    recount = Recount(connection, database, [Event("", *pair) for pair in pairs])
    keys = as_pairs(database, "pairs", pairs)
    reported = await _contradicted(connection, database, keys)
    for table in BASELINE_READERS, BASELINE_CONTRADICTIONS:
        own = listed_pair(
            table.c.user_id, table.c.kblock_id, "pairs", postgresql=database.is_postgresql
        )
        await connection.execute(delete(table).where(own), keys)
    return len(chosen), await recount.again() | reported


async def _contradicted(
    connection: AsyncConnection, database: Database, keys: Mapping[str, Any]
) -> frozenset[str]:
    rows = BASELINE_CONTRADICTIONS.c
    own = listed_pair(rows.user_id, rows.kblock_id, "pairs", postgresql=database.is_postgresql)
    found = await connection.execute(select(rows.kblock_id, rows.other_id).where(own), keys)
    return frozenset(name for row in found for name in row)


async def remove_from_files(database: Database, subject: Subject, own_id: str, note: Note) -> int:
    """Rewrite the files that have rows of a reader or a K-Block; returns how many are missing.

    A missing or damaged file keeps its place in the register: a later call finds it again.
    """
    changed: set[str] = set()
    while True:
        files = await _registered(database)
        missing, is_outdated = set(), False
        for file in files:
            try:
                rows = await asyncio.to_thread(split, file, COLUMN[subject], own_id)
            except OSError:
                missing.add(file)
                continue
            if rows.removed:
                changed.add(file.folder)
                is_outdated |= not await _replace(database, file, rows, note)
        # An archive may have merged some of them meanwhile.
        if not is_outdated and missing <= set(await _registered(database)):
            break
    for folder in changed:
        await repeated(partial(_tidy, database, folder))
    return len(missing)


async def _registered(database: Database) -> list[EventFile]:
    async with database.reading(Kind.SNAPSHOT) as connection:
        return await file_register.registered(connection)


async def _tidy(database: Database, folder: str) -> None:
    async with database.transaction(Kind.WRITE) as connection:
        own = await file_register.archive_id(connection, database)
    await tidy(database, EventFolder(Path(folder)), own)


async def _replace(
    database: Database,
    file: EventFile,
    rows: Split,
    note: Note,
) -> bool:
    """Replace a file by one without some of its rows; False if it counts no more."""
    folder, prepared = EventFolder(Path(file.folder)), None
    if rows.kept:
        prepared = await asyncio.to_thread(folder.prepare, file.day, rows.kept)

    async def replace() -> bool:
        async with database.transaction(Kind.BULK_WRITE) as connection:
            await take_turn(connection, database)
            if not await file_register.unregister(connection, [file]):
                return False
            if prepared is not None:
                await asyncio.to_thread(prepared.place)
                await file_register.register(connection, prepared.file)
            await _subtract(connection, database, rows.removed)
            await note(connection, {"archived_events": len(rows.removed)})
        if prepared is not None:
            await asyncio.to_thread(prepared.settle)
        return True

    try:
        return await repeated(replace)
    finally:
        if prepared is not None:
            await asyncio.to_thread(prepared.discard)


async def _subtract(
    connection: AsyncConnection, database: Database, removed: Sequence[Mapping[str, Any]]
) -> None:
    counted = counted_by_minute(removed)
    rows = BASELINE_MINUTES.c
    for row in counted:
        own = rows.minute == row["minute"]
        values: dict[str, Any] = {name: rows[name] - row[name] for name in COUNTERS}
        await connection.execute(update(BASELINE_MINUTES).where(own).values(values))
    is_nothing = and_(*(rows[name] == 0 for name in COUNTERS))
    await connection.execute(delete(BASELINE_MINUTES).where(is_nothing))
    await Activity(connection, database).subtract(counted)


def counted_by_minute(events: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Count events by minute as `statistics.by_minute` does; rows have `minute` and `COUNTERS`."""
    counts: dict[datetime, Counter[str]] = {}
    for event in events:
        minute = event["occurred_at"].replace(second=0, microsecond=0)
        own = counts.setdefault(minute, Counter())
        own[f"{event['action']}_count"] += 1
        if event["action"] == FeedbackAction.VIEW.value and event["dwell_time_ms"] is not None:
            own["dwell_count"] += 1
            own["dwell_sum_ms"] += event["dwell_time_ms"]
    return [
        {"minute": at, **{name: own[name] for name in COUNTERS}}
        for at, own in sorted(counts.items())
    ]

"""Tidies the folder of dropped events: the files of a day become one, and remains are deleted."""

import asyncio
from collections.abc import Sequence
from itertools import groupby

from harken.database import Database, Kind
from harken.services.integrity.archive import file_register
from harken.services.integrity.archive.event_files import EventFile, EventFolder, read
from harken.services.integrity.retrying import repeated
from harken.services.record.admission.rules_token import take_turn

MOST_MERGED = 100_000
"""Events of a merged file."""


async def merge_all(database: Database, folder: EventFolder) -> None:
    """Merge the files of each day, up to a size. Raises DatabaseUnavailable."""
    async with database.reading(Kind.SNAPSHOT) as connection:
        files = await file_register.registered(connection)
    own = [each for each in files if each.folder == str(folder.path)]
    for _day, listed in groupby(own, lambda each: each.day):
        for some in _mergeable(list(listed)):
            await _merge(database, folder, some)


async def _merge(database: Database, folder: EventFolder, files: Sequence[EventFile]) -> None:
    try:
        parts = [await asyncio.to_thread(read, each) for each in files]
    except OSError:
        return  # one is missing or damaged: an erasure says so
    rows = [row for part in parts for row in part]
    rows.sort(key=lambda row: (row["occurred_at"], row["interaction_id"]))
    prepared = await asyncio.to_thread(folder.prepare, files[0].day, rows)

    async def replace() -> None:
        async with database.transaction(Kind.WRITE) as connection:
            await take_turn(connection, database)
            if await file_register.unregister(connection, files):
                await asyncio.to_thread(prepared.place)
                await file_register.register(connection, prepared.file)
            else:  # an erasure came between: these files are as they were
                raise _Changed
        await asyncio.to_thread(prepared.settle)

    try:
        await repeated(replace)
    except _Changed:
        return
    finally:
        await asyncio.to_thread(prepared.discard)


class _Changed(Exception):
    """Files that were to be merged count no more."""


async def tidy(database: Database, folder: EventFolder, archive_id: str) -> None:
    """Delete what is not registered in a folder, and write its manifest.

    The turn is held meanwhile, so that nobody gives a file its name before it is registered.
    """
    async with database.transaction(Kind.WRITE) as connection:
        await take_turn(connection, database)
        files = await file_register.registered(connection)
        own = [each for each in files if each.folder == str(folder.path)]
        await asyncio.to_thread(folder.remove_remains, own)
        await asyncio.to_thread(folder.describe, archive_id, own)


def _mergeable(files: Sequence[EventFile]) -> list[list[EventFile]]:
    """Return groups of at least two files of a day, each with at most `MOST_MERGED` events."""
    groups: list[list[EventFile]] = [[]]
    for file in files:
        if sum(each.events for each in groups[-1]) + file.events > MOST_MERGED:
            groups.append([])
        groups[-1].append(file)
    return [group for group in groups if len(group) > 1]

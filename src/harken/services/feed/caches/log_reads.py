"""Reads of the log for the state of readers: the newest events, those since a time, a reader's own.

All are without events that are set aside, that are being erased, or whose time is unreadable.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, func, literal, select

from harken.database import Database, Prepared, is_in_list
from harken.domain.feedback import LogEntry
from harken.models.types import UtcDateTime, read_time, utc_micros, utc_text
from harken.services.feed.caches.catalogue import STANDBY_SECONDS
from harken.services.record.admission.quarantines import counts
from harken.services.record.admission.tombstones import Tombstones
from harken.services.record.readers import USERS
from harken.services.record.transaction import LOG

# More rows than these are converted in a thread.
AT_ONCE = 500


class LogReads:
    """Reads entries of the log, the latest one last. Every method raises DatabaseUnavailable.

    Entries of all readers are many, so a standby is asked for them first.
    """

    def __init__(self, database: Database, tombstones: Tombstones) -> None:
        self._database = database
        self._tombstones = tombstones

    async def newest(self, most: int) -> list[LogEntry]:
        """Return the newest entries, at most so many."""
        return await self._entries(await self._of_all(_NEWEST, {"most": most}))

    async def unknown_since(
        self, since: datetime, most: int, is_known: Callable[[str], bool]
    ) -> list[LogEntry]:
        """Return those of the newest entries since a time whose ids are not known.

        Nearly all are known, so their ids are read first.
        """
        parameters = {"since": self._time(since), "most": most}
        rows = await self._of_all(_IDS_SINCE, parameters)
        unknown = [own_id for (own_id,) in rows if not is_known(own_id)]
        if not unknown:
            return []
        statement = _of_ids_since(postgresql=self._database.is_postgresql)
        listed = {"ids": self._database.as_list(unknown)}
        return await self._entries(await self._of_all(statement, parameters | listed))

    async def of_reader(self, user_id: str, since: datetime, most: int) -> list[LogEntry]:
        """Return the last entries of a reader since a time."""
        parameters = {"user_id": user_id, "since": self._time(since), "most": most}
        return await self._entries(await self._database.read(_OF_READER, parameters))

    async def ids_of_reader(self, user_id: str, since: datetime, most: int) -> str:
        """Return the ids of a reader's last entries since a time, the latest first, with commas."""
        parameters = {"user_id": user_id, "since": self._time(since), "most": most}
        statement = _ids_of_reader(postgresql=self._database.is_postgresql)
        [[ids]] = await self._database.read(statement, parameters)
        return ids or ""

    async def resets(self) -> dict[str, int]:
        """Return when readers reset their profiles, in microseconds since 1970."""
        rows = await self._database.read(_RESETS, {})
        return {user_id: since or 0 for user_id, since in rows}

    async def _of_all(self, statement: Prepared, parameters: dict[str, Any]) -> Sequence[Any]:
        return await self._database.off_primary(
            lambda database: database.read(statement, parameters), STANDBY_SECONDS
        )

    async def _entries(self, rows: Sequence[Sequence[Any]]) -> list[LogEntry]:
        # Of many rows in a thread: that takes longer than other requests should wait.
        if len(rows) > AT_ONCE:
            return await asyncio.to_thread(self._converted, rows)
        return self._converted(rows)

    def _converted(self, rows: Sequence[Sequence[Any]]) -> list[LogEntry]:
        read = _dated(rows)
        refused = self._tombstones.refused(read)
        return [entry for place, entry in enumerate(read) if place not in refused]

    def _time(self, at: datetime) -> Any:
        return at if self._database.is_postgresql else utc_text(at)


def _dated(rows: Sequence[Sequence[Any]]) -> list[LogEntry]:
    """Return the entries that have a readable time, the latest one last."""
    # The statements bypass SQLAlchemy's types, so times are as the database keeps them.
    entries = (LogEntry._make(row) for row in reversed(rows))
    dated = [(entry, read_time(entry.created_at)) for entry in entries]
    return [entry._replace(created_at=at) for entry, at in dated if at is not None]


_LATEST_FIRST: Select[Any] = (
    select(*(LOG.c[name] for name in LogEntry._fields))
    .where(counts(LOG))
    .order_by(LOG.c.created_at.desc(), LOG.c.id.desc())
    .limit(bindparam("most"))
)
_SINCE = _LATEST_FIRST.where(LOG.c.created_at >= bindparam("since", type_=UtcDateTime))
_LAST_OF_READER = _SINCE.where(LOG.c.user_id == bindparam("user_id"))

_NEWEST = Prepared(_LATEST_FIRST)
_IDS_SINCE = Prepared(_SINCE.with_only_columns(LOG.c.id))
_OF_READER = Prepared(_LAST_OF_READER)
_RESETS = Prepared(
    select(USERS.c.user_id, utc_micros(USERS.c.profile_since)).where(
        USERS.c.profile_since.is_not(None)
    )
)


@cache
def _of_ids_since(*, postgresql: bool) -> Prepared:
    return Prepared(_SINCE.where(is_in_list(LOG.c.id, "ids", postgresql=postgresql)))


@cache
def _ids_of_reader(*, postgresql: bool) -> Prepared:
    ids = _LAST_OF_READER.with_only_columns(LOG.c.id).subquery("ids").c.id
    joined = func.string_agg if postgresql else func.group_concat
    return Prepared(select(joined(ids, literal(","))))

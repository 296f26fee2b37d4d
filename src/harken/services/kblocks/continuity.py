"""Detects that a database was replaced, or lost data that it had.

This happens when a standby takes over without the last seconds of data, or when a backup replaces
a file. Then the data in memory may contain rows that the database no longer has.
"""

import logging
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import func, null, select
from sqlalchemy.ext.asyncio import AsyncConnection

from harken.database import Database
from harken.domain.times import LATEST_TIME
from harken.models.types import utc_now
from harken.services.kblocks.turns import CLOCK
from harken.services.record import analytics
from harken.services.record.admission.rules_token import TOKEN
from harken.services.record.statistics import CONTRADICTIONS

log = logging.getLogger(__name__)


class DatabaseState(NamedTuple):
    """The state of the database at one moment."""

    at: datetime
    revision: int
    contradicted_at: datetime | None
    server: datetime | None  # when PostgreSQL was started
    file: int = 0  # how often the file of SQLite was replaced
    events: int | None = None  # None if they were not counted
    token: str = ""  # changes when events are erased, set aside or released


class Continuity:
    """Compares each state of the database with the previous one."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._before: DatabaseState | None = None
        self.breaks = 0
        """How often the database was found to be replaced, or to lack data."""

    async def look(self, connection: AsyncConnection, *, count: bool) -> DatabaseState:
        """Read the state of the database in a transaction; `count` also counts the log's events."""
        at = CONTRADICTIONS.c.updated_at
        latest = select(func.max(at)).where(at <= LATEST_TIME).scalar_subquery()
        server: Any = func.pg_postmaster_start_time() if self._database.is_postgresql else null()
        found = await connection.execute(select(utc_now(), CLOCK.c.revision, latest, server, TOKEN))
        at, revision, contradicted_at, started, token = found.one()
        file = self._database.file_replacements
        look = DatabaseState(at, revision, contradicted_at, started, file, None, token)
        before = self._before
        is_same = before is not None and before.token == token and not self.is_broken(look)
        if is_same and not count:
            return look
        counted = (await connection.execute(analytics.counts())).one()
        return look._replace(events=int(sum(counted)))

    def is_broken(self, look: DatabaseState) -> bool:
        """Tell whether the database may lack data that it had in the previous state."""
        before = self._before
        return before is not None and (
            look.revision < before.revision
            or (look.server, look.file) != (before.server, before.file)
            or _shorter(before, look)
        )

    def keep(self, look: DatabaseState) -> None:
        """Store this state for the next comparison, after memory was brought up to date with it."""
        before = self._before
        if before is not None and self.is_broken(look):
            self.breaks += 1
            is_less = look.revision < before.revision or _shorter(before, look)
            log.log(
                logging.ERROR if is_less else logging.WARNING,
                "The database %s; everything is read again. It was at revision %d with at least %s "
                "events, and is at revision %d with %s events.",
                "lost data" if is_less else "was restarted or replaced",
                before.revision, before.events, look.revision, look.events,
            )  # fmt: skip
        kept = look.events if before is None or look.events is not None else before.events
        self._before = look._replace(events=kept)


def _shorter(before: DatabaseState, now: DatabaseState) -> bool:
    # Events that are set aside leave the counts that this compares.
    is_comparable = before.token == now.token
    return (
        is_comparable
        and before.events is not None
        and now.events is not None
        and now.events < before.events
    )

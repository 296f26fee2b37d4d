"""Whether a database is the one that it was, or lacks something that it had.

A standby takes over that had not heard of the last seconds; a backup is put in the place of a file.
What was read before and is kept in memory may be of things that never happened, then.
"""

import logging
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import func, null, select
from sqlalchemy.ext.asyncio import AsyncConnection

from harken.database import Database
from harken.domain.times import LATEST_TIME
from harken.models.types import utc_now
from harken.services.kblocks.store import CLOCK
from harken.services.record import analytics
from harken.services.record.statistics import CONTRADICTIONS

log = logging.getLogger(__name__)


class Look(NamedTuple):
    """What a look at the database begins with."""

    at: datetime
    revision: int
    contradicted_at: datetime | None
    server: datetime | None  # when PostgreSQL was started
    file: int = 0  # how often that of SQLite was another one
    events: int | None = None  # where they were counted


class Continuity:
    """Compares each look with the one before."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._before: Look | None = None
        self.breaks = 0
        """How often the database was found to be another one, or to lack something."""

    async def look(self, connection: AsyncConnection, *, count: bool) -> Look:
        """Look at the database in a transaction; with `count`, at the length of its log too."""
        at = CONTRADICTIONS.c.updated_at
        latest = select(func.max(at)).where(at <= LATEST_TIME).scalar_subquery()
        server: Any = func.pg_postmaster_start_time() if self._database.is_postgresql else null()
        found = await connection.execute(select(utc_now(), CLOCK.c.revision, latest, server))
        look = Look(*found.one())._replace(file=self._database.file_replacements)
        if not count and self._before is not None and not self.is_broken(look):
            return look
        counted = (await connection.execute(analytics.counts())).one()
        return look._replace(events=int(sum(counted)))

    def is_broken(self, look: Look) -> bool:
        """Tell whether the database may lack what it had at the look before."""
        before = self._before
        return before is not None and (
            look.revision < before.revision
            or (look.server, look.file) != (before.server, before.file)
            or _shorter(before, look)
        )

    def keep(self, look: Look) -> None:
        """Compare the next look with this one, after which all is as the database has it."""
        before = self._before
        if before is not None and self.is_broken(look):
            self.breaks += 1
            is_less = look.revision < before.revision or _shorter(before, look)
            log.log(
                logging.ERROR if is_less else logging.WARNING,
                "The database %s; all is read anew. It was at revision %d with %s events or more, "
                "and is at revision %d with %s.",
                "lost what it had" if is_less else "was restarted or replaced",
                before.revision, before.events, look.revision, look.events,
            )  # fmt: skip
        kept = look.events if before is None or look.events is not None else before.events
        self._before = look._replace(events=kept)


def _shorter(before: Look, now: Look) -> bool:
    return before.events is not None and now.events is not None and now.events < before.events

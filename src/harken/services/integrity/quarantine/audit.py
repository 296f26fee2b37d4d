"""The audit of quarantines, and the rules in force, of one database."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils import uuid7

from harken.database import Database, Kind
from harken.models import FeedQuarantineAct
from harken.models.types import table, utc_later, utc_now
from harken.services.record.admission.quarantines import QUARANTINES, SET_ASIDE, Target

ACTS = table(FeedQuarantineAct)
MOST_LISTED = 1_000
DAY = timedelta(days=1)


class Act(StrEnum):
    """What is done to readers, sessions or events."""

    QUARANTINE = "quarantine"
    RELEASE = "release"


class InForce(NamedTuple):
    """A reader, session or event that is set aside, with the number of its events."""

    target: Target
    id: str
    events: int
    by: str
    reason: str
    alert_id: str | None
    since: datetime


class Entry(NamedTuple):
    """A line of the audit; `id` is None if the reader was erased since."""

    act_id: str
    act: Act
    target: Target
    id: str | None
    by: str
    reason: str
    alert_id: str | None
    events: int
    at: datetime


class Audit:
    """Lists the rules in force and the acts of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def in_force(self, limit: int = MOST_LISTED, offset: int = 0) -> list[InForce]:
        """Return what is set aside, the latest first. Raises DatabaseUnavailable."""
        columns = QUARANTINES.c
        events = (
            select(func.count())
            .where(SET_ASIDE.c.quarantine_id == columns.quarantine_id)
            .correlate(QUARANTINES)
            .scalar_subquery()
        )
        wanted = (
            select(
                columns.target, columns.subject_id, events, columns.created_by, columns.reason,
                columns.alert_id, columns.created_at,
            )
            .order_by(columns.created_at.desc(), columns.quarantine_id.desc())
            .limit(limit).offset(offset)
        )  # fmt: skip
        async with self._database.reading(Kind.SNAPSHOT) as connection:
            found = await connection.execute(wanted)
            return [InForce(Target(row[0]), *row[1:]) for row in found]

    async def acts(self, limit: int = MOST_LISTED, offset: int = 0) -> list[Entry]:
        """Return the lines of the audit, the latest first. Raises DatabaseUnavailable."""
        columns = ACTS.c
        wanted = (
            select(
                columns.act_id, columns.act, columns.target, columns.subject_id,
                columns.created_by, columns.reason, columns.alert_id, columns.events,
                columns.created_at,
            )
            .order_by(columns.created_at.desc(), columns.entry_id.desc())
            .limit(limit).offset(offset)
        )  # fmt: skip
        async with self._database.reading() as connection:
            found = await connection.execute(wanted)
            return [Entry(row[0], Act(row[1]), Target(row[2]), *row[3:]) for row in found]

    async def count_by(self, by: str) -> int:
        """Return how many ids somebody set aside in the last day. Raises DatabaseUnavailable."""
        day_ago = utc_later(-int(DAY.total_seconds()))
        recent = ACTS.c.created_at > day_ago
        wanted = select(func.count()).where(
            ACTS.c.created_by == by, ACTS.c.act == Act.QUARANTINE.value, recent
        )
        async with self._database.reading() as connection:
            return int((await connection.execute(wanted)).scalar_one())

    async def note(
        self,
        connection: AsyncConnection,
        act: Act,
        target: Target,
        events: Mapping[str, int],
        *,
        by: str,
        reason: str,
        alert_id: str | None,
    ) -> str:
        """Write a line for each id, with the number of its events; returns the id of the act."""
        act_id = str(uuid7())
        own = {
            "act_id": act_id, "act": act.value, "target": target.value,
            "created_by": by, "reason": reason, "alert_id": alert_id,
        }  # fmt: skip
        rows = [
            own | {"entry_id": str(uuid7()), "subject_id": name, "events": count}
            for name, count in events.items()
        ]
        await connection.execute(insert(ACTS).values(created_at=utc_now()), rows)
        return act_id

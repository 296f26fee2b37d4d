"""The alerts of one database, and what was decided on them.

An alert that is found again is the same alert: of the same detector, about the same reader,
session, K-Block or stream. If somebody decided on it, it is open again when its evidence begins
after the decision.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils import uuid7

from harken.database import Database, Kind, translated
from harken.domain.times import EARLIEST_TIME, LATEST_TIME, from_micros
from harken.errors import NotFound, quoted
from harken.models import FeedAlert, FeedAlertMember
from harken.models.types import table, utc_now
from harken.services.integrity.detectors import Alert
from harken.unreadable_rows import parsed

ALERTS = table(FeedAlert)
MEMBERS = table(FeedAlertMember)

MOST_LISTED = 1_000
MOST_MEMBERS = 10_000
MOST_ID = 64


class AlertState(StrEnum):
    """What was decided on an alert."""

    OPEN = "open"
    DISMISSED = "dismissed"
    QUARANTINED = "quarantined"


class StoredAlert(NamedTuple):
    """An alert as it is kept; `members` are the readers that it accuses."""

    alert_id: str
    detector: str
    kind: str
    id: str
    score: float
    began_at: datetime | None
    ended_at: datetime | None
    words: str
    figures: dict[str, Any]
    state: AlertState
    found_at: datetime
    seen_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    note: str | None
    members: tuple[str, ...] = ()


class AlertStore:
    """Stores and lists alerts."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._insert: Any = postgresql.insert if database.is_postgresql else sqlite.insert

    async def put(self, alerts: Sequence[Alert]) -> tuple[list[str], int]:
        """Store alerts; returns the ids of new and reopened ones, and how many were known.

        Raises DatabaseUnavailable.
        """
        with translated():
            async with self._database.transaction(Kind.BULK_WRITE) as connection:
                stored = [await self._put(connection, alert) for alert in alerts]
        fresh = [alert_id for alert_id in stored if alert_id is not None]
        return fresh, len(alerts) - len(fresh)

    async def _put(self, connection: AsyncConnection, alert: Alert) -> str | None:
        """Store one alert; returns its id if it is new or open again."""
        own = hashlib.sha256("\0".join([alert.detector, alert.kind, alert.id]).encode()).hexdigest()
        found = await connection.execute(
            select(ALERTS).where(ALERTS.c.fingerprint == own).with_for_update()
        )
        known = found.one_or_none()
        began_at = _at(alert.start)
        values: dict[str, Any] = {
            "score": alert.score, "began_at": began_at, "ended_at": _at(alert.end),
            "evidence": json.dumps(alert.evidence.as_json(), ensure_ascii=False),
            "seen_at": utc_now(),
        }  # fmt: skip
        if known is None:
            alert_id = str(uuid7())
            values |= {
                "alert_id": alert_id, "fingerprint": own, "detector": alert.detector,
                "kind": alert.kind.value, "subject_id": alert.id[:MOST_ID],
                "state": AlertState.OPEN.value, "found_at": utc_now(),
            }  # fmt: skip
            await connection.execute(insert(ALERTS).values(values))
            await self._put_members(connection, alert_id, alert)
            return alert_id
        is_reopened = known.state != AlertState.OPEN.value
        if is_reopened:
            if known.decided_at is not None and began_at <= known.decided_at:
                return None  # the decision stands: the evidence begins before it
            values["state"] = AlertState.OPEN.value
        same = ALERTS.c.alert_id == known.alert_id
        await connection.execute(update(ALERTS).where(same).values(values))
        await self._put_members(connection, known.alert_id, alert)
        return str(known.alert_id) if is_reopened else None

    async def _put_members(self, connection: AsyncConnection, alert_id: str, alert: Alert) -> None:
        """Store the readers whom an alert accuses; those of an earlier run stay."""
        rows = [
            {"alert_id": alert_id, "member_id": each}
            for each in sorted(set(alert.members))[:MOST_MEMBERS]
        ]
        if rows:
            await connection.execute(self._insert(MEMBERS).on_conflict_do_nothing(), rows)

    async def listed(
        self, state: AlertState | None = None, limit: int = 100, offset: int = 0
    ) -> tuple[list[StoredAlert], int]:
        """Return alerts without their members, most suspect first, and how many there are.

        Raises DatabaseUnavailable.
        """
        wanted, count = select(ALERTS), select(func.count()).select_from(ALERTS)
        if state is not None:
            wanted = wanted.where(ALERTS.c.state == state.value)
            count = count.where(ALERTS.c.state == state.value)
        order = ALERTS.c.score.desc(), ALERTS.c.found_at.desc(), ALERTS.c.alert_id
        async with self._database.reading(Kind.SNAPSHOT) as connection:
            found = await connection.execute(wanted.order_by(*order).limit(limit).offset(offset))
            alerts = [_alert(row) for row in found]
            return alerts, int((await connection.execute(count)).scalar_one())

    async def get(self, alert_id: str) -> StoredAlert:
        """Return an alert with its members. Raises NotFound or DatabaseUnavailable."""
        async with self._database.reading(Kind.SNAPSHOT) as connection:
            found = await connection.execute(select(ALERTS).where(ALERTS.c.alert_id == alert_id))
            if (row := found.one_or_none()) is None:
                raise _unknown(alert_id)
            members = await connection.execute(
                select(MEMBERS.c.member_id)
                .where(MEMBERS.c.alert_id == alert_id)
                .order_by(MEMBERS.c.member_id)
            )
            return _alert(row)._replace(members=tuple(members.scalars()))

    async def dismiss(self, alert_id: str, by: str, note: str = "") -> StoredAlert:
        """Note that an alert is no reason to act. Raises NotFound or DatabaseUnavailable."""
        with translated():
            async with self._database.transaction(Kind.WRITE) as connection:
                await decide(connection, alert_id, AlertState.DISMISSED, by, note)
        return await self.get(alert_id)


async def decide(
    connection: AsyncConnection, alert_id: str, state: AlertState, by: str, note: str
) -> None:
    """Store a decision on an alert, within a transaction. Raises NotFound."""
    decided = await connection.execute(
        update(ALERTS)
        .where(ALERTS.c.alert_id == alert_id)
        .values(state=state.value, decided_by=by, decided_at=utc_now(), note=note)
    )
    if not decided.rowcount:
        raise _unknown(alert_id)


async def remove_naming(connection: AsyncConnection, user_id: str) -> int:
    """Delete the alerts that name a reader, within a transaction; returns how many."""
    named = select(MEMBERS.c.alert_id).where(MEMBERS.c.member_id == user_id)
    ids = list((await connection.execute(named)).scalars())
    await connection.execute(delete(MEMBERS).where(MEMBERS.c.alert_id.in_(ids)))
    return (await connection.execute(delete(ALERTS).where(ALERTS.c.alert_id.in_(ids)))).rowcount


def accused(alerts: Iterable[Alert], least: float) -> dict[str, str]:
    """Return the readers of alerts with at least a score, each with the detector that accuses."""
    found: dict[str, str] = {}
    for alert in alerts:
        if alert.score >= least:
            for member in alert.members:
                found.setdefault(member, alert.detector)
    return found


def _at(micros: int) -> datetime:
    return min(max(from_micros(micros), EARLIEST_TIME), LATEST_TIME)


def _alert(row: Row[Any]) -> StoredAlert:
    evidence = parsed(row.evidence, dict) or {}
    return StoredAlert(
        row.alert_id, row.detector, row.kind, row.subject_id, row.score, row.began_at,
        row.ended_at, str(evidence.get("words", "")), evidence.get("figures") or {},
        AlertState(row.state), row.found_at, row.seen_at, row.decided_by, row.decided_at, row.note,
    )  # fmt: skip


def _unknown(alert_id: str) -> NotFound:
    return NotFound(f"there is no alert {quoted(alert_id)}")

"""Quarantines: which events are recorded and count nothing.

An event counts unless it is in `feed_set_aside`: that table alone decides, for recording, `verify`,
`rebuild` and every query over the log. The rules in `feed_quarantines` say which new events get
there. A process keeps the rules in memory, by the same token as the tombstones: a statement that
writes by outdated rules writes nothing, and is sent again. Without rules, recording costs nothing.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import ColumnElement, FromClause, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from harken.domain.feedback import LogEntry
from harken.models import FeedQuarantine, FeedSetAside
from harken.models.types import table

QUARANTINES = table(FeedQuarantine)
SET_ASIDE = table(FeedSetAside)


class Target(StrEnum):
    """What a rule names: all events of a reader or of a session, or one event."""

    READER = "reader"
    SESSION = "session"
    EVENT = "event"


class LeftOut(NamedTuple):
    """How much is set aside: events of the log, and readers and sessions that a rule names."""

    events: int
    readers: int
    sessions: int


async def left_out(connection: AsyncConnection) -> LeftOut:
    """Return how much is set aside. Raises the database's own errors."""
    marked = select(func.count(SET_ASIDE.c.interaction_id.distinct())).scalar_subquery()
    named = (
        select(func.count()).where(QUARANTINES.c.target == target.value).scalar_subquery()
        for target in (Target.READER, Target.SESSION)
    )
    return LeftOut(*(await connection.execute(select(marked, *named))).one())


def counts(log: FromClause) -> ColumnElement[bool]:
    """Tell whether a row of the log counts: no rule sets it aside."""
    marks = select(SET_ASIDE.c.interaction_id).where(SET_ASIDE.c.interaction_id == log.c.id)
    return ~marks.correlate(log).exists()


def later_quarantines(made: FromClause) -> ColumnElement[int]:
    """Count the quarantines in force whose events a row, such as a model, may have been made from.

    Their first event was recorded before the row's `created_at`, and they began after it.
    """
    own = QUARANTINES.c
    later = own.created_at > made.c.created_at, own.first_recorded_at <= made.c.created_at
    return select(func.count()).where(*later).correlate(made).scalar_subquery()


def has_counting_reader(slates: FromClause) -> ColumnElement[bool]:
    """Tell whether neither the reader nor the session of a slate is in quarantine."""
    own = QUARANTINES.c
    named = or_(
        and_(own.target == Target.READER.value, own.subject_id == slates.c.user_id),
        and_(own.target == Target.SESSION.value, own.subject_id == slates.c.session_id),
    )
    return ~select(own.subject_id).where(named).correlate(slates).exists()


def reader_counts(rows: FromClause) -> ColumnElement[bool]:
    """Tell whether the reader of a row is not in quarantine; its session does not matter."""
    own = QUARANTINES.c
    named = own.target == Target.READER.value, own.subject_id == rows.c.user_id
    return ~select(own.subject_id).where(*named).correlate(rows).exists()


class Quarantines:
    """The rules that this process knows for new events; none at first."""

    def __init__(self) -> None:
        self._readers: dict[str, str] = {}
        self._sessions: dict[str, str] = {}

    def marks(self, entries: Iterable[LogEntry]) -> list[tuple[str, str]]:
        """Return the id of each entry that does not count, with the id of the rule."""
        if not self._readers and not self._sessions:
            return []
        return [(entry.id, rule) for entry in entries for rule in self._rules(entry)]

    def counting(self, entries: Sequence[LogEntry]) -> list[LogEntry]:
        """Return the entries that count by these rules."""
        aside = {entry_id for entry_id, _rule in self.marks(entries)}
        return [entry for entry in entries if entry.id not in aside]

    def _rules(self, entry: LogEntry) -> list[str]:
        found = [self._readers.get(entry.user_id)]
        if entry.session_id is not None:
            found.append(self._sessions.get(entry.session_id))
        return [rule for rule in found if rule is not None]

    async def read(self, connection: AsyncConnection) -> None:
        """Read the rules. Raises the database's own errors."""
        columns = QUARANTINES.c
        found = await connection.execute(
            select(columns.target, columns.subject_id, columns.quarantine_id).where(
                columns.target != Target.EVENT.value
            )
        )
        known: dict[str, dict[str, str]] = {each.value: {} for each in Target}
        for target, subject_id, rule in found:
            known[target][subject_id] = rule
        self._readers, self._sessions = known[Target.READER], known[Target.SESSION]

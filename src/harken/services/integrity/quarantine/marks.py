"""The rules of quarantines, and the events that they set aside, within one transaction."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Select,
    delete,
    exists,
    func,
    insert,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from harken.database import Database
from harken.models.types import UtcDateTime, utc_now
from harken.services.integrity.key_lists import Pair, as_pairs, listed, pairs
from harken.services.integrity.recounting import Event
from harken.services.integrity.writers import qualified
from harken.services.record import analytics
from harken.services.record.admission.quarantines import (
    QUARANTINES,
    SET_ASIDE,
    Target,
    counts,
    left_out,
)
from harken.services.record.transaction import LOG

_NAMED: dict[Target, ColumnElement[Any]] = {
    Target.READER: LOG.c.user_id,
    Target.SESSION: LOG.c.session_id,
    Target.EVENT: LOG.c.id,
}
"""The column of the log that the ids of a rule are compared with."""


class Mark(NamedTuple):
    """An event that a rule sets aside; `is_shared` if another rule does so too."""

    event: Event
    rule: str
    is_shared: bool


class Rule(NamedTuple):
    """A row of `feed_quarantines`."""

    rule: str
    subject_id: str
    created_at: datetime


class Marks:
    """The rules and marks of one database, in one transaction."""

    def __init__(self, connection: AsyncConnection, database: Database) -> None:
        self._connection = connection
        self._database = database

    async def exclude_rebuild(self) -> None:
        """Wait until no other transaction rebuilds the statistics, and keep it from beginning."""
        if self._database.is_postgresql:
            log = qualified(self._connection, LOG.name)
            await self._connection.execute(text(f"LOCK TABLE {log} IN ROW EXCLUSIVE MODE"))

    # Rules

    async def rules(self, target: Target, subject_ids: Sequence[str]) -> list[Rule]:
        """Return the rules in force for some ids."""
        columns = QUARANTINES.c
        found = await self._connection.execute(
            select(columns.quarantine_id, columns.subject_id, columns.created_at).where(
                columns.target == target.value, self._among(columns.subject_id)
            ),
            self._ids(subject_ids),
        )
        return [Rule(*row) for row in found]

    async def unsettled(self) -> dict[Target, list[str]]:
        """Return the rules that may have missed events of transactions from before them."""
        columns = QUARANTINES.c
        found = await self._connection.execute(
            select(columns.target, columns.quarantine_id).where(columns.settled_at.is_(None))
        )
        rules: dict[Target, list[str]] = {}
        for target, rule in found:
            rules.setdefault(Target(target), []).append(rule)
        return rules

    async def set_rules(self, rows: Sequence[dict[str, Any]]) -> None:
        """Store rules: dictionaries of the columns, without the times."""
        await self._connection.execute(insert(QUARANTINES).values(created_at=utc_now()), rows)

    async def lift(self, rules: Sequence[str]) -> None:
        """Delete rules."""
        own = self._among(QUARANTINES.c.quarantine_id)
        await self._connection.execute(delete(QUARANTINES).where(own), self._ids(rules))

    async def settle(self, rules: Sequence[str]) -> None:
        """Note that rules have missed nothing."""
        own = self._among(QUARANTINES.c.quarantine_id)
        await self._connection.execute(
            update(QUARANTINES).where(own).values(settled_at=utc_now()), self._ids(rules)
        )

    async def first_recorded(self, rules: Sequence[str]) -> None:
        """Note when the first event of each rule was recorded: models made later may know it."""
        first = (
            select(func.min(LOG.c.updated_at, type_=UtcDateTime))
            .join(SET_ASIDE, SET_ASIDE.c.interaction_id == LOG.c.id)
            .where(SET_ASIDE.c.quarantine_id == QUARANTINES.c.quarantine_id)
            .correlate(QUARANTINES)
            .scalar_subquery()
        )
        own = self._among(QUARANTINES.c.quarantine_id)
        await self._connection.execute(
            update(QUARANTINES).where(own).values(first_recorded_at=first), self._ids(rules)
        )

    # Marks

    async def counting(self, target: Target, subject_ids: Sequence[str]) -> list[Event]:
        """Return the events of readers, of sessions or with ids that count now."""
        wanted = (
            select(LOG.c.id, LOG.c.user_id, LOG.c.kblock_id)
            .where(self._among(_NAMED[target]), counts(LOG))
            .order_by(LOG.c.id)
        )
        return [
            Event(*row) for row in await self._connection.execute(wanted, self._ids(subject_ids))
        ]

    async def missing(self, target: Target, rules: Sequence[str]) -> list[Mark]:
        """Return the marks that rules of one target lack."""
        columns = LOG.c
        own = exists().where(
            SET_ASIDE.c.interaction_id == columns.id,
            SET_ASIDE.c.quarantine_id == QUARANTINES.c.quarantine_id,
        )
        other = exists().where(SET_ASIDE.c.interaction_id == columns.id)
        wanted = (
            select(
                columns.id, columns.user_id, columns.kblock_id, QUARANTINES.c.quarantine_id, other
            )
            .join(QUARANTINES, QUARANTINES.c.subject_id == _NAMED[target])
            .where(
                QUARANTINES.c.target == target.value,
                self._among(QUARANTINES.c.quarantine_id),
                ~own,
            )
            .order_by(columns.id)
        )  # fmt: skip
        return await self._read(wanted, rules)

    async def present(self, rules: Sequence[str]) -> list[Mark]:
        """Return the marks of rules; a mark is shared with rules that are not among these."""
        others = SET_ASIDE.alias("others")
        other = exists().where(
            others.c.interaction_id == LOG.c.id,
            ~self._among(others.c.quarantine_id),
        )
        wanted = (
            select(
                LOG.c.id, LOG.c.user_id, LOG.c.kblock_id, SET_ASIDE.c.quarantine_id, other
            )
            .join(SET_ASIDE, SET_ASIDE.c.interaction_id == LOG.c.id)
            .where(self._among(SET_ASIDE.c.quarantine_id))
            .order_by(LOG.c.id)
        )  # fmt: skip
        return await self._read(wanted, rules)

    async def orphaned(self) -> list[str]:
        """Return lifted rules that still have marks, set by transactions that began before."""
        rules = select(QUARANTINES.c.quarantine_id)
        found = await self._connection.execute(
            select(SET_ASIDE.c.quarantine_id)
            .where(SET_ASIDE.c.quarantine_id.not_in(rules))
            .distinct()
        )
        return list(found.scalars())

    async def put(self, marks: Sequence[Mark]) -> None:
        """Store marks."""
        names = ["interaction_id", "quarantine_id"]
        await self._connection.execute(
            insert(SET_ASIDE).from_select(names, self._pairs()), self._given(marks)
        )

    async def remove(self, marks: Sequence[Mark]) -> None:
        """Delete exactly these marks."""
        own = tuple_(SET_ASIDE.c.interaction_id, SET_ASIDE.c.quarantine_id)
        await self._connection.execute(
            delete(SET_ASIDE).where(own.in_(self._pairs())), self._given(marks)
        )

    async def totals(self) -> tuple[int, int]:
        """Return how many events are set aside, and how many the log has."""
        aside = (await left_out(self._connection)).events
        counted = (await self._connection.execute(analytics.counts())).one()
        return aside, aside + sum(map(int, counted))

    async def _read(self, wanted: Select[Any], rules: Sequence[str]) -> list[Mark]:
        found = await self._connection.execute(wanted, self._ids(rules))
        return [Mark(Event(*row[:3]), row[3], bool(row[4])) for row in found]

    def _among(self, column: ColumnElement[Any]) -> ColumnElement[bool]:
        return listed(column, "ids", postgresql=self._database.is_postgresql)

    def _ids(self, ids: Collection[str]) -> dict[str, Any]:
        return {"ids": self._database.as_list(ids)}

    def _pairs(self) -> Select[Any]:
        return select(pairs("marks", postgresql=self._database.is_postgresql))

    def _given(self, marks: Iterable[Mark]) -> dict[str, Any]:
        own: list[Pair] = [(each.event.id, each.rule) for each in marks]
        return as_pairs(self._database, "marks", own)

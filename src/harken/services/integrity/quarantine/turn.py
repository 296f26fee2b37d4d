"""One transaction that changes which events count, and its preparation outside of any lock."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from harken.database import Database
from harken.services.integrity.prepared_recount import (
    UNPREPARED,
    Preparation,
    PreparedRecount,
    prepare,
)
from harken.services.integrity.prepared_statements import Change
from harken.services.integrity.quarantine.marks import Mark, Marks
from harken.services.integrity.recounting import Event
from harken.services.kblocks.turns import read_again
from harken.services.record.admission.quarantines import Target
from harken.services.record.admission.rules_token import TOKEN


class Outdated(Exception):
    """Another act came between a preparation and its transaction: prepare it again."""


class Plan:
    """Prepares a transaction from a snapshot, before it begins; see `prepared_recount`."""

    def __init__(self, connection: AsyncConnection, database: Database) -> None:
        self._connection = connection
        self._database = database
        self.marks = Marks(connection, database)

    async def to_leave(self, target: Target, ids: Sequence[str]) -> Preparation:
        """Prepare that the events of readers, of sessions or with ids cease to count."""
        return await self._prepare(Change.LEAVE, await self.marks.counting(target, ids))

    async def to_follow(self, target: Target, rules: Sequence[str]) -> Preparation:
        """Prepare that the events that rules have missed cease to count."""
        missing = once(await self.marks.missing(target, rules))
        return await self._prepare(Change.LEAVE, [each.event for each in missing])

    async def to_return(self, rules: Sequence[str]) -> Preparation:
        """Prepare that the events that rules set aside count again."""
        present = once(await self.marks.present(rules))
        return await self._prepare(Change.RETURN, [each.event for each in present])

    async def _prepare(self, change: Change, events: Sequence[Event]) -> Preparation:
        return await prepare(self._connection, self._database, change, events)


class Turn:
    """One transaction that changes which events count: marks are put or removed, then `finish`."""

    def __init__(
        self, connection: AsyncConnection, database: Database, prepared: Preparation
    ) -> None:
        self.connection = connection
        self.marks = Marks(connection, database)
        self._database = database
        self._prepared = prepared
        self._recount: PreparedRecount | None = None

    async def check_plan(self) -> None:
        """Raise Outdated if another act came between the preparation and this transaction."""
        if self._prepared is not UNPREPARED:
            token = (await self.connection.execute(select(TOKEN))).scalar_one()
            if token != self._prepared.token:
                raise Outdated

    async def put(self, marks: Sequence[Mark]) -> list[Mark]:
        """Set marks; returns those of events that counted before, each event once."""
        if marks:
            await self.marks.put(marks)
        return await self._begin(marks, Change.LEAVE)

    async def remove(self, marks: Sequence[Mark]) -> list[Mark]:
        """Remove marks; returns those of events that count again, each event once."""
        if marks:
            await self.marks.remove(marks)
        return await self._begin(marks, Change.RETURN)

    async def _begin(self, marks: Sequence[Mark], change: Change) -> list[Mark]:
        changed = once(marks)
        if changed:
            self._recount = PreparedRecount(
                self.connection,
                self._database,
                [each.event for each in changed],
                change,
                self._prepared,
            )
            contradictory = await self._recount.begin()
            # Other processes look for new statistics by their time, and would miss those of a long
            # transaction; a new revision makes them read these K-Blocks.
            kblocks = {each.event.kblock_id for each in changed}
            await read_again(self.connection, kblocks | contradictory)
        return changed

    async def finish(self) -> None:
        """Correct the statistics that others wait for: nothing but the commit comes after it."""
        if self._recount is not None:
            await self._recount.finish()


def once(marks: Sequence[Mark]) -> list[Mark]:
    """Return one mark of each event that no other rule sets aside."""
    own = {each.event.id: each for each in marks if not each.is_shared}
    return list(own.values())

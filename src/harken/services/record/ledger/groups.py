"""Entries of the ledger in groups: those that arrive while one is committed form the next one.

As for events, nobody waits for a group to grow: a single entry is committed at once, and many share
one transaction and one flush to disk. Each is answered after its commit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from harken.database import Database, FailureKind, classify
from harken.errors import Erased
from harken.services.record.admission.tombstones import MOST_ATTEMPTS, Tombstones, changing_often
from harken.services.record.batched_lookups import BatchedLookups
from harken.services.record.ledger.entries import Into, Part, write_entries


@dataclass(frozen=True, eq=False)
class Entry:
    """The rows of one page or exposure, of one reader, and the time that they get."""

    user_id: str
    parts: Sequence[Part]
    at: datetime


class LedgerGroups:
    """Commits the entries of one database in groups, unless their reader was erased."""

    def __init__(self, database: Database, tombstones: Tombstones) -> None:
        self._database = database
        self._tombstones = tombstones
        self._groups: BatchedLookups[Entry, Exception] = BatchedLookups(self._committed)

    async def commit(self, entry: Entry) -> None:
        """Commit an entry. Raises Erased, DatabaseUnavailable or SchemaMismatch."""
        if any(part.into is Into.TESTERS for part in entry.parts):
            # One statement cannot mark a row twice, and a tester may have several pages in a group.
            error = (await self._committed([entry])).get(entry)
        else:
            error = await self._groups.get(entry)
        if error is not None:
            raise error

    async def idle(self) -> None:
        """Return when nothing is being committed."""
        await self._groups.idle()

    async def _committed(self, entries: list[Entry]) -> dict[Entry, Exception]:
        """Commit entries; returns the errors of those that were refused."""
        try:
            return await self._admitted(entries)
        except Exception as error:
            if len(entries) == 1 or classify(error) is not FailureKind.DATA:
                raise
        refused: dict[Entry, Exception] = {}
        for entry in entries:  # the database refuses one of them, and nothing was written
            try:
                refused |= await self._admitted([entry])
            except Exception as error:  # noqa: BLE001 — its own caller gets it
                refused[entry] = error
        return refused

    async def _admitted(self, entries: list[Entry]) -> dict[Entry, Exception]:
        known = self._tombstones
        for _ in range(MOST_ATTEMPTS):
            token = known.token
            erased: dict[Entry, Exception] = {
                entry: Erased() for entry in entries if known.refuses(entry.user_id)
            }
            rows = [(entry.parts, entry.at) for entry in entries if entry not in erased]
            if rows and await write_entries(self._database, rows, token):
                return erased
            # Nothing was written: all are erased as far as is known, or the tombstones changed.
            await known.refresh()
            if known.token == token:
                break
        if rows:
            raise changing_often()
        return erased

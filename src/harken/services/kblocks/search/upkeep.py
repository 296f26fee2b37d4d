"""Upkeep of the search index: which rows differ from their K-Blocks, and writing them again."""

import asyncio
from typing import NamedTuple

from sqlalchemy import Select, Subquery, func, not_, select

from harken.database import Database, Kind, translated
from harken.services.kblocks.search.rows import (
    STEP,
    Statements,
    analysed,
    remove_rows,
    statements,
)
from harken.services.kblocks.turns import begin_turn
from harken.services.record.contradictions import KBLOCKS

MOST_COUNTED = 2**62


class IndexCheck(NamedTuple):
    """How many K-Blocks should be in the search index, and how many of its rows are wrong.

    missing: K-Blocks whose row is missing, or was made of another content.
    orphaned: rows without a K-Block.
    """

    kblocks: int
    missing: int
    orphaned: int

    @property
    def differences(self) -> int:
        """The number of wrong rows."""
        return self.missing + self.orphaned


class SearchUpkeep:
    """The upkeep of the search index of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def _statements(self) -> Statements:
        return statements(postgresql_is_used=self._database.is_postgresql)

    async def check(self) -> IndexCheck:
        """Compare the index with the K-Blocks, in one snapshot. Raises DatabaseUnavailable."""
        used = self._statements
        there = select(func.count()).select_from(KBLOCKS).where(not_(KBLOCKS.c.deleted))
        differing = used.differing().with_only_columns(KBLOCKS.c.number).subquery()
        orphaned = used.orphaned().subquery()
        async with self._database.reading(Kind.BULK_READ) as connection:
            everything = {"after": 0, "most": MOST_COUNTED}
            return IndexCheck(
                int((await connection.execute(there)).scalar_one()),
                int((await connection.execute(_count(differing), everything)).scalar_one()),
                int((await connection.execute(_count(orphaned))).scalar_one()),
            )

    async def rebuild(self) -> int:
        """Write the rows that differ again, in transactions of `STEP` K-Blocks; returns how many.

        Recording and reading go on meanwhile. Raises DatabaseUnavailable.
        """
        written, after = await self._remove_orphans(), 0
        while True:
            done, after = await self._rebuild_step(after)
            if not done:
                return written
            written += done

    async def _rebuild_step(self, after: int) -> tuple[int, int]:
        with translated():
            async with self._database.transaction(Kind.BULK_WRITE) as connection:
                await begin_turn(connection)  # no K-Block changes until the end
                wanted = {"after": after, "most": STEP}
                found = await connection.execute(self._statements.differing(), wanted)
                rows = found.mappings().all()
                if rows:
                    words = await asyncio.to_thread(analysed, rows)
                    values = [self._statements.values(*each) for each in words]
                    await connection.execute(self._statements.put, values)
        return len(rows), rows[-1]["number"] if rows else after

    async def _remove_orphans(self) -> int:
        with translated():
            async with self._database.transaction(Kind.BULK_WRITE) as connection:
                await begin_turn(connection)
                found = await connection.execute(self._statements.orphaned())
                numbers = list(found.scalars())
                await remove_rows(connection, numbers)
        return len(numbers)


def _count(rows: Subquery) -> Select[int]:
    return select(func.count()).select_from(rows)

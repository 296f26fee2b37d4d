"""What is kept of readers: the principles they declared, and what they hide."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, literal, select, union_all
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.types import BigInteger, Text

from harken.database import Database, Kind, translated
from harken.domain.feedback import GUEST
from harken.models import FeedUser
from harken.models.types import table, utc_now
from harken.services.feed.log import DISMISSALS
from harken.services.kblocks.conflicts import KBLOCKS

USERS = table(FeedUser)
MOST_LISTED = 1_000


class Context(NamedTuple):
    """What a feed has to know of its reader."""

    principles: tuple[str, ...] = ()
    hidden: NDArray[np.int64] = np.zeros(0, np.int64)  # numbers of K-Blocks


class ReaderStore:
    """The readers of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def context(self, user_id: str) -> Context:
        """Return what a feed has to know of a reader; nothing of a guest."""
        if user_id == GUEST:
            return Context()
        declared = select(USERS.c.principles, literal(None, BigInteger).label("number")).where(
            USERS.c.user_id == user_id
        )
        hidden = (
            select(literal(None, Text), KBLOCKS.c.number)
            .join(DISMISSALS, DISMISSALS.c.kblock_id == KBLOCKS.c.id)
            .where(DISMISSALS.c.user_id == user_id)
        )
        async with self._database.reading() as connection:
            found = (await connection.execute(union_all(declared, hidden))).all()
        principles = [row.principles for row in found if row.number is None]
        numbers = [row.number for row in found if row.number is not None]
        return Context(
            tuple(json.loads(principles[0])) if principles else (), np.array(numbers, np.int64)
        )

    async def principles(self, user_id: str) -> list[str]:
        """Return the principles that a reader declared."""
        return list((await self.context(user_id)).principles)

    async def declare(self, user_id: str, principles: Sequence[str]) -> None:
        """Set the principles of a reader. Raises DatabaseUnavailable."""
        insert: Any = postgresql.insert if self._database.is_postgresql else sqlite.insert
        statement = insert(USERS).values(
            user_id=user_id,
            principles=json.dumps(list(principles), ensure_ascii=False),
            created_at=utc_now(),
            updated_at=utc_now(),
        )
        new = {name: statement.excluded[name] for name in ("principles", "updated_at")}
        with translated():
            async with self._database.transaction(Kind.WRITE) as connection:
                await connection.execute(
                    statement.on_conflict_do_update(index_elements=["user_id"], set_=new)
                )

    async def dismissals(self, user_id: str) -> list[tuple[str, datetime]]:
        """Return what a reader hides and since when, the latest first, at most 1,000."""
        async with self._database.reading() as connection:
            found = await connection.execute(
                select(DISMISSALS.c.kblock_id, DISMISSALS.c.dismissed_at)
                .where(DISMISSALS.c.user_id == user_id)
                .order_by(DISMISSALS.c.dismissed_at.desc(), DISMISSALS.c.kblock_id)
                .limit(MOST_LISTED)
            )
            return [(row.kblock_id, row.dismissed_at) for row in found]

    async def undo_dismissal(self, user_id: str, kblock_id: str) -> bool:
        """Show a K-Block to a reader again; False where they did not hide it."""
        with translated():
            async with self._database.transaction(Kind.WRITE) as connection:
                done = await connection.execute(
                    delete(DISMISSALS).where(
                        DISMISSALS.c.user_id == user_id, DISMISSALS.c.kblock_id == kblock_id
                    )
                )
                return done.rowcount > 0

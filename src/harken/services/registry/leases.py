"""Leases: they let only one process of a database do a job at a time."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import delete, or_
from sqlalchemy.dialects import postgresql, sqlite

from harken.database import Database, Kind, translated
from harken.errors import HarkenError
from harken.models import FeedLease
from harken.models.types import table, utc_later, utc_now

LEASES = table(FeedLease)


class LeaseStore:
    """The leases of one database; they expire by the database's clock."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, name: str, holder: str, length: timedelta) -> bool:
        """Take a free or expired lease, or extend the holder's own; returns whether it succeeded.

        `length` is rounded to seconds. Raises DatabaseUnavailable.
        """
        insert_new: Any = postgresql.insert if self._database.is_postgresql else sqlite.insert
        until = utc_later(round(length.total_seconds()))
        new = insert_new(LEASES).values(name=name, holder=holder, expires_at=until)
        taken = new.on_conflict_do_update(
            index_elements=[LEASES.c.name],
            set_={"holder": new.excluded.holder, "expires_at": new.excluded.expires_at},
            where=or_(LEASES.c.expires_at < utc_now(), LEASES.c.holder == holder),
        )
        with translated():
            async with self._database.transaction(Kind.WRITE) as connection:
                rows = await connection.execute(taken.returning(LEASES.c.holder))
                return rows.one_or_none() is not None

    async def release(self, name: str, holder: str) -> None:
        """Release a lease if `holder` has it. Raises DatabaseUnavailable."""
        own = delete(LEASES).where(LEASES.c.name == name, LEASES.c.holder == holder)
        with translated():
            async with self._database.transaction(Kind.WRITE) as connection:
                await connection.execute(own)

    @asynccontextmanager
    async def held(self, name: str, length: timedelta) -> AsyncIterator[bool]:
        """Hold a lease within the context; False if another has it. Raises DatabaseUnavailable.

        It is prolonged meanwhile, so `length` is how long it lasts after the end of a process.
        """
        holder = uuid4().hex
        if not await self.take(name, holder, length):
            yield False
            return
        try:
            async with self.prolonged(name, holder, length):
                yield True
        finally:
            with contextlib.suppress(HarkenError):  # it expires
                await self.release(name, holder)

    @asynccontextmanager
    async def prolonged(self, name: str, holder: str, length: timedelta) -> AsyncIterator[None]:
        """Extend a lease that `holder` has, until the context ends."""

        async def prolong() -> None:
            while True:
                await asyncio.sleep(length.total_seconds() / 3)
                with contextlib.suppress(HarkenError):
                    await self.take(name, holder, length)

        task = asyncio.create_task(prolong())
        try:
            yield
        finally:
            task.cancel()
            # Else its last statement could take the lease again after it was released.
            await asyncio.wait([task])

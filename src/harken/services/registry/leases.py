"""Leases: they let only one process of a database do a job at a time."""

from datetime import timedelta
from typing import Any

from sqlalchemy import delete, or_
from sqlalchemy.dialects import postgresql, sqlite

from harken.database import Database, Kind, translated
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

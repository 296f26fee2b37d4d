"""The tombstones of one database: readers and K-Blocks that were erased, and may not come back.

A process keeps the digests in memory, with the token of `feed_tombstone_clock`. Each statement that
writes something of a reader has the condition `is_current`: it compares that token with the stored
one, in the snapshot in which it writes. So a statement with outdated digests writes nothing, and is
sent again after `refresh`. Without tombstones this costs one comparison per statement. The rules of
quarantines, and the begin of the log, are read together with the tombstones, and share the token.
"""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, String, bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from harken.database import Database, Kind, Prepared
from harken.domain.feedback import LogEntry
from harken.errors import DatabaseUnavailable, Erased
from harken.models import FeedSecret, FeedTombstone, FeedTombstoneClock
from harken.models.types import table
from harken.services.record.admission.log_start import LogStart
from harken.services.record.admission.quarantines import Quarantines
from harken.services.record.admission.subjects import Subject, digest

TOMBSTONES = table(FeedTombstone)
CLOCK = table(FeedTombstoneClock)
SECRETS = table(FeedSecret)

SECRET = "erasure"  # noqa: S105 — the name of a row
PARAMETER = "tombstones"
MOST_ATTEMPTS = 10

TOKEN = func.coalesce(select(CLOCK.c.token).where(CLOCK.c.id == 1).scalar_subquery(), "")
_TOKEN = Prepared(select(TOKEN))


async def take_turn(connection: AsyncConnection, database: Database) -> None:
    """Wait for other transactions that correct statistics; later ones wait until this one ends."""
    new = _insert(database)(CLOCK).values({"id": 1, "token": ""})
    await connection.execute(new.on_conflict_do_nothing())
    await connection.execute(select(CLOCK.c.token).where(CLOCK.c.id == 1).with_for_update())


async def renew(connection: AsyncConnection, database: Database) -> None:
    """Replace the token, so that all processes read the tombstones and rules again."""
    new = _insert(database)(CLOCK).values(id=1, token=secrets.token_hex(16))
    await connection.execute(
        new.on_conflict_do_update(index_elements=[CLOCK.c.id], set_={"token": new.excluded.token})
    )


def _insert(database: Database) -> Any:
    return postgresql.insert if database.is_postgresql else sqlite.insert


def is_current() -> ColumnElement[bool]:
    """Tell whether the bound parameter `tombstones` is the stored token."""
    return bindparam(PARAMETER, type_=String) == TOKEN


def changing_often() -> DatabaseUnavailable:
    """Return the error for a write that met other tombstones with each attempt."""
    return DatabaseUnavailable("readers are being erased or set aside; try again")


class Tombstones:
    """The tombstones that this process knows; none at first."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._secret = ""
        self._digests: frozenset[str] = frozenset()
        self.quarantines = Quarantines()
        """The rules by which new events count nothing."""
        self.log_start = LogStart()
        """The time from which events are recorded."""
        self.token = ""
        """The version of the known tombstones, for the parameter of `is_current`."""

    def refuses(self, user_id: str, kblock_id: str | None = None) -> bool:
        """Tell whether a reader, or a K-Block, is known to be erased."""
        if not self._digests:
            return False
        if digest(self._secret, Subject.READER, user_id) in self._digests:
            return True
        return (
            kblock_id is not None
            and digest(self._secret, Subject.KBLOCK, kblock_id) in self._digests
        )

    def refused(self, entries: Sequence[LogEntry]) -> set[int]:
        """Return the positions of the entries whose reader or K-Block is known to be erased."""
        if not self._digests:
            return set()
        return {
            position
            for position, entry in enumerate(entries)
            if self.refuses(entry.user_id, entry.kblock_id)
        }

    async def refresh(self) -> None:
        """Read the tombstones again if they changed. Raises DatabaseUnavailable."""
        [[token]] = await self._database.read(_TOKEN, {})
        if token == self.token:
            return
        async with self._database.reading(Kind.SNAPSHOT) as connection:
            token = (await connection.execute(select(TOKEN))).scalar_one()
            wanted = select(SECRETS.c.value).where(SECRETS.c.name == SECRET)
            secret = (await connection.execute(wanted)).scalar_one_or_none() or ""
            digests = (await connection.execute(select(TOMBSTONES.c.digest))).scalars()
            await self.quarantines.read(connection)
            await self.log_start.read(connection)
            self._secret, self._digests, self.token = secret, frozenset(digests), token

    async def admit(self, user_id: str, write: Callable[[str], Awaitable[bool]]) -> None:
        """Write something of a reader, unless the reader is erased.

        `write` gets the token, and returns whether it was the current one. If it was not, `write`
        wrote nothing, and is called again. Raises Erased, DatabaseUnavailable, or what `write`
        raises.
        """
        for _ in range(MOST_ATTEMPTS):
            token, is_refused = self.token, self.refuses(user_id)
            if not is_refused and await write(token):
                return
            await self.refresh()
            if self.token == token:
                raise Erased if is_refused else changing_often()
        raise changing_often()

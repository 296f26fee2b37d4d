"""The tombstones of one database: readers and K-Blocks that were erased, and may not come back.

A process keeps the digests in memory, with their token (`rules_token`). So a statement with
outdated digests writes nothing, and is sent again after `refresh`. Without tombstones this costs
one comparison per statement. The rules of quarantines, and the begin of the log, are read together
with the tombstones, and share the token.
"""

from collections.abc import Awaitable, Callable, Sequence

from sqlalchemy import select

from harken.database import Database, Kind, Prepared
from harken.domain.feedback import LogEntry
from harken.errors import DatabaseUnavailable, Erased
from harken.models import FeedSecret, FeedTombstone
from harken.models.types import table
from harken.services.record.admission.log_start import LogStart
from harken.services.record.admission.quarantines import Quarantines
from harken.services.record.admission.rules_token import TOKEN
from harken.services.record.admission.subjects import Subject, digest

TOMBSTONES = table(FeedTombstone)
SECRETS = table(FeedSecret)

SECRET = "erasure"  # noqa: S105 — the name of a row
MOST_ATTEMPTS = 10

_TOKEN = Prepared(select(TOKEN))


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

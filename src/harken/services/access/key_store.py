"""The store of API keys: makes, lists, replaces and revokes them."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import bindparam, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_sessionmaker

from harken.database import Database, Kind, translated
from harken.domain.times import EPOCH
from harken.errors import InvalidInput, NotFound, Problem, quoted
from harken.models import FeedKey
from harken.models.types import table
from harken.services.access import keys
from harken.services.access.keys import StoredKey
from harken.services.access.rights import KeyKind, Scope, check_key
from harken.unreadable_rows import Unreadable, parsed

KEYS = table(FeedKey)
_SELECTED = select(
    KEYS,
    KEYS.c.expires_at.is_not(None).label("has_end"),
    KEYS.c.revoked_at.is_not(None).label("is_revoked"),
)
MOST_KEYS = 1_000
"""Keys that are neither revoked nor expired: each process holds them in memory."""


class NewKey(NamedTuple):
    """A key that was just made; its text is not stored, so this is the only time to show it."""

    stored: StoredKey
    text: str


def _now() -> datetime:
    return datetime.now(UTC)


class KeyStore:
    """The keys of one database."""

    def __init__(
        self,
        session_factory: async_sessionmaker[AsyncSession],
        *,
        schema: str | None = None,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._database = Database(session_factory, schema)
        self._clock = clock
        self._unreadable = Unreadable()

    async def create(
        self,
        name: str,
        kind: KeyKind = KeyKind.SECRET,
        *,
        scopes: Sequence[Scope] = (),
        origins: Sequence[str] = (),
        lifetime: timedelta | None = None,
    ) -> NewKey:
        """Make a key. Raises InvalidInput or DatabaseUnavailable."""
        check_key(name, kind, scopes, origins)
        with translated():
            async with self._database.transaction(Kind.WRITE) as connection:
                now = self._clock()
                known = [each for each in await self._all(connection) if each.is_live(now)]
                if len(known) >= MOST_KEYS:
                    raise InvalidInput(
                        Problem("keys", f"there are {MOST_KEYS} already; revoke some first")
                    )
                key = _new(name, kind, frozenset(scopes), tuple(origins), now, lifetime)
                await connection.execute(insert(KEYS).values(_row(key.stored)))
        return key

    async def listed(self) -> list[StoredKey]:
        """Return all keys, latest first, also those that are no longer valid."""
        async with self._database.reading() as connection:
            found = await self._all(connection)
        return sorted(found, key=lambda key: (key.created_at, key.id), reverse=True)

    async def get(self, key_id: str) -> StoredKey:
        """Return a key. Raises NotFound or DatabaseUnavailable."""
        async with self._database.reading() as connection:
            return await self._one(connection, key_id)

    async def rotate(self, key_id: str, grace: timedelta = timedelta(0)) -> NewKey:
        """Replace a key by a new one with the same name and rights.

        The old key stays valid for `grace`. Raises NotFound, InvalidInput for a key that is no
        longer valid, or DatabaseUnavailable.
        """
        with translated():
            async with self._database.transaction(Kind.WRITE) as connection:
                old = await self._one(connection, key_id)
                now = self._clock()
                if not old.is_live(now):
                    raise InvalidInput(
                        Problem("id", f"{key_id} is no longer valid; make a new key")
                    )
                lifetime = None if old.expires_at is None else old.expires_at - old.created_at
                new = _new(old.name, old.kind, old.scopes, old.origins, now, lifetime)
                await connection.execute(insert(KEYS).values(_row(new.stored)))
                end = now + grace if old.expires_at is None else min(now + grace, old.expires_at)
                values = {"expires_at": end} if grace else {"revoked_at": now}
                await connection.execute(update(KEYS).where(KEYS.c.key_id == key_id).values(values))
        return new

    async def revoke(self, key_id: str) -> StoredKey:
        """Revoke a key; one that is already revoked stays so. Raises NotFound."""
        with translated():
            async with self._database.transaction(Kind.WRITE) as connection:
                old = await self._one(connection, key_id)
                if old.revoked_at is not None:
                    return old
                now = self._clock()
                await connection.execute(
                    update(KEYS).where(KEYS.c.key_id == key_id).values(revoked_at=now)
                )
        return old._replace(revoked_at=now)

    async def touch(self, uses: Mapping[str, datetime]) -> None:
        """Store when keys were last used. Raises DatabaseUnavailable."""
        key_id: Any = bindparam("used_id")
        at: Any = bindparam("used_at", type_=KEYS.c.last_used_at.type)
        later = or_(KEYS.c.last_used_at.is_(None), KEYS.c.last_used_at < at)
        statement = update(KEYS).where(KEYS.c.key_id == key_id, later).values(last_used_at=at)
        rows = [{"used_id": used, "used_at": uses[used]} for used in sorted(uses)]
        with translated():
            async with self._database.transaction(Kind.WRITE) as connection:
                await connection.execute(statement, rows)

    async def _all(self, connection: AsyncConnection) -> list[StoredKey]:
        return [self._read(row) for row in (await connection.execute(_SELECTED)).all()]

    async def _one(self, connection: AsyncConnection, key_id: str) -> StoredKey:
        found = await connection.execute(_SELECTED.where(KEYS.c.key_id == key_id))
        if (row := found.one_or_none()) is None:
            raise NotFound(f"there is no key {quoted(key_id)}")
        return self._read(row)

    def _read(self, row: Any) -> StoredKey:
        """Read a row; one that this version did not write becomes a revoked key without rights."""
        key = _stored(row)
        if key is not None:
            return key
        self._unreadable.name("key", row.key_id, "it is refused; make a new one")
        ended = row.created_at or EPOCH
        return StoredKey(
            row.key_id, row.name, KeyKind.SECRET, frozenset(), (), "", ended, revoked_at=ended
        )


def _new(
    name: str, kind: KeyKind, scopes: frozenset[Scope], origins: tuple[str, ...],
    now: datetime, lifetime: timedelta | None,
) -> NewKey:  # fmt: skip
    drawn = keys.draw(kind)
    try:
        expires_at = None if lifetime is None else now + lifetime
    except OverflowError:
        raise InvalidInput(Problem("expires", "is too far in the future")) from None
    return NewKey(
        StoredKey(drawn.id, name, kind, scopes, origins, drawn.sha256, now, expires_at), drawn.text
    )


def _row(key: StoredKey) -> dict[str, Any]:
    values = key._asdict()
    key_id = values.pop("id")
    return values | {
        "key_id": key_id,
        "kind": key.kind.value,
        "scopes": json.dumps(sorted(key.scopes)),
        "origins": json.dumps(list(key.origins)),
    }


def _stored(row: Any) -> StoredKey | None:
    scopes, origins = parsed(row.scopes, list), parsed(row.origins, list)
    if scopes is None or origins is None or row.created_at is None:
        return None
    # A time that cannot be read is null here, and must not make the key valid.
    if row.has_end != (row.expires_at is not None) or row.is_revoked != (
        row.revoked_at is not None
    ):
        return None
    try:
        known = frozenset(map(Scope, scopes))
        kind = KeyKind(row.kind)
    except (TypeError, ValueError):
        return None
    return StoredKey(
        row.key_id, row.name, kind, known, tuple(map(str, origins)), row.sha256,
        row.created_at, row.expires_at, row.last_used_at, row.revoked_at,
    )  # fmt: skip

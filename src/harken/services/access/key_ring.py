"""The valid keys in memory: requests are checked without a query of the database.

A copy that is more than 2 seconds old is read again in the background. A request waits for that
only if the copy is more than 4 seconds old, as after a pause. So all processes refuse a key within
5 seconds after one of them has revoked it.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import NamedTuple

from harken.errors import HarkenError
from harken.services.access import keys
from harken.services.access.key_store import KeyStore
from harken.services.access.keys import StoredKey
from harken.services.access.rights import KeyKind
from harken.single_flight import SingleFlight

log = logging.getLogger(__name__)

REFRESH_SECONDS = 2.0
MOST_AGE_SECONDS = 4.0
# Without any key, what a request may do does not depend on the copy, so it waits less.
OPEN_WAIT_SECONDS = 1.0
USE_SECONDS = 60.0
"""The time of a key's last use is written at most this often."""


class Snapshot(NamedTuple):
    """The valid keys by id, the origins of publishable keys, and whether a key was ever made."""

    keys: MappingProxyType[str, StoredKey] = MappingProxyType({})
    origins: frozenset[str] = frozenset()
    has_any: bool = False

    @classmethod
    def of(cls, stored: Sequence[StoredKey], now: datetime) -> "Snapshot":
        """Make a snapshot of all stored keys."""
        live = {key.id: key for key in stored if key.is_live(now)}
        public = [key for key in live.values() if key.kind is KeyKind.PUBLISHABLE]
        origins = frozenset(origin for key in public for origin in key.origins)
        return cls(MappingProxyType(live), origins, bool(stored))


class KeyRing:
    """The valid keys of one database, in one process."""

    def __init__(
        self,
        store: KeyStore,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store = store
        self._clock = clock
        self._timer = timer
        self._snapshot = Snapshot()
        self._read_at = self._tried_at = float("-inf")
        self._reading: SingleFlight[None] = SingleFlight("harken-keys")
        self._used: dict[str, datetime] = {}
        self._written: dict[str, float] = {}
        self._writing: SingleFlight[None] = SingleFlight("harken-key-uses")
        self.is_closed = False

    @property
    def fresh(self) -> Snapshot | None:
        """The valid keys, if they were read a moment ago; else None, and `current` reads them."""
        is_fresh = self._timer() - self._read_at <= REFRESH_SECONDS
        return self._snapshot if is_fresh else None

    async def current(self) -> Snapshot:
        """Return the valid keys, as they were at most a few seconds ago.

        Raises DatabaseUnavailable if they cannot be read and there are keys.
        """
        age = self._timer() - self._read_at
        if age <= REFRESH_SECONDS:
            return self._snapshot
        reading = self._refresh()
        while age > MOST_AGE_SECONDS and reading is not None:
            await self._wait(reading)
            # If a key was changed after that reading had begun, the next one knows of it.
            reading = self._refresh() if self._is_forgotten else None
        return self._snapshot

    def find(self, text: str) -> StoredKey | None:
        """Return the valid key with this text among those that `current` returned, or None."""
        written = keys.parse(text)
        if written is None:
            return None
        stored = self._snapshot.keys.get(written.id)
        if not keys.matches(written, stored) or stored is None:
            return None
        return stored if stored.is_live(self._clock()) else None

    def knows(self, text: str) -> str | None:
        """Return the id in the text of a key if a valid key has it; the secret is not checked.

        The id may be logged.
        """
        written = keys.parse(text)
        return written.id if written is not None and written.id in self._snapshot.keys else None

    def note_use(self, key_id: str) -> None:
        """Store in the background that a key was used, at most once a minute."""
        now = self._timer()
        if now - self._written.get(key_id, float("-inf")) < USE_SECONDS:
            return
        self._written[key_id] = now
        self._used[key_id] = self._clock()
        self._writing.start(self._write_uses)

    async def close(self) -> None:
        """Wait for what is being read or written; the next user makes another object."""
        self.is_closed = True
        await self._reading.idle()
        await self._writing.idle()

    def forget(self) -> None:
        """Read the keys again before the next request: this process changed them."""
        self._read_at = self._tried_at = float("-inf")

    def _refresh(self) -> asyncio.Task[None] | None:
        """Begin to read the keys, unless that failed a moment ago; returns the running task."""
        now = self._timer()
        if not self._reading.is_running:
            if now - self._tried_at < REFRESH_SECONDS and self._is_open:
                return None
            self._tried_at = now
        return self._reading.start(lambda: self._read(now))

    @property
    def _is_forgotten(self) -> bool:
        return self._read_at == float("-inf")

    @property
    def _is_open(self) -> bool:
        return not self._snapshot.has_any and not self._is_forgotten

    async def _wait(self, reading: asyncio.Task[None]) -> None:
        if self._is_open:
            # Without keys it is safe to go on: if the database does not answer, the request can
            # read and write nothing either.
            await asyncio.wait({reading}, timeout=OPEN_WAIT_SECONDS)
            return
        await self._reading.finish(reading)

    async def _read(self, began: float) -> None:
        stored = await self.store.listed()
        self._snapshot = Snapshot.of(stored, self._clock())
        if self._tried_at == began:  # not forgotten meanwhile
            self._read_at = began

    async def _write_uses(self) -> None:
        while self._used:
            uses, self._used = self._used, {}
            try:
                await self.store.touch(uses)
            except HarkenError as error:
                log.warning("the last use of %d keys was not stored: %s", len(uses), error)

"""The events that the pages of this process include, whichever process recorded them.

What this process recorded is on its next page. What another one recorded is there within
`MAX_AGE_SECONDS` of the catalogue; who knows the id of an event can wait for it here.
"""

import asyncio
import time
from collections.abc import Sequence

from sqlalchemy import bindparam, select

from harken.database import Database, Prepared
from harken.domain.feedback import LogEntry
from harken.services.feed.caches.catalogue import Catalogue
from harken.services.record.persistence import FeedFeedbackPersistence
from harken.services.record.transaction import LOG

MOST_KNOWN = 10_000
PAUSES = (0.05, 0.1, 0.2, 0.4, 0.5, 0.75)
"""Seconds between two looks for an event: 2 in all."""

_KBLOCK = Prepared(select(LOG.c.kblock_id).where(LOG.c.id == bindparam("id")))


class KnownEvents:
    """Knows the latest events of this process, and finds those of others."""

    def __init__(
        self, database: Database, record: FeedFeedbackPersistence, catalogue: Catalogue
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        # By id, when the event was known to be committed, as of `time.monotonic()`; the oldest ones
        # are forgotten.
        self._known: dict[str, float] = {}
        record.subscribe(self._note)

    async def include(self, event_id: str, pauses: Sequence[float] = PAUSES) -> bool:
        """Let the next request include an event, with all that was committed before it.

        Returns False if no such event is committed within the pauses, in seconds. Raises
        DatabaseUnavailable.
        """
        for pause in (*pauses, None):
            if (known_at := self._known.get(event_id)) is not None:
                self._catalogue.look_after(known_at)
                return True
            looked_at = time.monotonic()
            if (kblock_id := await self._kblock_of(event_id)) is not None:
                self._catalogue.look_after(looked_at, kblock_id)
                self._know([event_id], looked_at)
                return True
            if pause is not None:
                await asyncio.sleep(pause)
        return False

    def _note(self, entries: Sequence[LogEntry]) -> None:
        # What another process committed before these may not be read yet.
        self._know([entry.id for entry in entries], time.monotonic())

    def _know(self, event_ids: Sequence[str], at: float) -> None:
        known = self._known
        known.update(dict.fromkeys(event_ids, at))
        while len(known) > MOST_KNOWN:
            del known[next(iter(known))]

    async def _kblock_of(self, event_id: str) -> str | None:
        rows = await self._database.read(_KBLOCK, {"id": event_id})
        return str(rows[0][0]) if rows else None

"""Following the log: its events in the order of commits, from a cursor on.

Events are ordered by the number of their transaction, then by id. On PostgreSQL a page ends before
the oldest transaction that still runs: nothing below it can be committed any more. So an event is
delivered as soon as all transactions that began before its own have ended, and never passed over.
Two transactions of which one began after the other was committed are always in that order.

Events of before schema 0018 have no number. They come first, in the order of their ids.
"""

import asyncio
import base64
import binascii
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, literal_column, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from harken.database import Database
from harken.domain.feedback import LogEntry
from harken.domain.fields import is_kept_identifier
from harken.errors import CursorAhead, InvalidInput, Problem
from harken.services.record.admission.quarantines import counts
from harken.services.record.log_order.numbers import ORDER, newest
from harken.services.record.persistence import FeedFeedbackPersistence
from harken.services.record.transaction import LOG

MOST_EVENTS = 1_000
LONGEST_WAIT = 5
"""Seconds that a follower may wait for an event in one call; a server that ends waits as long."""
POLL_SECONDS = 0.25
"""How often a waiting follower looks for events that other processes recorded."""
LONGEST_CURSOR = 400

_NUMBER = LOG.c.transaction_number
_COLUMNS = [LOG.c[name] for name in LogEntry._fields]
_XMIN: ColumnElement[int] = literal_column("pg_snapshot_xmin(pg_current_snapshot())::text::bigint")


class Place(NamedTuple):
    """A place in the log, after the event with this number and id; number 0 is before numbers."""

    number: int = 0
    id: str = ""

    def encode(self) -> str:
        """Write the place as a cursor, which clients do not look into."""
        return base64.urlsafe_b64encode(f"{self.number:x} {self.id}".encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, cursor: str | None) -> "Place":
        """Read a cursor; None is the beginning of the log. Raises InvalidInput."""
        if cursor is None:
            return cls()
        try:
            text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
            number, _, own_id = text.decode().partition(" ")
            place = cls(int(number, 16), own_id)
        except (ValueError, binascii.Error):
            place = cls(-1)
        if not 0 <= place.number < 2**63 or not is_kept_identifier(place.id):
            raise InvalidInput(
                Problem("after", "is no cursor of this route; send the `next` of the page before")
            )
        return place


class Followed(NamedTuple):
    """An event of the log; `set_aside` tells whether it is in quarantine, and counts nothing."""

    entry: LogEntry
    recorded_at: datetime | None
    set_aside: bool
    place: Place


class LogPage(NamedTuple):
    """Events after a place, the place after them, and whether there are more by now."""

    events: list[Followed]
    next: Place
    has_more: bool

    @property
    def cursor(self) -> str | None:
        """The cursor of the next page; None at the beginning of an empty log."""
        return self.next.encode() if self.next.id else None


class LogFollower:
    """Reads the log of one database in the order of commits."""

    def __init__(self, database: Database, record: FeedFeedbackPersistence) -> None:
        self._database = database
        self._recorded = asyncio.Event()
        record.subscribe(self._note)

    def _note(self, _entries: Sequence[LogEntry]) -> None:
        self._recorded.set()
        self._recorded = asyncio.Event()

    async def page(self, after: str | None, limit: int, wait: float = 0) -> LogPage:
        """Return up to `limit` events after a cursor; waits so many seconds for the first.

        Raises InvalidInput for what is no cursor, CursorAhead for one of a log that was longer, and
        DatabaseUnavailable.
        """
        place = Place.decode(after)
        give_up_at = time.monotonic() + wait
        while True:
            recorded = self._recorded  # before the look, so that no event falls between
            found = await self._page(place, limit)
            left = give_up_at - time.monotonic()
            if found.events or left <= 0:
                return found
            try:
                async with asyncio.timeout(min(left, POLL_SECONDS)):
                    await recorded.wait()
            except TimeoutError:
                continue
            await asyncio.sleep(0)  # the group's own caller is answered first

    async def _page(self, place: Place, limit: int) -> LogPage:
        async with self._database.reading() as connection:
            has_unnumbered, end = await self._horizon(connection)
            if end is not None and place.number >= end:
                raise CursorAhead
            found: list[Followed] = []
            if has_unnumbered and place.number == 0:
                found = await _read(connection, _unnumbered(place, limit + 1))
            if len(found) <= limit:
                numbered = _numbered(place, end).limit(limit + 1 - len(found))
                found += await _read(connection, numbered)
        events = found[:limit]
        return LogPage(events, events[-1].place if events else place, len(found) > limit)

    async def _horizon(self, connection: AsyncConnection) -> tuple[bool, int]:
        """Return whether there are events without a number, and the number that a page ends before.

        It is of an earlier snapshot than the events, so nothing below it is committed between.
        """
        end = ORDER.c.shift + _XMIN if self._database.is_postgresql else newest() + 1
        row = (await connection.execute(select(ORDER.c.has_unnumbered, end))).one()
        return bool(row[0]), int(row[1])


def _events() -> Select[Any]:
    is_aside = (~counts(LOG)).label("is_aside")
    return select(*_COLUMNS, LOG.c.updated_at, is_aside, _NUMBER)


def _unnumbered(place: Place, limit: int) -> Select[Any]:
    wanted = _events().where(_NUMBER.is_(None), LOG.c.id > place.id)
    return wanted.order_by(LOG.c.id).limit(limit)


def _numbered(place: Place, end: int) -> Select[Any]:
    is_after = and_(
        place.number <= _NUMBER, or_(place.number < _NUMBER, LOG.c.id > place.id), end > _NUMBER
    )
    return _events().where(is_after).order_by(_NUMBER, LOG.c.id)


async def _read(connection: AsyncConnection, wanted: Select[Any]) -> list[Followed]:
    rows = await connection.execute(wanted)
    return [
        Followed(LogEntry(*row[:-3]), row[-3], bool(row[-2]), Place(row[-1] or 0, row[0]))
        for row in rows
    ]

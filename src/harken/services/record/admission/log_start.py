"""Since when the log is complete, and which events are too old to be recorded.

An event from before that time may be a repeat of one that was dropped. So it is refused, unless it
is still in the log. A process learns of a new begin by the token of the tombstones.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from harken.domain.feedback import LogEntry
from harken.errors import InvalidInput, Problem
from harken.models import FeedLogStart
from harken.models.types import table

LOG_START = table(FeedLogStart)
TIMED = 7
"""The version of UUIDs that begin with the time at which they were made (RFC 9562, §5.7)."""


async def complete_since(connection: AsyncConnection) -> datetime | None:
    """Return since when the log is complete; None if no event was ever dropped."""
    found = await connection.execute(select(LOG_START.c.complete_since))
    at: datetime | None = found.scalar_one_or_none()
    return at


class LogStart:
    """The begin of the log that this process knows; None at first."""

    def __init__(self) -> None:
        self.at: datetime | None = None

    async def read(self, connection: AsyncConnection) -> None:
        """Read the begin. Raises the database's own errors."""
        self.at = await complete_since(connection)

    def too_old(self, entries: Iterable[LogEntry]) -> set[str]:
        """Return the ids of the entries that may repeat what was dropped from the log."""
        at = self.at
        if at is None:
            return set()
        return {each.id for each in entries if each.created_at < at or _made_before(each.id, at)}

    def refusal(self) -> InvalidInput:
        """Return the error for such an entry."""
        since = "" if self.at is None else f" {self.at:%Y-%m-%dT%H:%MZ}"
        return InvalidInput(
            Problem(
                "occurred_at",
                f"is before the begin of the log,{since}: older events are no longer kept, so this "
                "one may be counted already",
            )
        )


def _made_before(own_id: str, at: datetime) -> bool:
    """Tell whether an id has a time, and is from before a time."""
    if len(own_id) not in {32, 36} or own_id[14 if len(own_id) == 36 else 12] != str(TIMED):
        return False
    try:
        milliseconds = UUID(own_id).int >> 80
    except ValueError:
        return False
    # Whole milliseconds of the id are compared with whole milliseconds of the begin.
    return milliseconds < int(at.astimezone(UTC).timestamp() * 1_000)

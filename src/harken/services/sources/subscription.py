"""A source that is subscribed to, and when it is asked again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from harken.domain.fields import whole_number
from harken.domain.stored_kblock import source_key, source_title
from harken.services.kblocks.importers.run import source_name
from harken.services.kblocks.web_addresses import without_secrets

LONGEST_PAUSE = timedelta(days=1)
"""The longest pause after failures, unless sources are asked less often anyway."""
LONGEST_WAIT = timedelta(days=7)
"""The longest time that a server may ask to wait, by Retry-After."""
JITTER = 0.1
"""Pauses differ by up to this share, so that sources are not asked all at once."""


@dataclass(frozen=True)
class Subscription:
    """A source, and the state of its last refresh; see `harken.models.kblock.FeedSource`."""

    url: str
    title: str = ""
    given_title: str | None = None
    site_url: str | None = None
    added_by: str | None = None
    added_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    etag: str | None = None
    last_modified: str | None = None
    digest: str | None = None
    checked_at: datetime | None = None
    succeeded_at: datetime | None = None
    error: str | None = None
    failures: int = 0
    is_gone: bool = False
    due_at: datetime | None = None

    @property
    def name(self) -> str:
        """The name of the source, as its K-Blocks have it."""
        return source_name("rss", without_secrets(self.url))

    @property
    def source_id(self) -> str:
        """The key of the source, as in the feed `source:KEY`."""
        return source_key(self.name)

    @property
    def shown_title(self) -> str:
        """What people gave it as title, else what it calls itself, else its host."""
        return self.given_title or self.title or source_title(self.name)

    @property
    def host(self) -> str:
        """The host that is asked."""
        return (urlsplit(self.url).hostname or "").lower()

    def validators(self) -> Mapping[str, str]:
        """Return the headers by which a server can say that nothing changed."""
        given = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in given.items() if value}


def pause_after(every: timedelta, failures: int, chance: float) -> timedelta:
    """Return how long to wait: `every`, doubled with each failure in a row, up to a day.

    `chance`, from 0 to 1, moves the result by up to a tenth to either side.
    """
    longest = max(every, LONGEST_PAUSE)
    doubled = every * 2 ** min(failures, 20)
    pause: timedelta = min(doubled, longest) * (1 + JITTER * (2 * chance - 1))
    return pause


def wait_asked(retry_after: str | None, now: datetime) -> timedelta:
    """Return how long a server asks to wait: seconds, or a date (RFC 9110); 0 if it does not."""
    if not retry_after:
        return timedelta()
    asked = retry_after.strip()
    if asked.isascii() and asked.isdecimal():
        seconds, longest = whole_number(asked), LONGEST_WAIT.total_seconds()
        return timedelta(seconds=longest if seconds is None else min(seconds, longest))
    try:
        at = parsedate_to_datetime(asked)
    except (ValueError, OverflowError):
        return timedelta()
    wait = (at if at.tzinfo else at.replace(tzinfo=UTC)) - now
    return min(max(wait, timedelta()), LONGEST_WAIT)

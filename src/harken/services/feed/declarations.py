"""All feeds: Harken's own, those that the program registered, and those stored in the database.

A stored feed is read by its id for each first page, so that a change takes effect at the next
request in every process. Later pages use the declaration of the first page, which its slate keeps.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Row, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from harken.database import Database, Kind, Prepared, translated
from harken.domain.declarations import FEED_ID, check_feed_id, declaration, declare, declared
from harken.domain.feeds import DEFAULT_FEEDS, READER_FEEDS, Feed, label_feed
from harken.errors import CursorExpired, InvalidInput, NotFound, Problem, UnknownFeed
from harken.models import FeedDeclaration
from harken.models.types import table, utc_now
from harken.services.kblocks.store import Change
from harken.unreadable_rows import Unreadable

DECLARATIONS = table(FeedDeclaration)
MOST_LISTED = 1_000
BUILT_IN, REGISTERED, STORED = "built-in", "registered", "stored"

_BY_ID = Prepared(
    select(DECLARATIONS.c.declaration).where(DECLARATIONS.c.feed_id == bindparam("feed_id"))
)


class Listed(NamedTuple):
    """A feed, its origin, and when it was stored."""

    feed: Feed
    origin: str
    created_at: datetime | None = None
    updated_at: datetime | None = None


class Feeds:
    """The feeds of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._registered: dict[str, Feed] = {}
        self._unreadable = Unreadable()

    def register(self, feed: Feed) -> None:
        """Register a feed of this program; raises InvalidInput if its name is taken.

        Registering the same feed again changes nothing.
        """
        if self._registered.get(feed.name) is not feed:
            self._check_free(feed.name)
            self._registered[feed.name] = feed

    def known(self, name: str) -> Feed | None:
        """Return a feed that is not stored: built-in, registered, or that of a label."""
        built_in = DEFAULT_FEEDS.get(name) or READER_FEEDS.get(name)
        return built_in or self._registered.get(name) or label_feed(name)

    async def find(self, name: str) -> Feed:
        """Return a feed by its name; raises UnknownFeed or DatabaseUnavailable."""
        feed = self.known(name)
        if feed is None and FEED_ID.fullmatch(name):
            rows = await self._database.read(_BY_ID, {"feed_id": name})
            feed = self._declared(name, rows[0][0]) if rows else None
        if feed is None:
            raise UnknownFeed(name, self._known())
        return feed

    def kept(self, name: str, settings: Mapping[str, Any] | None) -> Feed:
        """Return a stored feed as it was when a slate with these settings was made.

        Raises CursorExpired if the slate is no longer kept (None), and UnknownFeed for a feed that
        another program registered.
        """
        if settings is None:
            raise CursorExpired
        if "declaration" not in settings:  # another program registered it
            raise UnknownFeed(name, self._known())
        return declare(name, settings["declaration"])

    async def get(self, name: str) -> Listed:
        """Return a feed with its origin. Raises UnknownFeed or DatabaseUnavailable."""
        if (known := self._known().get(name)) is not None:
            return known
        if (feed := self.known(name)) is not None:
            return Listed(feed, BUILT_IN)
        if not FEED_ID.fullmatch(name):
            raise UnknownFeed(name, self._known())
        async with self._database.reading() as connection:
            found = await connection.execute(
                select(DECLARATIONS).where(DECLARATIONS.c.feed_id == name)
            )
            row = found.one_or_none()
        if row is not None and (listed := self._listed(row)) is not None:
            return listed
        raise UnknownFeed(name, self._known())

    def _known(self) -> dict[str, Listed]:
        registered = {name: Listed(feed, REGISTERED) for name, feed in self._registered.items()}
        return {name: Listed(feed, BUILT_IN) for name, feed in DEFAULT_FEEDS.items()} | registered

    async def listed(self) -> list[Listed]:
        """Return all feeds; the stored ones come last, in order of their ids, at most 1,000.

        Raises DatabaseUnavailable.
        """
        known = self._known()
        async with self._database.reading() as connection:
            rows = await connection.execute(
                select(DECLARATIONS).order_by(DECLARATIONS.c.feed_id).limit(MOST_LISTED)
            )
            stored = [self._listed(row) for row in rows if row.feed_id not in known]
        return [*known.values(), *(each for each in stored if each is not None)]

    async def ordered_by_model(self, named: Sequence[str] = ()) -> list[str]:
        """Return the names of the feeds whose own ranking is the learned one, or check `named`.

        Raises UnknownFeed, InvalidInput for a feed with another ranking, or DatabaseUnavailable.
        """
        if not named:
            listed = [each.feed for each in await self.listed()]
            return [each.name for each in listed if each.ranking.is_learned]
        for name in named:
            if not (await self.find(name)).ranking.is_learned:
                message = f"{name} is not ordered by a model: its ranking is not learned"
                raise InvalidInput(Problem("feeds", message))
        return [*named]

    def _listed(self, row: Row[Any]) -> Listed | None:
        feed = self._declared(row.feed_id, row.declaration)
        return None if feed is None else Listed(feed, STORED, row.created_at, row.updated_at)

    def _declared(self, feed_id: str, text: str) -> Feed | None:
        """Return a stored feed; None, and a warning in the log, if its row cannot be read."""
        try:
            return declared(feed_id, text)
        except (InvalidInput, ValueError, TypeError, RecursionError):
            self._unreadable.name("feed", feed_id, "store it again, or delete it")
            return None

    async def put(self, feed_id: str, fields: Mapping[str, Any]) -> Change:
        """Store or replace a declaration. It takes effect at the next first page in all processes.

        Raises InvalidInput or DatabaseUnavailable.
        """
        self._check_free(feed_id)
        text = json.dumps(declaration(declare(feed_id, fields)), ensure_ascii=False)
        insert: Any = postgresql.insert if self._database.is_postgresql else sqlite.insert
        new = insert(DECLARATIONS).values(
            feed_id=feed_id, declaration=text, created_at=utc_now(), updated_at=utc_now()
        )
        replaced = {name: new.excluded[name] for name in ("declaration", "updated_at")}
        with translated():
            async with self._database.transaction(Kind.WRITE) as connection:
                found = await connection.execute(
                    select(DECLARATIONS.c.declaration).where(DECLARATIONS.c.feed_id == feed_id)
                )
                before = found.scalar_one_or_none()
                if before == text:
                    return Change.UNCHANGED
                await connection.execute(
                    new.on_conflict_do_update(index_elements=["feed_id"], set_=replaced)
                )
        return Change.ADDED if before is None else Change.UPDATED

    async def delete(self, feed_id: str) -> None:
        """Delete a stored feed. Raises InvalidInput, NotFound or DatabaseUnavailable."""
        self._check_free(feed_id)
        with translated():
            async with self._database.transaction(Kind.WRITE) as connection:
                gone = await connection.execute(
                    delete(DECLARATIONS).where(DECLARATIONS.c.feed_id == feed_id)
                )
                if not gone.rowcount:
                    raise NotFound(f"there is no stored feed {feed_id!r}")

    def _check_free(self, feed_id: str) -> None:
        check_feed_id(feed_id)
        if feed_id in self._registered:
            raise InvalidInput(
                Problem("id", f"{feed_id!r} is a feed of this program; choose another name")
            )

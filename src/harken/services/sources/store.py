"""The store of sources that are subscribed to."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Row, bindparam, delete, func, not_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from harken.database import Database, Kind, translated
from harken.domain.stored_kblock import source_key, source_title
from harken.models import FeedSource
from harken.models.types import table
from harken.services.record.contradictions import KBLOCKS
from harken.services.sources.subscription import Subscription

SOURCES = table(FeedSource)
MOST_LISTED = 1_000
MOST_AT_ONCE = 500

_FIELDS = tuple(Subscription.__dataclass_fields__)
# What a refresh changes; a title that a person gives meanwhile stays.
_OF_REFRESH = (
    "title", "site_url", "etag", "last_modified", "digest", "checked_at", "succeeded_at", "error",
    "failures", "is_gone", "due_at",
)  # fmt: skip
_REFRESHED = (
    update(SOURCES)
    .where(SOURCES.c.source_id == bindparam("of_id"))
    .values({name: bindparam(f"new_{name}") for name in _OF_REFRESH})
)
_SHOWN = func.coalesce(SOURCES.c.given_title, func.nullif(SOURCES.c.title, ""), SOURCES.c.name)


class Listed(NamedTuple):
    """A source, and how many K-Blocks are from it."""

    source: Subscription
    items: int


class SourceStore:
    """The sources of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, sources: Iterable[Subscription]) -> list[str]:
        """Add the sources that are not there, all or none; returns their ids.

        Raises DatabaseUnavailable.
        """
        rows = [_row(each) for each in sources]
        if not rows:
            return []
        insert_new: Any = postgresql.insert if self._database.is_postgresql else sqlite.insert
        added: list[str] = []
        with translated():
            async with self._database.transaction(Kind.WRITE) as connection:
                for start in range(0, len(rows), MOST_AT_ONCE):
                    some = rows[start : start + MOST_AT_ONCE]
                    ids = [row["source_id"] for row in some]
                    there = await connection.execute(
                        select(SOURCES.c.source_id).where(SOURCES.c.source_id.in_(ids))
                    )
                    known = set(there.scalars())
                    new = [row for row in some if row["source_id"] not in known]
                    if new:
                        await connection.execute(insert_new(SOURCES).on_conflict_do_nothing(), new)
                    added += [row["source_id"] for row in new]
        return added

    async def get(self, source_id: str) -> Subscription | None:
        """Return a source; None if there is none with this id."""
        found = await self.named([source_id])
        return found[0] if found else None

    async def named(self, source_ids: Collection[str]) -> list[Subscription]:
        """Return the sources with some ids (up to 1,000); others are left out."""
        return await self._read(select(SOURCES).where(SOURCES.c.source_id.in_(list(source_ids))))

    async def at(self, urls: Collection[str]) -> Subscription | None:
        """Return the source at one of some addresses; None if there is none."""
        found = await self._read(select(SOURCES).where(SOURCES.c.url.in_(list(urls))).limit(1))
        return found[0] if found else None

    async def all(self) -> list[Subscription]:
        """Return all sources by their titles."""
        return await self._read(select(SOURCES).order_by(func.lower(_SHOWN), SOURCES.c.source_id))

    async def due(self, at: datetime, most: int) -> list[Subscription]:
        """Return sources that are to be asked by a time, those that wait longest first."""
        due = SOURCES.c.due_at <= at
        return await self._read(select(SOURCES).where(due).order_by(SOURCES.c.due_at).limit(most))

    async def listed(self, limit: int = MOST_LISTED, offset: int = 0) -> tuple[list[Listed], int]:
        """Return sources by their titles, and how many there are in all."""
        page = select(SOURCES).order_by(func.lower(_SHOWN), SOURCES.c.source_id)
        async with self._database.reading(Kind.SNAPSHOT) as connection:
            rows = (await connection.execute(page.limit(limit).offset(offset))).all()
            count = select(func.count()).select_from(SOURCES)
            total = int((await connection.execute(count)).scalar_one())
            names = [row.name for row in rows]
            counted = await connection.execute(
                select(KBLOCKS.c.source, func.count())
                .where(KBLOCKS.c.source.in_(names), not_(KBLOCKS.c.deleted))
                .group_by(KBLOCKS.c.source)
            )
            items = {name: int(found) for name, found in counted}
        return [Listed(_source(row), items.get(row.name, 0)) for row in rows], total

    async def _read(self, wanted: Any) -> list[Subscription]:
        async with self._database.reading() as connection:
            return [_source(row) for row in await connection.execute(wanted)]

    async def titles(self, source_ids: Collection[str]) -> dict[str, str]:
        """Return the titles of sources by id, also of those that only K-Blocks name.

        Unknown ones are left out.
        """
        found = {each.source_id: each.shown_title for each in await self.named(source_ids)}
        if found.keys() >= set(source_ids):
            return found
        named = select(KBLOCKS.c.source).where(KBLOCKS.c.source.is_not(None)).distinct()
        async with self._database.reading() as connection:
            names = (await connection.execute(named)).scalars().all()
        known = {source_key(name): source_title(name) for name in names}
        return {each: known[each] for each in source_ids if each in known} | found

    async def keep(self, refreshed: Sequence[Subscription]) -> None:
        """Store what a refresh changed of sources. Raises DatabaseUnavailable."""
        if not refreshed:
            return
        values = [
            {f"new_{name}": getattr(each, name) for name in _OF_REFRESH} | {"of_id": each.source_id}
            for each in refreshed
        ]
        with translated():
            async with self._database.transaction(Kind.WRITE) as connection:
                await connection.execute(_REFRESHED, values)

    async def rename(self, source_id: str, title: str | None) -> bool:
        """Set the title that people gave a source; returns False if there is no such source."""
        return await self._change([source_id], {"given_title": title}) > 0

    async def ask(self, at: datetime, source_ids: Collection[str] | None = None) -> int:
        """Have sources asked at a time, by default all but those that are gone."""
        return await self._change(source_ids, {"due_at": at})

    async def _change(self, source_ids: Collection[str] | None, values: Mapping[str, Any]) -> int:
        which = not_(SOURCES.c.is_gone)
        if source_ids is not None:
            which = SOURCES.c.source_id.in_(list(source_ids))
        with translated():
            async with self._database.transaction(Kind.WRITE) as connection:
                done = await connection.execute(update(SOURCES).where(which).values(**values))
                return int(done.rowcount)

    async def schedule(self, at: datetime) -> int:
        """Have sources asked at a time that no time is set for, but those that are gone."""
        unset = SOURCES.c.due_at.is_(None), not_(SOURCES.c.is_gone)
        with translated():
            async with self._database.transaction(Kind.WRITE) as connection:
                done = await connection.execute(update(SOURCES).where(*unset).values(due_at=at))
                return int(done.rowcount)

    async def remove(self, source_id: str) -> bool:
        """Remove a source; its K-Blocks stay. Returns False if there is no such source."""
        with translated():
            async with self._database.transaction(Kind.WRITE) as connection:
                gone = await connection.execute(
                    delete(SOURCES).where(SOURCES.c.source_id == source_id)
                )
                return gone.rowcount > 0


def _row(source: Subscription) -> dict[str, Any]:
    fields = {name: getattr(source, name) for name in _FIELDS}
    return {"source_id": source.source_id, "name": source.name, **fields}


def _source(row: Row[Any]) -> Subscription:
    return Subscription(**{name: getattr(row, name) for name in _FIELDS})

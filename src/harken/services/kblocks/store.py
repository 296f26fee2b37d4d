"""The store of K-Blocks: writing and reading them."""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import RowMapping, delete, func, insert, not_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_sessionmaker

from harken.database import Database, Kind, translated
from harken.domain.kblock import Edge, EdgeKind, KBlock
from harken.domain.slates import SourceReference
from harken.domain.stored_kblock import as_read, is_readable
from harken.models import FeedSource, KBlockVersion
from harken.models.kblock import SortColumns
from harken.models.types import table, utc_now
from harken.services.kblocks.attachments import BEGIN, Attachment, split
from harken.services.kblocks.search.document import Document
from harken.services.kblocks.search.rows import put_rows, remove_rows, words_of
from harken.services.kblocks.search.upkeep import SearchUpkeep
from harken.services.kblocks.text import preview
from harken.services.kblocks.turns import (
    CLOCK,
    MOST_AT_ONCE,
    WriteTurn,
    begin_turn,
    link,
    neighbours,
    touch,
)
from harken.services.record import contradictions
from harken.services.record.contradictions import EDGES, KBLOCKS

VERSIONS = table(KBlockVersion)
SOURCES = table(FeedSource)
SORT_COLUMNS = tuple(SortColumns.__annotations__)


class Change(StrEnum):
    """The result of writing a K-Block."""

    ADDED = "added"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


class StoredKBlock(NamedTuple):
    """A stored K-Block. `contradicts` are ids, and include contradictions that readers reported."""

    kblock: KBlock
    preview: str
    contradicts: list[str]
    updated_at: datetime
    source: SourceReference | None = None


class KBlockName(NamedTuple):
    """The id, title and path of a K-Block."""

    id: str
    title: str
    path: str | None


class StoredProperties(NamedTuple):
    """The properties by which an import recognises a stored K-Block."""

    title: str
    path: str | None
    created_at: datetime | None
    source: str | None


class KBlockStore:
    """The K-Blocks of one database. Writers are serialised; each write makes a revision."""

    def __init__(
        self,
        session_factory: async_sessionmaker[AsyncSession],
        *,
        schema: str | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Use a given session factory; `schema` as in `FeedFeedbackPersistence`."""
        self._database = Database(session_factory, schema)
        self._clock = clock
        self.writes = 0
        """The number of writes of this object: an index that saw fewer must be refreshed."""
        self.search_index = SearchUpkeep(self._database)

    # Writing

    async def put(
        self,
        kblocks: Sequence[KBlock],
        source: str | None = None,
        arrivals: Mapping[str, datetime] | None = None,
    ) -> list[Change]:
        """Add or replace K-Blocks, all or none; returns the change of each, in their order.

        `source` is the name of the importer. If an id occurs twice, the last K-Block is written. A
        K-Block without `created_at` keeps its stored one; if it is new, it gets its time in
        `arrivals` (by id), else the current time. Raises DatabaseUnavailable.
        """
        wanted = {kblock.id: kblock for kblock in kblocks}
        if not wanted:
            return []
        # Analysed before the transaction, so that no other writer waits for it.
        words = await words_of(wanted.values(), await self.digests(wanted))
        with translated():
            async with self._database.transaction(Kind.WRITE) as connection:
                changes = await self._put(
                    await begin_turn(connection), wanted, source, arrivals or {}, words
                )
        self.writes += 1
        return [changes[kblock.id] for kblock in kblocks]

    async def _put(
        self,
        turn: WriteTurn,
        wanted: dict[str, KBlock],
        source: str | None,
        arrivals: Mapping[str, datetime],
        words: Mapping[str, Document],
    ) -> dict[str, Change]:
        before = await _rows(turn.connection, wanted)
        changes: dict[str, Change] = {}
        new: list[dict[str, Any]] = []
        changed: list[dict[str, Any]] = []
        superseded: list[RowMapping] = []
        for kblock in wanted.values():
            row = before.get(kblock.id)
            arrived = arrivals.get(kblock.id) or self._clock()
            values = self._values(kblock, row, source, arrived) | {"revision": turn.revision}
            if row is None:
                values |= {"number": turn.last_number + len(new) + 1, "version": turn.revision}
                new.append(values)
            elif row["deleted"]:
                changed.append(values | {"version": turn.revision})
            elif _is_the_same(row, values):
                changes[kblock.id] = Change.UNCHANGED
                continue
            elif _sorts_alike(row, values):
                changed.append(values | {"version": row["version"]})
            else:
                changed.append(values | {"version": turn.revision})
                superseded.append(row)
            is_new = row is None or row["deleted"]
            changes[kblock.id] = Change.ADDED if is_new else Change.UPDATED
        await _write(turn, new, changed)
        numbers = {values["id"]: values["number"] for values in new}
        numbers |= {values["id"]: before[values["id"]]["number"] for values in changed}
        await put_rows(turn.connection, numbers, wanted, words)
        await _keep_versions(turn, superseded)
        written = [wanted[kblock_id] for kblock_id in changes if changes[kblock_id] != "unchanged"]
        added = {kblock_id for kblock_id in changes if changes[kblock_id] is Change.ADDED}
        await link(turn, written, added)
        return changes

    def _values(
        self, kblock: KBlock, row: RowMapping | None, source: str | None, arrived: datetime
    ) -> dict[str, Any]:
        kept = None if row is None or row["deleted"] else row
        received = (kept and (kept["received_at"] or kept["updated_at"])) or self._clock()
        return {
            "id": kblock.id,
            "digest": kblock.digest(),
            "source": source or (kept and kept["source"]),
            "path": kblock.path,
            "title": kblock.title,
            "preview": preview(split(kblock.content)[0] or kblock.content),
            "content": kblock.content,
            "layer": kblock.layer,
            "kind": kblock.kind,
            "author": kblock.author,
            "tags": json.dumps(kblock.tags, ensure_ascii=False),
            "principles": json.dumps(kblock.principles, ensure_ascii=False),
            "galois_loss": kblock.galois_loss,
            "created_at": kblock.created_at or (kept and kept["created_at"]) or arrived,
            "received_at": received,
            "deleted": False,
        }

    async def delete(self, kblock_ids: Collection[str]) -> list[str]:
        """Delete K-Blocks and their edges; returns the ids of those that existed.

        Interactions with them stay in the log. Raises DatabaseUnavailable.
        """
        with translated():
            async with self._database.transaction(Kind.WRITE) as connection:
                turn = await begin_turn(connection)
                rows = await _rows(connection, kblock_ids)
                gone = [row for row in rows.values() if not row["deleted"]]
                ids = [row["id"] for row in gone]
                await _keep_versions(turn, gone)
                await touch(turn, await neighbours(connection, ids))
                await connection.execute(
                    update(KBLOCKS)
                    .where(KBLOCKS.c.id.in_(ids))
                    .values(_EMPTY | {"revision": turn.revision, "version": turn.revision})
                )
                await connection.execute(delete(EDGES).where(EDGES.c.source_id.in_(ids)))
                await remove_rows(connection, [row["number"] for row in gone])
        self.writes += 1
        return ids

    async def forget_versions(self, before: datetime) -> None:
        """Delete versions that were superseded before a time, when all their cursors expired."""
        with translated():
            async with self._database.transaction(Kind.BULK_WRITE) as connection:
                await connection.execute(delete(VERSIONS).where(VERSIONS.c.superseded_at < before))

    # Reading

    async def get(self, kblock_id: str) -> StoredKBlock | None:
        """Return a K-Block; None if there is none with this id."""
        async with self._database.reading(Kind.SNAPSHOT) as connection:
            found = await connection.execute(
                select(KBLOCKS).where(KBLOCKS.c.id == kblock_id, not_(KBLOCKS.c.deleted))
            )
            row = found.mappings().one_or_none()
            if row is None:
                return None
            edges = await connection.execute(
                select(EDGES.c.target_id.label("target"), EDGES.c.kind)
                .where(EDGES.c.source_id == kblock_id)
                .order_by(EDGES.c.kind, EDGES.c.target_id)
            )
            found = await connection.execute(contradictions.others([kblock_id]))
            others = [each.other for each in found]
            source = await _source(connection, row["source"])
        read = dict(row) | as_read(row)
        kblock = KBlock.model_construct(
            **{name: read[name] for name in KBlock.model_fields if name != "edges"},
            edges=tuple(
                Edge.model_construct(target=edge.target, kind=EdgeKind(edge.kind))
                for edge in edges
                if edge.kind in set(EdgeKind)
            ),
        )
        return StoredKBlock(kblock, read["preview"], others, read["updated_at"], source)

    async def names(self, ids: Collection[str]) -> dict[str, KBlockName]:
        """Return the names of K-Blocks by id (up to 1,000 ids); missing ones are left out."""
        columns = KBLOCKS.c
        async with self._database.reading() as connection:
            found = await connection.execute(
                select(columns.id, columns.title, columns.path).where(
                    columns.id.in_(list(ids)), not_(columns.deleted)
                )
            )
            return {row.id: KBlockName(*row) for row in found if isinstance(row.title, str)}

    async def attachments(self, ids: Collection[str]) -> dict[str, list[Attachment]]:
        """Return the attachments of K-Blocks by id (up to 1,000 ids), of those that have any."""
        columns = KBLOCKS.c
        wanted = select(columns.id, columns.content).where(
            columns.id.in_(list(ids)), columns.content.contains(BEGIN, autoescape=True)
        )
        async with self._database.reading() as connection:
            rows = (await connection.execute(wanted)).all()
        return {row.id: split(row.content)[1] for row in rows if isinstance(row.content, str)}

    async def linking(self, kblock_id: str) -> list[KBlockName]:
        """Return the K-Blocks that link to one, by title; at most 1,000."""
        columns = KBLOCKS.c
        links = EDGES.c.kind == EdgeKind.LINKS.value, EDGES.c.source_id != kblock_id
        wanted = (
            select(columns.id, columns.title, columns.path)
            .join(EDGES, EDGES.c.source_id == columns.id)
            .where(EDGES.c.target_id == kblock_id, *links, not_(columns.deleted))
            .order_by(columns.title, columns.id)
            .limit(MOST_AT_ONCE)
        )
        async with self._database.reading() as connection:
            return [KBlockName(*row) for row in await connection.execute(wanted)]

    async def paths(self, source: str) -> dict[str, str | None]:
        """Return the paths of the K-Blocks of a source, by id."""
        async with self._database.reading() as connection:
            found = await connection.execute(
                select(KBLOCKS.c.id, KBLOCKS.c.path).where(
                    KBLOCKS.c.source == source, not_(KBLOCKS.c.deleted)
                )
            )
            return {row.id: row.path for row in found}

    async def properties(self, ids: Collection[str]) -> dict[str, StoredProperties]:
        """Return the properties of stored K-Blocks by id; missing ones are left out."""
        columns = KBLOCKS.c
        wanted = list(ids)
        kept: dict[str, StoredProperties] = {}
        async with self._database.reading() as connection:
            for start in range(0, len(wanted), MOST_AT_ONCE):
                found = await connection.execute(
                    select(
                        columns.id, columns.title, columns.path, columns.created_at, columns.source
                    ).where(
                        columns.id.in_(wanted[start : start + MOST_AT_ONCE]), not_(columns.deleted)
                    )
                )
                kept |= {row.id: StoredProperties(*row[1:]) for row in found}
        return kept

    async def digests(self, ids: Collection[str]) -> dict[str, str]:
        """Return the digests of K-Blocks by id; missing ones are left out."""
        async with self._database.reading() as connection:
            rows = await _rows(connection, ids)
        return {key: row["digest"] for key, row in rows.items() if not row["deleted"]}

    async def count(self) -> int:
        """Return the number of K-Blocks."""
        async with self._database.reading() as connection:
            counted = await connection.execute(
                select(func.count()).select_from(KBLOCKS).where(not_(KBLOCKS.c.deleted))
            )
            return int(counted.scalar_one())


_EMPTY = {
    "deleted": True, "digest": "", "source": None, "path": None, "title": "", "preview": "",
    "content": "", "author": None, "tags": "[]", "principles": "[]", "updated_at": utc_now(),
}  # fmt: skip


async def _source(connection: AsyncConnection, name: str | None) -> SourceReference | None:
    columns = SOURCES.c.given_title, SOURCES.c.title
    found = (await connection.execute(select(*columns).where(SOURCES.c.name == name))).one_or_none()
    return SourceReference.of(name, None if found is None else found[0] or found[1])


async def _rows(connection: AsyncConnection, ids: Iterable[str]) -> dict[str, RowMapping]:
    names = (
        "id", "number", "revision", "version", "digest", "source", "deleted", "updated_at",
        *SORT_COLUMNS,
    )  # fmt: skip
    found = await connection.execute(
        select(*(KBLOCKS.c[name] for name in names)).where(KBLOCKS.c.id.in_(list(ids)))
    )
    return {row["id"]: row for row in found.mappings()}


def _is_the_same(row: RowMapping, values: dict[str, Any]) -> bool:
    # A row that cannot be read is repaired by writing it again.
    same = row["digest"] == values["digest"] and row["source"] == values["source"]
    return same and is_readable(row)


def _sorts_alike(row: RowMapping, values: dict[str, Any]) -> bool:
    return all(row[name] == values[name] for name in ("source", *SORT_COLUMNS))


async def _write(turn: WriteTurn, new: list[dict[str, Any]], changed: list[dict[str, Any]]) -> None:
    if new:
        await turn.connection.execute(insert(KBLOCKS).values(updated_at=utc_now()), new)
        await turn.connection.execute(
            update(CLOCK).where(CLOCK.c.id == 1).values(last_number=turn.last_number + len(new))
        )
    for values in changed:
        await turn.connection.execute(
            update(KBLOCKS)
            .where(KBLOCKS.c.id == values["id"])
            .values(values | {"updated_at": utc_now()})
        )


async def _keep_versions(turn: WriteTurn, rows: Sequence[RowMapping]) -> None:
    """Store the versions before this revision, for pages of feeds that began before it."""
    rows = [row for row in rows if is_readable(row)]  # unreadable rows are in no feed
    if rows:
        await turn.connection.execute(
            insert(VERSIONS).values(until=turn.revision, superseded_at=utc_now()),
            [{name: row[name] for name in ("number", "version", *SORT_COLUMNS)} for row in rows],
        )

"""The rows of the search index, written in the transaction that writes their K-Blocks.

The statements are for one connection, so that the migration uses them as well as the store.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Select,
    Table,
    Text,
    bindparam,
    cast,
    delete,
    literal,
    not_,
    or_,
    select,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.ext.asyncio import AsyncConnection

from harken.domain.kblock import KBlock
from harken.domain.stored_kblock import as_read
from harken.models.search import FTS5_WORDS, VECTORS
from harken.services.kblocks.search.document import ANALYSIS, Document, document, row_document
from harken.services.record.contradictions import KBLOCKS

STEP = 500
"""K-Blocks that are read and analysed at a time."""
_READ = (
    "number", "digest", "title", "tags", "principles", "author", "content", "preview", "kind",
    "path", "layer", "galois_loss", "created_at", "received_at", "updated_at",
)  # fmt: skip


class Statements(NamedTuple):
    """The statements on the search index of one kind of database.

    put: writes a row, or replaces it; takes the values of `values()`.
    remove: deletes the row with the parameter `number`.
    table: the table, whose columns `number` and `digest` both kinds have.
    """

    put: Any
    remove: Any
    table: Table

    def values(self, number: int, words: Document) -> dict[str, Any]:
        """Return the parameters of `put`."""
        columns = words.vectors() if self.table is VECTORS else words.fts5()
        return {"number": number, **columns}

    def differing(self) -> Select[Any]:
        """Select the K-Blocks whose row is missing or was made of another content, by number.

        Its parameters are `after`, a number, and `most`.
        """
        mark = literal(f"{ANALYSIS}:").concat(KBLOCKS.c.digest)
        kept = self.table.c
        return (
            select(*(KBLOCKS.c[name] for name in _READ))
            .outerjoin_from(KBLOCKS, self.table, kept.number == KBLOCKS.c.number)
            .where(
                not_(KBLOCKS.c.deleted),
                KBLOCKS.c.number > bindparam("after", type_=BigInteger),
                or_(kept.digest.is_(None), kept.digest != mark),
            )
            .order_by(KBLOCKS.c.number)
            .limit(bindparam("most", type_=BigInteger))
        )

    def orphaned(self) -> Select[Any]:
        """Select the numbers of the rows that have no K-Block."""
        kept = self.table.c
        return (
            select(kept.number)
            .outerjoin_from(self.table, KBLOCKS, KBLOCKS.c.number == kept.number)
            .where(or_(KBLOCKS.c.number.is_(None), KBLOCKS.c.deleted))
        )


@cache
def statements(*, postgresql_is_used: bool) -> Statements:
    """Return the statements for a kind of database."""
    if not postgresql_is_used:
        put = text(
            "REPLACE INTO kblock_search (rowid, title, tags, author, text, digest) "
            "VALUES (:number, :title, :tags, :author, :text, :digest)"
        )
        remove = text("DELETE FROM kblock_search WHERE rowid = :number")
        return Statements(put, remove, FTS5_WORDS)
    vectors = {name: cast(bindparam(name, type_=Text), TSVECTOR) for name in ("heading", "words")}
    new = postgresql.insert(VECTORS).values(
        number=bindparam("number", type_=BigInteger), digest=bindparam("digest", type_=Text),
        **vectors,
    )  # fmt: skip
    kept = {name: new.excluded[name] for name in ("digest", *vectors)}
    remove_row = delete(VECTORS).where(VECTORS.c.number == bindparam("number", type_=BigInteger))
    return Statements(new.on_conflict_do_update(index_elements=["number"], set_=kept),
                      remove_row, VECTORS)  # fmt: skip


def of_connection(connection: Any) -> Statements:
    """Return the statements for the database of a connection."""
    return statements(postgresql_is_used=connection.dialect.name == "postgresql")


def analysed(rows: Iterable[Mapping[Any, Any]]) -> list[tuple[int, Document]]:
    """Return the numbers and words of stored rows; a value that cannot be read is left out."""
    return [
        (row["number"], row_document({**as_read(row), "digest": row["digest"] or ""}))
        for row in rows
    ]


async def words_of(kblocks: Collection[KBlock], known: Mapping[str, str]) -> dict[str, Document]:
    """Return the words of K-Blocks by id, of those whose digest is not `known`; in a thread."""

    def analyse() -> dict[str, Document]:
        digests = ((kblock, kblock.digest()) for kblock in kblocks)
        return {
            kblock.id: document(digest, kblock.title, kblock.tags, kblock.author, kblock.content)
            for kblock, digest in digests
            if known.get(kblock.id) != digest
        }

    return await asyncio.to_thread(analyse)


async def put_rows(
    connection: AsyncConnection,
    numbers: Mapping[str, int],
    kblocks: Mapping[str, KBlock],
    words: Mapping[str, Document],
) -> None:
    """Write the rows of K-Blocks, by id; those whose words are not given are analysed here."""
    missing = [kblocks[kblock_id] for kblock_id in numbers if kblock_id not in words]
    found = {**words, **(await words_of(missing, {}) if missing else {})}
    if numbers:
        used = of_connection(connection)
        values = [used.values(number, found[kblock_id]) for kblock_id, number in numbers.items()]
        await connection.execute(used.put, values)


async def remove_rows(connection: AsyncConnection, numbers: Sequence[int]) -> None:
    """Delete the rows of K-Blocks."""
    if numbers:
        remove = of_connection(connection).remove
        await connection.execute(remove, [{"number": number} for number in numbers])

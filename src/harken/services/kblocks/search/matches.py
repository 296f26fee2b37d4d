"""Which K-Blocks match a query, and how well, in either database.

SQLite answers by FTS5 and its BM25. PostgreSQL answers by GIN indexes and `ts_rank`, which does not
know how rare a word is. Both weigh the fields alike (`document.WEIGHTS`).
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    BigInteger,
    Float,
    LargeBinary,
    Text,
    bindparam,
    cast,
    func,
    not_,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, REAL, TSQUERY

from harken.database import Database, Prepared, is_in_list
from harken.domain.stored_kblock import as_read
from harken.models.search import VECTORS
from harken.services.kblocks.search.document import (
    AUTHOR,
    FIELDS,
    MOST_CHARACTERS,
    TAGS,
    TEXT,
    TITLE,
    WEIGHTS,
)
from harken.services.kblocks.search.query import Query
from harken.services.record.contradictions import KBLOCKS

Numbers = NDArray[np.int64]
NONE: Numbers = np.zeros(0, np.int64)
BY_LENGTH = 1
"""The option of ts_rank that divides by the logarithm of the number of words."""
_UNIT = 10.0
"""bm25() gets the weights times this: its unit is a match in the text, ts_rank()'s in the title."""


class Texts(NamedTuple):
    """The texts of a K-Block that a query is looked for in."""

    title: str
    tags: tuple[str, ...]
    author: str
    content: str
    preview: str


class Looked(NamedTuple):
    """What matches of some K-Blocks, in no order.

    headed: those whose title, tags and author match. loosely: those with all words of the query,
    though not as its phrases.
    """

    matching: Numbers = NONE
    headed: Numbers = NONE
    loosely: Numbers = NONE


class SearchStore:
    """The search index of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def numbers(self, query: Query) -> Numbers:
        """Return the numbers of all K-Blocks that match, in no order.

        Raises DatabaseUnavailable.
        """
        if self._database.is_postgresql:
            return await self._listed(_VECTORS, {"query": query.tsquery()})
        return await self._listed(_FTS5, {"query": query.fts5()})

    @property
    def reads_rows(self) -> bool:
        """Whether the index alone does not tell what matches, and a row is read for each match."""
        return self._database.is_postgresql

    async def latest(self, query: Query, most: int, *, in_heading: bool = False) -> Numbers:
        """Return the latest K-Blocks that match, in no order; in SQLite alone."""
        given = {"query": query.fts5(in_heading=in_heading), "most": most}
        return await self._listed(_FTS5_LATEST, given)

    async def in_heading(self, query: Query) -> Numbers:
        """Return all K-Blocks whose title, tags and author match; in PostgreSQL alone."""
        return await self._listed(_HEADINGS, {"query": query.tsquery()})

    async def among(self, query: Query, numbers: Numbers) -> Looked:
        """Return which of some K-Blocks match, by their rows; in PostgreSQL alone.

        If they are close to each other, all from the least to the greatest number are looked at.
        """
        if not len(numbers):
            return Looked()
        given: dict[str, Any] = {"query": query.tsquery(), "loose": query.loose_tsquery()}
        least, most = int(numbers.min()), int(numbers.max())
        if most - least < _CLOSE * len(numbers):
            [row] = await self._database.read(_RANGE, {**given, "least": least, "most": most})
        else:
            [row] = await self._database.read(
                _AMONG, {**given, "numbers": np.unique(numbers).tolist()}
            )
        return Looked(*map(_unpacked, row))

    async def of_source(self, source: str) -> Numbers:
        """Return the numbers of the K-Blocks of a source, in no order."""
        statement = _of_source(self._database.is_postgresql)
        return await self._listed(statement, {"source": source})

    async def _listed(self, statement: Prepared, parameters: dict[str, Any]) -> Numbers:
        [[found]] = await self._database.read(statement, parameters)
        return _unpacked(found)

    async def scores(self, query: Query, numbers: Numbers) -> dict[int, float]:
        """Return the relevance (above 0) by number, of those K-Blocks that still match."""
        parameters: dict[str, Any] = {"numbers": self._database.as_list(numbers.tolist())}
        if self._database.is_postgresql:
            parameters |= {"query": query.any_word(), "weights": _pg_weights()}
            rows = await self._database.read(_RANK, parameters)
        else:
            weights = {name: _UNIT * WEIGHTS[name] for name in FIELDS}
            least = int(numbers.min()) if len(numbers) else 0
            parameters |= {"query": query.fts5(whole=False), "least": least, **weights}
            rows = await self._database.read(_BM25, parameters)
        return {row[0]: float(row[1]) for row in rows}

    async def texts(self, numbers: Sequence[int]) -> dict[int, Texts]:
        """Return the texts of K-Blocks by number; deleted ones are left out."""
        rows = await self._database.read(
            _texts(self._database.is_postgresql), {"numbers": self._database.as_list(numbers)}
        )
        found = {}
        for number, *values in rows:
            read = as_read(_Defaults(zip(_READ, values, strict=True)))
            found[number] = Texts(
                read[TITLE], read[TAGS], read[AUTHOR] or "", read["content"], read["preview"]
            )
        return found


class _Defaults(dict[str, Any]):
    """A row of some columns; the others are null."""

    def __missing__(self, key: str) -> None:
        return None


def _unpacked(found: str | bytes | None) -> Numbers:
    """Return the numbers that a database has gathered."""
    if not found:
        return NONE
    if isinstance(found, str):
        return np.fromstring(found, np.int64, sep=",")
    return np.frombuffer(found, _ELEMENT, offset=_HEADER)["number"].astype(np.int64)


def _pg_weights() -> list[float]:
    """Return the weights of the labels D, C, B and A."""
    return [WEIGHTS[name] for name in (TEXT, AUTHOR, TAGS, TITLE)]


_FTS5 = Prepared(
    text("SELECT group_concat(rowid) FROM kblock_search WHERE kblock_search MATCH :query")
)
_FTS5_LATEST = Prepared(
    text(
        "SELECT group_concat(rowid) FROM (SELECT rowid FROM kblock_search "
        "WHERE kblock_search MATCH :query ORDER BY rowid DESC LIMIT :most)"
    )
)
# The plus sign keeps SQLite from looking up each rowid in an evaluation of the query of its own.
_BM25 = Prepared(
    text(
        "SELECT rowid, -bm25(kblock_search, :title, :tags, :author, :text) FROM kblock_search "
        "WHERE kblock_search MATCH :query AND rowid >= :least "
        "AND +rowid IN (SELECT value FROM json_each(:numbers))"
    )
)
_QUERY: Any = cast(bindparam("query", type_=Text), TSQUERY)
_RANK = Prepared(
    select(
        VECTORS.c.number,
        cast(
            func.ts_rank(
                bindparam("weights", type_=ARRAY(REAL)), VECTORS.c.words, _QUERY, BY_LENGTH
            ),
            Float,
        ),
    ).where(is_in_list(VECTORS.c.number, "numbers", postgresql=True))
)


# PostgreSQL sends numbers as the binary form of an array, which NumPy reads without a loop.
_HEADER = 20
_ELEMENT = np.dtype([("length", ">i4"), ("number", ">i8")])


def _gathered(number: Any) -> Any:
    return func.array_send(func.array_agg(number), type_=LargeBinary)


def _gathered_if(number: Any, condition: Any) -> Any:
    gathered = func.array_agg(number).filter(condition)
    return func.array_send(gathered, type_=LargeBinary)


def _matches(words: Any, query: Any) -> Any:
    return words.bool_op("@@")(query)


_VECTORS = Prepared(select(_gathered(VECTORS.c.number)).where(_matches(VECTORS.c.words, _QUERY)))
_HEADINGS = Prepared(select(_gathered(VECTORS.c.number)).where(_matches(VECTORS.c.heading, _QUERY)))
_LOOSE: Any = cast(bindparam("loose", type_=Text), TSQUERY)
_CLOSE = 2
"""Rows are read by a range of numbers if at least one in so many is wanted: that is faster."""


def _looked(condition: Any) -> Prepared:
    # OFFSET keeps PostgreSQL from the index on words: it does not know how common a word is.
    rows = select(VECTORS.c.number, VECTORS.c.heading, VECTORS.c.words)
    part = rows.where(condition).offset(0).subquery()
    matching = _matches(part.c.words, _QUERY)
    return Prepared(
        select(
            _gathered_if(part.c.number, matching),
            _gathered_if(part.c.number, _matches(part.c.heading, _QUERY)),
            _gathered(part.c.number),
        ).where(_matches(part.c.words, _LOOSE))
    )


_AMONG = _looked(is_in_list(VECTORS.c.number, "numbers", postgresql=True))
_RANGE = _looked(
    VECTORS.c.number.between(
        bindparam("least", type_=BigInteger), bindparam("most", type_=BigInteger)
    )
)


@cache
def _of_source(is_postgresql: bool) -> Prepared:  # noqa: FBT001 — the key of the cache
    gather: Any = _gathered if is_postgresql else func.group_concat
    of_it = KBLOCKS.c.source == bindparam("source", type_=Text)
    return Prepared(select(gather(KBLOCKS.c.number)).where(of_it, not_(KBLOCKS.c.deleted)))


_READ = ("title", "tags", "author", "content", "preview")


@cache
def _texts(is_postgresql: bool) -> Prepared:  # noqa: FBT001 — the key of the cache
    columns: list[Any] = [KBLOCKS.c[name] for name in _READ]
    columns[_READ.index("content")] = func.substr(KBLOCKS.c.content, 1, MOST_CHARACTERS)
    listed = is_in_list(KBLOCKS.c.number, "numbers", postgresql=is_postgresql)
    return Prepared(select(KBLOCKS.c.number, *columns).where(listed, not_(KBLOCKS.c.deleted)))

"""The statements that select K-Blocks and their statistics for the index."""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Table,
    bindparam,
    cast,
    func,
    literal,
    not_,
    select,
)

from harken.database import Prepared
from harken.domain.decay import TrendWeights
from harken.domain.times import FutureItems
from harken.services.index.rows import OPEN, Columns, IndexRow
from harken.services.kblocks import dates
from harken.services.kblocks.store import VERSIONS
from harken.services.record import decayed_counts
from harken.services.record.contradictions import KBLOCKS
from harken.services.record.statistics import KBLOCKS as STATISTICS

PAGE = 10_000
TRENDS = IndexRow._fields.index("trends")


class IndexSelects(NamedTuple):
    """The statements that select K-Blocks and their statistics."""

    counted: Sequence[ColumnElement[Any]]
    counts: Select[Any]
    page: Prepared
    """The next `PAGE` rows, in the order of `IndexRow`."""
    columns: Prepared
    """The same on PostgreSQL as one row of arrays, which takes a fifth of the time to read."""
    versions: Select[Any]
    future: FutureItems

    def present(self, in_conflict: ColumnElement[bool]) -> Select[Any]:
        """Return a statement for the rows of all K-Blocks that are not deleted, with statistics."""
        return _present(in_conflict, self.counted, self.future)


@cache
def selects_of(weights: TrendWeights, future: FutureItems) -> IndexSelects:
    """Return the statements for some weights, compiled once."""
    counted = (
        func.coalesce(cast(STATISTICS.c.engage_count, BigInteger) + STATISTICS.c.view_count, 0),
        func.coalesce(STATISTICS.c.attention_score, 0.0),
        *decayed_counts.orders(weights),
    )
    counts = select(KBLOCKS.c.number, *counted).join(
        KBLOCKS, KBLOCKS.c.id == STATISTICS.c.kblock_id
    )
    page = (
        _present(literal(value=False), counted, future)
        .where(KBLOCKS.c.number > bindparam("after"))
        .order_by(KBLOCKS.c.number)
        .limit(PAGE)
    )
    versions = select(*_sorted(VERSIONS, future, "superseded_at"), VERSIONS.c.until)
    versions = versions.join(KBLOCKS, KBLOCKS.c.number == VERSIONS.c.number)  # for the source
    rows = page.subquery()
    columns = select(*(func.array_agg(each) for each in rows.c))
    return IndexSelects(counted, counts, Prepared(page), Prepared(columns), versions, future)


def _present(
    in_conflict: ColumnElement[bool], counted: Sequence[ColumnElement[Any]], future: FutureItems
) -> Select[Any]:
    return (
        select(*_sorted(KBLOCKS, future, "updated_at"), in_conflict.label("in_conflict"), *counted)
        .outerjoin_from(KBLOCKS, STATISTICS, STATISTICS.c.kblock_id == KBLOCKS.c.id)
        .where(not_(KBLOCKS.c.deleted))
    )


def _sorted(table: Table, future: FutureItems, written: str) -> list[ColumnElement[Any]]:
    """Return the columns by which versions are sorted and filtered, in the order of `IndexRow`."""
    names = ("layer", "galois_loss", "kind", "author", "tags", "principles")
    return [
        *(table.c.number, table.c.version),
        dates.created(table, future, written).label("created"),
        *(table.c[name] for name in names),
        KBLOCKS.c.source,
        dates.is_scheduled(table, future, written).label("is_scheduled"),
    ]


def index_row(row: Sequence[Any]) -> IndexRow:
    """Return the row of an index of what `IndexSelects.present` selects."""
    return IndexRow._make((*row[:TRENDS], tuple(row[TRENDS:]), OPEN))


def index_columns(columns: Sequence[Sequence[Any]]) -> Columns:
    """Return the columns of rows of an index of what `IndexSelects.columns` selects."""
    trends = list(zip(*columns[TRENDS:], strict=True))
    found = dict(zip(IndexRow._fields, (*columns[:TRENDS], trends), strict=False))
    return {**found, "until": [OPEN] * len(trends)}

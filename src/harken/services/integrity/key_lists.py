"""Lists of keys as parameters of statements: ids, and pairs of ids, however many they are."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, FromClause, String, bindparam, func, not_, select, tuple_
from sqlalchemy.dialects.postgresql import ARRAY

from harken.database import Database, is_in_list

Pair = tuple[str, str]


def listed(column: ColumnElement[Any], name: str, *, postgresql: bool) -> ColumnElement[bool]:
    """Tell whether a column is in a list of any length, as a join rather than a comparison."""
    if postgresql:
        return column.in_(select(func.unnest(bindparam(name, type_=ARRAY(column.type)))))
    return is_in_list(column, name, postgresql=False)


def unlisted(column: ColumnElement[Any], name: str, *, postgresql: bool) -> ColumnElement[bool]:
    """Tell whether a column is in none of a list of any length.

    PostgreSQL would search a list of NOT IN for each row, once it is too long for its memory.
    """
    if not postgresql:
        return not_(is_in_list(column, name, postgresql=False))
    each = func.unnest(bindparam(name, type_=ARRAY(column.type))).table_valued("value", name=name)
    values = each.render_derived()
    return ~select(values.c.value).where(values.c.value == column).exists()


def listed_pair(
    first: ColumnElement[Any], second: ColumnElement[Any], name: str, *, postgresql: bool
) -> ColumnElement[bool]:
    """Tell whether two columns are a pair of the list that `as_pairs` binds to a name."""
    return tuple_(first, second).in_(select(pairs(name, postgresql=postgresql)))


def pairs(name: str, *, postgresql: bool) -> FromClause:
    """Return the pairs of a list as a relation of the columns `first` and `second`."""
    if postgresql:
        arrays = [
            bindparam(f"{name}_{each}", type_=ARRAY(String())) for each in ("first", "second")
        ]
        named = func.unnest(*arrays).table_valued("first", "second", name=name)
        return named.render_derived()
    pair = func.json_each(bindparam(name, type_=String)).table_valued("value").c.value
    return select(
        func.json_extract(pair, "$[0]", type_=String).label("first"),
        func.json_extract(pair, "$[1]", type_=String).label("second"),
    ).subquery(name)


def as_pairs(database: Database, name: str, values: Collection[Pair]) -> dict[str, Any]:
    """Return the parameters of `pairs`."""
    if not database.is_postgresql:
        return {name: database.as_list(values)}
    return {f"{name}_first": [a for a, _ in values], f"{name}_second": [b for _, b in values]}

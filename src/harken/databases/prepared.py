"""Statements that are compiled once, and sent to the driver directly."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from sqlalchemy import (
    ClauseElement,
    ColumnElement,
    Dialect,
    String,
    any_,
    bindparam,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY

if TYPE_CHECKING:
    from sqlalchemy.sql.compiler import SQLCompiler


def is_in_list(column: ColumnElement[Any], name: str, *, postgresql: bool) -> ColumnElement[bool]:
    """Tell whether a column is among the values of one parameter, however many they are."""
    if postgresql:
        return column == any_(bindparam(name, type_=ARRAY(column.type)))
    return column.in_(select(func.json_each(bindparam(name, type_=String)).table_valued("value")))


class Prepared:
    """A statement that is compiled once per dialect and schema, and sent to the driver directly."""

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement
        self._compiled: dict[tuple[str, str | None], _Compiled] = {}

    def compiled(
        self, dialect: Dialect, schema: str | None, parameters: Mapping[str, Any]
    ) -> list[Any]:
        """Return the SQL, followed by the values of its parameters in their order."""
        key = dialect.name, schema
        if key not in self._compiled:
            self._compiled[key] = _compile(self._statement, dialect, schema)
        sql, names, own = self._compiled[key]
        given = {**own, **parameters}
        return [sql, *(given[name] for name in names)]


class _Compiled(NamedTuple):
    sql: str
    names: Sequence[str]
    own: Mapping[str, Any]  # values that the statement itself contains


def _compile(statement: ClauseElement, dialect: Dialect, schema: str | None) -> _Compiled:
    compiled = cast(
        "SQLCompiler",
        statement.compile(
            dialect=dialect,
            schema_translate_map={None: schema} if schema else None,
            render_schema_translate=bool(schema),
        ),
    )
    return _Compiled(compiled.string, compiled.positiontup or (), compiled.params)

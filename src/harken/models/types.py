"""Column types and SQL functions with the same meaning on PostgreSQL and SQLite."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    Dialect,
    Float,
    String,
    Table,
    literal_column,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

from harken.domain.times import EARLIEST_TIME, LATEST_TIME, in_utc, is_kept

# Sorted by bytes on both databases, so that the order by an id is the same everywhere.
Identifier = String(64).with_variant(String(64, collation="C"), "postgresql")

_TEXT_LENGTH = len("2025-12-25T10:30:00.000000Z")

Unit = Literal["minute", "hour", "day"]
_KEPT = {"minute": 16, "hour": 13, "day": 10}  # characters of the text that name the unit
_FILLED = {"minute": ":00.000000Z", "hour": ":00:00.000000Z", "day": "T00:00:00.000000Z"}


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time: timestamptz on PostgreSQL, fixed-width text on SQLite.

    The text sorts like the times. Naive times are refused, since their meaning is unknown, and so
    are times outside the range of `harken.domain.times`. A stored value that is not such a time is
    read as None.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the column type."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(String(_TEXT_LENGTH))
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Convert a time for the driver; raises ValueError if it is naive or out of range."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time needs its offset from UTC")
        return utc_text(in_utc(value)) if dialect.name == "sqlite" else in_utc(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Convert a time of the driver to UTC; None if it is not a time, or out of range."""
        return read_time(value)

    def column_expression(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """Select a time, or null if `datetime` cannot hold it: the driver would raise an error."""
        return _readable(column)


def read_time(value: object) -> datetime | None:
    """Return a time of a driver in UTC; None if it is not an aware time, or out of range."""
    if isinstance(value, str):
        at = None
        with suppress(ValueError):
            at = datetime.fromisoformat(value)
    else:
        at = value if isinstance(value, datetime) else None
    if at is None or at.tzinfo is None or not is_kept(at):
        return None
    return at.astimezone(UTC)


def utc_text(at: datetime) -> str:
    """Format an aware time as SQLite stores it, such as `2025-12-25T10:30:00.000000Z`."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


_FIRST, _LAST = utc_text(EARLIEST_TIME), utc_text(LATEST_TIME)


class _readable(FunctionElement[datetime]):  # noqa: N801 — reads as the SQL function it is
    """A time if it is in the range that Harken stores, else null."""

    inherit_cache = True

    def __init__(self, at: ColumnElement[Any]) -> None:
        super().__init__(at)
        self.type = at.type


@compiles(_readable, "postgresql")
def _pg_readable(element: _readable, compiler: SQLCompiler, **kwargs: Any) -> str:
    at = compiler.process(element.clauses, **kwargs)
    return f"CASE WHEN {at} BETWEEN '{_FIRST}' AND '{_LAST}' THEN {at} END"


@compiles(_readable, "sqlite")
def _sqlite_readable(element: _readable, compiler: SQLCompiler, **kwargs: Any) -> str:
    return compiler.process(element.clauses, **kwargs)  # text never fails in the driver


class utc_now(FunctionElement[datetime]):  # noqa: N801 — reads as the SQL function it is
    """The database's clock: the start of the transaction on PostgreSQL, now on SQLite."""

    type = UtcDateTime()
    inherit_cache = True


@compiles(utc_now, "postgresql")
def _pg_now(_element: utc_now, _compiler: SQLCompiler, **_: Any) -> str:
    return "now()"


@compiles(utc_now, "sqlite")
def _sqlite_now(_element: utc_now, _compiler: SQLCompiler, **_: Any) -> str:
    return "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')"


class utc_later(FunctionElement[datetime]):  # noqa: N801 — reads as the SQL function it is
    """The time of the database's clock plus a number of seconds."""

    type = UtcDateTime()
    inherit_cache = True

    def __init__(self, seconds: int) -> None:
        super().__init__(literal_column(f"{seconds:d}"))


@compiles(utc_later, "postgresql")
def _pg_later(element: utc_later, compiler: SQLCompiler, **kwargs: Any) -> str:
    return f"now() + {compiler.process(element.clauses, **kwargs)} * interval '1 second'"


@compiles(utc_later, "sqlite")
def _sqlite_later(element: utc_later, compiler: SQLCompiler, **kwargs: Any) -> str:
    seconds = compiler.process(element.clauses, **kwargs)
    sign = "" if seconds.startswith("-") else "+"
    return f"strftime('%Y-%m-%dT%H:%M:%f000Z', 'now', '{sign}{seconds} seconds')"


class utc_trunc(FunctionElement[datetime]):  # noqa: N801 — reads as the SQL function it is
    """The start of the UTC minute, hour or day that a time lies in."""

    type = UtcDateTime()
    inherit_cache = True

    def __init__(self, unit: Unit, at: ColumnElement[datetime]) -> None:
        # The unit is part of the clauses, hence of the cache key: no two units share a statement.
        super().__init__(literal_column(f"'{unit}'"), at)


def _arguments(element: utc_trunc, compiler: SQLCompiler, **kwargs: Any) -> tuple[str, str]:
    unit, at = element.clauses
    return compiler.process(unit).strip("'"), compiler.process(at, **kwargs)


@compiles(utc_trunc, "postgresql")
def _pg_trunc(element: utc_trunc, compiler: SQLCompiler, **kwargs: Any) -> str:
    unit, at = _arguments(element, compiler, **kwargs)
    return f"date_trunc('{unit}', {at}, 'UTC')"


@compiles(utc_trunc, "sqlite")
def _sqlite_trunc(element: utc_trunc, compiler: SQLCompiler, **kwargs: Any) -> str:
    unit, at = _arguments(element, compiler, **kwargs)
    return f"(substr({at}, 1, {_KEPT[unit]}) || '{_FILLED[unit]}')"


class utc_micros(FunctionElement[int]):  # noqa: N801 — reads as the SQL function it is
    """A time in microseconds since 1970; null if it is outside the range that Harken stores."""

    type = BigInteger()
    inherit_cache = True


@compiles(utc_micros, "postgresql")
def _pg_micros(element: utc_micros, compiler: SQLCompiler, **kwargs: Any) -> str:
    at = compiler.process(element.clauses, **kwargs)
    micros = f"CAST(EXTRACT(EPOCH FROM {at}) * 1000000 AS BIGINT)"
    return f"CASE WHEN {at} BETWEEN '{_FIRST}' AND '{_LAST}' THEN {micros} END"


@compiles(utc_micros, "sqlite")
def _sqlite_micros(element: utc_micros, compiler: SQLCompiler, **kwargs: Any) -> str:
    at = compiler.process(element.clauses, **kwargs)
    # The fraction is added separately, since SQLite would round .9995 up to the next second.
    seconds = f"CAST(strftime('%s', substr({at}, 1, 19)) AS INTEGER)"
    micros = f"{seconds} * 1000000 + CAST(substr({at}, 21, 6) AS INTEGER)"
    return f"CASE WHEN {at} BETWEEN '{_FIRST}' AND '{_LAST}' THEN {micros} END"


class greatest(FunctionElement[float]):  # noqa: N801 — reads as the SQL function it is
    """The greater of two numbers, neither of them null."""

    type = Float()
    inherit_cache = True


@compiles(greatest, "postgresql")
def _pg_greatest(element: greatest, compiler: SQLCompiler, **kwargs: Any) -> str:
    return f"greatest({compiler.process(element.clauses, **kwargs)})"


@compiles(greatest, "sqlite")
def _sqlite_greatest(element: greatest, compiler: SQLCompiler, **kwargs: Any) -> str:
    return f"max({compiler.process(element.clauses, **kwargs)})"


class json_string(FunctionElement[str]):  # noqa: N801 — reads as the SQL function it is
    """A member of a JSON object that is stored as text; NULL if the member is not a string."""

    type = String()
    inherit_cache = True

    def __init__(self, document: ColumnElement[Any], key: str) -> None:
        super().__init__(document, literal_column(f"'{key}'"))


@compiles(json_string, "postgresql")
def _pg_json(element: json_string, compiler: SQLCompiler, **kwargs: Any) -> str:
    document, key = (compiler.process(clause, **kwargs) for clause in element.clauses)
    member = f"CAST({document} AS JSON)"
    return f"CASE WHEN json_typeof({member} -> {key}) = 'string' THEN {member} ->> {key} END"


@compiles(json_string, "sqlite")
def _sqlite_json(element: json_string, compiler: SQLCompiler, **kwargs: Any) -> str:
    document, key = (compiler.process(clause, **kwargs) for clause in element.clauses)
    path = f"'$.' || {key}"
    is_text = f"json_type({document}, {path}) = 'text'"
    return f"CASE WHEN {is_text} THEN json_extract({document}, {path}) END"


def table(model: type[Any]) -> Table:
    """Return the table of a model with its type, which SQLAlchemy's typing does not know."""
    found: Table = model.__table__
    return found

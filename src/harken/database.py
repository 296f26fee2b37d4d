"""Engines for both databases, and what their errors mean to a transaction."""

import json
import sqlite3
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import asyncpg
from sqlalchemy import (
    ClauseElement,
    ColumnElement,
    CursorResult,
    Dialect,
    Engine,
    String,
    any_,
    bindparam,
    event,
    func,
    make_url,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from harken.config import Settings
from harken.errors import DatabaseUnavailable, InvalidSettings, SchemaMismatch

if TYPE_CHECKING:
    from sqlalchemy.sql.compiler import SQLCompiler


class Kind(Enum):
    """What a transaction is for."""

    READ = "reads"
    SNAPSHOT = "reads everything as of one moment"
    WRITE = "writes"


_POSTGRESQL: dict[Kind, dict[str, Any]] = {
    Kind.SNAPSHOT: {"isolation_level": "REPEATABLE READ"},
    # Without BEGIN and COMMIT around it, a statement is one round trip instead of three. Reading
    # statements see what was committed when each begins, as they do inside a READ COMMITTED.
    Kind.READ: {"isolation_level": "AUTOCOMMIT"},
}
_SQLITE_BEGIN = {
    Kind.SNAPSHOT: "BEGIN",
    # Takes the lock at once instead of failing half way when somebody else wrote meanwhile.
    Kind.WRITE: "BEGIN IMMEDIATE",
}

SQLITE_LOCK_TIMEOUT_SECONDS = 30


class Database:
    """Somebody's session factory, and the transactions made with it.

    `schema` is the PostgreSQL schema that the tables are in, where that is not the default one.
    """

    def __init__(
        self, session_factory: async_sessionmaker[AsyncSession], schema: str | None = None
    ) -> None:
        self._sessions = session_factory
        self._options: dict[str, Any] = {"schema_translate_map": {None: schema}} if schema else {}

    @cached_property
    def is_postgresql(self) -> bool:
        """Whether this is PostgreSQL; else it is SQLite."""
        return self._engine.dialect.name == "postgresql"

    @asynccontextmanager
    async def transaction(self, kind: Kind) -> AsyncIterator[AsyncConnection]:
        """Run a transaction, committed at the end; errors are the database's own."""
        options = self._options | (_POSTGRESQL.get(kind, {}) if self.is_postgresql else {})
        async with self._sessions() as session, session.begin():
            connection = await session.connection(execution_options=options)
            if not self.is_postgresql:
                await begin_sqlite(connection, kind)
            yield connection

    async def execute_alone(
        self, statement: "Prepared", parameters: Mapping[str, Any]
    ) -> list[tuple[Any, ...]]:
        """Execute a statement as a transaction of its own, and return its rows; PostgreSQL only.

        The driver is called directly: SQLAlchemy's way to it takes half a millisecond, which is
        most of what recording a few events costs this process.
        """
        compiled = statement.compiled(self._engine.dialect, self._schema, parameters)
        async with AsyncEngine(self._engine).connect() as connection:
            try:
                rows = await _fetch(connection, *compiled)
            except Exception as error:
                if classify(error) is Failure.LOST:
                    await connection.invalidate()
                raise
            return rows

    async def read(
        self, statement: "Prepared", parameters: Mapping[str, Any]
    ) -> Sequence[Sequence[Any]]:
        """Read by a prepared statement, whose columns are of plain types.

        Raises DatabaseUnavailable and SchemaMismatch in place of the database's own errors.
        """
        with translated():
            if self.is_postgresql:
                return await self.execute_alone(statement, parameters)
            async with self.transaction(Kind.READ) as connection:
                return (await self.execute_prepared(connection, statement, parameters)).all()

    async def read_within(
        self, connection: AsyncConnection, statement: "Prepared", parameters: Mapping[str, Any]
    ) -> Sequence[Sequence[Any]]:
        """Read likewise within a transaction that has begun to read."""
        if not self.is_postgresql:
            return (await self.execute_prepared(connection, statement, parameters)).all()
        compiled = statement.compiled(self._engine.dialect, self._schema, parameters)
        return await _fetch(connection, *compiled)

    def listed(self, values: Collection[Any]) -> Any:
        """Return values as `is_listed` takes them."""
        return list(values) if self.is_postgresql else json.dumps(list(values))

    async def execute_prepared(
        self, connection: AsyncConnection, statement: "Prepared", parameters: Mapping[str, Any]
    ) -> CursorResult[Any]:
        """Execute a statement within a transaction, without looking it up by its parts."""
        sql, *values = statement.compiled(self._engine.dialect, self._schema, parameters)
        return await connection.exec_driver_sql(sql, tuple(values))

    @cached_property
    def _engine(self) -> Engine:
        bind = self._sessions().get_bind()
        if not isinstance(bind, Engine):
            raise InvalidSettings("the session factory has to be bound to an engine")
        return bind

    @cached_property
    def _schema(self) -> str | None:
        options = self._engine.get_execution_options() | self._options
        schema: str | None = (options.get("schema_translate_map") or {}).get(None)
        return schema

    @asynccontextmanager
    async def reading(self, kind: Kind = Kind.READ) -> AsyncIterator[AsyncConnection]:
        """Run a transaction that reads.

        Raises DatabaseUnavailable and SchemaMismatch in place of the database's own errors.
        """
        with translated():
            async with self.transaction(kind) as connection:
                yield connection


def is_listed(column: ColumnElement[Any], name: str, *, postgresql: bool) -> ColumnElement[bool]:
    """Compare a column with the values of one parameter, however many they are."""
    if postgresql:
        return column == any_(bindparam(name, type_=ARRAY(column.type)))
    given = func.json_each(bindparam(name, type_=String)).table_valued("value")
    return column.in_(select(given.c.value))


class Prepared:
    """A statement that is compiled once, for a driver that is called directly."""

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement
        self._compiled: dict[tuple[str, str | None], _Compiled] = {}

    def compiled(
        self, dialect: Dialect, schema: str | None, parameters: Mapping[str, Any]
    ) -> list[Any]:
        """Return the SQL and its values, in their order."""
        key = dialect.name, schema
        if key not in self._compiled:
            self._compiled[key] = _compile(self._statement, dialect, schema)
        sql, names, own = self._compiled[key]
        given = {**own, **parameters}
        return [sql, *(given[name] for name in names)]


async def _fetch(connection: AsyncConnection, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """Execute a statement by asyncpg, prepared once for each of its connections.

    asyncpg would do so by itself, but only for statements of up to 15 KiB unless its connections
    are made otherwise; and preparing the one that records takes longer than executing it.
    """
    raw = await connection.get_raw_connection()
    driver: Any = raw.driver_connection
    prepared = raw.info.setdefault("harken", {})
    if sql not in prepared:
        prepared[sql] = await driver.prepare(sql)
    rows: list[tuple[Any, ...]] = await prepared[sql].fetch(*values)
    return rows


class _Compiled(NamedTuple):
    sql: str
    names: Sequence[str]
    own: Mapping[str, Any]  # the values that are part of the statement


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


async def begin_sqlite(connection: AsyncConnection, kind: Kind) -> None:
    """Begin a transaction on SQLite, whose driver would only do so at the first row written.

    Nothing is done on PostgreSQL, nor on an engine that is set up to begin by itself.
    """
    begin = _SQLITE_BEGIN.get(kind)
    if begin is None or connection.dialect.name != "sqlite":
        return
    raw = await connection.get_raw_connection()
    if raw.driver_connection is None or not raw.driver_connection.in_transaction:
        await connection.exec_driver_sql(begin)


def create_engine(settings: Settings) -> AsyncEngine:
    """Make an engine for the configured database; nothing connects yet.

    Raises InvalidSettings where the folder of an SQLite database is not there.
    """
    options: dict[str, Any] = {}
    if settings.database_schema:
        options["execution_options"] = {"schema_translate_map": {None: settings.database_schema}}
    if settings.database_url.startswith("sqlite"):
        _check_folder(make_url(settings.database_url).database)
        engine = create_async_engine(
            settings.database_url, connect_args={"timeout": SQLITE_LOCK_TIMEOUT_SECONDS}
        )
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        return engine
    # No overflow: those connections are closed after each use, and take longer than waiting does.
    return create_async_engine(settings.database_url, pool_size=20, max_overflow=0, **options)


def _check_folder(path: str | None) -> None:
    folder = Path(path or "").absolute().parent
    if not folder.is_dir():
        raise InvalidSettings(f"HARKEN_DATABASE_URL: there is no folder {folder}; make it first")


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    # Enough for the pages that a group touches, and a checkpoint every 32 MB rather than every 4.
    cursor.execute("PRAGMA cache_size = -32000")
    cursor.execute("PRAGMA wal_autocheckpoint = 8000")
    cursor.close()


class Failure(Enum):
    """What an error of the database says about the transaction that met it."""

    DATA = "a row cannot be stored; the others can"
    RETRY = "this attempt lost a race and left nothing behind; the next may win"
    LOST = "the database does not answer; what was sent may or may not be committed"
    SCHEMA = "the tables are not there, or not the ones expected"
    UNKNOWN = "anything else"


_RETRY_STATES = {"40001", "40P01", "55P03"}  # serialization, deadlock, lock not available
# Connection, authorization, catalog name, resources, operator intervention, system.
_LOST_CLASSES = {"08", "28", "3D", "53", "57", "58"}
_SCHEMA_STATES = {"42P01", "42703", "3F000"}  # undefined table, column, schema


def classify(error: BaseException) -> Failure:
    """Tell what an error from a database call means.

    SQLSTATE classes are those of PostgreSQL's manual, appendix A.
    """
    if isinstance(error, OSError | TimeoutError | PoolTimeout | asyncpg.InterfaceError):
        return Failure.LOST
    # What a driver raises while it connects reaches us bare.
    origin = error.orig if isinstance(error, DBAPIError) else error
    state = getattr(origin, "sqlstate", None)
    if isinstance(state, str):
        return _classify_postgresql(state)
    if isinstance(origin, sqlite3.Error):
        return _classify_sqlite(str(origin))
    broken = isinstance(error, DBAPIError) and error.connection_invalidated
    return Failure.LOST if broken or isinstance(error, InterfaceError) else Failure.UNKNOWN


@contextmanager
def translated() -> Iterator[None]:
    """Raise our errors in place of the database's, where it is clear what these mean."""
    try:
        yield
    except Exception as error:
        meaning = translate(error)
        if meaning is error:
            raise
        raise meaning from error


def translate(error: Exception) -> Exception:
    """Return our error for one of the database's, or the same where it is none that we know."""
    match classify(error):
        case Failure.LOST | Failure.RETRY:
            return DatabaseUnavailable("the database does not answer; try again shortly")
        case Failure.SCHEMA:
            return SchemaMismatch(
                "the database lacks Harken's tables, or has old ones: run `harken migrate`"
            )
        case _:
            return error


def _classify_postgresql(state: str) -> Failure:
    if state in _RETRY_STATES:
        return Failure.RETRY
    if state in _SCHEMA_STATES:
        return Failure.SCHEMA
    if state[:2] in _LOST_CLASSES:
        return Failure.LOST
    return Failure.DATA if state[:2] in {"22", "23"} else Failure.UNKNOWN


def _classify_sqlite(message: str) -> Failure:
    if "locked" in message or "busy" in message:
        return Failure.RETRY
    if "no such table" in message or "no such column" in message or "no column named" in message:
        return Failure.SCHEMA
    if any(sign in message for sign in ("disk", "readonly", "unable to open", "full")):
        return Failure.LOST
    return Failure.DATA if "constraint failed" in message else Failure.UNKNOWN

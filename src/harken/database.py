"""Engines for both databases, and the transactions on them."""

import json
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

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
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.pool import PoolProxiedConnection

from harken.config import Settings
from harken.connecting import (
    DEADLINE,
    OPTION,
    Connections,
    Deadline,
    Pool,
    connector,
    extend,
    limits_of,
)
from harken.errors import InvalidSettings
from harken.failures import Failure, breaks_connection, classify, translate, translated
from harken.sqlite_files import SqliteFile

__all__ = [
    "Database",
    "Failure",
    "Kind",
    "Prepared",
    "begin_sqlite",
    "classify",
    "close_engine",
    "create_engine",
    "is_listed",
    "translate",
    "translated",
]

if TYPE_CHECKING:
    from sqlalchemy.sql.compiler import SQLCompiler


class Kind(Enum):
    """What a transaction is for."""

    READ = "reads"
    SNAPSHOT = "reads everything as of one moment"
    WRITE = "writes"
    LOAD = "reads so much as of one moment that a statement may take long"
    BULK_READ = "reads all there is as of one moment, however long that takes"
    BULK_WRITE = "writes as much, however long that takes"


_WRITES = {Kind.WRITE, Kind.BULK_WRITE}
_BULK = {Kind.BULK_READ, Kind.BULK_WRITE}
# How often the usual time each statement has; those of bulk have no limit.
_PATIENCE = {Kind.LOAD: 12.0}

_REPEATABLE = {"isolation_level": "REPEATABLE READ"}
_POSTGRESQL: dict[Kind, dict[str, Any]] = {
    Kind.SNAPSHOT: _REPEATABLE,
    Kind.LOAD: _REPEATABLE,
    Kind.BULK_READ: _REPEATABLE,
    # Without BEGIN and COMMIT around it, a statement is one round trip instead of three. Reading
    # statements see what was committed when each begins, as they do inside a READ COMMITTED.
    Kind.READ: {"isolation_level": "AUTOCOMMIT"},
}
_SQLITE_BEGIN = {
    Kind.SNAPSHOT: "BEGIN",
    Kind.LOAD: "BEGIN",
    Kind.BULK_READ: "BEGIN",
    # Takes the lock at once instead of failing half way when somebody else wrote meanwhile.
    Kind.WRITE: "BEGIN IMMEDIATE",
    Kind.BULK_WRITE: "BEGIN IMMEDIATE",
}


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

    @cached_property
    def connections(self) -> Connections:
        """What is known of the engine's connections; without limits where it is somebody else's."""
        known: Connections = self._engine.get_execution_options().get(OPTION) or Connections()
        return known

    @property
    def patience(self) -> float | None:
        """Seconds after which who waits for the database is told that it does not answer."""
        return self.connections.limits.command

    @property
    def incarnation(self) -> int:
        """How often the file of an SQLite database was found to be another one."""
        return 0 if self.is_postgresql else self.connections.generation

    @asynccontextmanager
    async def transaction(self, kind: Kind) -> AsyncIterator[AsyncConnection]:
        """Run a transaction, committed at the end; errors are the database's own.

        A statement that takes longer than it may is a TimeoutError.
        """
        failures = self.connections.outages.failures
        info: dict[Any, Any] | None = None
        try:
            async with (
                Deadline(self._limit(kind)) as deadline,
                self._sessions() as session,
                session.begin(),
            ):
                options = self._options | {DEADLINE: deadline}
                if self.is_postgresql:
                    options |= _POSTGRESQL.get(kind, {})
                connection = await session.connection(execution_options=options)
                info = _info(connection)
                await self._begin(connection, kind)
                yield connection
            if kind in _WRITES and info is not None:
                # A file that was removed meanwhile took along what was committed to it.
                self.connections.check_file(info)
        except Exception as error:
            self.connections.failed(error, info)
            raise
        self.connections.succeeded(failures, wrote=kind in _WRITES)

    def _limit(self, kind: Kind) -> float | None:
        seconds = self.connections.limits.command
        if seconds is None or kind in _BULK or not self.is_postgresql:
            return None
        return seconds * _PATIENCE.get(kind, 1.0)

    async def _begin(self, connection: AsyncConnection, kind: Kind) -> None:
        if not self.is_postgresql:
            await begin_sqlite(connection, kind)
        elif kind in _BULK and self.patience is not None:
            await connection.exec_driver_sql("SET LOCAL lock_timeout = 0")

    async def execute_alone(
        self, statement: "Prepared", parameters: Mapping[str, Any], kind: Kind = Kind.READ
    ) -> list[tuple[Any, ...]]:
        """Execute a statement as a transaction of its own, and return its rows; PostgreSQL only.

        The driver is called directly: SQLAlchemy's way to it takes half a millisecond, which is
        most of what recording a few events costs this process.
        """
        compiled = statement.compiled(self._engine.dialect, self._schema, parameters)
        failures, info = self.connections.outages.failures, None
        try:
            async with AsyncEngine(self._engine).connect() as connection:
                raw = await connection.get_raw_connection()
                info = raw.info
                try:
                    rows = await _fetch(raw, *compiled, seconds=self.patience)
                except BaseException as error:
                    # One that a cancelled statement runs on still is of no use to others either.
                    if not isinstance(error, Exception) or breaks_connection(error):
                        await connection.invalidate()
                    raise
        except Exception as error:
            self.connections.failed(error, info)
            raise
        self.connections.succeeded(failures, wrote=kind in _WRITES)
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
        extend(connection.sync_connection)
        return await _fetch(await connection.get_raw_connection(), *compiled)

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


def _info(connection: AsyncConnection) -> dict[Any, Any] | None:
    """Return what is known of a connection that is open; nothing is waited for."""
    sync = connection.sync_connection
    return None if sync is None else sync.info


async def _fetch(
    raw: PoolProxiedConnection, sql: str, *values: Any, seconds: float | None = None
) -> list[tuple[Any, ...]]:
    """Execute a statement by asyncpg, prepared once for each of its connections.

    asyncpg would do so by itself, but only for statements of up to 15 KiB unless its connections
    are made otherwise; and preparing the one that records takes longer than executing it.
    """
    driver: Any = raw.driver_connection
    prepared = raw.info.setdefault("harken", {})
    if sql not in prepared:
        prepared[sql] = await driver.prepare(sql, timeout=seconds)
    rows: list[tuple[Any, ...]] = await prepared[sql].fetch(*values, timeout=seconds)
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
    url, limits = settings.database_url, limits_of(settings)
    is_sqlite = url.startswith("sqlite")
    connections = Connections(limits, _file_of(url) if is_sqlite else None)
    options: dict[str, Any] = {OPTION: connections}
    if settings.database_schema and not is_sqlite:
        options["schema_translate_map"] = {None: settings.database_schema}
    given: dict[str, Any] = {"connect_args": {"timeout": limits.command}}
    if not is_sqlite:
        given = {
            "connect_args": {"async_creator_fn": connector(limits)},
            "poolclass": Pool,
            "pool_timeout": limits.command,
            "pool_size": settings.database_pool_size,
            # Those beyond are closed after each use, and take longer than waiting does.
            "max_overflow": 0,
        }
    # Parameters stay out of messages: they are what readers did, or secrets.
    engine = create_async_engine(url, execution_options=options, hide_parameters=True, **given)
    if is_sqlite:
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    connections.follow(engine)
    return engine


async def close_engine(engine: AsyncEngine) -> None:
    """Close an engine's connections, within a second or so if the database does not answer."""
    connections: Connections | None = engine.get_execution_options().get(OPTION)
    await (connections.close(engine) if connections is not None else engine.dispose())


def _file_of(url: str) -> SqliteFile | None:
    """Return the file of an SQLite database; None of one that is in memory or named by a URI."""
    path = make_url(url).database
    if not path or path == ":memory:" or path.startswith("file:"):
        return None
    _check_folder(path)
    return SqliteFile(Path(path))


def _check_folder(path: str) -> None:
    folder = Path(path).absolute().parent
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

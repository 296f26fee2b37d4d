"""Engines for both databases, and the transactions on them."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sqlalchemy import (
    CursorResult,
    Engine,
    event,
    make_url,
)
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
from harken.databases.postgresql_urls import engine_url
from harken.databases.prepared import Prepared, is_in_list
from harken.databases.sqlite_files import SqliteFile, is_in_memory
from harken.databases.transactions import BULK, POSTGRESQL, WRITES, Kind, begin, begin_sqlite
from harken.errors import DatabaseUnavailable, InvalidSettings
from harken.failures import FailureKind, breaks_connection, classify, translate, translated

__all__ = [
    "Database",
    "FailureKind",
    "Kind",
    "Prepared",
    "begin_sqlite",
    "classify",
    "close_engine",
    "create_engine",
    "is_in_list",
    "translate",
    "translated",
]

T = TypeVar("T")

STANDBYS = "harken_standbys"
"""The execution option that holds the `Standbys` of an engine, see `harken.databases.standbys`."""


class Followers(Protocol):
    """The standbys of a database."""

    async def ready(self, primary: "Database", at_most: float | None = None) -> "Database | None":
        """Return a standby that knows all that the primary knows now; None if none does in time."""

    async def close(self) -> None:
        """Close all connections."""


_LIMIT_FACTORS = {Kind.LOAD: 12.0}  # of the usual time limit of a statement


class Database:
    """Runs transactions with a given session factory.

    `schema` is the PostgreSQL schema of the tables; None means the default schema.
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
        """The state of the engine's connections; without limits if others made the engine."""
        known: Connections = self._engine.get_execution_options().get(OPTION) or Connections()
        return known

    @property
    def command_timeout(self) -> float | None:
        """Seconds that a statement may take; None means no limit."""
        return self.connections.limits.command

    @property
    def file_replacements(self) -> int:
        """How often the file of an SQLite database was replaced; 0 on PostgreSQL."""
        return 0 if self.is_postgresql else self.connections.generation

    @asynccontextmanager
    async def transaction(self, kind: Kind) -> AsyncIterator[AsyncConnection]:
        """Run a transaction that is committed at the end.

        Raises the database's own errors, and TimeoutError for a statement that takes too long.
        """
        began = self.connections.outages.begin()
        info: dict[Any, Any] | None = None
        try:
            async with (
                Deadline(self._limit(kind)) as deadline,
                self._sessions() as session,
                session.begin(),
            ):
                options = self._options | {DEADLINE: deadline}
                if self.is_postgresql:
                    options |= POSTGRESQL.get(kind, {})
                connection = await session.connection(execution_options=options)
                info = _info(connection)
                await begin(connection, kind, has_limits=self.command_timeout is not None)
                yield connection
            if kind in WRITES and info is not None:
                # If the file was removed meanwhile, what was committed to it is lost.
                self.connections.check_file(info)
        except Exception as error:
            self.connections.failed(error, info, began)
            raise
        self.connections.succeeded(began, wrote=kind in WRITES)

    def _limit(self, kind: Kind) -> float | None:
        seconds = self.connections.limits.command
        if seconds is None or kind in {*BULK, Kind.MAINTENANCE} or not self.is_postgresql:
            return None
        return seconds * _LIMIT_FACTORS.get(kind, 1.0)

    async def execute_alone(
        self, statement: "Prepared", parameters: Mapping[str, Any], kind: Kind = Kind.READ
    ) -> list[tuple[Any, ...]]:
        """Execute a statement as a transaction of its own, and return its rows; PostgreSQL only.

        The driver is called directly: SQLAlchemy's overhead is half a millisecond per statement,
        which is most of this process's cost of recording a few events.
        """
        compiled = statement.compiled(self._engine.dialect, self._schema, parameters)
        began, info = self.connections.outages.begin(), None
        try:
            async with AsyncEngine(self._engine).connect() as connection:
                raw = await connection.get_raw_connection()
                info = raw.info
                try:
                    rows = await _fetch(raw, *compiled, seconds=self.command_timeout)
                except BaseException as error:
                    # A cancelled statement may still run on the connection: nobody may reuse it.
                    if not isinstance(error, Exception) or breaks_connection(error):
                        await connection.invalidate()
                    raise
        except Exception as error:
            self.connections.failed(error, info, began)
            raise
        self.connections.succeeded(began, wrote=kind in WRITES)
        return rows

    async def read(
        self, statement: "Prepared", parameters: Mapping[str, Any]
    ) -> Sequence[Sequence[Any]]:
        """Execute a prepared SELECT with columns of plain types, and return its rows.

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
        """Execute a prepared SELECT within a transaction that has begun, and return its rows."""
        if not self.is_postgresql:
            return (await self.execute_prepared(connection, statement, parameters)).all()
        compiled = statement.compiled(self._engine.dialect, self._schema, parameters)
        extend(connection.sync_connection)
        return await _fetch(await connection.get_raw_connection(), *compiled)

    def as_list(self, values: Collection[Any]) -> Any:
        """Return values in the form that the parameter of `is_in_list` takes."""
        return list(values) if self.is_postgresql else json.dumps(list(values))

    async def execute_prepared(
        self, connection: AsyncConnection, statement: "Prepared", parameters: Mapping[str, Any]
    ) -> CursorResult[Any]:
        """Execute a prepared statement within a transaction, without SQLAlchemy's cache lookup."""
        sql, *values = statement.compiled(self._engine.dialect, self._schema, parameters)
        return await connection.exec_driver_sql(sql, tuple(values))

    @cached_property
    def _engine(self) -> Engine:
        bind = self._sessions().get_bind()
        if not isinstance(bind, Engine):
            raise InvalidSettings("the session factory must be bound to an engine")
        return bind

    @cached_property
    def _schema(self) -> str | None:
        options = self._engine.get_execution_options() | self._options
        schema: str | None = (options.get("schema_translate_map") or {}).get(None)
        return schema

    @asynccontextmanager
    async def reading(self, kind: Kind = Kind.READ) -> AsyncIterator[AsyncConnection]:
        """Run a reading transaction.

        Raises DatabaseUnavailable and SchemaMismatch in place of the database's own errors.
        """
        with translated():
            async with self.transaction(kind) as connection:
                yield connection

    @asynccontextmanager
    async def reading_anywhere(self, kind: Kind = Kind.READ) -> AsyncIterator[AsyncConnection]:
        """Run a reading transaction as `reading` does, on a standby that knows as much.

        Without such a standby it runs here. What is read must need no lock, no temporary table, and
        nothing of what other transactions are doing.
        """
        async with (await self.standby() or self).reading(kind) as connection:
            yield connection

    async def standby(self, at_most: float | None = None) -> "Database | None":
        """Return a standby that knows all that is committed here; None if there is none in time.

        `at_most` limits the seconds that are waited for one. Raises DatabaseUnavailable.
        """
        standbys: Followers | None = self._engine.get_execution_options().get(STANDBYS)
        if standbys is None:
            return None
        with translated():
            return await standbys.ready(self, at_most)

    async def off_primary(self, read: Callable[["Database"], Awaitable[T]], at_most: float) -> T:
        """Return what `read` reads on a standby that knows as much, or else here.

        Here, too, if the standby fails meanwhile; so this answers whenever the primary does.
        """
        standby = await self.standby(at_most)
        if standby is not None:
            with suppress(DatabaseUnavailable):
                return await read(standby)
        return await read(self)


def _info(connection: AsyncConnection) -> dict[Any, Any] | None:
    """Return the `info` of an open connection, without waiting."""
    sync = connection.sync_connection
    return None if sync is None else sync.info


async def _fetch(
    raw: PoolProxiedConnection, sql: str, *values: Any, seconds: float | None = None
) -> list[tuple[Any, ...]]:
    """Execute a statement with asyncpg, prepared once for each connection.

    asyncpg prepares only statements of up to 15 KiB by default. The statement that records events
    is longer, and preparing it takes longer than executing it.
    """
    driver: Any = raw.driver_connection
    prepared = raw.info.setdefault("harken", {})
    if sql not in prepared:
        prepared[sql] = await driver.prepare(sql, timeout=seconds)
    rows: list[tuple[Any, ...]] = await prepared[sql].fetch(*values, timeout=seconds)
    return rows


def create_engine(settings: Settings) -> AsyncEngine:
    """Make an engine for the configured database, without connecting yet.

    Raises InvalidSettings if the folder of an SQLite database does not exist.
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
            "connect_args": {"async_creator_fn": connector(url, limits)},
            "poolclass": Pool,
            "pool_timeout": limits.command,
            "pool_size": settings.database_pool_size,
            # Overflow connections are closed after each use; waiting for a pooled one is faster.
            "max_overflow": 0,
        }
    # Parameters stay out of error messages: they contain readers' data, or secrets.
    address = url if is_sqlite else engine_url(url)
    engine = create_async_engine(address, execution_options=options, hide_parameters=True, **given)
    if is_sqlite:
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    connections.follow(engine)
    return engine


async def close_engine(engine: AsyncEngine) -> None:
    """Close an engine's connections, within about a second if the database does not answer."""
    connections: Connections | None = engine.get_execution_options().get(OPTION)
    standbys: Followers | None = engine.get_execution_options().get(STANDBYS)
    if standbys is not None:
        await standbys.close()
    await (connections.close(engine) if connections is not None else engine.dispose())


def _file_of(url: str) -> SqliteFile | None:
    """Return the file of an SQLite database; None if it is in memory or named by a URI."""
    path = make_url(url).database
    if not path or is_in_memory(url) or path.startswith("file:"):
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
    # Room for the pages that one group commit touches, and a checkpoint per 32 MB instead of 4.
    cursor.execute("PRAGMA cache_size = -32000")
    cursor.execute("PRAGMA wal_autocheckpoint = 8000")
    cursor.close()

"""Engines for both databases, and what their errors mean to a transaction."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from enum import Enum
from functools import cached_property
from typing import Any

from sqlalchemy import Connection, event
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
from harken.errors import DatabaseUnavailable, SchemaMismatch

# How a transaction on SQLite begins; one that writes takes the lock at once instead of failing
# half way when somebody else wrote since its first read.
WRITES = {"harken_begin": "BEGIN IMMEDIATE"}

# For a transaction that is a single statement: without BEGIN and COMMIT around it, it is one round
# trip instead of three.
AUTOCOMMIT = {"isolation_level": "AUTOCOMMIT"}
SNAPSHOT = {"isolation_level": "REPEATABLE READ"}

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
        return self._sessions().get_bind().dialect.name == "postgresql"

    @asynccontextmanager
    async def transaction(self, **options: Any) -> AsyncIterator[AsyncConnection]:
        """Run a transaction, committed at the end; errors are the database's own."""
        async with self._sessions() as session, session.begin():
            yield await session.connection(execution_options=self._options | options)

    @asynccontextmanager
    async def reading(self, *, snapshot: bool = False) -> AsyncIterator[AsyncConnection]:
        """Run a transaction that reads, all of it from one moment where `snapshot` says so.

        Raises DatabaseUnavailable and SchemaMismatch in place of the database's own errors.
        """
        # On SQLite, a transaction always reads from one moment.
        options = SNAPSHOT if snapshot and self.is_postgresql else {}
        with translated():
            async with self.transaction(**options) as connection:
                yield connection


def create_engine(settings: Settings) -> AsyncEngine:
    """Make an engine for the configured database; nothing connects yet."""
    options: dict[str, Any] = {}
    if settings.database_schema:
        options["execution_options"] = {"schema_translate_map": {None: settings.database_schema}}
    if settings.database_url.startswith("sqlite"):
        engine = create_async_engine(
            settings.database_url, connect_args={"timeout": SQLITE_LOCK_TIMEOUT_SECONDS}
        )
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
        return engine
    return create_async_engine(settings.database_url, pool_size=10, max_overflow=10, **options)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not begin transactions by itself
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("harken_begin", "BEGIN"))


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
    if isinstance(error, OSError | TimeoutError | PoolTimeout):
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

"""Engines for both databases, and what their errors mean to a transaction."""

import sqlite3
from enum import Enum
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from harken.config import Settings

# How a transaction on SQLite begins; one that writes takes the lock at once instead of failing
# half way when somebody else wrote since its first read.
WRITES = {"harken_begin": "BEGIN IMMEDIATE"}

SQLITE_LOCK_TIMEOUT_SECONDS = 30


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
_LOST_CLASSES = {"08", "57", "53", "58"}  # connection, operator intervention, resources, system
_SCHEMA_STATES = {"42P01", "42703", "3F000"}  # undefined table, column, schema


def classify(error: BaseException) -> Failure:
    """Tell what an error from a database call means.

    SQLSTATE classes are those of PostgreSQL's manual, appendix A.
    """
    if isinstance(error, OSError | TimeoutError | PoolTimeout):
        return Failure.LOST
    if not isinstance(error, DBAPIError):
        return Failure.UNKNOWN
    state = getattr(error.orig, "sqlstate", None)
    if isinstance(state, str):
        return _classify_postgresql(state)
    if isinstance(error.orig, sqlite3.Error):
        return _classify_sqlite(str(error.orig))
    if error.connection_invalidated or isinstance(error, InterfaceError):
        return Failure.LOST
    return Failure.UNKNOWN


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

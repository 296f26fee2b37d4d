"""Classification of database errors: what they mean for a transaction, and their descriptions."""

import errno
import os
import socket
import sqlite3
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

import asyncpg
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from harken.errors import DatabaseUnavailable, SchemaMismatch


class FailureKind(Enum):
    """What an error of the database means for the transaction that it occurred in."""

    DATA = "a row cannot be stored; the others can"
    RETRY = "this attempt conflicted with another transaction and was rolled back; retry it"
    LOST = "the database does not answer; what was sent may or may not be committed"
    SCHEMA = "the tables are missing, or have another schema"
    UNKNOWN = "anything else"


class Obstacle(Enum):
    """Why a database cannot be used."""

    CONNECTION = "nothing can be read or written"
    READ_ONLY = "nothing can be written"
    DISK = "nothing can be written, since the disk is full"
    LOCK = "another process holds a lock"


class FileReplaced(sqlite3.OperationalError):
    """The file of an SQLite database was removed, or replaced by another file."""


_RETRY_STATES = {"40001", "40P01", "55P03"}  # serialization, deadlock, lock not available
# Connection, authorization, catalog name, resources, operator intervention, system.
_LOST_CLASSES = {"08", "28", "3D", "53", "57", "58"}
# A read-only server (as after a failover), a damaged one, and a right that the user lacks count as
# lost too: an operator can mend them, and what was sent can then be sent again.
_NO_RIGHT = "42501"
# Prepared statements of other connections: PgBouncer before 1.21 gives each transaction any
# connection to the server.
_POOLED = {"26000", "42P05"}
_LOST_STATES = {"25006", _NO_RIGHT, *_POOLED, "XX001", "XX002"}
_SCHEMA_STATES = {"42P01", "42703", "3F000"}  # undefined table, column, schema

# SQLite's primary result codes.
_LOST_CODES = {
    sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_NOTADB,
}  # fmt: skip
_RETRY_CODES = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}

# Descriptions of SQLSTATEs, or of their classes. Messages of the server are not repeated, since
# they contain hosts, users and values.
_WORDS = {
    "08": "the connection broke",
    "25006": "it can only be read, as after a failover",
    "28": "it refuses this user",
    "3D": "there is no such database",
    _NO_RIGHT: "its user lacks a right, which the owner of the tables has and can grant",
    **dict.fromkeys(
        _POOLED,
        "a pooler before it loses prepared statements: let it pool sessions, or use PgBouncer 1.21 "
        "or newer",
    ),
    "53": "it lacks resources",
    "53100": "its disk is full",
    "53200": "it is out of memory",
    "53300": "it accepts no more connections",
    "55P03": "another process holds a lock",
    "57": "its operator intervened",
    "57014": "a statement took too long",
    "57P01": "it is being shut down",
    "57P02": "it is recovering from a crash",
    "57P03": "it is starting or being shut down",
    "58": "its system fails",
    "XX": "its data are damaged",
}


def classify(error: BaseException) -> FailureKind:
    """Return what an error from a database call means.

    The SQLSTATE classes are those of appendix A of PostgreSQL's manual.
    """
    if isinstance(
        error,
        OSError | TimeoutError | PoolTimeout | asyncpg.InterfaceError | asyncpg.InternalClientError,
    ):
        return FailureKind.LOST
    origin = _origin(error)
    if (state := _state(origin)) is not None:
        return _classify_postgresql(state)
    if isinstance(origin, sqlite3.Error):
        return _classify_sqlite(origin)
    broken = isinstance(error, DBAPIError) and error.connection_invalidated
    return FailureKind.LOST if broken or isinstance(error, InterfaceError) else FailureKind.UNKNOWN


def obstacle_of(error: BaseException) -> Obstacle | None:
    """Return why the database cannot be used; None if the error says nothing about that."""
    failure, origin = classify(error), _origin(error)
    state, code = _state(origin), _code(origin)
    if failure is FailureKind.RETRY and (state == "55P03" or code in _RETRY_CODES):
        return Obstacle.LOCK
    if failure is not FailureKind.LOST:
        return None
    if state == "53100" or code == sqlite3.SQLITE_FULL or _is_full(error):
        return Obstacle.DISK
    if state in {"25006", _NO_RIGHT} or code == sqlite3.SQLITE_READONLY:
        return Obstacle.READ_ONLY
    return Obstacle.CONNECTION


def breaks_connection(error: BaseException) -> bool:
    """Tell whether a connection to PostgreSQL must not be used after an error.

    That includes a connection to a server that has become read-only.
    """
    if classify(error) is not FailureKind.LOST or isinstance(error, PoolTimeout):
        return False
    origin = _origin(error)
    state = _state(origin)
    if state is None:
        return not isinstance(origin, sqlite3.Error)
    return state[:2] in {"08", "25"} or state[:3] == "57P" or state == "57014"


def cause_of(error: BaseException) -> str:
    """Describe an error in words, without hosts, names, values or secrets."""
    origin = _origin(error)
    if (state := _state(origin)) is not None:
        words = _WORDS.get(state) or _WORDS.get(state[:2]) or "it refuses"
        return f"{words} (SQLSTATE {state})"
    if isinstance(origin, sqlite3.Error):
        return str(origin)
    return _cause_of_connection(error)


def _cause_of_connection(error: BaseException) -> str:
    if isinstance(error, PoolTimeout):
        return "all connections to it are in use"
    if isinstance(error, socket.gaierror):
        return "its host has no address"
    if isinstance(error, ssl.SSLError):
        return "no secure connection can be made"
    if isinstance(error, TimeoutError) and not error.errno:
        return "it does not answer in time"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    return "the connection broke"


@contextmanager
def translated() -> Iterator[None]:
    """Raise Harken's errors in place of the database's, where their meaning is known."""
    try:
        yield
    except Exception as error:
        meaning = translate(error)
        if meaning is error:
            raise
        raise meaning from error


def translate(error: Exception) -> Exception:
    """Return Harken's error for one of the database's, or the same error if it is unknown."""
    match classify(error):
        case FailureKind.LOST if (state := _state(_origin(error))) in {_NO_RIGHT, *_POOLED}:
            return DatabaseUnavailable(f"the database cannot be used: {_WORDS[state]}")
        case FailureKind.LOST | FailureKind.RETRY:
            return DatabaseUnavailable("the database does not answer; try again shortly")
        case FailureKind.SCHEMA:
            return SchemaMismatch(
                "the database lacks Harken's tables, or has old ones: run `harken migrate`"
            )
        case _:
            return error


def _origin(error: BaseException) -> BaseException | None:
    # SQLAlchemy does not wrap what a driver raises while it connects.
    return error.orig if isinstance(error, DBAPIError) else error


def _state(origin: BaseException | None) -> str | None:
    state = getattr(origin, "sqlstate", None)
    return state if isinstance(state, str) else None


def _code(origin: BaseException | None) -> int | None:
    """Return SQLite's primary result code; None for an error without one."""
    if not isinstance(origin, sqlite3.Error):
        return None
    code = getattr(origin, "sqlite_errorcode", None)
    return code & 0xFF if isinstance(code, int) else None


def _is_full(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}


def _classify_postgresql(state: str) -> FailureKind:
    if state in _RETRY_STATES:
        return FailureKind.RETRY
    if state in _SCHEMA_STATES:
        return FailureKind.SCHEMA
    if state[:2] in _LOST_CLASSES or state in _LOST_STATES:
        return FailureKind.LOST
    return FailureKind.DATA if state[:2] in {"22", "23"} else FailureKind.UNKNOWN


def _classify_sqlite(origin: sqlite3.Error) -> FailureKind:
    message, code = str(origin), _code(origin)
    if isinstance(origin, FileReplaced) or code in _LOST_CODES:
        return FailureKind.LOST
    if code in _RETRY_CODES:
        return FailureKind.RETRY
    if "no such table" in message or "no such column" in message or "no column named" in message:
        return FailureKind.SCHEMA
    if "closed database" in message or "no active connection" in message:
        return FailureKind.LOST
    return FailureKind.DATA if "constraint failed" in message else FailureKind.UNKNOWN

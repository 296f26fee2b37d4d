"""What the errors of a database mean: to the transaction that met them, and in words."""

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


class Failure(Enum):
    """What an error of the database says about the transaction that met it."""

    DATA = "a row cannot be stored; the others can"
    RETRY = "this attempt lost a race and left nothing behind; the next may win"
    LOST = "the database does not answer; what was sent may or may not be committed"
    SCHEMA = "the tables are not there, or not the ones expected"
    UNKNOWN = "anything else"


class Obstacle(Enum):
    """What stands between us and a database that cannot be used."""

    CONNECTION = "nothing can be read or written"
    READ_ONLY = "nothing can be written"
    DISK = "nothing can be written for want of space"
    LOCK = "somebody holds what we wait for"


class FileReplaced(sqlite3.OperationalError):
    """The file of an SQLite database is not where it was opened, or is another one."""


_RETRY_STATES = {"40001", "40P01", "55P03"}  # serialization, deadlock, lock not available
# Connection, authorization, catalog name, resources, operator intervention, system.
_LOST_CLASSES = {"08", "28", "3D", "53", "57", "58"}
# A server that may not be written to is none of ours, as after a failover; nor is a damaged one.
_LOST_STATES = {"25006", "XX001", "XX002"}
_SCHEMA_STATES = {"42P01", "42703", "3F000"}  # undefined table, column, schema

# SQLite's primary result codes.
_LOST_CODES = {
    sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_NOTADB,
}  # fmt: skip
_RETRY_CODES = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}

# What is said of SQLSTATEs, or else of their classes. Messages of the server are not repeated:
# they name hosts, users and values.
_WORDS = {
    "08": "the connection broke",
    "25006": "it can only be read, as after a failover",
    "28": "it refuses this user",
    "3D": "there is no such database",
    "53": "it lacks resources",
    "53100": "its disk is full",
    "53200": "it is out of memory",
    "53300": "it has no place for another connection",
    "55P03": "somebody holds a lock",
    "57": "its operator intervened",
    "57014": "a statement took too long",
    "57P01": "it is being shut down",
    "57P02": "it is recovering from a crash",
    "57P03": "it is starting or being shut down",
    "58": "its system fails",
    "XX": "its data are damaged",
}


def classify(error: BaseException) -> Failure:
    """Tell what an error from a database call means.

    SQLSTATE classes are those of PostgreSQL's manual, appendix A.
    """
    if isinstance(
        error,
        OSError | TimeoutError | PoolTimeout | asyncpg.InterfaceError | asyncpg.InternalClientError,
    ):
        return Failure.LOST
    origin = _origin(error)
    if (state := _state(origin)) is not None:
        return _classify_postgresql(state)
    if isinstance(origin, sqlite3.Error):
        return _classify_sqlite(origin)
    broken = isinstance(error, DBAPIError) and error.connection_invalidated
    return Failure.LOST if broken or isinstance(error, InterfaceError) else Failure.UNKNOWN


def obstacle_of(error: BaseException) -> Obstacle | None:
    """Tell what an error says is in the way; None where the database can be used."""
    failure, origin = classify(error), _origin(error)
    state, code = _state(origin), _code(origin)
    if failure is Failure.RETRY and (state == "55P03" or code in _RETRY_CODES):
        return Obstacle.LOCK
    if failure is not Failure.LOST:
        return None
    if state == "53100" or code == sqlite3.SQLITE_FULL or _is_full(error):
        return Obstacle.DISK
    if state == "25006" or code == sqlite3.SQLITE_READONLY:
        return Obstacle.READ_ONLY
    return Obstacle.CONNECTION


def breaks_connection(error: BaseException) -> bool:
    """Tell whether a connection to PostgreSQL is of no use after an error.

    One to a server that can only be read now is of none either.
    """
    if classify(error) is not Failure.LOST or isinstance(error, PoolTimeout):
        return False
    origin = _origin(error)
    state = _state(origin)
    if state is None:
        return not isinstance(origin, sqlite3.Error)
    return state[:2] in {"08", "25"} or state[:3] == "57P" or state == "57014"


def cause_of(error: BaseException) -> str:
    """Say in words what is wrong, without hosts, names, values or secrets."""
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


def _origin(error: BaseException) -> BaseException | None:
    # What a driver raises while it connects reaches us bare.
    return error.orig if isinstance(error, DBAPIError) else error


def _state(origin: BaseException | None) -> str | None:
    state = getattr(origin, "sqlstate", None)
    return state if isinstance(state, str) else None


def _code(origin: BaseException | None) -> int | None:
    """Return SQLite's primary result code; what is raised without one says so in its message."""
    if not isinstance(origin, sqlite3.Error):
        return None
    code = getattr(origin, "sqlite_errorcode", None)
    return code & 0xFF if isinstance(code, int) else None


def _is_full(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}


def _classify_postgresql(state: str) -> Failure:
    if state in _RETRY_STATES:
        return Failure.RETRY
    if state in _SCHEMA_STATES:
        return Failure.SCHEMA
    if state[:2] in _LOST_CLASSES or state in _LOST_STATES:
        return Failure.LOST
    return Failure.DATA if state[:2] in {"22", "23"} else Failure.UNKNOWN


def _classify_sqlite(origin: sqlite3.Error) -> Failure:
    message, code = str(origin), _code(origin)
    if isinstance(origin, FileReplaced) or code in _LOST_CODES:
        return Failure.LOST
    if code in _RETRY_CODES:
        return Failure.RETRY
    if "no such table" in message or "no such column" in message or "no column named" in message:
        return Failure.SCHEMA
    if "closed database" in message or "no active connection" in message:
        return Failure.LOST
    return Failure.DATA if "constraint failed" in message else Failure.UNKNOWN

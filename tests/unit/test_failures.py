"""What errors of databases mean, and what is said of them."""

import errno
import logging
import sqlite3
from typing import Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from harken.errors import first_line
from harken.failures import (
    FailureKind,
    FileReplaced,
    Obstacle,
    breaks_connection,
    cause_of,
    classify,
    obstacle_of,
)
from harken.outages import Outages

SECRET = "s3cret"


def of_state(state: str) -> Any:
    return asyncpg.PostgresError.new({"C": state, "M": f"about {SECRET} on 10.0.0.1", "S": "ERROR"})


def of_code(code: int, message: str = "it says") -> sqlite3.Error:
    error = sqlite3.OperationalError(message)
    error.sqlite_errorcode = code
    return error


def wrapped(error: Exception) -> DBAPIError:
    return DBAPIError(f"INSERT {SECRET}", {"x": SECRET}, error)


@pytest.mark.parametrize(
    ("state", "failure", "obstacle"),
    [
        ("25006", FailureKind.LOST, Obstacle.READ_ONLY),
        ("53100", FailureKind.LOST, Obstacle.DISK),
        ("53300", FailureKind.LOST, Obstacle.CONNECTION),
        ("57014", FailureKind.LOST, Obstacle.CONNECTION),
        ("57P01", FailureKind.LOST, Obstacle.CONNECTION),
        ("57P03", FailureKind.LOST, Obstacle.CONNECTION),
        ("08006", FailureKind.LOST, Obstacle.CONNECTION),
        ("28P01", FailureKind.LOST, Obstacle.CONNECTION),
        ("58030", FailureKind.LOST, Obstacle.CONNECTION),
        ("XX001", FailureKind.LOST, Obstacle.CONNECTION),
        ("55P03", FailureKind.RETRY, Obstacle.LOCK),
        ("40001", FailureKind.RETRY, None),
        ("40P01", FailureKind.RETRY, None),
        ("42P01", FailureKind.SCHEMA, None),
        ("22001", FailureKind.DATA, None),
        ("23502", FailureKind.DATA, None),
    ],
)
def test_states_of_postgresql(state, failure, obstacle):
    for error in (of_state(state), wrapped(of_state(state))):
        assert classify(error) is failure
        assert obstacle_of(error) is obstacle
        assert SECRET not in cause_of(error)
        assert "10.0.0.1" not in cause_of(error)


@pytest.mark.parametrize(
    ("error", "failure", "obstacle"),
    [
        (of_code(sqlite3.SQLITE_FULL), FailureKind.LOST, Obstacle.DISK),
        (of_code(sqlite3.SQLITE_READONLY), FailureKind.LOST, Obstacle.READ_ONLY),
        (of_code(sqlite3.SQLITE_READONLY | 4 << 8), FailureKind.LOST, Obstacle.READ_ONLY),
        (of_code(sqlite3.SQLITE_IOERR | 3 << 8), FailureKind.LOST, Obstacle.CONNECTION),
        (of_code(sqlite3.SQLITE_CANTOPEN), FailureKind.LOST, Obstacle.CONNECTION),
        (of_code(sqlite3.SQLITE_CORRUPT), FailureKind.LOST, Obstacle.CONNECTION),
        (of_code(sqlite3.SQLITE_NOTADB), FailureKind.LOST, Obstacle.CONNECTION),
        (of_code(sqlite3.SQLITE_BUSY), FailureKind.RETRY, Obstacle.LOCK),
        (of_code(sqlite3.SQLITE_BUSY | 2 << 8), FailureKind.RETRY, Obstacle.LOCK),
        (of_code(sqlite3.SQLITE_CONSTRAINT, "NOT NULL constraint failed: t.fullname"),
         FailureKind.DATA, None),
        (of_code(sqlite3.SQLITE_ERROR, "no such table: disk"), FailureKind.SCHEMA, None),
        (FileReplaced("the database's file was removed"), FailureKind.LOST, Obstacle.CONNECTION),
        (sqlite3.ProgrammingError("Cannot operate on a closed database."),
         FailureKind.LOST, Obstacle.CONNECTION),
    ],
)  # fmt: skip
def test_errors_of_sqlite(error, failure, obstacle):
    for each in (error, wrapped(error)):
        assert classify(each) is failure
        assert obstacle_of(each) is obstacle
        assert not breaks_connection(each)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ECONNREFUSED, f"Connect call failed ('10.0.0.1', 5432) {SECRET}"),
        ConnectionResetError(errno.ECONNRESET, SECRET),
        OSError(f"Multiple exceptions: {SECRET}"),
        TimeoutError(),
        TimeoutError(errno.ETIMEDOUT, f"10.0.0.1 {SECRET}"),
        PoolTimeout(f"QueuePool limit {SECRET}"),
        asyncpg.InterfaceError(f"connection is closed {SECRET}"),
        asyncpg.InternalClientError(f"got result for unknown protocol state {SECRET}"),
        asyncpg.ConnectionDoesNotExistError(f"connection was closed {SECRET}"),
    ],
)
def test_a_database_that_cannot_be_reached(error):
    assert classify(error) is FailureKind.LOST
    assert obstacle_of(error) is Obstacle.CONNECTION
    assert cause_of(error)
    assert SECRET not in cause_of(error)
    assert "10.0.0.1" not in cause_of(error)


def test_a_disk_that_a_probe_found_full():
    assert obstacle_of(OSError(errno.ENOSPC, "No space")) is Obstacle.DISK


def test_what_is_no_error_of_a_database():
    assert classify(ValueError("x")) is FailureKind.UNKNOWN
    assert obstacle_of(ValueError("x")) is None


class Lines(logging.Handler):
    """Keeps what is logged; a property takes no fixture of one test."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self.lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


STEPS = st.lists(st.sampled_from(["lost", "read-only", "lock", "read", "write", "late"]))
ERRORS = {"lost": of_state("08006"), "read-only": of_state("25006"), "lock": of_state("55P03")}


@given(STEPS)
def test_each_outage_has_one_line_at_its_start_and_one_at_its_end(steps):
    lines: list[str] = []
    handler = Lines(lines)
    logger = logging.getLogger("harken.outages")
    logger.addHandler(handler)
    logger.propagate = False
    try:
        outages = Outages()
        for step in steps:
            if step in ERRORS:
                outages.failed(ERRORS[step])
                outages.wrote(outages.failures - 1)  # which began before, and says nothing
                assert outages.obstacle is not None
                assert outages.describe()
            elif step == "read":
                outages.read(outages.failures)
                assert outages.obstacle is not Obstacle.CONNECTION
            elif step == "write":
                outages.wrote(outages.failures)
                assert outages.obstacle is None
    finally:
        logger.removeHandler(handler)
        logger.propagate = True
    kinds = ["cannot" if "cannot be used" in line else "can" for line in lines]
    assert kinds == (["cannot", "can"] * len(kinds))[: len(kinds)]
    assert (outages.obstacle is None) == (len(kinds) % 2 == 0)


def test_a_late_failure_begins_no_other_outage():
    now = 0.0
    outages = Outages(lambda: now)
    late = outages.begin()
    outages.failed(TimeoutError())
    assert outages.obstacle is not None
    now = 5.0
    outages.wrote(outages.failures)
    assert outages.obstacle is None
    outages.failed(TimeoutError(), late)
    assert outages.obstacle is None
    outages.failed(TimeoutError(), outages.begin())
    assert outages.obstacle is not None


@pytest.mark.parametrize(
    ("error", "line"),
    [(TimeoutError(), "TimeoutError"), (OSError(" \n"), "OSError"), (ValueError("\na\nb"), "a")],
)
def test_an_error_without_a_text_has_a_line_too(error, line):
    assert first_line(error) == line

"""Checks that a demo may write to an SQLite file: a new one, one without data, or a demo's own."""

import sqlite3
from contextlib import closing
from pathlib import Path

from harken.errors import InvalidInput, Problem

ABOUT = "harken-demo"
"""The id of the K-Block that marks a demo's database."""

# Tables that migrations or the first use fill in every database.
_OF_EVERY_DATABASE = {
    "harken_alembic_version",
    "kblock_clock",
    "feed_half_lives",
    "feed_log_order",
    "feed_secrets",
    "kblock_search_config",
    "kblock_search_data",
}


def check_demo_database(path: Path) -> None:
    """Raise InvalidInput if a file has data that is not a demo's; nothing is written to it."""
    if "?" in str(path):
        raise _refused("must not have a ? in its name")
    if not path.absolute().parent.is_dir():
        raise _refused(f"there is no folder {path.absolute().parent}; make it first")
    if path.is_dir():
        raise _refused(f"{path} is a folder; name a file")
    if not path.exists() or path.stat().st_size == 0:
        return
    try:
        known = _is_demo(path)
    except sqlite3.Error as error:
        raise _refused(f"{path} is not an SQLite database that can be read ({error})") from None
    if not known:
        raise _refused(
            f"{path} has data that is not a demo's; name a new file, or none for a temporary one"
        )


def _is_demo(path: Path) -> bool:
    """Return whether a database is a demo's, or has no data."""
    address = f"{path.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, uri=True)) as connection:
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        tables = {name for (name,) in found}
        if "kblocks" in tables and _has(connection, "kblocks", f"id = '{ABOUT}' AND NOT deleted"):
            return True
        return not any(_has(connection, each) for each in tables - _OF_EVERY_DATABASE)


def _has(connection: sqlite3.Connection, table: str, condition: str = "1") -> bool:
    # Names of tables cannot be parameters; this one is quoted, and conditions are those above.
    name = table.replace('"', '""')
    asked = f'SELECT EXISTS (SELECT 1 FROM "{name}" WHERE {condition})'  # noqa: S608
    found = connection.execute(asked)
    return bool(found.fetchone()[0])


def _refused(what: str) -> InvalidInput:
    return InvalidInput(Problem("database", what))

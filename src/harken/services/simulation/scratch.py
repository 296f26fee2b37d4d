"""Which SQLite files a demo may write to: new ones, and those of a demo."""

import sqlite3
from contextlib import closing
from pathlib import Path

from harken.errors import InvalidInput, Problem

ABOUT = "harken-demo"
"""The id of the K-Block by which a demo's database is known."""


def check_scratch(path: Path) -> None:
    """Raise InvalidInput where a file has data that is not a demo's; nothing is written to it."""
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
        raise _refused(f"{path} is no SQLite database that can be read ({error})") from None
    if not known:
        raise _refused(
            f"{path} has data that is not a demo's; name a new file, or none for a temporary one"
        )


def _is_demo(path: Path) -> bool:
    """Tell whether a database is a demo's, or has no tables at all."""
    address = f"{path.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, uri=True)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        if not tables:
            return True
        if "kblocks" not in tables:
            return False
        marked = connection.execute(
            "SELECT 1 FROM kblocks WHERE id = ? AND NOT deleted", (ABOUT,)
        ).fetchone()
        return marked is not None


def _refused(what: str) -> InvalidInput:
    return InvalidInput(Problem("database", what))

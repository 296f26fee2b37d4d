"""The file of an SQLite database: its permissions, and whether it is still the one we opened.

A process can write to a removed file for as long as it has the file open. What it writes is lost
when it closes its last connection. So a connection is used only while its file is at the path.
"""

import os
import tempfile
from pathlib import Path

from sqlalchemy import make_url

from harken.failures import FileReplaced

Identity = tuple[int, int]
"""Device and inode; no other file gets the same ones while a connection has this file open."""

OWNER_ONLY = 0o600
PROBE = b"\0" * 262_144  # about the size of a group of 1,000 events in SQLite's journal


class SqliteFile:
    """The file of a database. It is created at most once while the program runs."""

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._name = str(self._path)  # `os.stat` is fastest with a str, and runs for each checkout
        self._was_there = False

    def prepare(self) -> None:
        """Create the file if it never existed, with permissions for its owner only.

        SQLite gives its journal files the same permissions. Raises FileReplaced if the file existed
        and does not any more: a new, empty file would hide the loss of all data.
        """
        if not self._was_there:
            os.close(os.open(self._name, os.O_RDWR | os.O_CREAT, OWNER_ONLY))
            self._was_there = True
        elif self.identity() is None:
            raise FileReplaced(_GONE)

    def identity(self) -> Identity | None:
        """Return the identity of the file at the path; None if there is no file."""
        try:
            found = os.stat(self._name)  # noqa: PTH116
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def check(self, opened: Identity | None) -> None:
        """Raise FileReplaced unless the opened file is still the one at the path."""
        found = self.identity()
        if found is None:
            raise FileReplaced(_GONE)
        if found != opened:
            raise FileReplaced("the database's file was replaced by another")

    def check_writable(self) -> None:
        """Write and delete a temporary file in the database's folder; takes no lock of SQLite's.

        Raises OSError if that fails, as on a full disk or a read-only file system.
        """
        if not os.access(self._name, os.W_OK):
            raise PermissionError(13, "the database's file cannot be written to")
        with tempfile.TemporaryFile(dir=self._path.parent) as probe:
            probe.write(PROBE)
            probe.flush()
            os.fsync(probe.fileno())


def is_in_memory(url: str) -> bool:
    """Return whether a URL means a database in memory, which one process has alone."""
    return url.startswith("sqlite") and make_url(url).database in {None, "", ":memory:"}


_GONE = "the database's file was removed"

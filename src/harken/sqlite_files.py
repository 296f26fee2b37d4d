"""The file of an SQLite database: who may read it, and whether it is still the one we opened.

A process that has a file open goes on writing to it after it was removed, and what it writes is
gone with its last connection. So a connection is only used for the file that is at the path.
"""

import os
import tempfile
from pathlib import Path

from harken.failures import FileReplaced

Identity = tuple[int, int]
"""Device and inode; they are not given to another file while a connection has this one open."""

OWNER_ONLY = 0o600
PROBE = b"\0" * 262_144  # about what a group of 1,000 events takes in SQLite's journal


class SqliteFile:
    """The path of a database, which is made once and never again while the program runs."""

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._name = str(self._path)  # as `os.stat` takes it fastest: it is asked for every time
        self._was_there = False

    def prepare(self) -> None:
        """Have a file to connect to; a new one can be read by its owner only.

        SQLite gives the files beside it the same mode. Raises FileReplaced where it was there and
        is not any more: an empty one would answer as if all were well, and nothing be in it.
        """
        if not self._was_there:
            os.close(os.open(self._name, os.O_RDWR | os.O_CREAT, OWNER_ONLY))
            self._was_there = True
        elif self.identity() is None:
            raise FileReplaced(_GONE)

    def identity(self) -> Identity | None:
        """Return which file is at the path; None where there is none."""
        try:
            found = os.stat(self._name)  # noqa: PTH116
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def check(self, opened: Identity | None) -> None:
        """Raise FileReplaced where another file than the one that was opened is at the path."""
        found = self.identity()
        if found is None:
            raise FileReplaced(_GONE)
        if found != opened:
            raise FileReplaced("the database's file was replaced by another")

    def prove_writable(self) -> None:
        """Write something beside the database and forget it; touches no lock of SQLite's.

        Raises OSError where that is impossible: a full disk, a file system that can only be read.
        """
        if not os.access(self._name, os.W_OK):
            raise PermissionError(13, "the database's file cannot be written to")
        with tempfile.TemporaryFile(dir=self._path.parent) as probe:
            probe.write(PROBE)
            probe.flush()
            os.fsync(probe.fileno())


_GONE = "the database's file was removed"

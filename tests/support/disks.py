"""A disk that can be filled: a small file system of a test's own, where mounting is allowed."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class SmallDisk:
    """A file system in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"

    def fill(self) -> None:
        """Leave no byte free."""
        with self._filler.open("wb") as filler:
            free = os.statvfs(self.path)
            os.posix_fallocate(filler.fileno(), 0, max(1, free.f_bavail * free.f_frsize))

    def empty(self) -> None:
        self._filler.unlink()


@contextmanager
def small_disk(megabytes: int) -> Iterator[SmallDisk]:
    """Mount one that every user may enter; skips the test where the system does not let us."""
    path = Path(tempfile.mkdtemp(prefix="harken-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "tmpfs", str(path)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False)
    except OSError:
        path.rmdir()
        pytest.skip("there is no mount here")
    if mounted.returncode:
        path.rmdir()
        pytest.skip("mounting a file system is not allowed here")
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)
        path.rmdir()

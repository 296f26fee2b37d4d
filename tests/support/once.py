"""What takes long to make and is the same for many tests: made once a run, by the first who asks.

All test processes of a run share what is made. Who uses it copies it, and changes the copy.
"""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return the path of a file that `make` writes, unless another process of this run has."""
    folder = factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        folder = folder.parent
    path = folder / name
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # released when the file is closed
        if not path.exists():
            partial = path.with_name(f"partial-{name}")
            make(partial)
            partial.rename(path)
    return path

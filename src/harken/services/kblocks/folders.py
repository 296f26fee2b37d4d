"""The files of a folder that somebody else filled."""

import os
import stat
import unicodedata
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from harken.errors import InvalidInput, Problem
from harken.services.kblocks.importing import Failure


class File(NamedTuple):
    """A file that can be read; `path` is relative to the folder, with slashes."""

    full: Path
    path: str
    size: int
    modified: float


def normal(path: str) -> str:
    """Return a path in the one spelling that all systems agree on (Unicode's NFC).

    macOS hands out names with their accents apart, which would be other names.
    """
    return unicodedata.normalize("NFC", path)


def files_in(root: Path, suffixes: Collection[str]) -> Iterator[File | Failure]:
    """Yield the files whose names end so, in the order of their names; hidden ones are skipped.

    Links are not followed: what they lead to inside the folder is read in its own place, and those
    that lead elsewhere are failures. Raises InvalidInput where the folder cannot be read.
    """
    try:
        stack = [os.fspath(root)]
        with os.scandir(root):
            inside = root.resolve()
    except OSError as error:
        raise InvalidInput(Problem("folder", f"{root}: {error.strerror}")) from None
    while stack:
        folder = stack.pop()
        try:
            with os.scandir(folder) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            yield _failure(root, folder, f"cannot be read: {error.strerror}")
            continue
        visible = [entry for entry in found if not entry.name.startswith(".")]
        for entry in visible:
            if (unit := _unit(root, inside, entry, suffixes)) is not None:
                yield unit
        stack += [entry.path for entry in reversed(visible) if entry.is_dir(follow_symlinks=False)]


def _unit(
    root: Path, inside: Path, entry: "os.DirEntry[str]", suffixes: Collection[str]
) -> File | Failure | None:
    wanted = os.path.splitext(entry.name)[1].lower() in suffixes  # noqa: PTH122 — no Path yet
    if entry.is_symlink():
        return _link(root, inside, entry.path, wanted=wanted)
    if not wanted or entry.is_dir():
        return None
    try:
        found = entry.stat()
    except OSError as error:
        return _failure(root, entry.path, f"cannot be read: {error.strerror}")
    if not stat.S_ISREG(found.st_mode):
        return _failure(root, entry.path, "must be a regular file")
    return File(Path(entry.path), _relative(root, entry.path), found.st_size, found.st_mtime)


def _link(root: Path, inside: Path, path: str, *, wanted: bool) -> Failure | None:
    try:
        target = Path(path).resolve(strict=True)
        leads_to_folder = target.is_dir()
    except (OSError, RuntimeError):  # RuntimeError: a loop, up to Python 3.12
        reason = "is a link that leads nowhere; remove it, or put the file in its place"
        return _failure(root, path, reason) if wanted else None
    if target.is_relative_to(inside) or not (wanted or leads_to_folder):
        return None
    reason = "is a link that leads out of the folder, and is not followed; copy it in instead"
    return _failure(root, path, reason)


def _failure(root: Path, path: str, reason: str) -> Failure:
    return Failure(str(Path(path)), reason, _relative(root, path))


def _relative(root: Path, path: str) -> str:
    return normal(Path(path).relative_to(root).as_posix())

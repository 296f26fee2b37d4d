"""Listing the files of an untrusted folder, and decoding their text."""

import codecs
import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from harken.errors import InvalidInput, Problem
from harken.services.kblocks.importers.run import ImportFailure

# The Windows-1252 characters of bytes that are not UTF-8; five bytes have none.
_WINDOWS = {
    0xDC00 + byte: bytes([byte]).decode("cp1252")
    for byte in range(0x80, 0x100)
    if byte not in {0x81, 0x8D, 0x8F, 0x90, 0x9D}
}
_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"), (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"), (codecs.BOM_UTF16_BE, "UTF-16"),
)  # fmt: skip
# Western European text has a lower share of accented letters, and UTF-16 a higher share of zeros.
_MOST_FOREIGN = 0.25
_MOST_ZEROS = 0.4


class File(NamedTuple):
    """A regular file; `path` is relative to the folder, with slashes.

    `size` is in bytes, and `modified` in seconds since 1970.
    """

    full: Path
    path: str
    size: int
    modified: float


def normal(path: str) -> str:
    """Return a path in Unicode's normal form C.

    macOS returns names with decomposed accents, which would be different names elsewhere.
    """
    return unicodedata.normalize("NFC", path)


def decoded(raw: bytes) -> tuple[str, list[Problem]]:
    """Decode bytes, and return the text with remarks about it.

    Reads UTF-8, UTF-16 and UTF-32 with byte order marks, and single bytes of Windows-1252, with a
    remark. Zero bytes are removed, with a remark, since PostgreSQL cannot store them. Raises
    InvalidInput for bytes that are not text.
    """
    remarks: list[Problem] = []
    name = next((name for mark, name in _MARKS if raw.startswith(mark)), None)
    try:
        text = raw.decode(name or "utf-8-sig")
    except UnicodeDecodeError as error:
        if name:
            raise InvalidInput(Problem("", f"is not {name}; save it as UTF-8")) from None
        text = _of_windows(raw, error.start)
        remarks.append(
            Problem("encoding", f"is not UTF-8 at byte {error.start}; read as Windows-1252")
        )
    if zeros := text.count("\0"):
        if zeros > len(text) * _MOST_ZEROS:
            raise InvalidInput(Problem("", "has zero bytes as UTF-16 has them; save it as UTF-8"))
        remarks.append(Problem("encoding", f"has {zeros} zero bytes, which are left out"))
        text = text.replace("\0", "")
    return text, remarks


def _of_windows(raw: bytes, start: int) -> str:
    escaped = raw.decode("utf-8-sig", "surrogateescape")
    text = escaped.translate(_WINDOWS)
    foreign = sum("\udc80" <= each <= "\udcff" for each in escaped)
    if foreign > len(raw) * _MOST_FOREIGN or any("\udc80" <= each <= "\udcff" for each in text):
        raise InvalidInput(Problem("", f"is not UTF-8 at byte {start}; save it as UTF-8"))
    return text


def files_in(
    root: Path, suffixes: Collection[str], left_out: Counter[str] | None = None
) -> Iterator[File | ImportFailure]:
    """Yield the files with these suffixes, in the order of their names; hidden ones are skipped.

    `left_out` counts what is skipped: hidden files and folders (a folder counts as one), links
    within the folder, and files with other suffixes.

    Links are not followed: a target inside the folder is read at its own path, and a link that
    leads elsewhere is a failure. Raises InvalidInput if the folder cannot be read.
    """
    try:
        stack = [os.fspath(root)]
        with os.scandir(root):
            inside = root.resolve()
    except OSError as error:
        raise InvalidInput(Problem("folder", f"{root}: {error.strerror}")) from None
    skipped: Counter[str] = Counter() if left_out is None else left_out
    while stack:
        folder = stack.pop()
        try:
            with os.scandir(folder) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            yield _failure(root, folder, f"cannot be read: {error.strerror}")
            continue
        visible = [entry for entry in found if not entry.name.startswith(".")]
        skipped["hidden"] += len(found) - len(visible)
        for entry in visible:
            if (unit := _unit(root, inside, entry, suffixes)) is not None:
                yield unit
            elif not entry.is_dir(follow_symlinks=False):
                skipped["links" if entry.is_symlink() else "other files"] += 1
        stack += [entry.path for entry in reversed(visible) if entry.is_dir(follow_symlinks=False)]


def _unit(
    root: Path, inside: Path, entry: "os.DirEntry[str]", suffixes: Collection[str]
) -> File | ImportFailure | None:
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


def _link(root: Path, inside: Path, path: str, *, wanted: bool) -> ImportFailure | None:
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


def _failure(root: Path, path: str, reason: str) -> ImportFailure:
    return ImportFailure(str(Path(path)), reason, _relative(root, path))


def _relative(root: Path, path: str) -> str:
    return normal(Path(path).relative_to(root).as_posix())

"""The folder of dropped events: one folder for each day, with Parquet files.

    harken-archive/manifest.json
    harken-archive/day=2026-03-01/events-5f2a9c01d3b4e687.parquet

A file is named by its SHA-256. It is written under another name, and gets its own within the
transaction that registers it. Files that are not registered are remains.

On SQLite others wait for that transaction, so it does not wait for the disk: both names are made
durable outside of it. After a power cut, a registered file may still have the other name. Whoever
reads or tidies the folder finds it there.
"""

import contextlib
import json
import os
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from harken.errors import InvalidInput, Problem
from harken.services.record.files.parquet_records import pyarrow
from harken.services.record.files.writers import EXPORTED

COLUMNS = (*EXPORTED, "recorded_at")
"""The columns of a file; `recorded_at` is when the event was written to the log."""
MANIFEST = "manifest.json"
NAMED = "day=*/events-*.parquet"
UNFINISHED = "day=*/*.tmp"
OLD_SECONDS = 3_600
"""An unfinished file of this age is of a process that has ended."""


class EventFile(NamedTuple):
    """A file with dropped events, as it is registered; `name` is its path within the folder."""

    sha256: str
    folder: str
    name: str
    day: date
    events: int
    first_at: datetime
    last_at: datetime

    @property
    def path(self) -> Path:
        """The path of the file."""
        return Path(self.folder) / self.name


class Split(NamedTuple):
    """The rows of a file without those of a subject, and the rows of the subject."""

    kept: Sequence[Mapping[str, Any]]
    removed: Sequence[Mapping[str, Any]]


class EventFolder:
    """One folder with the dropped events of one database."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    def open(self, archive_id: str) -> None:
        """Make the folder, or check that it belongs to a database.

        Raises InvalidInput if it is of another one, or cannot be written, and MissingExtra.
        """
        pyarrow()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            known = self._manifest().get("archive_id", archive_id)
            if known == archive_id:
                self.describe(archive_id, None)
        except OSError as error:
            raise InvalidInput(Problem("--out", f"{self.path}: {error.strerror}")) from None
        if known != archive_id:
            message = f"{self.path} has the events of another database; name another folder"
            raise InvalidInput(Problem("--out", message))

    def prepare(self, day: date, rows: Sequence[Mapping[str, Any]]) -> "Prepared":
        """Write events of one day, in the order of time, under a name of their own.

        Raises InvalidInput if the folder cannot be written, as with a full disk.
        """
        folder = self.path / f"day={day:%Y-%m-%d}"
        written = folder / f"{uuid4().hex}.tmp"
        try:
            is_new = not folder.exists()
            folder.mkdir(parents=True, exist_ok=True)
            _write(written, rows)
            own = sha256(written.read_bytes()).hexdigest()
            unfinished = written.rename(folder / f"{_stem(own)}.{written.name}")
            _sync(folder)
            if is_new:
                _sync(self.path)
        except OSError as error:
            written.unlink(missing_ok=True)
            raise InvalidInput(Problem("--out", f"{folder}: {error.strerror}")) from None
        name = f"{folder.name}/{_stem(own)}.parquet"
        times = [row["occurred_at"] for row in rows]
        file = EventFile(own, str(self.path), name, day, len(rows), min(times), max(times))
        return Prepared(file, unfinished)

    def remove_remains(self, registered: Collection[EventFile]) -> int:
        """Delete the files that are not registered; returns how many these were.

        A registered file that does not have its name gets it.
        """
        for file in registered:
            if (present := _present(file)) not in {None, file.path}:
                present.replace(file.path)
        names = {each.name for each in registered}
        remains = [
            path for path in self.path.glob(NAMED)
            if path.relative_to(self.path).as_posix() not in names
        ]  # fmt: skip
        old = time.time() - OLD_SECONDS
        for path in self.path.glob(UNFINISHED):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < old:
                    remains.append(path)
        for path in remains:
            path.unlink(missing_ok=True)
        for folder in {path.parent for path in remains}:
            with contextlib.suppress(OSError):  # it has other files
                folder.rmdir()
        return len(remains)

    def describe(self, archive_id: str, files: Iterable[EventFile] | None) -> None:
        """Write the manifest; without files, only if there is none yet."""
        path = self.path / MANIFEST
        if files is None and path.exists():
            return
        listed = [
            {
                "name": each.name, "sha256": each.sha256, "events": each.events,
                "first_at": each.first_at.isoformat(), "last_at": each.last_at.isoformat(),
            }
            for each in files or ()
        ]  # fmt: skip
        content = json.dumps({"archive_id": archive_id, "files": listed}, indent=1) + "\n"
        partial = path.with_name(f"{MANIFEST}.{uuid4().hex}.tmp")
        partial.write_text(content, "utf-8")
        partial.replace(path)

    def _manifest(self) -> dict[str, Any]:
        try:
            found = json.loads((self.path / MANIFEST).read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError:
            message = f"{self.path / MANIFEST} cannot be read as JSON; restore it, or delete it"
            raise InvalidInput(Problem("--out", message)) from None
        return found if isinstance(found, dict) else {}


class Prepared(NamedTuple):
    """A written file that does not have its name yet."""

    file: EventFile
    unfinished: Path

    def place(self) -> None:
        """Give the file its name, also if an earlier attempt did. Raises OSError."""
        if self.unfinished.exists():
            self.unfinished.replace(self.file.path)
        elif not self.file.path.exists():
            raise FileNotFoundError(self.file.path)

    def settle(self) -> None:
        """Make its name durable, after the file was registered."""
        with contextlib.suppress(FileNotFoundError):  # an erasure took it since
            _sync(self.file.path.parent)

    def discard(self) -> None:
        """Delete the file if it did not get its name."""
        self.unfinished.unlink(missing_ok=True)


def read(file: EventFile) -> list[dict[str, Any]]:
    """Return the events of a file. Raises FileNotFoundError, or OSError for a damaged one."""
    content = (_present(file) or file.path).read_bytes()
    if sha256(content).hexdigest() != file.sha256:
        raise OSError(f"{file.path} is damaged: its SHA-256 is not the registered one")
    pa = pyarrow()
    rows: list[dict[str, Any]] = pa.parquet.read_table(pa.BufferReader(content)).to_pylist()
    return rows


def _present(file: EventFile) -> Path | None:
    """Return where a registered file is; None if it is missing."""
    if file.path.exists():
        return file.path
    return next(file.path.parent.glob(f"{_stem(file.sha256)}.*.tmp"), None)


def _stem(own: str) -> str:
    return f"events-{own[:16]}"


def split(file: EventFile, column: str, own_id: str) -> Split:
    """Return the rows of a file with and without an id in a column. Raises as `read`."""
    rows = read(file)
    removed = [row for row in rows if row[column] == own_id]
    return Split([row for row in rows if row[column] != own_id] if removed else rows, removed)


def _write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    pa = pyarrow()
    kinds = {
        "dwell_time_ms": pa.int64(), "position": pa.int64(),
        "occurred_at": pa.timestamp("us", tz="UTC"), "recorded_at": pa.timestamp("us", tz="UTC"),
    }  # fmt: skip
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in COLUMNS])
    table = pa.Table.from_pylist([dict(row) for row in rows], schema=schema)
    with path.open("wb") as file:
        pa.parquet.write_table(table, file, compression="zstd")
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""K-Blocks as JSON lines, with the fields that REST takes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harken.domain.kblock import MAX_CONTENT_BYTES, KBlock
from harken.errors import InvalidInput
from harken.services.kblocks.importing import Failure, Found, source_name
from harken.services.log_files.files import EventFile, Reading

# JSON may write each byte of a content as six, such as \u0001.
MAX_LINE_BYTES = 6 * MAX_CONTENT_BYTES + 1024 * 1024


class KBlockLines:
    """A file with one K-Block on each line, compressed with gzip or not."""

    is_whole = True

    def __init__(self, path: Path) -> None:
        """Name a file; nothing is read yet."""
        self._path = path
        self.name = source_name("jsonl", path.name)
        self.done = 0
        self.total: int | None = None
        self.remarks: list[str] = []

    def __iter__(self) -> Iterator[Found | Failure]:
        """Read the lines."""
        reading = Reading("jsonl", max_line_bytes=MAX_LINE_BYTES)
        with EventFile(self._path, reading) as file:
            self.total = file.size
            for row in file:
                self.done = file.position
                yield _unit(f"{self._path}, line {row.line}", row.fields)


def _unit(where: str, fields: dict[str, Any] | str) -> Found | Failure:
    if isinstance(fields, str):
        return Failure(where, fields)
    try:
        return Found(where, KBlock.parse(fields))
    except InvalidInput as error:
        named = fields.get("id")
        return Failure(where, str(error), kblock_id=named if isinstance(named, str) else None)

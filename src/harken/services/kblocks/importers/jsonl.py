"""Import of K-Blocks from JSON lines, with the same fields as in REST."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from harken.domain.kblock import MAX_CONTENT_BYTES, KBlock
from harken.domain.times import is_end_in_seconds, is_kept, is_zero_time
from harken.errors import InvalidInput, printable
from harken.services.kblocks.importers.run import ImportFailure, ImportItem, source_name
from harken.services.record.files.files import EventFile, Reading

# JSON may write each byte of the content as six bytes, such as \u0001.
MAX_LINE_BYTES = 6 * MAX_CONTENT_BYTES + 1024 * 1024
# The number of lines with a remark of their own; further ones are only counted.
MOST_REMARKED = 10

_any_time = TypeAdapter(datetime)


class KBlockLines:
    """A file with one K-Block on each line, optionally compressed with gzip."""

    is_whole = True

    def __init__(self, path: Path) -> None:
        """Take the path of a file, without reading it yet."""
        self._path = path
        self.name = source_name("jsonl", path.name)
        self.done = 0
        self.total: int | None = None
        self.remarks: list[str] = []
        self._undated = 0

    def __iter__(self) -> Iterator[ImportItem | ImportFailure]:
        """Read the lines."""
        reading = Reading("jsonl", max_line_bytes=MAX_LINE_BYTES)
        with EventFile(self._path, reading) as file:
            self.total = file.size
            for row in file:
                self.done = file.position
                where = f"{self._path}, line {row.line}"
                yield _unit(where, self._dated(where, row.fields))
        if (more := self._undated - MOST_REMARKED) > 0:
            self.remarks.append(f"{more} more items are imported without such a date.")

    def _dated(self, where: str, fields: dict[str, Any] | str) -> dict[str, Any] | str:
        """Return the fields of a line; an unusable date is removed, with a remark."""
        if isinstance(fields, str) or not _is_no_date(given := fields.get("created_at")):
            return fields
        self._undated += 1
        if self._undated <= MOST_REMARKED:
            self.remarks.append(
                f"{where}: created_at {printable(repr(given))} is a zero, or is outside the "
                "years 1000 to 2999; the item is imported without it."
            )
        return {name: value for name, value in fields.items() if name != "created_at"}


def _is_no_date(given: object) -> bool:
    """Tell whether a value is a zero time, or a time out of range; other values are not."""
    if isinstance(given, str) and given.startswith("0000-00-00"):  # the zero of MySQL
        return True
    if not isinstance(given, str | int | float) or isinstance(given, bool):
        return False
    if not isinstance(given, str) and is_end_in_seconds(given):
        return True
    try:
        at = _any_time.validate_python(given)
    except ValidationError:
        return False
    return is_zero_time(at) or (at.tzinfo is not None and not is_kept(at))


def _unit(where: str, fields: dict[str, Any] | str) -> ImportItem | ImportFailure:
    if isinstance(fields, str):
        return ImportFailure(where, fields)
    try:
        return ImportItem(where, KBlock.parse(fields))
    except InvalidInput as error:
        named = fields.get("id")
        return ImportFailure(where, str(error), kblock_id=named if isinstance(named, str) else None)

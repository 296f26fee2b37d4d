"""Records of JSON lines: one object on each line."""

import json
from collections.abc import Iterator
from typing import Any

from harken.errors import InvalidInput, Problem
from harken.services.record.files.lines import Lines, TooLong
from harken.services.record.files.rows import Row


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {twice!r} is repeated")
    return fields


def _wrong(error: Exception) -> str:
    # The error counts lines within this one.
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg}, after {min(error.pos, len(error.doc.rstrip()))} characters"
    return str(error)


class JsonRecords:
    """The objects of a file of JSON lines.

    Raises InvalidInput if the file is a single JSON document instead.
    """

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._decode = json.JSONDecoder(object_pairs_hook=_unique).decode
        self.names = None
        self.header = 0
        self.blank = 0
        self.remarks: list[str] = []

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows; a row that cannot be read has a reason, and reading continues."""
        lines = self._lines
        is_first = True
        while (line := lines.take()) is not None:
            if isinstance(line, TooLong):
                yield Row(lines.number, f"is longer than {lines.most} bytes", line)
                continue
            if not line.strip():
                self.blank += 1
                continue
            if is_first:
                self._check_first(line)
                is_first = False
            yield Row(lines.number, self._fields(line), line)

    def _check_first(self, line: str) -> None:
        begin = line.strip()
        if begin.startswith("["):
            message = "is one JSON array; jq -c '.[]' FILE makes lines of it"
            raise InvalidInput(Problem("file", message))
        if begin == "{" and (following := self._lines.take()) is not None:
            self._lines.put_back([following])
            if following.lstrip().startswith('"'):
                message = "has an object over several lines; jq -c . FILE makes a line of each"
                raise InvalidInput(Problem("file", message))

    def _fields(self, line: str) -> dict[str, Any] | str:
        if (wrong := self._lines.undecodable(line)) is not None:
            return wrong
        try:
            fields = self._decode(line)
        except (ValueError, RecursionError) as error:
            if line.rstrip().endswith("},"):
                return "is not JSON: a comma follows the object; leave it out"
            return f"is not JSON: {_wrong(error)}"
        return fields if isinstance(fields, dict) else "is not a JSON object"

"""Writing of refused records to a file, so that none of them is lost."""

import json
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Self

from harken.errors import InvalidInput, Problem
from harken.services.record.files.lines import TooLong
from harken.services.record.files.rows import Row


class Rejects(AbstractContextManager["Rejects"]):
    """Writes refused records as JSON lines, with their line, the reason and their text.

    Raises InvalidInput if the file cannot be written, or is the imported file.
    """

    def __init__(self, path: Path, source: Path) -> None:
        try:
            if path.exists() and path.samefile(source):
                message = f"{path} is the file that is imported; name another one"
                raise InvalidInput(Problem("rejects", message))
            self._file = path.open("w", encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise InvalidInput(Problem("rejects", f"{path}: {error.strerror}")) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _tb: TracebackType | None,
    ) -> None:
        self._file.close()

    def write(self, row: Row, reason: str) -> None:
        """Write one refused record."""
        rejected = {"line": row.line, "reason": reason}
        if row.text is not None:
            rejected["text"] = row.text
            if isinstance(row.text, TooLong):
                rejected["text_is_cut"] = True
        elif isinstance(row.fields, dict):
            rejected["fields"] = row.fields
        self._file.write(json.dumps(rejected, default=str) + "\n")

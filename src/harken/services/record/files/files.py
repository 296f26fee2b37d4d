"""A file of events: JSON lines, CSV or Parquet; compressed with gzip or not."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from types import TracebackType
from typing import Self

from harken.errors import InvalidInput, Problem
from harken.services.record.files.csv_records import USUAL_DELIMITERS, CsvRecords, check_delimiter
from harken.services.record.files.json_records import JsonRecords
from harken.services.record.files.lines import MAX_LINE_BYTES, Lines, check_encoding, encoding_of
from harken.services.record.files.parquet_records import ParquetRecords
from harken.services.record.files.rows import Row, Tally
from harken.services.record.files.streams import (
    DAMAGE,
    MAGIC_BYTES,
    MAX_SIZE,
    parse_size,
    text_stream,
)

FORMATS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}


@dataclass(frozen=True)
class Reading:
    """How a file is read, where it does not say so itself."""

    format_name: str | None = None
    delimiter: str | None = None
    encoding: str | None = None
    max_size: int = MAX_SIZE
    max_line_bytes: int = MAX_LINE_BYTES

    @classmethod
    def parse(
        cls,
        format_name: str | None = None,
        delimiter: str | None = None,
        encoding: str | None = None,
        max_size: str | None = None,
    ) -> Self:
        """Check what somebody gave as text; raises InvalidInput."""
        return cls(
            format_name,
            None if delimiter is None else check_delimiter(delimiter),
            None if encoding is None else check_encoding(encoding),
            MAX_SIZE if max_size is None else parse_size(max_size),
        )


def format_of(path: Path, given: str | None = None) -> str:
    """Tell a file's format by its name, unless it is given; raises InvalidInput."""
    name = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    found = given or FORMATS.get(name.suffix.lower(), "")
    if found not in FORMATS.values():
        raise InvalidInput(
            Problem("format", f"must be one of {', '.join(dict.fromkeys(FORMATS.values()))}")
        )
    return found


class EventFile(AbstractContextManager["EventFile"]):
    """A file being read: iterate over its rows; `position` of `size` bytes are behind.

    Opening it reads its header. Raises InvalidInput where it is not there, its format is unknown,
    or it cannot be read at all.
    """

    def __init__(self, path: Path, reading: Reading | None = None) -> None:
        reading = reading or Reading()
        self._format = format_of(path, reading.format_name)
        self._lines: Lines | None = None
        try:
            self._raw = path.open("rb")
            self.size = path.stat().st_size
        except OSError as error:
            raise InvalidInput(Problem("file", f"{path}: {error.strerror}")) from None
        try:
            self._records = self._opened(reading)
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def _opened(self, reading: Reading) -> CsvRecords | JsonRecords | ParquetRecords:
        if self._format == "parquet":
            return ParquetRecords(self._raw, reading.max_size)
        stream = text_stream(self._raw, reading.max_size)
        encoding = encoding_of(_begin(stream), reading.encoding)
        self._lines = Lines(stream, encoding, reading.max_line_bytes)
        if self._format == "jsonl":
            return JsonRecords(self._lines)
        return CsvRecords(self._lines, self._format, reading.delimiter)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _tb: TracebackType | None,
    ) -> None:
        if self._lines is not None:
            self._lines.close()
        self._raw.close()

    @property
    def names(self) -> list[str] | None:
        """The names of the columns, where the format has them once for all rows."""
        return self._records.names

    @property
    def is_untyped(self) -> bool:
        """Whether the format has every value as text."""
        return self._format in USUAL_DELIMITERS

    @property
    def remarks(self) -> list[str]:
        """What whoever has the file read should know of how it is read."""
        return self._records.remarks + (self._lines.remarks if self._lines else [])

    @property
    def position(self) -> int:
        """Bytes of the file that have been read, compressed ones where it is compressed."""
        return self._raw.tell() if self._raw.seekable() else 0

    @property
    def tally(self) -> Tally:
        """The lines that are behind; of Parquet, its rows."""
        lines = self._lines.number if self._lines else getattr(self._records, "total", 0)
        return Tally(lines, self._records.header, self._records.blank)

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows; one that cannot be read says so, and the ones after it follow."""
        yield from self._records
        if self._lines is not None and (rest := self._lines.rest()) is not None:
            yield rest


def _begin(stream: BufferedReader) -> bytes:
    try:
        return stream.peek(MAGIC_BYTES)[:MAGIC_BYTES]
    except DAMAGE:
        return b""  # the first line says so

"""Reading of files of events: JSON lines, CSV or Parquet; text may be compressed with gzip."""

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
    """Options for reading a file; None means that the option is detected."""

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
        """Parse options given as text; raises InvalidInput."""
        return cls(
            format_name,
            None if delimiter is None else check_delimiter(delimiter),
            None if encoding is None else check_encoding(encoding),
            MAX_SIZE if max_size is None else parse_size(max_size),
        )


def format_of(path: Path, given: str | None = None) -> str:
    """Return the given format, else the one of the file's suffix; raises InvalidInput."""
    name = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    found = given or FORMATS.get(name.suffix.lower(), "")
    if found not in FORMATS.values():
        raise InvalidInput(
            Problem("format", f"must be one of {', '.join(dict.fromkeys(FORMATS.values()))}")
        )
    return found


class EventFile(AbstractContextManager["EventFile"]):
    """An open file of events: iterate over its rows; `position` of `size` bytes have been read.

    The constructor reads the header. Raises InvalidInput if the file does not exist, has an unknown
    format, or cannot be read at all.
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
        """The names of the columns; None if the format has no header."""
        return self._records.names

    @property
    def is_untyped(self) -> bool:
        """Whether all values of the format are text."""
        return self._format in USUAL_DELIMITERS

    @property
    def remarks(self) -> list[str]:
        """Remarks for the user about how the file is read."""
        return self._records.remarks + (self._lines.remarks if self._lines else [])

    @property
    def position(self) -> int:
        """The number of bytes of the file that have been read, before decompression."""
        return self._raw.tell() if self._raw.seekable() else 0

    @property
    def tally(self) -> Tally:
        """The number of lines that have been read; for Parquet, the number of rows."""
        lines = self._lines.number if self._lines else getattr(self._records, "total", 0)
        return Tally(lines, self._records.header, self._records.blank)

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows; a row that cannot be read has a reason, and reading continues."""
        yield from self._records
        if self._lines is not None and (rest := self._lines.rest()) is not None:
            yield rest


def _begin(stream: BufferedReader) -> bytes:
    try:
        return stream.peek(MAGIC_BYTES)[:MAGIC_BYTES]
    except DAMAGE:
        return b""  # reading the first line reports the damage

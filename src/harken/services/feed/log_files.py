"""Files of events: JSON lines, CSV, Parquet; compressed with gzip or not."""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Protocol, Self, cast

from harken.errors import InvalidInput, MissingExtra, Problem

FORMATS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}
_DELIMITERS = {"csv": ",", "tsv": "\t"}
MAX_LINE_BYTES = 1024 * 1024
GZIP_MAGIC = b"\x1f\x8b"


class Row(NamedTuple):
    """One event of a file: its line or row, from 1, and its fields or why they cannot be read."""

    line: int
    fields: dict[str, Any] | str


def format_of(path: Path, given: str | None = None) -> str:
    """Tell a file's format by its name, unless it is given; raises InvalidInput."""
    name = path.with_suffix("") if path.suffix == ".gz" else path
    found = given or FORMATS.get(name.suffix.lower(), "")
    if found not in FORMATS.values():
        raise InvalidInput(
            Problem("format", f"must be one of {', '.join(dict.fromkeys(FORMATS.values()))}")
        )
    return found


class EventFile(AbstractContextManager["EventFile"]):
    """A file being read: iterate over its rows; `position` of `size` bytes are behind."""

    def __init__(
        self, path: Path, format_name: str | None = None, *, max_line_bytes: int = MAX_LINE_BYTES
    ) -> None:
        """Open a file; raises InvalidInput where it is not there or its format is unknown."""
        self._max_line_bytes = max_line_bytes
        self._format = format_of(path, format_name)
        try:
            self._raw = path.open("rb")
        except OSError as error:
            raise InvalidInput(Problem("file", f"{path}: {error.strerror}")) from None
        self.size = path.stat().st_size

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _tb: TracebackType | None,
    ) -> None:
        self._raw.close()

    @property
    def position(self) -> int:
        """Bytes of the file that have been read, compressed ones where it is compressed."""
        return self._raw.tell() if self._raw.seekable() else 0

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows; one that cannot be read says so, and the ones after it follow."""
        if self._format == "parquet":
            yield from _parquet_rows(self._raw)
            return
        compressed = self._raw.peek(2).startswith(GZIP_MAGIC)
        # gzip reads what was written, hence the cast; a GzipFile is as good as a file here.
        stream = cast("BinaryIO", gzip.GzipFile(fileobj=self._raw)) if compressed else self._raw
        if self._format == "jsonl":
            rows = _json_rows(stream, self._max_line_bytes)
        else:
            rows = _csv_rows(stream, self._format)
        line = 0
        try:
            for row in rows:
                line = row.line
                yield row
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            yield Row(line + 1, f"the file is damaged from here on: {error}")


def _json_rows(stream: BinaryIO, most: int) -> Iterator[Row]:
    line = 0
    while text := stream.readline(most):
        line += 1
        if len(text) == most and not text.endswith(b"\n"):
            while text and not text.endswith(b"\n"):
                text = stream.readline(most)
            yield Row(line, f"is longer than {most} bytes")
        elif text.strip():
            yield Row(line, _json_fields(text))


def _json_fields(text: bytes) -> dict[str, Any] | str:
    try:
        fields = json.loads(text)
    except UnicodeDecodeError:
        return "is not UTF-8"
    except (ValueError, RecursionError) as error:
        return f"is not JSON: {error}"
    return fields if isinstance(fields, dict) else "is not a JSON object"


def _csv_rows(stream: BinaryIO, format_name: str) -> Iterator[Row]:
    # What is not UTF-8 becomes lone surrogates, which make their own row invalid and no other.
    text = io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline="")
    try:
        yield from _csv_records(csv.reader(text, delimiter=_DELIMITERS[format_name]))
    finally:
        text.detach()  # else it would close the file, which is not its own


def _csv_records(reader: Any) -> Iterator[Row]:
    names: list[str] | None = None
    while True:
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Row(reader.line_num, f"is not CSV: {error}")
            continue
        if names is None:
            names = values
        elif values:
            yield Row(reader.line_num, _csv_fields(names, values))


def _csv_fields(names: list[str], values: list[str]) -> dict[str, Any] | str:
    if len(values) != len(names):
        return f"has {len(values)} values for {len(names)} columns"
    return {name: value for name, value in zip(names, values, strict=True) if value != ""}


def _parquet_rows(raw: BinaryIO) -> Iterator[Row]:
    parquet = _pyarrow().parquet
    try:
        batches = parquet.ParquetFile(raw).iter_batches(batch_size=1_000)
        line = 0
        for batch in batches:
            for fields in batch.to_pylist():
                line += 1
                yield Row(
                    line, {name: value for name, value in fields.items() if value is not None}
                )
    except _pyarrow().ArrowException as error:
        raise InvalidInput(Problem("file", f"is not Parquet: {error}")) from None


def _pyarrow() -> Any:
    try:
        import pyarrow as pa  # noqa: PLC0415 — an extra
        import pyarrow.parquet  # noqa: PLC0415
    except ImportError:
        raise MissingExtra("Parquet", "parquet") from None
    return pa


class EventWriter(Protocol):
    """Writes events, as dictionaries that all have the same keys in the same order."""

    def write(self, events: list[dict[str, Any]]) -> None:
        """Write some."""

    def close(self) -> None:
        """Finish the file."""


def writer(stream: BinaryIO, format_name: str, names: Sequence[str]) -> EventWriter:
    """Make a writer onto a binary stream, which closing the writer leaves open.

    `names` are the keys that every event has.
    """
    if format_name == "parquet":
        return _ParquetWriter(stream, names)
    if format_name == "jsonl":
        return _JsonWriter(stream)
    return _CsvWriter(stream, names, _DELIMITERS[format_name])


def _flat(event: dict[str, Any]) -> dict[str, Any]:
    """Write what has parts as JSON text, for formats whose columns are plain."""
    return {
        name: json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value
        for name, value in event.items()
    }


class _JsonWriter:
    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, events: list[dict[str, Any]]) -> None:
        for event in events:
            given = {name: value for name, value in event.items() if value is not None}
            self._stream.write(json.dumps(given, ensure_ascii=False).encode() + b"\n")

    def close(self) -> None:
        self._stream.flush()


class _CsvWriter:
    def __init__(self, stream: BinaryIO, names: Sequence[str], delimiter: str) -> None:
        self._text = io.TextIOWrapper(stream, "utf-8", newline="", write_through=True)
        self._csv = csv.DictWriter(self._text, names, delimiter=delimiter)
        self._csv.writeheader()

    def write(self, events: list[dict[str, Any]]) -> None:
        self._csv.writerows(_flat(event) for event in events)

    def close(self) -> None:
        self._text.detach()


class _ParquetWriter:
    def __init__(self, stream: BinaryIO, names: Sequence[str]) -> None:
        self._pa = _pyarrow()
        integers = {"dwell_time_ms", "position"}
        types = [self._pa.int64() if n in integers else self._pa.string() for n in names]
        self._schema = self._pa.schema(list(zip(names, types, strict=True)))
        self._writer = self._pa.parquet.ParquetWriter(stream, self._schema)

    def write(self, events: list[dict[str, Any]]) -> None:
        rows = [_flat(event) for event in events]
        self._writer.write_table(self._pa.Table.from_pylist(rows, schema=self._schema))

    def close(self) -> None:
        self._writer.close()

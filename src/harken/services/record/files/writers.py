"""Writing of event files: JSON lines, CSV or Parquet."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any, BinaryIO, Protocol

from harken.services.record.files.csv_records import USUAL_DELIMITERS
from harken.services.record.files.parquet_records import pyarrow

# The columns of an exported file, in their order.
EXPORTED = (
    "interaction_id",
    "user_id",
    "kblock_id",
    "action",
    "dwell_time_ms",
    "interaction_type",
    "metadata",
    "occurred_at",
    "request_id",
    "position",
    "session_id",
)


class EventWriter(Protocol):
    """Writes events, given as dictionaries with the same keys in the same order."""

    def write(self, events: list[dict[str, Any]]) -> None:
        """Write some events."""

    def close(self) -> None:
        """Finish the file."""


def writer(stream: BinaryIO, format_name: str, names: Sequence[str]) -> EventWriter:
    """Return a writer to a binary stream; closing the writer leaves the stream open.

    `names` are the keys of every event.
    """
    if format_name == "parquet":
        return _ParquetWriter(stream, names)
    if format_name == "jsonl":
        return _JsonWriter(stream)
    return _CsvWriter(stream, names, USUAL_DELIMITERS[format_name])


def _flat(event: dict[str, Any]) -> dict[str, Any]:
    """Return an event with objects as JSON text, for formats with scalar columns."""
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
        self._pa = pyarrow()
        integers = {"dwell_time_ms", "position"}
        types = [self._pa.int64() if n in integers else self._pa.string() for n in names]
        self._schema = self._pa.schema(list(zip(names, types, strict=True)))
        self._writer = self._pa.parquet.ParquetWriter(stream, self._schema)

    def write(self, events: list[dict[str, Any]]) -> None:
        rows = [_flat(event) for event in events]
        self._writer.write_table(self._pa.Table.from_pylist(rows, schema=self._schema))

    def close(self) -> None:
        self._writer.close()

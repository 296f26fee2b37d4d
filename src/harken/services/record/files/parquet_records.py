"""Records of Parquet files, read in batches, up to a total size."""

import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from harken.errors import InvalidInput, MissingExtra, Problem, first_line
from harken.services.record.files.csv_records import check_names
from harken.services.record.files.rows import Row, Unreadable

BATCH = 1_000
MAX_BATCH_BYTES = 256 * 1024**2

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 — whether times have a zone is told by their column
_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def pyarrow() -> Any:
    """Import and return pyarrow; raises MissingExtra if it is not installed."""
    try:
        import pyarrow as pa  # noqa: PLC0415 — an extra
        import pyarrow.parquet  # noqa: PLC0415
    except ImportError:
        raise MissingExtra("Parquet", "parquet") from None
    return pa


class ParquetRecords:
    """The rows of a Parquet file; raises InvalidInput if it is not Parquet, or too large."""

    def __init__(self, raw: io.BufferedReader, max_size: int) -> None:
        self._pa = pyarrow()
        self.header = 0
        self.blank = 0
        self.remarks: list[str] = []
        # pyarrow also raises OSError for a file that is damaged, or not Parquet.
        self._errors = (self._pa.ArrowException, OSError)
        if not raw.seekable():
            raise InvalidInput(Problem("file", "must be seekable: Parquet is read from its end"))
        try:
            schema = self._pa.parquet.read_schema(raw)
            # With dictionaries, a long text that many rows share is held in memory once.
            texts = [each.name for each in schema if self._is_text(each.type)]
            self._file = self._pa.parquet.ParquetFile(raw, read_dictionary=texts)
            sizes = [self._group_size(number) for number in range(self._file.num_row_groups)]
        except self._errors as error:
            raise InvalidInput(Problem("file", f"is not Parquet: {_short(error)}")) from None
        if sum(sizes) > max_size:
            message = f"has {sum(sizes)} bytes uncompressed, more than {max_size}"
            raise InvalidInput(Problem("file", f"{message}; --max-size allows more"))
        self.names: list[str] = list(schema.names)
        check_names(self.names)
        self.total: int = self._file.metadata.num_rows

    def _is_text(self, kind: Any) -> bool:
        return bool(self._pa.types.is_string(kind) or self._pa.types.is_binary(kind))

    def _group_size(self, number: int) -> int:
        group = self._file.metadata.row_group(number)
        columns = (group.column(place) for place in range(group.num_columns))
        return sum(max(0, each.total_uncompressed_size) for each in columns)

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows; after damage, one last row represents all rows that were not read."""
        line = 0
        try:
            for batch in self._file.iter_batches(batch_size=BATCH):
                columns = [_values(self._pa, column) for column in self._columns(batch)]
                for values in zip(*columns, strict=True):
                    line += 1
                    pairs = zip(self.names, values, strict=True)
                    yield Row(line, {name: value for name, value in pairs if value is not None})
        except self._errors as error:
            reason = f"the file is damaged from here on: {_short(error)}"
            yield Row(line + 1, reason, lines=self.total - line)
            return
        if line != self.total:
            reason = f"the file declares {self.total} rows, but has {line}"
            yield Row(line + 1, reason, lines=max(0, self.total - line))

    def _columns(self, batch: Any) -> list[Any]:
        if batch.nbytes > MAX_BATCH_BYTES:
            raise OSError(f"{BATCH} rows take {batch.nbytes} bytes, more than {MAX_BATCH_BYTES}")
        return list(batch.columns)


def _short(error: Exception) -> str:
    return first_line(error)[:300]


def _values(pa: Any, column: Any) -> list[Any]:
    """Return the values of a column as Python objects; an Unreadable where that is impossible."""
    if pa.types.is_dictionary(column.type):
        numbers = column.indices
        used = numbers.unique().drop_null()
        known = dict(zip(used.to_pylist(), _values(pa, column.dictionary.take(used)), strict=True))
        return [known.get(each) for each in numbers.to_pylist()]
    if pa.types.is_timestamp(column.type):
        per_second = _PER_SECOND[column.type.unit]
        zone = None if column.type.tz is None else UTC
        numbers = column.cast(pa.int64()).to_pylist()
        return [None if each is None else _time(each, per_second, zone) for each in numbers]
    try:
        values: list[Any] = column.to_pylist()
    except (ValueError, OverflowError, ArithmeticError, LookupError):
        values = [_value(each) for each in column]
    if any(isinstance(each, bytes) for each in values):
        return [_text(each) for each in values]
    return values


def _value(scalar: Any) -> Any:
    try:
        return scalar.as_py()
    except (ValueError, OverflowError, ArithmeticError, LookupError) as error:
        return Unreadable(f"cannot be read: {_short(error)}")


def _time(number: int, per_second: int, zone: Any) -> Any:
    seconds, rest = divmod(number, per_second)
    try:
        at = _EPOCH + timedelta(seconds=seconds, microseconds=rest * 1_000_000 // per_second)
    except OverflowError:
        return Unreadable("is outside the years 1 to 9999")
    return at.replace(tzinfo=zone)


def _text(value: Any) -> Any:
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return Unreadable("is bytes that are not UTF-8")

"""Reads files of counts over time: CSV, JSON lines or Parquet, as files of events are read."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from harken.domain.times import micros
from harken.errors import InvalidInput, Problem
from harken.services.integrity.detectors.measures.series import Series
from harken.services.record.files.accounts import Account
from harken.services.record.files.event_times import event_time
from harken.services.record.files.files import EventFile, Reading
from harken.services.record.files.mapping import plain_name
from harken.services.record.files.rows import Row
from harken.services.record.files.values import check_readable, is_null

FIELDS = ("time", "count")
COMMON_NAMES = {
    "time": ("time", "timestamp", "datetime", "date", "occurred_at", "created_at", "at"),
    "count": ("count", "counts", "value", "events", "number", "n"),
}


@dataclass
class CountSummary(Account):
    """The refused lines of a file of counts, and the column of each field."""

    columns: dict[str, str] = field(default_factory=dict)


class CountFile(NamedTuple):
    """A series of counts that was read from a file, and what was refused or assumed."""

    series: Series
    summary: CountSummary


def parse_columns(given: Iterable[str]) -> dict[str, str]:
    """Parse `time=COLUMN` and `count=COLUMN`; raises InvalidInput."""
    columns = {}
    for text in given:
        name, separator, column = text.partition("=")
        if name not in FIELDS or not separator or not column:
            raise InvalidInput(
                Problem("column", f"{text!r} must be time=COLUMN or count=COLUMN for --counts")
            )
        columns[name] = column
    return columns


def read_counts(
    path: Path, columns: dict[str, str], zone: tzinfo | None = None, reading: Reading | None = None
) -> CountFile:
    """Read the counts of a file; times without an offset are in `zone`, else in UTC.

    Lines that cannot be read are refused and noted. Raises InvalidInput for a file that cannot be
    read, or without the columns.
    """
    summary = CountSummary()
    at: list[int] = []
    counts: list[float] = []
    with EventFile(path, reading) as file:
        if file.names:
            summary.columns = find_columns(tuple(file.names), columns)
        for row in file:
            summary.count(row)
            notes: list[str] = []
            try:
                fields = _fields(row)
                # A file without a header may name its columns differently in each row.
                if not file.names:
                    summary.columns = find_columns(tuple(fields), columns)
                time, value = (fields.get(summary.columns[name]) for name in FIELDS)
                moment = event_time("time", time, zone or UTC, notes.append)
                count = _count(value)
            except InvalidInput as error:
                summary.refuse(row.line, str(error))
                continue
            at.append(micros(moment))
            counts.append(count)
            summary.note(row.line, notes)
        summary.remarks = file.remarks
    series = Series.of(np.array(at, np.int64), np.array(counts, np.float64))
    return CountFile(series, summary)


def _fields(row: Row) -> dict[str, Any]:
    if isinstance(row.fields, str):
        raise InvalidInput(Problem("", row.fields))
    return row.fields


def find_columns(names: tuple[str, ...], given: dict[str, str]) -> dict[str, str]:
    """Return the column of each field: the given one, else one with a common name.

    If nothing is given and no name is common, the first of two columns is the time. Raises
    InvalidInput for a missing column.
    """
    plain = {plain_name(each): each for each in reversed(names)}
    found = {}
    for name in FIELDS:
        if name in given:
            found[name] = given[name]
        else:
            usual = (plain[each] for each in COMMON_NAMES[name] if each in plain)
            found[name] = next(usual, "")
    if len(names) == len(FIELDS) and not given and not all(found.values()):
        found = dict(zip(FIELDS, names, strict=True))
    missing = [name for name, column in found.items() if column not in names]
    if missing:
        there = ", ".join(f"{each!r:.50}" for each in names[:20])
        raise InvalidInput(
            Problem(
                "header",
                f"has no column for {', '.join(missing)}; its columns are {there}; "
                "give --column time=COLUMN and --column count=COLUMN",
            )
        )
    return found


def _count(value: Any) -> float:
    check_readable("count", value)
    message = f"{value!r:.80} must be a number of 0 or more"
    if is_null(value) or isinstance(value, bool):
        raise InvalidInput(Problem("count", message))
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise InvalidInput(Problem("count", message)) from None
    if not math.isfinite(number) or number < 0:
        raise InvalidInput(Problem("count", message))
    return number

"""The rows that all readers of event files yield."""

from dataclasses import dataclass
from typing import Any, NamedTuple


class Row(NamedTuple):
    """One record of a file: its first line, and its fields or why they cannot be read."""

    line: int
    """The number of its first line, or of its row in a Parquet file, from 1."""
    fields: dict[str, Any] | str
    text: str | None = None
    """Its original text; None if the format is binary."""
    lines: int = 1
    """The number of its lines; 0 if it represents an unread rest of the file."""


class Unreadable(NamedTuple):
    """A value that Python cannot represent. It is an error only if its column is used."""

    reason: str


@dataclass
class Tally:
    """The number of lines of a file that have been read, and of those without a record."""

    lines: int = 0
    header: int = 0
    blank: int = 0

"""What every reader of a file of events yields."""

from dataclasses import dataclass
from typing import Any, NamedTuple


class Row(NamedTuple):
    """One event of a file: where it begins, and its fields or why they cannot be read."""

    line: int
    """Its first line, or its row in a Parquet file, from 1."""
    fields: dict[str, Any] | str
    text: str | None = None
    """It as it stands in the file, where that is a text."""
    lines: int = 1
    """How many lines of the file it takes; 0 where it stands for a rest that was not read."""


class Unreadable(NamedTuple):
    """A value that no type of Python can hold, or no text: it matters where its column is read."""

    reason: str


@dataclass
class Tally:
    """How many lines of a file are behind, and which of them hold no event."""

    lines: int = 0
    header: int = 0
    blank: int = 0

"""Records of CSV files; a malformed record does not affect the others.

A quote without an end would include all following records. So a record of several lines is
checked: if it is malformed, or contains lines that look like records, only its first line is
refused, and the lines after it are read again.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from harken.errors import InvalidInput, Problem
from harken.services.record.files.lines import Lines, TooLong
from harken.services.record.files.rows import Row

USUAL_DELIMITERS = {"csv": ",", "tsv": "\t"}
DELIMITERS = (",", ";", "\t", "|")
MAX_RECORD_LINES = 1_000

_NAMED_DELIMITERS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}
_SPREADSHEET_HINT = re.compile(r"sep=(.)[\r\n]*", re.IGNORECASE)
_DIGITS = re.compile(r"[0-9]+")


class _Unfinished(Exception):
    """A record is too long; the message says what is wrong with its first line."""


def check_delimiter(text: str) -> str:
    """Return the delimiter that an option names; raises InvalidInput."""
    found = _NAMED_DELIMITERS.get(text.lower(), text)
    if len(found) != 1 or found in '"\r\n\x00 ' or found.isalnum():
        message = f"{text!r} must be one character such as ; or |, or tab"
        raise InvalidInput(Problem("delimiter", message))
    return found


class _RecordLines:
    """Passes lines to a csv.reader, and stores those of the current record."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self.taken: list[str] = []
        self.size = 0

    def start(self) -> None:
        self.taken.clear()
        self.size = 0

    def __iter__(self) -> "_RecordLines":
        return self

    def __next__(self) -> str:
        line = self._lines.take()
        if line is None:
            raise StopIteration
        self.taken.append(line)
        self.size += len(line)
        if len(self.taken) > 1:
            if len(self.taken) > MAX_RECORD_LINES:
                raise _Unfinished(
                    f"opens a quote that does not close within {MAX_RECORD_LINES} lines"
                )
            if self.size > self._lines.most:
                raise _Unfinished(
                    f"opens a quote that does not close within {self._lines.most} bytes"
                )
        elif isinstance(line, TooLong):
            raise _Unfinished(f"is longer than {self._lines.most} bytes")
        return line


class CsvRecords:
    """The records of a CSV file after its header, which the constructor reads.

    Raises InvalidInput for a header that cannot be read, or with a repeated name.
    """

    def __init__(self, lines: Lines, format_name: str, delimiter: str | None = None) -> None:
        self._lines = lines
        self._current = _RecordLines(lines)
        self.names: list[str] = []
        self.blank = 0
        self.remarks: list[str] = []
        self._last: list[str] = []
        # A field may be as long as a line. The limit is global, so it is only ever increased.
        csv.field_size_limit(max(csv.field_size_limit(), lines.most + 1))
        first = self._first_line()
        usual = USUAL_DELIMITERS[format_name]
        if hint := _SPREADSHEET_HINT.fullmatch(first):
            delimiter = delimiter or hint[1]
            first = self._first_line()
        self._delimiter = delimiter or _detected(first, usual)
        if self._delimiter != usual:
            self.remarks.append(f"Values are separated by {_named(self._delimiter)}.")
        self._is_spaced = _is_spaced(first, self._delimiter)
        if self._is_spaced:
            self.remarks.append(f"Spaces after {_named(self._delimiter)} are removed.")
        self._reader = csv.reader(
            self._current,
            delimiter=self._delimiter,
            skipinitialspace=self._is_spaced,
            strict=True,
        )
        if first:
            lines.put_back([first])
            self.names = self._header()
        self.header = lines.number - self.blank

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows; a row that cannot be read has a reason, and reading continues."""
        current, lines = self._current, self._lines
        while True:
            current.start()
            start = lines.number + 1
            problem = None
            try:
                values = next(self._reader)
            except StopIteration:
                return
            except (csv.Error, _Unfinished) as error:
                problem = self._wrong(error)
            else:
                if len(current.taken) > 1:
                    problem = self._swallowed(values)
                elif not values or (len(values) == 1 and not values[0].strip()):
                    self.blank += 1
                    continue
            yield self._row(start, values) if problem is None else self._first_only(start, problem)

    def _row(self, start: int, values: list[str]) -> Row:
        taken = self._current.taken
        text = taken[0] if len(taken) == 1 else "".join(taken)
        fields: dict[str, Any] | str
        if (wrong := self._lines.undecodable(text)) is not None:
            fields = wrong
        elif len(values) != len(self.names):
            fields = f"has {len(values)} values for {len(self.names)} columns"
        else:
            self._last = values
            fields = {n: v for n, v in zip(self.names, values, strict=True) if v and n}
        return Row(start, fields, text, len(taken))

    def _first_only(self, start: int, problem: str) -> Row:
        """Refuse the first line of a record, and put back the others to be read again."""
        first, *others = self._current.taken
        self._lines.put_back(others)
        return Row(start, problem, first)

    def _wrong(self, error: Exception) -> str:
        if isinstance(error, _Unfinished):
            return str(error)
        if "unexpected end of data" in str(error):
            return "opens a quote that does not close before the file ends"
        if len(self._current.taken) > 1:
            return (
                f"opens a quote that closes at line {self._lines.number}, within a value; "
                'a quote within a value is written twice: ""'
            )
        return f'is not CSV: {error}; a quote within a value is written twice: ""'

    def _swallowed(self, values: list[str]) -> str | None:
        """Return a problem if a record of several lines contains a line like a record, else None.

        A line looks like a record if it has as many cells as the header, and a cell of the same
        form as in this record or in the one before.
        """
        head = []
        for value in values:
            if "\n" in value or "\r" in value:
                break
            head.append(value)
        known = [head, self._last]
        for number, line in enumerate(self._current.taken[1:], 2):
            cells = _cells(line, self._delimiter, skips=self._is_spaced)
            if len(cells) == len(self.names) > 1 and any(_alike(each, cells) for each in known):
                return (
                    "opens a quote that closes "
                    f"{len(self._current.taken) - 1} lines later, and contains lines that look "
                    f"like events (such as its line {number})"
                )
        return None

    def _first_line(self) -> str:
        """Take the first line that is not blank."""
        while (line := self._lines.take()) is not None:
            if isinstance(line, TooLong):
                raise InvalidInput(Problem("header", f"is longer than {self._lines.most} bytes"))
            if line.strip():
                return line
            self.blank += 1
        return ""

    def _header(self) -> list[str]:
        self._current.start()
        try:
            names = [name.strip() for name in next(self._reader)]
        except (csv.Error, _Unfinished) as error:
            raise InvalidInput(Problem("header", self._wrong(error))) from None
        if wrong := self._lines.undecodable("".join(names)):
            raise InvalidInput(Problem("header", wrong))
        check_names(names)
        return names


def check_names(names: list[str]) -> None:
    """Raise InvalidInput for a repeated name of a column; columns without names are allowed."""
    counts = Counter(name for name in names if name)
    name = next((name for name, times in counts.items() if times > 1), None)
    if name is not None:
        where = [str(place) for place, each in enumerate(names, 1) if each == name]
        message = f"the name {name!r} is repeated, in columns {' and '.join(where)}; rename one"
        raise InvalidInput(Problem("header", message))


def _detected(header: str, usual: str) -> str:
    """Return the delimiter that makes the most columns of the header; the usual one if tied."""
    tried = [usual, *(each for each in DELIMITERS if each != usual)]
    return max(tried, key=lambda each: len(_cells(header, each)))


def _is_spaced(header: str, delimiter: str) -> bool:
    """Tell whether each name but the first begins with a space, as the values of rows then do."""
    _, *others = _cells(header, delimiter) or [""]
    return bool(others) and all(name.startswith(" ") for name in others)


def _cells(line: str, delimiter: str, *, skips: bool = False) -> list[str]:
    return next(csv.reader([line], delimiter=delimiter, skipinitialspace=skips), [])


def _named(delimiter: str) -> str:
    return "tabs" if delimiter == "\t" else f"{delimiter!r}"


def _alike(known: list[str], cells: list[str]) -> bool:
    """Whether a cell equals the cell in the same column of a known row, if all digits are equal."""
    pairs = zip(known, cells, strict=False)
    return any(a and _DIGITS.sub("9", a) == _DIGITS.sub("9", b) for a, b in pairs)

"""Reading of the events of a file in chunks, with a summary."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from harken.domain.feedback import Interaction
from harken.errors import InvalidInput, Problem
from harken.services.record.files.accounts import Account
from harken.services.record.files.files import EventFile, Reading
from harken.services.record.files.mapping import LogMapping
from harken.services.record.files.rejects import Rejects
from harken.services.record.files.rows import Row
from harken.services.record.files.writers import EXPORTED

CHUNK = 1_000
MOST_IGNORED = 50

Progress = Callable[[int, int], None]
"""Called with the number of bytes that have been read, and with the size of the file in bytes."""


@dataclass
class ImportSummary(Account):
    """The results of importing a file of events."""

    added: int = 0
    repeated: int = 0
    columns: dict[str, str] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)
    lines: int = 0
    untimed: int = 0
    interrupted: bool = False
    is_whole: bool = False
    """Whether the file was read to its end."""

    def imbalance(self) -> str | None:
        """Return what is inconsistent in the counts of a completely read file, or None."""
        return self.unaccounted(self.added + self.repeated) if self.is_whole else None

    def as_json(self) -> dict[str, Any]:
        """Return the summary as JSON values."""
        return {
            "added": self.added,
            "repeated": self.repeated,
            **super().as_json(),
            "columns": self.columns,
            "ignored": self.ignored,
            "lines": self.lines,
            "untimed": self.untimed,
            "interrupted": self.interrupted,
            "imbalance": self.imbalance(),
        }


class Chunk(NamedTuple):
    """Some events of a file with their rows, and the last line that was read for them."""

    events: list[tuple[Row, Interaction]]
    line: int


class LogReader:
    """Reads the events of a file, and counts refused records and assumptions in `summary`.

    `finish` is applied to each event, and may raise InvalidInput to refuse it. Refused records are
    written to `rejects`.
    """

    def __init__(
        self,
        mapping: LogMapping,
        finish: Callable[[Interaction], Interaction] = lambda each: each,
        rejects: Rejects | None = None,
    ) -> None:
        self._mapping = mapping
        self._finish = finish
        self._rejects = rejects
        self.summary = ImportSummary()

    def refuse(self, row: Row, reason: str) -> None:
        """Note a refused record."""
        self.summary.refuse(row.line, reason)
        if self._rejects is not None:
            self._rejects.write(row, reason)

    def chunks(
        self,
        path: Path,
        reading: Reading | None = None,
        progress: Progress = lambda _done, _size: None,
    ) -> Generator[Chunk]:
        """Yield the events in chunks; refused ones are left out.

        Raises InvalidInput for a file that cannot be read.
        """
        summary = self.summary
        with EventFile(path, reading) as file:
            if file.names:
                self._mapping.check(file.names)
            # Files that Harken exported have exact ids; other programs may have made them numbers.
            self._mapping.is_untyped = file.is_untyped and tuple(file.names or ()) != EXPORTED
            rows = iter(file)
            while chunk := list(islice(rows, CHUNK)):
                summary.remarks = file.remarks
                yield Chunk(list(self._good(chunk)), chunk[-1].line)
                progress(file.position, file.size)
            summary.remarks = file.remarks
            summary.tally = file.tally
            summary.is_whole = True

    def _good(self, rows: list[Row]) -> Iterator[tuple[Row, Interaction]]:
        notes = self._mapping.notes
        for row in rows:
            self.summary.count(row)
            notes.clear()
            try:
                interaction = self._interaction(row.fields)
            except InvalidInput as error:
                self.refuse(row, str(error))
                continue
            if notes:
                self.summary.note(row.line, notes)
            yield row, interaction

    def _interaction(self, fields: dict[str, Any] | str) -> Interaction:
        if isinstance(fields, str):
            raise InvalidInput(Problem("", fields))
        self._note(fields)
        interaction = self._mapping.interaction(fields)
        if interaction.occurred_at is None:
            self.summary.untimed += 1
        return self._finish(interaction)

    def _note(self, fields: dict[str, Any]) -> None:
        names = self._mapping.names(tuple(fields))
        if len(names) != len(fields) or not self.summary.columns.keys() >= names.keys():
            self.summary.columns |= names
            ignored = [c for c in fields if c not in names and c not in self.summary.ignored]
            self.summary.ignored += ignored[: MOST_IGNORED - len(self.summary.ignored)]

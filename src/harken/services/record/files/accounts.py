"""The summary of a file: how many of its records were read, refused and assumed, and why."""

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from harken.services.record.files.rows import Row, Tally

MOST_REFUSALS = 1_000
MOST_REASONS = 50
OTHER_REASONS = "other reasons"

_PARTICULARS = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[0-9]+(?:\.[0-9]+)?")


@dataclass
class Account:
    """Counts of the records of a file: found and refused, with the reasons."""

    records: int = 0
    refused: int = 0
    refusals: list[tuple[int, str]] = field(default_factory=list)
    reasons: dict[str, int] = field(default_factory=dict)
    """The number of refused records by reason, without quoted values and numbers."""
    notes: dict[str, int] = field(default_factory=dict)
    """The number of values by the assumption with which they were read."""
    first_noted: dict[str, int] = field(default_factory=dict)
    """The first line of each assumption."""
    remarks: list[str] = field(default_factory=list)
    """Remarks about how the file as a whole was read."""
    tally: Tally = field(default_factory=Tally)
    record_lines: int = 0

    def count(self, row: Row) -> None:
        """Count a record that was found."""
        self.records += 1
        self.record_lines += row.lines

    def refuse(self, line: int, reason: str) -> None:
        """Note a refused record."""
        self.refused += 1
        if len(self.refusals) < MOST_REFUSALS:
            self.refusals.append((line, reason))
        kind = _PARTICULARS.sub("…", reason)[:200]
        if kind not in self.reasons and len(self.reasons) >= MOST_REASONS:
            kind = OTHER_REASONS
        self.reasons[kind] = self.reasons.get(kind, 0) + 1

    def note(self, line: int, notes: list[str]) -> None:
        """Count the assumptions with which a record was read."""
        for kind, count in Counter(notes).items():
            self.notes[kind] = self.notes.get(kind, 0) + count
            self.first_noted.setdefault(kind, line)

    def unaccounted(self, taken: int) -> str | None:
        """Return what is inconsistent in the counts of a completely read file, or None.

        `taken` is the number of records that were added, or were duplicates.
        """
        if taken + self.refused != self.records:
            return (
                f"{self.records} records were found, but {taken} were taken and {self.refused} "
                "refused"
            )
        lines = self.tally.header + self.tally.blank + self.record_lines
        if lines != self.tally.lines:
            return f"{self.tally.lines} lines were read, but only {lines} are accounted for"
        return None

    def as_json(self) -> dict[str, Any]:
        """Return the summary as JSON values."""
        return {
            "records": self.records,
            "blank_lines": self.tally.blank,
            "refused": self.refused,
            "refusals": self.refusals,
            "reasons": self.reasons,
            "notes": self.notes,
            "remarks": self.remarks,
        }

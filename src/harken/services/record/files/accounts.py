"""The account of a file: what became of each of its records."""

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
    """How many records of a file were found, how many of them were refused, and why."""

    records: int = 0
    refused: int = 0
    refusals: list[tuple[int, str]] = field(default_factory=list)
    reasons: dict[str, int] = field(default_factory=dict)
    """How many were refused for which reason, with particulars left out."""
    notes: dict[str, int] = field(default_factory=dict)
    """How many were read by which assumption."""
    first_noted: dict[str, int] = field(default_factory=dict)
    """At which line that was for the first time."""
    remarks: list[str] = field(default_factory=list)
    """What else is to be known of how the file was read."""
    tally: Tally = field(default_factory=Tally)
    record_lines: int = 0

    def count(self, row: Row) -> None:
        """Count a record that was found."""
        self.records += 1
        self.record_lines += row.lines

    def refuse(self, line: int, reason: str) -> None:
        """Note a record that is not taken."""
        self.refused += 1
        if len(self.refusals) < MOST_REFUSALS:
            self.refusals.append((line, reason))
        kind = _PARTICULARS.sub("…", reason)[:200]
        if kind not in self.reasons and len(self.reasons) >= MOST_REASONS:
            kind = OTHER_REASONS
        self.reasons[kind] = self.reasons.get(kind, 0) + 1

    def note(self, line: int, notes: list[str]) -> None:
        """Count by which assumptions a record was read."""
        for kind, count in Counter(notes).items():
            self.notes[kind] = self.notes.get(kind, 0) + count
            self.first_noted.setdefault(kind, line)

    def unaccounted(self, taken: int) -> str | None:
        """Say what is wrong with the sums of a file that was read to its end, or None.

        `taken` is how many records were added, or found to be repeated.
        """
        if taken + self.refused != self.records:
            return (
                f"{self.records} records were found, but {taken} taken and {self.refused} refused"
            )
        lines = self.tally.header + self.tally.blank + self.record_lines
        if lines != self.tally.lines:
            return f"{self.tally.lines} lines were read, but {lines} belong to records"
        return None

    def as_json(self) -> dict[str, Any]:
        """Return what programs want of it."""
        return {
            "records": self.records,
            "blank_lines": self.tally.blank,
            "refused": self.refused,
            "refusals": self.refusals,
            "reasons": self.reasons,
            "notes": self.notes,
            "remarks": self.remarks,
        }

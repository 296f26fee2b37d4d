"""What became of an event that somebody wanted to record."""

from collections.abc import Mapping, Set
from typing import NamedTuple

from harken.domain.feedback import LogEntry
from harken.errors import DatabaseUnavailable, HarkenError, IdConflict
from harken.services.record.admission.log_start import LogStart


class Recorded(NamedTuple):
    """An event in the log; `duplicate` is true if it was already there."""

    interaction_id: str
    duplicate: bool


Outcome = Recorded | HarkenError


class Logged(NamedTuple):
    """What the log has after a transaction, by ids of entries.

    `first` are the entries of the transaction, `known` these and those that the log had before,
    `inserted` those that are new, `too_old` those that were not sent.
    """

    first: Mapping[str, LogEntry]
    known: Mapping[str, LogEntry]
    inserted: Set[str]
    too_old: Set[str]
    start: LogStart

    def outcome(self, entry: LogEntry) -> Outcome:
        """Return the outcome of an entry that nobody erased."""
        first, logged = self.first[entry.id], self.known[entry.id]
        if entry is first and entry.id in self.inserted:
            return Recorded(entry.id, duplicate=False)
        if logged is first and entry.id in self.too_old:
            return self.start.refusal()
        if logged is first and entry.id not in self.inserted:
            return DatabaseUnavailable(f"interaction {entry.id!r} was being removed; try again")
        return Recorded(entry.id, duplicate=True) if entry.repeats(logged) else IdConflict(entry.id)

"""Shared sessions: one session used by several readers.

Some are honest: people share a device, or sign in again. The mean number m of further readers of a
session is taken from the log itself, so that ids which name a device or an office accuse nobody.
Further readers are geometric, so a session of k readers has the p-value (m / (1 + m))^(k − 1). An
alert needs a p-value below the false alarms allowed for its k readers, divided by the number of
sessions, and at least three readers.
"""

from dataclasses import dataclass

import numpy as np

from harken.services.integrity.detectors.event_log import Numbers
from harken.services.integrity.detectors.findings import Alert, Case, Evidence, Finding, Kind
from harken.services.integrity.detectors.measures.chance import LARGEST

LEAST_READERS = 3


@dataclass(frozen=True)
class SharedSessions:
    """Finds sessions of too many readers."""

    name: str = "shared_sessions"
    accuses: bool = True

    def find(self, case: Case) -> Finding:
        """Return an alert for each such session, and the surprise of each reader in one."""
        log = case.log
        surprise = np.zeros(len(log.reader_ids))
        known = np.flatnonzero((log.sessions >= 0) & log.of_named)
        if not len(known):
            return Finding([], surprise)
        size = len(log.reader_ids)
        pairs = np.unique(log.sessions[known] * size + log.readers[known])
        sessions, readers = pairs // size, pairs % size
        counts = np.bincount(sessions, minlength=len(log.session_ids))
        used = int((counts > 0).sum())
        further = np.maximum(counts - 1, 0)
        mean = float((further.sum() + 1) / (used + 1))
        of_session = np.minimum(np.log10((1 + mean) / mean) * further, LARGEST)
        np.maximum.at(surprise, readers, of_session[sessions])
        strength = of_session - np.log10(used * np.maximum(counts, 1) / size)
        chosen = (counts >= LEAST_READERS) & (strength > case.least_strength)
        in_question = chosen[log.sessions[known]]
        alerts = [
            self._alert(
                case,
                known[in_question],
                int(each),
                mean,
                float(of_session[each]),
                float(strength[each]),
            )
            for each in np.flatnonzero(chosen)
        ]
        return Finding([each for each in alerts if each.end >= case.since], surprise)

    def _alert(
        self, case: Case, places: Numbers, session: int, mean: float, surprise: float,
        strength: float,
    ) -> Alert:  # fmt: skip
        log = case.log
        own = places[log.sessions[places] == session]
        members = np.unique(log.readers[own])
        figures = {
            "readers": len(members),
            "events": len(own),
            "usual_further_readers": round(mean, 6),
            "log10_p": round(-surprise, 2),
        }
        words = (
            f"{len(members)} readers used one session; beside the first reader, the sessions of "
            f"this log have {mean:.2g} more on average."
        )
        return Alert(
            self.name, Kind.SESSION, log.session_ids[session],
            tuple(log.reader_ids[each] for each in members), strength,
            int(log.at[own].min()), int(log.at[own].max()), Evidence(words, figures),
        )  # fmt: skip

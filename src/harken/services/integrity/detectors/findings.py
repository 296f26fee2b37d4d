"""The input and the output of detectors: settings and cases; alerts with evidence, findings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np

from harken.services.integrity.detectors.event_log import (
    HOUR,
    MICROS,
    WEEK,
    EventLog,
    Floats,
    Slates,
)
from harken.services.integrity.detectors.measures.touches import Touches
from harken.services.integrity.detectors.scores import score_of


class Kind(StrEnum):
    """The kind of subject that an alert is about."""

    READER = "reader"
    SESSION = "session"
    KBLOCK = "kblock"
    STREAM = "stream"


@dataclass(frozen=True)
class Evidence:
    """Why an alert was raised: a sentence, and the figures in it by name."""

    words: str
    figures: Mapping[str, float | int | str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the evidence as JSON values."""
        return {"words": self.words, "figures": dict(self.figures)}


@dataclass(frozen=True)
class Alert:
    """Something that a detector holds against somebody or something.

    `id` is the id of a reader, session or K-Block, or the name of a stream. `members` are the
    readers that the alert accuses; they are none if it only says that a K-Block or the stream is
    unusual. `start` and `end` are the times of the first and the last event of the evidence, in
    microseconds since 1970.

    `strength` is −log10 of the number of alerts at least as strong that chance alone raises in a
    run, by the null hypothesis of the detector: for each reader of the log where alerts accuse
    readers, else for all K-Blocks together, or for the stream in a week. So it means the same
    whichever detector it is from, and however many tests were made. Such a number is an E-value:
    Karlin and Altschul, PNAS 87(6), 1990.
    """

    detector: str
    kind: Kind
    id: str
    members: tuple[str, ...]
    strength: float
    start: int
    end: int
    evidence: Evidence

    @property
    def score(self) -> float:
        """The strength on the scale of all scores, in [0, 1); see `scores`."""
        return float(score_of(self.strength))

    def as_json(self) -> dict[str, Any]:
        """Return the alert as JSON values; `start` and `end` are named `from` and `until`."""
        return {
            "detector": self.detector,
            "kind": self.kind.value,
            "id": self.id,
            "members": list(self.members),
            "score": round(self.score, 6),
            "from": iso(self.start),
            "until": iso(self.end),
            "evidence": self.evidence.as_json(),
        }


@dataclass(frozen=True)
class DetectorSettings:
    """How strict detectors are, and where they look.

    `alarms_per_reader_week` is the number of false alarms that a reader may expect in a week of all
    scheduled runs together, over all detectors that accuse readers; `alarms_per_series_week` is
    that of the stream, and of all K-Blocks together. `since` (microseconds since 1970) limits a run
    to what happened from then on; events before it are history. A run spends the share of the
    week's alarms that belongs to the time it looks at, at most one week's, so hourly runs spend
    1/168 each. `seed` is that of the isolation forest. `most_pairs` bounds the pairs of readers or
    of K-Blocks that are compared, and with it the memory.
    """

    alarms_per_reader_week: float = 0.001
    alarms_per_series_week: float = 0.25
    since: int | None = None
    seed: int = 0
    most_pairs: int = 20_000_000

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        if not 0 < self.alarms_per_reader_week <= 1:
            raise ValueError("alarms_per_reader_week must be above 0 and at most 1")
        if not self.alarms_per_series_week > 0:
            raise ValueError("alarms_per_series_week must be above 0")

    def weeks(self, log: EventLog) -> float:
        """Return the time that a run looks at, in weeks: at least an hour, at most one week."""
        if not len(log):
            return HOUR / WEEK
        begin = int(log.at[0]) if self.since is None else max(self.since, int(log.at[0]))
        return min(max(int(log.at[-1]) - begin, HOUR), WEEK) / WEEK


@dataclass(frozen=True)
class Case:
    """The input of a detector in one run.

    `alpha` is the number of false alarms that it may raise per reader in this run.
    """

    log: EventLog
    slates: Slates | None
    settings: DetectorSettings
    alpha: float

    @property
    def least_strength(self) -> float:
        """The strength above which an alert that accuses readers is within the false alarms."""
        return float(-np.log10(self.alpha))

    @cached_property
    def touches(self) -> Touches:
        """The first touches of the log, which detectors share."""
        return Touches.of(self.log)

    @property
    def since(self) -> int:
        """The time from which on things are looked at, in microseconds since 1970."""
        if self.settings.since is not None:
            return self.settings.since
        return int(self.log.at[0]) if len(self.log) else 0


class Finding(NamedTuple):
    """The alerts of one detector, and how suspect it finds each reader.

    `surprise` has the shape readers: −log10 of a p-value, 0 for nothing unusual. None if the
    detector does not judge readers.
    """

    alerts: list[Alert]
    surprise: Floats | None = None


class Detector(Protocol):
    """One way to find readers who are not people.

    `accuses` says whether its alerts name readers, which takes a share of the budget per reader.
    """

    @property
    def name(self) -> str:
        """The name that its alerts carry."""

    @property
    def accuses(self) -> bool:
        """Whether its alerts have members."""

    def find(self, case: Case) -> Finding:
        """Look at a log. May raise MissingExtra."""


@dataclass(frozen=True)
class Findings:
    """The result of a run: alerts, most suspect first; a score in [0, 1] of each reader of the log.

    `failures` has the reason of each detector that failed, by its name.
    """

    alerts: tuple[Alert, ...]
    reader_scores: Mapping[str, float]
    failures: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return alerts and scores as JSON values."""
        return {
            "alerts": [alert.as_json() for alert in self.alerts],
            "readers": {each: round(score, 6) for each, score in self.reader_scores.items()},
        }


def iso(at: int) -> str:
    """Return a time in microseconds since 1970 as ISO 8601, in UTC."""
    seconds, micros = divmod(at, MICROS)
    moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros)
    return moment.isoformat().replace("+00:00", "Z")

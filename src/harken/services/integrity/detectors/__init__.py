"""Detectors: which readers are not people, from a log alone.

In: a log as columns (`EventLog`), and slates if they are known. Out: `Findings`: alerts with their
evidence, and a score of each reader. Front door: `run`, with `run_detectors`.

    event_log   the log as columns
    findings    settings, alerts, and the protocol of detectors
    run         runs all detectors
    scores      one score of each reader

Each other module is one detector. What they share is in `measures`.
"""

from harken.services.integrity.detectors.event_log import EventLog, EventRow, SlateRow, Slates
from harken.services.integrity.detectors.findings import (
    Alert,
    Detector,
    DetectorSettings,
    Evidence,
    Findings,
    Kind,
)
from harken.services.integrity.detectors.run import DETECTORS, run_detectors

__all__ = [
    "DETECTORS",
    "Alert",
    "Detector",
    "DetectorSettings",
    "EventLog",
    "EventRow",
    "Evidence",
    "Findings",
    "Kind",
    "SlateRow",
    "Slates",
    "run_detectors",
]

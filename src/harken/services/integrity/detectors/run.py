"""Runs all detectors on a log; one that fails is named, and the others go on."""

from collections.abc import Sequence

from harken.services.integrity.detectors.bursts import Bursts
from harken.services.integrity.detectors.dense_blocks import DenseBlocks
from harken.services.integrity.detectors.event_log import EventLog, Floats, Slates
from harken.services.integrity.detectors.findings import (
    Alert,
    Case,
    Detector,
    DetectorSettings,
    Findings,
)
from harken.services.integrity.detectors.isolation import Isolation
from harken.services.integrity.detectors.lockstep import Lockstep
from harken.services.integrity.detectors.newcomers import Newcomers
from harken.services.integrity.detectors.regularity import Regularity
from harken.services.integrity.detectors.scores import reader_scores
from harken.services.integrity.detectors.shared_sessions import SharedSessions
from harken.services.integrity.detectors.volume import KBlockVolume, StreamVolume

DETECTORS: tuple[Detector, ...] = (
    Bursts(),
    Regularity(),
    SharedSessions(),
    Newcomers(),
    Lockstep(),
    DenseBlocks(),
    Isolation(),
    KBlockVolume(),
    StreamVolume(),
)


def run_detectors(
    log: EventLog,
    slates: Slates | None = None,
    settings: DetectorSettings | None = None,
    detectors: Sequence[Detector] = DETECTORS,
) -> Findings:
    """Run detectors on a log and, where they are known, the slates that its readers were shown.

    The budget of false alarms is divided equally over the detectors that accuse readers.
    """
    settings = settings or DetectorSettings()
    accusers = max(sum(each.accuses for each in detectors), 1)
    alpha = settings.alarms_per_reader_week * settings.weeks(log) / accusers
    case = Case(log, slates, settings, alpha)
    alerts: list[Alert] = []
    surprises: dict[str, Floats] = {}
    failures: dict[str, str] = {}
    for each in detectors:
        try:
            found = each.find(case)
        except Exception as error:  # noqa: BLE001 — whatever is wrong in one, the others go on
            failures[each.name] = str(error) or type(error).__name__
            continue
        alerts += found.alerts
        if found.surprise is not None:
            surprises[each.name] = found.surprise
    alerts.sort(key=lambda alert: (-alert.score, alert.start, alert.detector, alert.id))
    return Findings(tuple(alerts), reader_scores(log, surprises), failures)

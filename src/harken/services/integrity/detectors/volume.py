"""Volume of the whole stream, and of single K-Blocks.

The stream's events per hour, of the last year, are a series; its anomalies are found as `series`
says. A K-Block lives too briefly to have seasons. Its hours are compared with the busiest hours of
all K-Blocks (a Pareto tail) and with its own usual hour; fewer than 20 events are never too many.
Neither accuses readers: what many people do at once is unusual, not false.
"""

from dataclasses import dataclass

import numpy as np

from harken.services.integrity.detectors.bursts import (
    hourly_counts,
    largest_of_each,
    other_hours,
)
from harken.services.integrity.detectors.event_log import HOUR, WEEK, EventLog
from harken.services.integrity.detectors.findings import (
    Alert,
    Case,
    Evidence,
    Finding,
    Findings,
    Kind,
    iso,
)
from harken.services.integrity.detectors.measures.chance import tail_surprise
from harken.services.integrity.detectors.measures.series import Anomaly, Series, anomalies

STREAM = "events"
SERIES = "counts"
LEAST_EVENTS = 20
REMEMBERED = 52 * WEEK


@dataclass(frozen=True)
class StreamVolume:
    """Finds hours in which the whole stream has too many or too few events."""

    name: str = "stream_volume"
    accuses: bool = False

    def find(self, case: Case) -> Finding:
        """Return an alert for each interval."""
        at = case.log.at
        if not len(at):
            return Finding([])
        at = at[at >= at[-1] - REMEMBERED]
        hours, begin = at // HOUR, int(at[0] // HOUR)
        counts = np.bincount(hours - begin).astype(np.float64)
        # The last hour has not ended.
        whole = Series((begin + np.arange(len(counts) - 1)) * HOUR, counts[:-1], HOUR)
        found = anomalies(whole, case.settings.alarms_per_series_week)
        return Finding(
            [
                volume_alert(self.name, STREAM, each, HOUR)
                for each in found
                if each.end + HOUR >= case.since
            ]
        )


@dataclass(frozen=True)
class KBlockVolume:
    """Finds K-Blocks with an hour that is too busy."""

    name: str = "kblock_volume"
    accuses: bool = False

    def find(self, case: Case) -> Finding:
        """Return an alert for each K-Block, about its busiest hour."""
        log = case.log
        if not len(log):
            return Finding([])
        kblocks, hours, counts = hourly_counts(log.kblocks, log.at)
        usual = other_hours(kblocks, counts, len(log.kblock_ids))
        ratios = counts / np.maximum(usual[kblocks], np.median(counts))
        surprise = np.minimum(tail_surprise(counts, counts), tail_surprise(ratios, ratios))
        surprise[((hours + 1) * HOUR <= case.since) | (counts < LEAST_EVENTS)] = 0
        allowed = case.settings.alarms_per_series_week * case.settings.weeks(log)
        busiest = largest_of_each(kblocks, surprise)
        strength = surprise - np.log10(len(counts))
        chosen = busiest[strength[busiest] > -np.log10(allowed)]
        return Finding(
            [
                self._alert(
                    log, int(kblocks[each]), int(hours[each]), float(counts[each]),
                    float(usual[kblocks[each]]), float(surprise[each]), float(strength[each]),
                )
                for each in chosen
            ]
        )  # fmt: skip

    def _alert(
        self, log: EventLog, kblock: int, hour: int, count: float, usual: float, surprise: float,
        strength: float,
    ) -> Alert:  # fmt: skip
        figures = {"events": int(count), "usual": round(usual, 3), "log10_p": round(-surprise, 2)}
        words = f"{count:g} events within one hour; the usual hour of this K-Block has {usual:.3g}."
        return Alert(
            self.name, Kind.KBLOCK, log.kblock_ids[kblock], (), strength,
            hour * HOUR, (hour + 1) * HOUR - 1, Evidence(words, figures),
        )  # fmt: skip


def volume_alert(detector: str, name: str, found: Anomaly, step: int) -> Alert:
    """Return the alert of an anomaly of a series."""
    figures: dict[str, float | int | str] = {
        "observed": round(found.observed, 3),
        "expected": round(found.expected, 3),
        "peak": iso(found.peak),
        "window_minutes": found.window // (HOUR // 60),
        "log10_p": round(-found.surprise, 2),
    }
    words = (
        f"{found.observed:.4g} per step on average; season and level predict {found.expected:.4g}. "
        "The series' own bursts do not explain such a difference."
    )
    return Alert(
        detector, Kind.STREAM, name, (), found.strength,
        found.start, found.end + step - 1, Evidence(words, figures),
    )  # fmt: skip


def find_in_series(series: Series, alarms_per_week: float) -> Findings:
    """Return an alert for each anomaly of a series of counts; it has no readers."""
    found = anomalies(series, alarms_per_week)
    return Findings(
        tuple(volume_alert(StreamVolume.name, SERIES, each, series.step) for each in found), {}
    )

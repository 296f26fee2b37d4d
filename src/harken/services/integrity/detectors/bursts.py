"""Bursts: a reader with far more events in an hour than they or anybody else ever had.

Each hour in which a reader did something has a count. Two things are unusual at once in a burst:
the count, among all counts of other readers, and its ratio to what is usual: the geometric mean of
the reader's other hours and of everybody's median hour. The tail of each is Pareto's, fitted to the
largest 2 % of the log's hours, since activity has heavy tails. The larger of both p-values counts,
times the hours in which the reader was active. Fewer than 20 events are no burst.
"""

from dataclasses import dataclass

import numpy as np

from harken.services.integrity.detectors.event_log import HOUR, EventLog, Floats, Numbers
from harken.services.integrity.detectors.findings import Alert, Case, Evidence, Finding, Kind
from harken.services.integrity.detectors.measures.chance import tail_surprise

LEAST_EVENTS = 20


@dataclass(frozen=True)
class Bursts:
    """Finds readers with an hour that is too busy."""

    name: str = "bursts"
    accuses: bool = True

    def find(self, case: Case) -> Finding:
        """Return an alert for each reader, and the surprise of each reader's busiest hour."""
        log = case.log
        surprise = np.zeros(len(log.reader_ids))
        readers, hours, counts = hourly_counts(log.readers[log.of_named], log.at[log.of_named])
        if not len(counts):
            return Finding([], surprise)
        usual = other_hours(readers, counts, len(log.reader_ids))
        middle = float(np.median(counts))
        ratios = counts / np.sqrt(np.maximum(usual[readers], middle) * middle)
        active = np.bincount(readers, minlength=len(log.reader_ids))
        of_hour = np.minimum(
            tail_surprise(counts, counts), tail_surprise(ratios, ratios)
        ) - np.log10(active[readers])
        of_hour[((hours + 1) * HOUR <= case.since) | (counts < LEAST_EVENTS)] = 0
        np.maximum.at(surprise, readers, of_hour)
        busiest = largest_of_each(readers, of_hour)
        chosen = busiest[of_hour[busiest] > case.least_strength]
        return Finding(
            [
                self._alert(
                    log, int(readers[each]), int(hours[each]), int(counts[each]),
                    float(usual[readers[each]]), float(of_hour[each]),
                )
                for each in chosen
            ],
            surprise,
        )  # fmt: skip

    def _alert(
        self, log: EventLog, reader: int, hour: int, count: int, usual: float, surprise: float
    ) -> Alert:
        own = log.at[(log.readers == reader) & (log.at // HOUR == hour)]
        name = log.reader_ids[reader]
        figures = {"events": count, "usual": round(usual, 2), "log10_p": round(-surprise, 2)}
        words = (
            f"{count} events within one hour; this reader's usual hour has {usual:.3g}, and hardly "
            "any reader ever had so many."
        )
        return Alert(
            self.name, Kind.READER, name, (name,), surprise,
            int(own.min()), int(own.max()), Evidence(words, figures),
        )  # fmt: skip


def hourly_counts(owners: Numbers, at: Numbers) -> tuple[Numbers, Numbers, Floats]:
    """Return owner, hour since 1970 and number of events of each hour with events.

    `owners` are the readers or the K-Blocks of some events, and `at` the times of these events.
    """
    hours = at // HOUR
    if not len(hours):
        return owners, hours, np.zeros(0)
    begin = int(hours.min())
    size = int(hours.max()) - begin + 1
    keys, counts = np.unique(owners * size + (hours - begin), return_counts=True)
    return keys // size, keys % size + begin, counts.astype(np.float64)


def largest_of_each(owners: Numbers, values: Floats) -> Numbers:
    """Return the place of each owner's largest value; of equal ones the first."""
    order = np.lexsort((-values, owners))
    return np.asarray(order[np.unique(owners[order], return_index=True)[1]], np.int64)


def other_hours(owners: Numbers, counts: Floats, size: int) -> Floats:
    """Return the mean count of each owner's hours without the busiest one; 0 without others."""
    total = np.bincount(owners, counts, minlength=size)
    most = np.zeros(size)
    np.maximum.at(most, owners, counts)
    return (total - most) / np.maximum(np.bincount(owners, minlength=size) - 1, 1)

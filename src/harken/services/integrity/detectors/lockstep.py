"""Lockstep: readers who touch the same K-Blocks at the same times, again and again.

Two readers *meet* at a K-Block if their first touches of it are within Δt of each other. The number
of meetings that chance explains comes from each K-Block's own rate at that time: around a touch of
reader u there are k other touches within Δt, and each is reader v's with the probability that is
v's share of all touches in these weeks. Where slates are known, only K-Blocks that both were shown
count, and the expectation is that of their exposures: each time that v was shown a K-Block within
Δt of u's touch of it, v may touch it, with the K-Block's own rate of touches per exposure.

The number of meetings is compared with a binomial distribution: of the touches of the reader with
fewer, each is a meeting with the same chance. Within minutes that is how honest readers meet.
Within an hour colleagues meet more often, so the logarithm of the p-value is halved there.

Readers are suspicious as a pair in either of two ways. (1) Benjamini-Hochberg over all pairs of
readers with two touches or more, whether they met or not, at a false discovery rate of
`FALSE_PAIRS`. (2) A p-value of at most 1 / (4 · readers): edges of that rate make a random graph
whose components stay small. Only components count: `least_ring` readers or more of whom 80 % of all
pairs are suspicious. With independent pairs, such a group comes about in less than one of a million
runs by the second way. Pairs of colleagues are not independent (who meets a and b often has a and b
meet), which is why half of the pairs would not be enough.

The strength of an alert takes of the pairs of a group of g readers only the g − 1 pairs of one of
them, which are independent, each with the group's median p-value p: chance brings each of n readers
C(n − 1, g − 1) · p^(g − 1) such groups. It is at least that of the false alarms allowed.
"""

from dataclasses import dataclass
from math import lgamma
from typing import NamedTuple

import numpy as np

from harken.services.integrity.detectors.event_log import (
    HOUR,
    MICROS,
    EventLog,
    Floats,
    Numbers,
)
from harken.services.integrity.detectors.findings import Alert, Case, Evidence, Finding, Kind
from harken.services.integrity.detectors.measures.chance import (
    benjamini_hochberg,
    binomial_surprise,
)
from harken.services.integrity.detectors.measures.exposures import Exposures
from harken.services.integrity.detectors.measures.groups import dense_groups
from harken.services.integrity.detectors.measures.touches import (
    Meetings,
    Touches,
    activity_shares,
    meetings,
)

FALSE_PAIRS = 0.01
"""The false discovery rate of all windows together."""
EDGES_PER_READER = 4
"""A pair is suspicious with a p-value of at most 1 / (this · readers)."""
LEAST_MEETINGS = 2
MINUTES = 5 * 60 * MICROS
"""The window within which honest readers meet by chance only."""
CORRELATION = 2.0
CHUNK = 100_000


class _Pairs(NamedTuple):
    """Pairs who met twice or more: their meetings, those expected, and −log10 of the p-value."""

    met: Meetings
    expected: Floats
    surprise: Floats

    def those(self, chosen: Numbers) -> "_Pairs":
        return _Pairs(
            Meetings(*(each[chosen] for each in self.met)),
            self.expected[chosen],
            self.surprise[chosen],
        )


@dataclass(frozen=True)
class Lockstep:
    """Finds groups of readers who meet too often, within each of `windows` (microseconds)."""

    name: str = "lockstep"
    accuses: bool = True
    windows: tuple[int, ...] = (MINUTES, HOUR)
    least_ring: int = 6

    def find(self, case: Case) -> Finding:
        """Return an alert for each group, and the surprise of each reader's meetings."""
        log = case.log
        alerts: list[Alert] = []
        surprise = np.zeros(len(log.reader_ids))
        touches = case.touches
        if len(touches) < 2:
            return Finding([], surprise)
        exposures = None if not case.slates else Exposures.of(case.slates, touches, log)
        found: list[tuple[Numbers, _Pairs, int, Floats]] = []
        for within in self.windows:
            pairs = _suspicious(case, touches, exposures, within, FALSE_PAIRS / len(self.windows))
            for group in dense_groups(pairs.met.first, pairs.met.second, self.least_ring):
                own = _of_group(pairs, group)
                of_each = _of_readers(own, len(log.reader_ids))
                surprise = np.maximum(surprise, of_each)
                found.append((group, own, within, of_each))
        known: list[set[int]] = []
        for group, own, within, of_each in sorted(found, key=lambda each: -len(each[0])):
            members = set(group.tolist())
            if not any(members <= larger for larger in known):
                known.append(members)
                alerts.append(self._alert(case, group, own, within, of_each))
        return Finding(alerts, surprise)

    def _alert(
        self, case: Case, group: Numbers, pairs: _Pairs, within: int, of_each: Floats
    ) -> Alert:
        log, touches = case.log, case.touches
        places = np.sort(touches.places_of_readers(group))
        met = meetings_places(touches, places, within)
        times, items = touches.at[met], np.unique(touches.kblocks[met])
        possible = len(group) * (len(group) - 1) / 2
        minutes = within // (60 * MICROS)
        figures = {
            "readers": len(group),
            "kblocks": len(items),
            "minutes": minutes,
            "meetings_per_pair": round(float(pairs.met.counts.mean()), 3),
            "expected_per_pair": round(float(pairs.expected.mean()), 6),
            "suspicious_pairs": len(pairs.expected),
            "density": round(len(pairs.expected) / possible, 3),
            "log10_p_of_pair": round(-float(np.median(pairs.surprise)), 2),
        }
        words = (
            f"{len(group)} readers touched the same K-Blocks within {minutes} minutes of each "
            f"other, {figures['meetings_per_pair']:.1f} times per pair; chance explains "
            f"{figures['expected_per_pair']:.2g}."
        )
        ids = [log.reader_ids[each] for each in group]
        first = int(group[np.argmax(of_each[group])])
        strength = star_strength(len(group), len(log.reader_ids), float(np.median(pairs.surprise)))
        return Alert(
            self.name, Kind.READER, log.reader_ids[first], tuple(ids),
            max(strength, case.least_strength),
            int(times.min()), int(times.max()), Evidence(words, figures),
        )  # fmt: skip


def star_strength(group: int, readers: int, surprise: float) -> float:
    """Return −log10 of the groups that chance brings to each reader, of a size and a median pair.

    `surprise` is −log10 of the p-value of that pair.
    """
    others, chosen = readers - 1, group - 1
    ways = lgamma(others + 1) - lgamma(chosen + 1) - lgamma(others - chosen + 1)
    return chosen * surprise - ways / float(np.log(10))


def meetings_places(touches: Touches, places: Numbers, within: int) -> Numbers:
    """Return those of some ascending places at which the next or the last one is a meeting."""
    near = (touches.kblocks[places[1:]] == touches.kblocks[places[:-1]]) & (
        touches.at[places[1:]] - touches.at[places[:-1]] <= within
    )
    met = np.zeros(len(places), np.bool_)
    met[1:] |= near
    met[:-1] |= near
    return places[met]


def _suspicious(
    case: Case, touches: Touches, exposures: Exposures | None, within: int, rate: float
) -> _Pairs:  # fmt: skip
    """Return the suspicious pairs of one window, at a false discovery rate."""
    log = case.log
    kept = _looked_at(case, touches, exposures)
    met = meetings(touches, within, kept, len(log.reader_ids), case.settings.most_pairs)
    often = met.counts >= LEAST_MEETINGS
    met = Meetings(*(each[often] for each in met))
    if exposures is None:
        expected = expected_meetings(log, touches, met, within)
    else:
        expected = exposures.expected_meetings(touches, met, within, len(log.reader_ids))
    trials = np.minimum(touches.reader_counts[met.first], touches.reader_counts[met.second])
    surprise = binomial_surprise(met.counts, np.maximum(trials, met.counts), expected / trials)
    if within > MINUTES:
        surprise = surprise / CORRELATION
    eligible = int((touches.reader_counts >= LEAST_MEETINGS).sum())
    tests = max(eligible * (eligible - 1) // 2, 1)
    chosen = benjamini_hochberg(surprise, tests, rate)
    chosen |= surprise >= np.log10(EDGES_PER_READER * max(eligible, 2))
    return _Pairs(met, expected, surprise).those(np.flatnonzero(chosen))


def _looked_at(case: Case, touches: Touches, exposures: Exposures | None) -> Numbers:
    """Return the places of the touches of readers who were active in the time looked at."""
    keep = np.ones(len(touches), np.bool_) if exposures is None else exposures.shown
    if case.settings.since is not None:
        active = np.zeros(len(case.log.reader_ids), np.bool_)
        active[touches.readers[touches.at >= case.settings.since]] = True
        keep = keep & active[touches.readers]
    return np.flatnonzero(keep)


def expected_meetings(log: EventLog, touches: Touches, met: Meetings, within: int) -> Floats:
    """Return the meetings that chance explains, for each pair; the larger of both directions."""
    periods, shares = activity_shares(log, touches)
    around = np.zeros(shares.shape)
    np.add.at(around, (touches.readers, periods), touches.near(within))
    expected = np.zeros(len(met.first))
    for begin in range(0, len(expected), CHUNK):
        part = slice(begin, begin + CHUNK)
        a, b = met.first[part], met.second[part]
        expected[part] = np.maximum(
            np.einsum("ij,ij->i", around[a], shares[b]),
            np.einsum("ij,ij->i", around[b], shares[a]),
        )
    return expected


def _of_group(pairs: _Pairs, group: Numbers) -> _Pairs:
    inside = np.isin(pairs.met.first, group) & np.isin(pairs.met.second, group)
    return pairs.those(np.flatnonzero(inside))


def _of_readers(pairs: _Pairs, readers: int) -> Floats:
    """Return each reader's surprise: the mean of their pairs', and the log10 of their number."""
    ends = np.concatenate([pairs.met.first, pairs.met.second])
    total = np.bincount(ends, np.concatenate([pairs.surprise] * 2), minlength=readers)
    partners = np.bincount(ends, minlength=readers)
    some = np.maximum(partners, 1)
    return total / some + np.log10(some)

"""Newcomers: K-Blocks with too many readers who came, touched hardly anything else, and went.

A *passing* reader has all events within a day and touched at most five K-Blocks; in a second test,
all events within four weeks, whatever they touched. Under chance, each touch of a K-Block is a
passing reader's with the share that these have of the touches of other K-Blocks in the same week.
Touches of the last day are compared with the share of readers on their first day in the four weeks
before, if that is higher: nobody can have come back yet.

The number of passing readers of a K-Block is binomial then. Audiences are not drawn independently,
so the logarithm of the p-value is halved. An alert needs a p-value below the false alarms allowed,
divided by the two tests, by the K-Blocks, and by the readers that it would accuse.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from harken.services.integrity.detectors.event_log import (
    DAY,
    WEEK,
    EventLog,
    Flags,
    Floats,
    Numbers,
)
from harken.services.integrity.detectors.findings import Alert, Case, Evidence, Finding, Kind
from harken.services.integrity.detectors.measures.chance import binomial_surprise
from harken.services.integrity.detectors.measures.touches import Touches, reader_spans

CORRELATION = 2.0
RECENT = 4 * WEEK
PRIOR_PASSING, PRIOR_TOUCHES = 1.0, 20.0


class _Passing(NamedTuple):
    """A definition of passing: the longest time from first to last event, and the most K-Blocks."""

    lifetime: int
    most: int
    words: str


KINDS = (
    _Passing(DAY, 5, "touched at most 5 K-Blocks within one day, and nothing before or since"),
    _Passing(RECENT, 10**9, "were here for less than four weeks"),
)


class _Audiences(NamedTuple):
    """Per K-Block: touches, those of passing readers, those expected, −log10 of the p-value."""

    touches: Numbers
    passing: Numbers
    expected: Floats
    surprise: Floats


@dataclass(frozen=True)
class Newcomers:
    """Finds K-Blocks with at least `least_ring` passing readers, too many for chance."""

    name: str = "newcomers"
    accuses: bool = True
    least_ring: int = 6

    def find(self, case: Case) -> Finding:
        """Return an alert for each such K-Block, and the surprise of each passing reader."""
        log, touches = case.log, case.touches
        surprise = np.zeros(len(log.reader_ids))
        if len(touches) < self.least_ring:
            return Finding([], surprise)
        first, last = reader_spans(log)
        chosen: dict[int, Alert] = {}
        for kind in KINDS:
            passing = (last - first < kind.lifetime) & (touches.reader_counts <= kind.most)
            found = _audiences(log, touches, passing, first)
            of_passing = passing[touches.readers]
            np.maximum.at(
                surprise, touches.readers[of_passing], found.surprise[touches.kblocks[of_passing]]
            )
            tests = len(KINDS) * len(found.passing) * np.maximum(found.passing, 1)
            strength = found.surprise - np.log10(tests / len(log.reader_ids))
            many = (strength > case.least_strength) & (found.passing >= self.least_ring)
            for each in np.flatnonzero(many):
                alert = self._alert(
                    log, touches, passing, found, int(each), kind, float(strength[each])
                )
                known = chosen.get(int(each))
                if known is None or alert.strength > known.strength:
                    chosen[int(each)] = alert
        return Finding([each for each in chosen.values() if each.end >= case.since], surprise)

    def _alert(
        self,
        log: EventLog,
        touches: Touches,
        passing: Flags,
        found: _Audiences,
        kblock: int,
        kind: _Passing,
        strength: float,
    ) -> Alert:
        part = slice(touches.starts[kblock], touches.starts[kblock + 1])
        own = passing[touches.readers[part]]
        members, times = touches.readers[part][own], touches.at[part][own]
        figures = {
            "passing_readers": int(found.passing[kblock]),
            "readers": int(found.touches[kblock]),
            "expected": round(float(found.expected[kblock]), 3),
            "log10_p": round(-float(found.surprise[kblock]), 2),
        }
        words = (
            f"{figures['passing_readers']} of its {figures['readers']} readers {kind.words}; "
            f"chance explains {figures['expected']:.2g}."
        )
        return Alert(
            self.name, Kind.KBLOCK, log.kblock_ids[kblock],
            tuple(log.reader_ids[each] for each in members),
            strength, int(times.min()), int(times.max()),
            Evidence(words, figures),
        )  # fmt: skip


def _audiences(log: EventLog, touches: Touches, passing: Flags, first: Numbers) -> _Audiences:
    """Compare each K-Block's passing readers with those of the other K-Blocks in the same weeks.

    `passing` and `first`, the time of the first event, have the shape readers.
    """
    size = len(log.kblock_ids)
    weeks = (touches.at - int(log.at[0])) // WEEK
    of_passing = passing[touches.readers].astype(np.float64)
    cells, place = np.unique(
        touches.kblocks * (int(weeks.max()) + 1) + weeks, return_inverse=True
    )  # fmt: skip
    cell_touches = np.bincount(place)
    cell_passing = np.bincount(place, of_passing)
    cell_weeks = cells % (int(weeks.max()) + 1)
    all_touches, all_passing = np.bincount(weeks), np.bincount(weeks, of_passing)
    elsewhere = (all_passing[cell_weeks] - cell_passing + PRIOR_PASSING) / (
        all_touches[cell_weeks] - cell_touches + PRIOR_TOUCHES
    )
    share = elsewhere[place]
    end = int(log.at[-1])
    is_new = touches.at - first[touches.readers] < DAY
    history = (touches.at >= end - RECENT) & (touches.at < end - DAY)
    usual = (is_new[history].sum() + PRIOR_PASSING) / (history.sum() + PRIOR_TOUCHES)
    share = np.where(touches.at >= end - DAY, np.maximum(share, usual), share)
    expected = np.bincount(touches.kblocks, share, minlength=size)
    counts = np.bincount(touches.kblocks, of_passing, minlength=size).astype(np.int64)
    chance = expected / np.maximum(touches.kblock_counts, 1)
    surprise = binomial_surprise(counts, touches.kblock_counts, chance) / CORRELATION
    return _Audiences(touches.kblock_counts, counts, np.asarray(expected, np.float64), surprise)

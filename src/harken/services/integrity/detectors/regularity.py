"""Regularity that no person has: gaps as of a clock, haste, days without night, impossible dwell.

For each there is a share of hits in a reader's trials. It is compared with the share that 98 of 100
of the log's own readers stay below, or with a floor if that is higher; the hits are binomial.

- *Even gaps.* Gaps between a reader's events are put into classes of 2 % (of a second, below a
  minute). Hits are the gaps in the reader's fullest class; its p-value is multiplied by the number
  of the reader's classes. Floor: 5 %.
- *Haste.* Events on another K-Block within a second of the last one. Floor: 10 %, since people
  open several tabs at once.
- *Days without night.* Days in which a reader was active in 20 hours of 24 or more. Floor: 1 in
  200.
- *Impossible dwell.* Days in which a reader's dwell times add up to over 36 hours (tabs may
  overlap). Floor: 1 in 200.

An alert needs a p-value below a quarter of the false alarms allowed per reader, since there are
four tests, after its logarithm was halved: what a person does next depends on what they did before.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from harken.services.integrity.detectors.event_log import (
    DAY,
    HOUR,
    MICROS,
    EventLog,
    Flags,
    Floats,
    Numbers,
)
from harken.services.integrity.detectors.findings import Alert, Case, Evidence, Finding, Kind
from harken.services.integrity.detectors.measures.chance import binomial_surprise

CORRELATION = 2.0
TESTS = 4
LEAST_GAPS = 10
LONGEST_GAP = 6 * HOUR
CLASS_WIDTH = 0.02
LEAST_EVEN, LEAST_HASTE, LEAST_ODD_DAYS = 0.05, 0.1, 0.005
USUAL_QUANTILE = 0.98
PRIOR_TRIALS = 10.0
SLEEPLESS_HOURS = 20
MOST_DWELL_MS = 1.5 * DAY / 1_000

# What an alert says; `hits` and `trials` are filled in.
NIGHTLESS = "{hits} of {trials} days without night: active in 20 hours of 24 or more."
DWELLING = "{hits} of {trials} days with dwell times that add up to over 36 hours."


class _Measure(NamedTuple):
    """One test: −log10 of a p-value, and hits out of trials; each has the shape readers."""

    surprise: Floats
    hits: Numbers
    trials: Numbers
    words: str


@dataclass(frozen=True)
class Regularity:
    """Finds readers whose events no person could have made."""

    name: str = "regularity"
    accuses: bool = True

    def find(self, case: Case) -> Finding:
        """Return an alert for each such reader with the test that says most."""
        log, size = case.log, len(case.log.reader_ids)
        if not log.of_named.any():
            return Finding([], np.zeros(size))
        measures = (*_gap_measures(log), *_day_measures(log))
        surprises = np.array([each.surprise for each in measures])
        surprise = surprises.max(0)
        last = np.full(size, np.iinfo(np.int64).min)
        np.maximum.at(last, log.readers, log.at)
        chosen = (surprise - np.log10(TESTS) > case.least_strength) & (last >= case.since)
        alerts = [
            self._alert(log, int(each), measures[int(surprises[:, each].argmax())])
            for each in np.flatnonzero(chosen)
        ]
        return Finding(alerts, surprise)

    def _alert(self, log: EventLog, reader: int, measure: _Measure) -> Alert:
        own, name = log.at[log.readers == reader], log.reader_ids[reader]
        hits, trials = int(measure.hits[reader]), int(measure.trials[reader])
        surprise = float(measure.surprise[reader])
        figures = {"hits": hits, "trials": trials, "log10_p": round(-surprise, 2)}
        words = measure.words.format(hits=hits, trials=trials)
        return Alert(
            self.name, Kind.READER, name, (name,), surprise - float(np.log10(TESTS)),
            int(own.min()), int(own.max()), Evidence(words, figures),
        )  # fmt: skip


def _gap_measures(log: EventLog) -> tuple[_Measure, _Measure]:
    places = np.flatnonzero(log.of_named)
    places = places[np.argsort(log.readers[places], kind="stable")]
    readers, at, kblocks = log.readers[places], log.at[places], log.kblocks[places]
    gaps = np.diff(at)
    moved = (
        (readers[1:] == readers[:-1]) & (kblocks[1:] != kblocks[:-1]) & (gaps <= LONGEST_GAP)
    )  # fmt: skip
    owners, gaps = readers[1:][moved], gaps[moved]
    size = len(log.reader_ids)
    trials = np.bincount(owners, minlength=size)
    return _even_gaps(owners, gaps, trials), _haste(owners, gaps, trials)


def _even_gaps(owners: Numbers, gaps: Numbers, trials: Numbers) -> _Measure:
    size = len(trials)
    slow = gaps > MICROS
    owners, gaps = owners[slow], gaps[slow]
    own_trials = np.bincount(owners, minlength=size)
    words = "{hits} of {trials} gaps between events are equal to within 2 %."
    hits = np.zeros(size, np.int64)
    if not len(gaps):
        return _Measure(np.zeros(size), hits, own_trials, words)
    step = np.log1p(CLASS_WIDTH)
    seconds = np.maximum(gaps / MICROS, 1.0)
    minute = np.log(60.0) / step
    classes = np.where(
        seconds < 60, np.floor(seconds), 60 + np.floor(np.log(seconds) / step - minute)
    ).astype(np.int64)
    width = int(classes.max()) + 1
    cells, counts = np.unique(owners * width + classes, return_counts=True)
    cell_owner = cells // width
    np.maximum.at(hits, cell_owner, counts)
    distinct = np.bincount(cell_owner, minlength=size)
    surprise = binomial_surprise(
        hits, np.maximum(own_trials, 1), _usual(hits, own_trials, LEAST_EVEN)
    )
    surprise = surprise / CORRELATION - np.log10(np.maximum(distinct, 1))
    return _Measure(
        np.where(own_trials >= LEAST_GAPS, surprise, 0.0).clip(0), hits, own_trials, words
    )


def _haste(owners: Numbers, gaps: Numbers, trials: Numbers) -> _Measure:
    hits = np.bincount(owners[gaps <= MICROS], minlength=len(trials))
    surprise = binomial_surprise(hits, np.maximum(trials, 1), _usual(hits, trials, LEAST_HASTE))
    surprise = np.where(trials >= LEAST_GAPS, surprise / CORRELATION, 0.0)
    words = "{hits} of {trials} events on another K-Block came within a second of the last."
    return _Measure(surprise, hits, trials, words)


def _day_measures(log: EventLog) -> tuple[_Measure, _Measure]:
    places = np.flatnonzero(log.of_named)
    readers, at = log.readers[places], log.at[places]
    days = at // DAY
    begin = int(days.min())
    span = int(days.max()) - begin + 1
    keys = readers * span + (days - begin)
    cells, place = np.unique(keys, return_inverse=True)
    owners = cells // span
    hours = np.unique(place * 24 + at // HOUR % 24) // 24
    active = np.bincount(hours, minlength=len(cells))
    dwell = np.bincount(place, np.maximum(log.dwells[places], 0), minlength=len(cells))
    size = len(log.reader_ids)
    return (
        _odd_days(owners, active >= SLEEPLESS_HOURS, size, NIGHTLESS),
        _odd_days(owners, dwell > MOST_DWELL_MS, size, DWELLING),
    )  # fmt: skip


def _odd_days(owners: Numbers, odd: Flags, size: int, words: str) -> _Measure:
    trials = np.bincount(owners, minlength=size)
    hits = np.bincount(owners[odd], minlength=size)
    surprise = binomial_surprise(hits, np.maximum(trials, 1), _usual(hits, trials, LEAST_ODD_DAYS))
    return _Measure(surprise / CORRELATION, hits, trials, words)


def _usual(hits: Numbers, trials: Numbers, least: float) -> float:
    """Return the share of hits that most readers stay below; shares of few trials are shrunk."""
    shares = hits[trials > 0] / (trials[trials > 0] + PRIOR_TRIALS)
    return max(float(np.quantile(shares, USUAL_QUANTILE)) if len(shares) else 0.0, least)

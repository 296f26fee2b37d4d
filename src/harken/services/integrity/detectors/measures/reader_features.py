"""Features of readers: twelve numbers that describe the events of each."""

import numpy as np

from harken.domain.feedback import FeedbackAction
from harken.services.integrity.detectors.event_log import (
    ACTIONS,
    DAY,
    HOUR,
    MICROS,
    EventLog,
    Floats,
)
from harken.services.integrity.detectors.measures.touches import Touches, reader_spans

NAMES = (
    "events", "kblocks", "active_days", "events_per_active_day", "engagements_per_event",
    "dismissals_per_event", "hours_of_day", "mean_log_gap", "age_of_kblocks", "audience",
    "lone_touches", "days_since_first_event",
)  # fmt: skip
LEAST_EVENTS = 3
APART = 12 * HOUR


def reader_features(log: EventLog, touches: Touches) -> Floats:
    """Return the features of each reader; shape: readers × `NAMES`.

    Counts, times and audiences are log(1 + x); `hours_of_day` and the features with `per` or `lone`
    in their names are shares. `touches` are those of the log.
    """
    size = len(log.reader_ids)
    events = np.bincount(log.readers, minlength=size)
    first, last = reader_spans(log)
    days = _distinct(log.readers, log.at // DAY, size)
    gaps = _log_gaps(log)
    kblocks = touches.reader_counts
    begun = np.full(len(log.kblock_ids), np.iinfo(np.int64).max)
    np.minimum.at(begun, log.kblocks, log.at)
    ages = np.log1p((touches.at - begun[touches.kblocks]) / HOUR)
    audience = np.log1p(touches.kblock_counts[touches.kblocks])
    lone = (touches.near(APART) == 0).astype(np.float64)
    engaged = log.actions == ACTIONS.index(FeedbackAction.ENGAGE)
    dismissed = log.actions == ACTIONS.index(FeedbackAction.DISMISS)
    columns = (
        np.log1p(events),
        np.log1p(kblocks),
        np.log1p(days),
        np.log1p(events / np.maximum(days, 1)),
        _mean(log.readers, engaged, size),
        _mean(log.readers, dismissed, size),
        _distinct(log.readers, log.at // HOUR % 24, size) / 24,
        gaps,
        _mean(touches.readers, ages, size),
        _mean(touches.readers, audience, size),
        _mean(touches.readers, lone, size),
        np.log1p(np.maximum(last - first, 0) / DAY),
    )
    return np.stack(columns, axis=1)


def _mean(of: Floats | np.ndarray, values: Floats | np.ndarray, size: int) -> Floats:
    total = np.bincount(of, values, minlength=size)
    return np.asarray(total / np.maximum(np.bincount(of, minlength=size), 1), np.float64)


def _distinct(of: np.ndarray, values: np.ndarray, size: int) -> np.ndarray:
    """Return the number of distinct values of each reader."""
    if not len(of):
        return np.zeros(size, np.int64)
    shifted = values - values.min()
    width = int(shifted.max()) + 1
    return np.bincount(np.unique(of * width + shifted) // width, minlength=size)


def _log_gaps(log: EventLog) -> Floats:
    """Return the mean logarithm of the seconds between each reader's events."""
    order = np.argsort(log.readers, kind="stable")
    readers, at = log.readers[order], log.at[order]
    same = readers[1:] == readers[:-1]
    gaps = np.log1p(np.diff(at)[same] / MICROS)
    return _mean(readers[1:][same], gaps, len(log.reader_ids))

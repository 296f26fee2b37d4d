"""Anomalies of volume in a series of counts, without labels and without tuning.

1. The logarithm of each count is taken, with a constant added so that small counts matter little.
   Bursts and seasons multiply.
2. *Season*: the median by time of day, or by time of week where the series has three weeks or more
   and that explains it better. *Level*: the median of the seven days before, which follows shifts.
3. The residual is averaged over windows of one step, about an hour, six hours and a day, so that a
   spike and a dull holiday are both seen. Each average is divided by its median absolute deviation.
4. The tail of these is fitted as Pareto to the largest 2 % without the extreme quarter, above and
   below zero apart (`tail_surprise`). So a series that bursts every day has a heavy tail, and only
   what goes beyond its own bursts counts.
5. What is beyond the false alarms allowed becomes intervals; near ones are joined.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from harken.services.integrity.detectors.event_log import DAY, HOUR, WEEK, Floats, Numbers
from harken.services.integrity.detectors.measures.chance import tail_surprise

WINDOWS = (0, HOUR, 6 * HOUR, DAY)
SLOTS = 48
"""Slots of a day that the season distinguishes, at most."""
LEAST_WEEKS = 3
BETTER = 0.95
LEVEL_DAYS = 7
JOINED = 6 * HOUR
JOINED_STEPS = 6
LEAST_POINTS = 50
SOFTENING = 0.05
SCALE = 1.4826
"""A normal distribution's standard deviation over its median absolute deviation."""


class Anomaly(NamedTuple):
    """An interval of unusual volume; `start` and `end` in microseconds since 1970, end inclusive.

    `observed` and `expected` are means per step over the interval; `peak` is the time of the most
    surprising step, `window` the length in microseconds over which it was averaged.
    """

    start: int
    end: int
    surprise: float
    observed: float
    expected: float
    peak: int
    window: int


@dataclass(frozen=True)
class Series:
    """Counts at equal steps: `at` (microseconds since 1970) and `counts`, NaN where missing."""

    at: Numbers
    counts: Floats
    step: int

    @classmethod
    def of(cls, at: Numbers, counts: Floats) -> "Series":
        """Put counts at any times on the grid of their median step; those of one step are added."""
        order = np.argsort(at, kind="stable")
        at, counts = at[order], counts[order]
        gaps = np.diff(at)
        gaps = gaps[gaps > 0]
        step = int(np.median(gaps)) if len(gaps) else HOUR
        if not len(at):
            return cls(at, counts, step)
        places = (at - at[0] + step // 2) // step
        # A far outlier in time would make the grid as long as that gap.
        size = min(int(places[-1]) + 1, 20 * len(at) + LEAST_POINTS)
        kept = places < size
        sums = np.bincount(places[kept], counts[kept], minlength=size)
        seen = np.bincount(places[kept], minlength=size)
        grid = at[0] + np.arange(size) * step
        return cls(grid, np.where(seen > 0, sums, np.nan), step)


def anomalies(series: Series, alarms_per_week: float) -> list[Anomaly]:
    """Return the anomalies of a series in the order of time.

    None is found in a series of fewer than 50 points or of one value.
    """
    known = np.isfinite(series.counts)
    if known.sum() < LEAST_POINTS or np.ptp(series.counts[known]) == 0:
        return []
    logs, softening = _logarithms(series.counts)
    baseline = _baseline(series, logs)
    residual = np.where(known, logs - baseline, 0.0)
    surprise, window = _surprises(series, residual)
    span = max(int(series.at[-1] - series.at[0]), HOUR) / WEEK
    # Neighbouring averages are nearly one test, so the points of an hour count as one.
    tests = len(WINDOWS) * max(int(series.at[-1] - series.at[0]) // max(HOUR, series.step), 1)
    limit = np.log10(tests / (alarms_per_week * span))
    expected = np.maximum(np.exp(baseline) - softening, 0)
    return _intervals(series, surprise, window, expected, float(limit))


def _logarithms(counts: Floats) -> tuple[Floats, float]:
    known = counts[np.isfinite(counts)]
    positive = known[known > 0]
    softening = SOFTENING * float(np.median(positive))
    if (known == np.floor(known)).all():
        softening = max(softening, 1.0)
    return np.log(counts + softening), softening


def _baseline(series: Series, logs: Floats) -> Floats:
    """Return what season and level lead to expect of each logarithm."""
    season = _season(series, logs)
    return season + _level(series, logs - season)


def _season(series: Series, logs: Floats) -> Floats:
    """Return the seasonal part of each point, 0 in the median."""
    daily = _profile(series, logs, DAY)
    if series.at[-1] - series.at[0] < LEAST_WEEKS * WEEK:
        return daily
    weekly = _profile(series, logs, WEEK)
    better = _spread(logs - weekly) < BETTER * _spread(logs - daily)
    return weekly if better else daily


def _profile(series: Series, logs: Floats, period: int) -> Floats:
    """Return the median of the points at the same time of a period, smoothed over neighbours."""
    slot = max(series.step, DAY // SLOTS)
    slots = period // slot
    if slots < 2 or len(logs) * series.step < 2 * period:
        return np.zeros(len(logs))
    places = (series.at % period) // slot
    medians = np.full(int(slots) + 1, np.nan)
    for each in range(int(slots) + 1):
        own = logs[places == each]
        own = own[np.isfinite(own)]
        if len(own):
            medians[each] = np.median(own)
    medians = np.where(np.isfinite(medians), medians, np.nanmedian(medians))
    used = medians[:slots]
    smooth = np.median([np.roll(used, -1), used, np.roll(used, 1)], axis=0)
    medians[:slots] = smooth
    return np.asarray(medians[places] - np.median(smooth), np.float64)


def _level(series: Series, logs: Floats) -> Floats:
    """Return the median of the seven days before each point; of the first day, within it."""
    size = max(LEVEL_DAYS * DAY // series.step, 3)
    first = min(max(DAY // series.step, 12), len(logs))
    stride = max(size // 336, 1)
    padded = np.concatenate([np.full(size, np.nan), logs])
    ends = np.arange(0, len(logs), stride)
    levels = np.empty(len(ends))
    begin = np.nanmedian(logs[:first])
    for row, end in enumerate(ends):
        own = padded[end : end + size]
        own = own[np.isfinite(own)]
        levels[row] = np.median(own) if len(own) >= first else begin
    return levels[np.arange(len(logs)) // stride]


def _spread(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return SCALE * float(np.median(np.abs(known - np.median(known))))


def _surprises(series: Series, residual: Floats) -> tuple[Floats, Numbers]:
    """Return the surprise of each point, and the number of steps that it was averaged over."""
    best = np.zeros(len(residual))
    window = np.ones(len(residual), np.int64)
    for length in WINDOWS:
        steps = max(int(length // series.step), 1)
        if (length and steps == 1) or steps * 4 > len(residual):
            continue
        means = _trailing_means(residual, steps)
        spread = max(_spread(means), 1e-6)
        scaled = means / spread
        found = np.maximum(
            tail_surprise(scaled.clip(0), scaled), tail_surprise((-scaled).clip(0), -scaled)
        )
        window = np.where(found > best, steps, window)
        best = np.maximum(best, found)
    return best, window


def _trailing_means(values: Floats, steps: int) -> Floats:
    padded = np.concatenate([np.full(steps - 1, values[0]), values])
    return np.asarray(sliding_window_view(padded, steps).mean(1), np.float64)


def _intervals(
    series: Series, surprise: Floats, window: Numbers, expected: Floats, limit: float
) -> list[Anomaly]:
    hits = np.flatnonzero(surprise > limit)
    if not len(hits):
        return []
    joined = max(JOINED // series.step, JOINED_STEPS)
    groups = np.split(hits, np.flatnonzero(np.diff(hits) > joined) + 1)
    found = []
    for group in groups:
        peak = int(group[np.argmax(surprise[group])])
        begin = max(int(group[0] - window[group[0]] // 2), 0)
        part = slice(begin, int(group[-1]) + 1)
        found.append(
            Anomaly(
                int(series.at[begin]), int(series.at[group[-1]]), float(surprise[peak]),
                float(np.nanmean(series.counts[part])), float(expected[part].mean()),
                int(series.at[peak]), int(window[peak]) * series.step,
            )
        )  # fmt: skip
    return found

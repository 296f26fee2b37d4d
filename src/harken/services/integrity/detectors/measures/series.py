"""Anomalies of volume in a series of counts, without labels and without tuning.

1. The logarithm of each count is taken, with a constant added so that small counts matter little.
   Bursts and seasons multiply.
2. *Season*: the median by time of day, or by time of week where the series has three weeks or more
   and that explains it better. *Level*: the median of the seven days before, which follows shifts.
3. The residual is averaged over windows of one step, about an hour, six hours and a day, so that a
   spike and a dull holiday are both seen.
4. *Episodes* are stretches above a high quantile of these averages, at least six hours apart. The
   heights of the series' own episodes have an exponential tail: in counts, a power law. Its scale
   is fitted by their median and their 70 % quantile, so that a few anomalies do not hide
   themselves. Above and below are fitted apart. So a series that bursts every day has a long tail,
   and only what goes beyond its own bursts is reported (peaks over threshold: Pickands, Statistical
   Inference Using Extreme Order Statistics, Ann. Stat. 3(1), 1975).
5. An interval is reported if fewer episodes as high as its own are expected in a week than the
   false alarms allowed, divided by the windows and by two, for above and below.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from harken.services.integrity.detectors.event_log import DAY, HOUR, WEEK, Floats, Numbers

WINDOWS = (0, HOUR, 6 * HOUR, DAY)
SIDES = 2
SLOTS = 48
"""Slots of a day that the season distinguishes, at most."""
LEAST_WEEKS = 3
BETTER = 0.95
LEVEL_DAYS = 7
MOST_LEVELS = 20_000
JOINED = 6 * HOUR
JOINED_STEPS = 6
QUANTILES = (0.98, 0.95, 0.9, 0.8, 0.7)
LEAST_EPISODES = 10
RESTS = (0.5, 0.3)
"""The scale of an exponential tail follows from any quantile; the larger of these two is taken."""
LEAST_POINTS = 50
SOFTENING = 0.05
LEAST_DIFFERENCE = 0.2
SCALE = 1.4826
"""A normal distribution's standard deviation over its median absolute deviation."""


class Anomaly(NamedTuple):
    """An interval of unusual volume; `start` and `end` in microseconds since 1970, end inclusive.

    `observed` and `expected` are means per step over the interval; `peak` is the time of the step
    that differs most, `window` the length in microseconds of the averages that differ most.
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
    values = np.where(known, logs - baseline, 0.0)
    surprise, window = _surprises(series, values)
    limit = float(np.log10(SIDES * len(_windows(series)) / alarms_per_week))
    expected = np.maximum(np.exp(baseline) - softening, 0)
    found = _intervals(series, _Residual(values, surprise, window, expected), limit)
    return [each for each in found if _matters(each, softening)]


def _logarithms(counts: Floats) -> tuple[Floats, float]:
    known = counts[np.isfinite(counts)]
    positive = known[known > 0]
    softening = SOFTENING * float(np.median(positive))
    if (known == np.floor(known)).all():
        softening = max(softening, 1.0)
    return np.log(counts + softening), softening


def _baseline(series: Series, logs: Floats) -> Floats:
    """Return what season and level lead to expect of each logarithm."""
    # The season is taken from what a first level leaves, so that a shift does not disturb it.
    season = _season(series, logs - _level(series, logs))
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
    stride = max(size // 336, len(logs) // MOST_LEVELS, 1)
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


def _windows(series: Series) -> list[int]:
    """Return the lengths of the windows in steps, without repeats."""
    steps = {max(int(length // series.step), 1) for length in WINDOWS}
    return sorted(each for each in steps if each * LEAST_EPISODES <= len(series.at))


def _surprises(series: Series, residual: Floats) -> tuple[Floats, Numbers]:
    """Return the surprise of each point, and the number of steps that it was averaged over.

    The surprise is −log10 of the episodes as high that are expected in a week.
    """
    best = np.full(len(residual), -np.inf)
    window = np.ones(len(residual), np.int64)
    weeks = len(residual) * series.step / WEEK
    for steps in _windows(series):
        means = _trailing_means(residual, steps)
        apart = max(JOINED // series.step, steps, 1)
        found = np.maximum(
            _episode_surprise(means, apart, weeks), _episode_surprise(-means, apart, weeks)
        )
        window = np.where(found > best, steps, window)
        best = np.maximum(best, found)
    return best, window


def _episode_surprise(values: Floats, apart: int, weeks: float) -> Floats:
    """Return −log10 of the expected episodes in a week that are as high as each value."""
    for quantile in QUANTILES:
        threshold = float(np.quantile(values, quantile))
        above = np.flatnonzero(values > threshold)
        begins = np.flatnonzero(np.diff(above, prepend=-apart - 1) > apart)
        if len(begins) >= LEAST_EPISODES:
            break
    else:
        return np.full(len(values), -np.inf)
    heights = np.maximum.reduceat(values[above], begins) - threshold
    scales = [np.quantile(heights, 1 - rest) / -np.log(rest) for rest in RESTS]
    scale = max(float(max(scales)), 1e-9)
    found = (values - threshold) / scale / np.log(10) - np.log10(len(begins) / weeks)
    return np.where(values > threshold, found, -np.inf)


def _trailing_means(values: Floats, steps: int) -> Floats:
    padded = np.concatenate([np.full(steps - 1, values[0]), values])
    return np.asarray(sliding_window_view(padded, steps).mean(1), np.float64)


class _Residual(NamedTuple):
    """What season and level do not explain; each has the shape points.

    `window` is the number of steps over which the surprise was greatest.
    """

    values: Floats
    surprise: Floats
    window: Numbers
    expected: Floats


def _intervals(series: Series, residual: _Residual, limit: float) -> list[Anomaly]:
    # The first day has no level yet.
    hits = np.flatnonzero((residual.surprise > limit) & (series.at - series.at[0] >= DAY))
    if not len(hits):
        return []
    joined = max(JOINED // series.step, JOINED_STEPS)
    groups = np.split(hits, np.flatnonzero(np.diff(hits) > joined) + 1)
    return [_anomaly(series, residual, group) for group in groups]


def _anomaly(series: Series, residual: _Residual, hits: Numbers) -> Anomaly:
    """Return the anomaly of some neighbouring points, cut to where the residual itself is large.

    A window sees a change until it has left it, so its points alone would be too late.
    """
    peak = int(hits[np.argmax(residual.surprise[hits])])
    width = int(residual.window[peak])
    mean = float(residual.values[max(peak - width + 1, 0) : peak + 1].mean())
    begin = max(int(hits[0] - residual.window[hits[0]]) + 1, 0)
    inside = residual.values[begin : int(hits[-1]) + 1]
    large = begin + np.flatnonzero(inside * np.sign(mean) >= abs(mean) / 2)
    part = slice(int(large[0]), int(large[-1]) + 1)
    return Anomaly(
        int(series.at[part][0]), int(series.at[part][-1]), float(residual.surprise[peak]),
        float(np.nanmean(series.counts[part])), float(residual.expected[part].mean()),
        int(series.at[large[np.argmax(np.abs(residual.values[large]))]]), width * series.step,
    )  # fmt: skip


def _matters(found: Anomaly, softening: float) -> bool:
    """Whether the mean differs by more than a fifth and by more than the softening."""
    difference = abs(found.observed - found.expected)
    return difference > LEAST_DIFFERENCE * found.expected + softening / 2

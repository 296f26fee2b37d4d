"""Anomalies of volume in a series of counts, without labels and without tuning.

1. Steps of a sparse series are joined, to an hour at most, so that a usual step has eight events or
   more. The logarithm of each count is taken, with a constant added so that small counts matter
   little. Bursts and seasons multiply.
2. *Season*: the trimmed mean by time of day, or by time of week where the series has three weeks or
   more and that explains it better. *Level*: the median of the seven days before, which follows
   shifts.
3. The residual is averaged over windows of one step, about an hour, six hours and a day, so that a
   spike and a dull holiday are both seen.
4. *Episodes* are stretches above a high quantile of these averages, at least six hours apart. The
   heights of the series' own episodes have an exponential tail: in counts, a power law. Its scale
   follows from any quantile of the heights. It is computed from several, from the middle upwards,
   and the largest scale is used: a series of small noise and rare large bursts is judged by its
   bursts. The highest episodes, about three in four weeks, give no scale, since they may be the
   anomalies. Above and below are fitted apart (peaks over threshold: Pickands, Statistical
   Inference Using Extreme Order Statistics, Ann. Stat. 3(1), 1975; quantile estimates of a tail:
   Castillo and Hadi, Fitting the Generalized Pareto Distribution to Data, JASA 92(440), 1997).
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
LEAST_MEAN = 8.0
TRIMMED = 0.2
BETTER = 0.95
"""A weekly season is used if it leaves less than this share of the spread that a daily one does."""
LEVEL_DAYS = 7
MOST_LEVELS = 20_000
JOINED = 6 * HOUR
JOINED_STEPS = 6
QUANTILES = (0.98, 0.95, 0.9, 0.8, 0.7)
LEAST_EPISODES = 10
RESTS = (0.5, 0.3, 0.2, 0.1, 0.05)
"""Shares of the episodes above the quantiles from which the scale of the tail is taken."""
SPARED_PER_WEEK = 0.75
"""Episodes that may be anomalies, and give no scale; they are two at least, and a third at most."""
LEAST_POINTS = 50
SOFTENING = 0.05
LEAST_SOFTENING = 4.0
"""With it, the logarithms of 4 and of 16 random events spread alike, and 0 is no great surprise."""
LEAST_DIFFERENCE = 0.2
SCALE = 1.4826
"""A normal distribution's standard deviation over its median absolute deviation."""


class Anomaly(NamedTuple):
    """An interval of unusual volume; `start` and `end` in microseconds since 1970, end inclusive.

    `surprise` is −log10 of the episodes as high that are expected in a week. `observed` and
    `expected` are means per step over the interval; `peak` is the time of the step that differs
    most, `window` the length in microseconds of the averages that differ most.
    """

    start: int
    end: int
    surprise: float
    observed: float
    expected: float
    peak: int
    window: int

    @property
    def strength(self) -> float:
        """−log10 of the intervals as unusual that chance brings in a week, by all tests."""
        return self.surprise - float(np.log10(len(WINDOWS) * SIDES))


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

    def joined(self) -> "Series":
        """Join the steps of a sparse series of counts, so that most have some events.

        A logarithm of 0, 1 or 2 has hardly a season. At most an hour is joined, and the first step
        begins at a whole multiple of the new step.
        """
        known = self.counts[np.isfinite(self.counts)]
        mean = float(np.minimum(known, np.quantile(known, 0.95)).mean())
        wanted = int(np.ceil(LEAST_MEAN / max(mean, 1e-9)))
        size = min(wanted, max(int(HOUR // self.step), 1), len(known) // LEAST_POINTS)
        if size < 2 or not _are_counts(known):
            return self
        step = size * self.step
        places = self.at // step
        begin = int(places[0])
        seen = np.isfinite(self.counts)
        length = int(places[-1]) - begin + 1
        sums = np.bincount(places[seen] - begin, self.counts[seen], minlength=length)
        parts = np.bincount(places[seen] - begin, minlength=length)
        with np.errstate(invalid="ignore"):
            counts = np.where(parts > 0, sums / parts * size, np.nan)
        return Series((begin + np.arange(length)) * step, counts, step)


def anomalies(series: Series, alarms_per_week: float) -> list[Anomaly]:
    """Return the anomalies of a series in the order of time.

    None is found in a series of fewer than 50 points or of one value.
    """
    known = np.isfinite(series.counts)
    if known.sum() < LEAST_POINTS or np.ptp(series.counts[known]) == 0:
        return []
    coarse = series.joined()
    least = LEAST_SOFTENING if _are_counts(series.counts) else 0.0
    found = _anomalies(coarse, alarms_per_week, least)
    parts = coarse.step / series.step
    return [
        each._replace(
            start=max(each.start, int(series.at[0])),
            end=min(each.end + coarse.step - series.step, int(series.at[-1])),
            observed=each.observed / parts,
            expected=each.expected / parts,
        )
        for each in found
    ]


def _anomalies(series: Series, alarms_per_week: float, least: float) -> list[Anomaly]:
    known = np.isfinite(series.counts)
    logs, softening = _logarithms(series.counts, least)
    baseline = _baseline(series, logs)
    values = np.where(known, logs - baseline, 0.0)
    surprise, window = _surprises(series, values)
    limit = float(np.log10(SIDES * len(_windows(series)) / alarms_per_week))
    expected = np.maximum(np.exp(baseline) - softening, 0)
    found = _intervals(series, _Residual(values, surprise, window, expected), limit)
    return [each for each in found if _matters(each, softening)]


def _are_counts(values: Floats) -> bool:
    known = values[np.isfinite(values)]
    return bool((known == np.floor(known)).all())


def _logarithms(counts: Floats, least: float) -> tuple[Floats, float]:
    """Return the logarithms of counts, with the number that was added; it is `least` at least."""
    softening = max(SOFTENING * float(np.median(counts[counts > 0])), least)
    return np.log(counts + softening), softening


def _baseline(series: Series, logs: Floats) -> Floats:
    """Return the logarithm that season and level predict at each point."""
    # The season is taken from what a first level leaves, so that a shift does not disturb it.
    season = _season(series, logs - _level(series, logs))
    return season + _level(series, logs - season)


def _season(series: Series, logs: Floats) -> Floats:
    """Return the seasonal part of each point, 0 in the median."""
    daily = _profile(series, logs, DAY)
    if series.at[-1] - series.at[0] < LEAST_WEEKS * WEEK:
        return daily
    weekly = _profile(series, logs, WEEK)
    better = _unexplained(series, logs - weekly, WEEK) < BETTER * _unexplained(
        series, logs - daily, DAY
    )
    return weekly if better else daily


def _unexplained(series: Series, residual: Floats, period: int) -> float:
    """Return the spread of a residual, corrected for the slots of the profile that was fitted."""
    slots = period // max(series.step, DAY // SLOTS)
    rest = 1 - slots / max(np.isfinite(residual).sum(), 1)
    return _spread(residual) / float(np.sqrt(max(rest, 1e-9)))


def _profile(series: Series, logs: Floats, period: int) -> Floats:
    """Return the trimmed mean of the points at each time of a period, smoothed over neighbours.

    Shape: points; the median over the period is 0.
    """
    slot = max(series.step, DAY // SLOTS)
    slots = period // slot
    if slots < 2 or len(logs) * series.step < 2 * period:
        return np.zeros(len(logs))
    places = (series.at % period) // slot
    means = np.full(int(slots) + 1, np.nan)
    for each in range(int(slots) + 1):
        own = logs[places == each]
        own = own[np.isfinite(own)]
        if len(own):
            means[each] = _middle(own)
    means = np.where(np.isfinite(means), means, np.nanmedian(means))
    used = means[:slots]
    smooth = np.median([np.roll(used, -1), used, np.roll(used, 1)], axis=0)
    means[:slots] = smooth
    return np.asarray(means[places] - np.median(smooth), np.float64)


def _middle(values: Floats) -> float:
    """Return the mean without a fifth at either end: a median of small counts is too coarse."""
    cut = min(int(np.ceil(TRIMMED * len(values))), (len(values) - 1) // 2)
    return float(np.sort(values)[cut : len(values) - cut].mean())


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
    scale = _scale(heights, weeks)
    found = (values - threshold) / scale / np.log(10) - np.log10(len(begins) / weeks)
    return np.where(values > threshold, found, -np.inf)


def _scale(heights: Floats, weeks: float) -> float:
    """Return the scale of the exponential tail of heights: the largest that fits a quantile."""
    size = len(heights)
    spared = min(max(round(SPARED_PER_WEEK * weeks), 2), size // 3)
    highest = float(np.sort(heights)[size - 1 - spared]) / np.log(size / (spared + 0.5))
    others = [
        float(np.quantile(heights, 1 - rest)) / -np.log(rest)
        for rest in RESTS
        if size * rest > spared
    ]
    return float(max(highest, *others, 1e-9))


def _trailing_means(values: Floats, steps: int) -> Floats:
    padded = np.concatenate([np.full(steps - 1, values[0]), values])
    return np.asarray(sliding_window_view(padded, steps).mean(1), np.float64)


class _Residual(NamedTuple):
    """The residual after season and level; each array has the shape points.

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
    return _apart([_anomaly(series, residual, group) for group in groups])


def _apart(found: list[Anomaly]) -> list[Anomaly]:
    """Leave out what overlaps something more unusual: a long window sees the same again."""
    kept: list[Anomaly] = []
    for each in sorted(found, key=lambda anomaly: -anomaly.surprise):
        if all(each.end < other.start or other.end < each.start for other in kept):
            kept.append(each)
    return sorted(kept)


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

"""Anomalies of volume in a series of counts."""

import numpy as np
import pytest

from harken.services.integrity.detectors.event_log import DAY, HOUR, MICROS, WEEK
from harken.services.integrity.detectors.measures.series import Series, anomalies

FIVE_MINUTES = 300 * MICROS
BEGIN = 1_700_000_000 * MICROS // DAY * DAY
RATE = 0.1


def bursty(seed, weeks=3, base=40.0):
    """Counts every five minutes with a daily season, noise and bursts with a heavy tail."""
    rng = np.random.default_rng(seed)
    at = BEGIN + np.arange(weeks * 2_016) * FIVE_MINUTES
    mean = base * (1 + 0.6 * np.sin(2 * np.pi * (at % DAY) / DAY))
    mean = mean * np.exp(rng.normal(0, 0.15, len(at)))
    for _ in range(rng.poisson(weeks * 8)):
        begin, height = rng.integers(len(at)), base * 0.5 * rng.pareto(3.0)
        part = mean[begin : begin + 60]
        part += height * np.exp(-np.arange(len(part)) / rng.integers(2, 12))
    return at, rng.poisson(mean).astype(np.float64)


def weekly(seed, weeks=12):
    """Counts every half hour with quiet weekends, as of taxis."""
    rng = np.random.default_rng(seed)
    at = BEGIN + np.arange(weeks * 336) * 6 * FIVE_MINUTES
    mean = 15_000 * (1 + 0.6 * np.sin(2 * np.pi * (at % DAY) / DAY))
    mean = mean * np.where(at // DAY % 7 > 4, 0.7, 1) * np.exp(rng.normal(0, 0.06, len(at)))
    return at, np.round(mean)


def found_in(at, counts, rate=RATE):
    return anomalies(Series.of(at, counts), rate)


def rare_bursts(seed, weeks=4):
    """Small noise, and three bursts a week with a heavy tail: the middle says nothing of these."""
    rng = np.random.default_rng(seed)
    at = BEGIN + np.arange(weeks * 2_016) * FIVE_MINUTES
    mean = np.full(len(at), 30.0)
    for _ in range(rng.poisson(weeks * 3)):
        begin, height = rng.integers(len(at)), 60 * rng.pareto(2.0)
        part = mean[begin : begin + 80]
        part += height * np.exp(-np.arange(len(part)) / rng.integers(2, 15))
    return at, rng.poisson(mean).astype(np.float64)


def sparse(seed, weeks=4):
    """One event in five minutes, or none, and a third of the spans missing."""
    rng = np.random.default_rng(seed)
    at = BEGIN + np.arange(weeks * 2_016) * FIVE_MINUTES
    counts = rng.poisson(0.8 * (1 + 0.6 * np.sin(2 * np.pi * (at % DAY) / DAY))).astype(np.float64)
    for begin in rng.integers(2_016, len(at) - 200, 4):
        counts[begin : begin + 100] = np.nan
    known = np.isfinite(counts)
    return at[known], counts[known]


CHANGES = {
    "spike": (0.45, 1, lambda part: part + 1_500),
    "hours of tenfold volume": (0.6, 3, lambda part: part * 10),
    "half a day of threefold volume": (0.6, 12, lambda part: part * 3),
    "outage": (0.75, 6, lambda part: part * 0.02),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("seed", range(3))
def test_a_change_of_volume_is_found_where_it_is(name, seed):
    at, counts = bursty(seed)
    where, hours, change = CHANGES[name]
    begin = int(where * len(at))
    part = slice(begin, begin + hours * 12)
    counts[part] = change(counts[part])
    found = found_in(at, counts)
    hits = [a for a in found if a.start <= at[part][-1] + HOUR and a.end >= at[begin] - HOUR]
    assert hits
    assert (hits[0].observed > hits[0].expected) is (name != "outage")


def test_a_holiday_and_nothing_else_in_a_weekly_series():
    at, counts = weekly(0)
    begin = 57 * 48
    counts[begin : begin + 48] = (counts[begin : begin + 48] * 0.6).round()
    [holiday] = found_in(at, counts)
    assert at[begin] - 12 * HOUR <= holiday.start <= at[begin] + 12 * HOUR
    assert holiday.observed < holiday.expected


def test_a_shift_of_level_is_one_alert_that_ends():
    at, counts = weekly(1, weeks=16)
    counts[8 * 336 :] *= 2
    found = found_in(at, counts)
    assert len(found) == 1
    assert abs(found[0].start - at[8 * 336]) <= DAY
    assert found[0].end <= at[8 * 336] + WEEK


def test_a_change_in_a_sparse_series_is_found_at_its_own_steps():
    at, counts = sparse(1)
    inside = (at >= at[5_000]) & (at < at[5_000] + 6 * HOUR)
    counts[inside] = counts[inside] * 4 + 1
    [found] = found_in(at, counts)
    assert abs(found.start - at[5_000]) <= HOUR
    assert abs(found.end - at[inside][-1]) <= HOUR
    assert found.observed > 2 * found.expected
    assert found.observed < counts[inside].max()  # a mean of steps of five minutes, not of hours


@pytest.mark.parametrize("make", [bursty, weekly, rare_bursts, sparse])
def test_false_alarms_are_about_as_rare_as_allowed(make):
    series = [make(seed) for seed in range(10, 15)]
    weeks = sum((at[-1] - at[0]) / WEEK for at, _ in series)
    alarms = sum(len(found_in(at, counts)) for at, counts in series)
    assert alarms <= 3 * RATE * weeks + 2


@pytest.mark.parametrize(
    "counts",
    [[], [5.0], [3.0] * 500, [0.0] * 500, [1e15] * 499 + [0.0], list(range(40))],
    ids=["empty", "one", "constant", "nothing", "huge", "short"],
)
def test_series_that_say_nothing(counts):
    at = BEGIN + np.arange(len(counts)) * HOUR
    for each in found_in(at, np.array(counts, np.float64)):
        assert np.isfinite([each.surprise, each.observed, each.expected]).all()


def test_scale_and_gaps_make_no_difference():
    """A price of cents is a series as much as a count; steps may be missing."""
    rng = np.random.default_rng(3)
    at = BEGIN + np.arange(1_500) * HOUR
    prices = 0.1 * np.exp(rng.normal(0, 0.3, len(at)))
    prices[900:903] *= 9
    kept = rng.random(len(at)) > 0.05
    kept[895:910] = True
    [small] = found_in(at[kept], prices[kept])
    [large] = found_in(at[kept], prices[kept] * 1_000 + 0.1)
    assert small.start == large.start == at[900]


def test_unsorted_times_and_repeated_steps_are_put_on_the_grid():
    series = Series.of(np.array([3, 1, 1, 2, 5]) * HOUR, np.array([1.0, 2, 3, 4, 5]))
    assert series.step == HOUR
    np.testing.assert_equal(series.counts, [5.0, 4.0, 1.0, np.nan, 5.0])

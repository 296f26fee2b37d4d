"""False alarms and recall of the detector of volume, on series of many kinds.

    python -m benchmarks.volumes --series=10
    python -m benchmarks.volumes --series=4 --alarms=0.1 --only=bursts,drift

Every kind of series is drawn with and without planted changes. A week of a series without changes
may have `--alarms` false alarms. A change is found if an alert overlaps it, an hour more or less;
`other` are the alerts per week beside the planted changes. Nothing here is taken from a real log.
"""

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from harken.services.integrity.detectors.event_log import DAY, HOUR, MICROS, WEEK, Floats, Numbers
from harken.services.integrity.detectors.measures.series import Series, anomalies

BEGIN = 1_700_000_000 * MICROS // DAY * DAY
STEP = 300 * MICROS
Draw = np.random.Generator
Make = Callable[[Draw, Numbers], Floats]


def daily(at: Numbers, depth: float = 0.6) -> Floats:
    return np.asarray(1 + depth * np.sin(2 * np.pi * (at % DAY) / DAY), np.float64)


def smooth(draw: Draw, size: int, memory: float, spread: float) -> Floats:
    """Draw an autoregression of the first order, with a standard deviation of `spread`."""
    noise = draw.normal(0, spread * np.sqrt(1 - memory**2), size)
    values = np.empty(size)
    values[0] = draw.normal(0, spread)
    for row in range(1, size):
        values[row] = memory * values[row - 1] + noise[row]
    return values


def bursts(draw: Draw, at: Numbers, heights: Callable[[int], Floats], per_week: float) -> Floats:
    """Draw bursts that come at random, and decay within minutes or hours."""
    values = np.zeros(len(at))
    count = draw.poisson(per_week * (at[-1] - at[0]) / WEEK)
    for height in heights(count):
        begin, decay = draw.integers(len(at)), draw.uniform(2, 15)
        part = values[begin : begin + 80]
        part += height * np.exp(-np.arange(len(part)) / decay)
    return values


def counted(draw: Draw, mean: Floats) -> Floats:
    return np.asarray(draw.poisson(mean), np.float64)


def poisson(draw: Draw, at: Numbers) -> Floats:
    return counted(draw, 40 * daily(at))


def few(draw: Draw, at: Numbers) -> Floats:
    return counted(draw, 0.8 * daily(at))


def negative_binomial(draw: Draw, at: Numbers) -> Floats:
    return counted(draw, 40 * daily(at) * draw.gamma(2, 0.5, len(at)))


def lognormal_bursts(draw: Draw, at: Numbers) -> Floats:
    extra = bursts(draw, at, lambda n: 25 * draw.lognormal(0, 1.2, n), 15)
    return counted(draw, 40 * daily(at) + extra)


def pareto_bursts(draw: Draw, at: Numbers) -> Floats:
    extra = bursts(draw, at, lambda n: 25 * draw.pareto(2.0, n), 12)
    return counted(draw, 40 * daily(at) * np.exp(draw.normal(0, 0.15, len(at))) + extra)


def rare_bursts(draw: Draw, at: Numbers) -> Floats:
    extra = bursts(draw, at, lambda n: 60 * draw.pareto(2.0, n), 3)
    return counted(draw, 30 + extra)


def heavy_noise(draw: Draw, at: Numbers) -> Floats:
    noise = 0.25 * draw.standard_t(3, len(at)).clip(-20, 12)
    return counted(draw, 30 * daily(at) * np.exp(noise))


def autoregressive(draw: Draw, at: Numbers) -> Floats:
    return np.round(200 * daily(at) * np.exp(smooth(draw, len(at), 0.98, 0.3)))


def drift(draw: Draw, at: Numbers) -> Floats:
    """A temperature or a load that wanders over days."""
    wander = smooth(draw, len(at), np.exp(-STEP / (1.5 * DAY)), 0.12)
    return np.asarray(80 * np.exp(wander + smooth(draw, len(at), 0.9, 0.02)), np.float64)


def trend(draw: Draw, at: Numbers) -> Floats:
    growth = np.exp(0.15 * (at - at[0]) / WEEK) * np.where(at // DAY % 7 > 4, 0.7, 1.0)
    return counted(draw, 60 * daily(at) * growth * np.exp(draw.normal(0, 0.1, len(at))))


def days_differ(draw: Draw, at: Numbers) -> Floats:
    days = (at - at[0]) // DAY
    return counted(draw, 80 * daily(at) * np.exp(draw.normal(0, 0.2, days[-1] + 1))[days])


def zero_inflated(draw: Draw, at: Numbers) -> Floats:
    is_on = draw.random(len(at)) < 0.3
    return np.where(is_on, draw.poisson(6 * daily(at) * draw.gamma(2, 0.5, len(at))), 0) * 1.0


def zero_bursts(draw: Draw, at: Numbers) -> Floats:
    """A series that is zero nearly always."""
    return np.where(draw.random(len(at)) < 0.01, np.ceil(draw.lognormal(1, 1, len(at))), 0.0)


def gaps(draw: Draw, at: Numbers) -> Floats:
    counts = pareto_bursts(draw, at)
    for _ in range(4):
        begin = draw.integers(len(at))
        counts[begin : begin + draw.integers(3, 150)] = np.nan
    return counts


def batches(draw: Draw, at: Numbers) -> Floats:
    """A job every six hours, which takes a varying time, over a flat load."""
    place = (at % (6 * HOUR)) // STEP
    lengths = draw.integers(4, 10, len(at) // 72 + 2)[(at - at[0]) // (6 * HOUR)]
    load = np.where(place < lengths, 60.0, 8.0)
    return load * np.exp(draw.normal(0, 0.1, len(at)))


KINDS: dict[str, Make] = {
    each.__name__: each
    for each in (
        poisson, few, negative_binomial, lognormal_bursts, pareto_bursts, rare_bursts, heavy_noise,
        autoregressive, drift, trend, days_differ, zero_inflated, zero_bursts, gaps, batches,
    )
}  # fmt: skip

Plant = Callable[[Floats, float], Floats]
CHANGES: dict[str, tuple[float, Plant]] = {  # hours, and what becomes of them
    "spike": (0.1, lambda part, top: part + 6 * top),
    "hours x4": (3, lambda part, _top: part * 4 + 2),
    "half a day x2.5": (12, lambda part, _top: part * 2.5),
    "outage": (4, lambda part, _top: part * 0.0),
    "half a day x0.3": (12, lambda part, _top: part * 0.3),
    "level x2.5": (24 * 30, lambda part, _top: part * 2.5),
}


def found_in(at: Numbers, counts: Floats, alarms: float) -> list[Any]:
    known = np.isfinite(counts)
    return anomalies(Series.of(at[known], counts[known]), alarms)


def measure(make: Make, seeds: range, weeks: int, alarms: float) -> dict[str, Any]:
    at = BEGIN + np.arange(weeks * WEEK // STEP) * STEP
    quiet = found = 0
    hits: dict[str, int] = dict.fromkeys(CHANGES, 0)
    other = 0
    for seed in seeds:
        draw = np.random.default_rng([seed, *make.__name__.encode()])
        quiet += len(found_in(at, make(draw, at), alarms))
        for name, (hours, change) in CHANGES.items():
            counts = make(draw, at)
            begin = int(len(at) * draw.uniform(0.5, 0.8))
            part = slice(begin, begin + max(int(hours * HOUR / STEP), 1))
            counts[part] = change(counts[part], float(np.nanquantile(counts, 0.95)))
            alerts = found_in(at, counts, alarms)
            # Of a level that stays, the first day is the change.
            last = at[min(part.stop, begin + 288, len(at)) - 1]
            own = [a for a in alerts if a.start <= last + HOUR and a.end >= at[begin] - HOUR]
            hits[name] += bool(own)
            found += bool(own)
            other += len(alerts) - len(own)
    number = len(seeds)
    changes = number * len(CHANGES)
    return {
        "false_per_week": round(quiet / number / weeks, 3),
        "other_per_week": round(other / changes / weeks, 3),
        "recall": round(found / changes, 3),
        **{name: round(count / number, 2) for name, count in hits.items()},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=10, help="of each kind and change")
    parser.add_argument("--weeks", type=int, default=4)
    parser.add_argument("--alarms", type=float, default=0.25, help="allowed per week")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default=",".join(KINDS))
    options = parser.parse_args()
    found = {}
    seeds = range(options.seed, options.seed + options.series)
    for name in options.only.split(","):
        found[name] = measure(KINDS[name], seeds, options.weeks, options.alarms)
        sys.stdout.write(f"{name:18} {json.dumps(found[name])}\n")
        sys.stdout.flush()
    mean = {
        key: round(float(np.mean([each[key] for each in found.values()])), 3)
        for key in ("false_per_week", "other_per_week", "recall")
    }
    sys.stdout.write(f"{'mean':18} {json.dumps(mean)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

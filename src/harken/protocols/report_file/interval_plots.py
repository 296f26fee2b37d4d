"""Interval plots: values with their 95 % intervals, one row each, as numbers for an SVG.

The installed packages of a plain `pip install harken` draw no plots, and a file with these few
shapes needs none of them.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

WIDTH = 480
LEFT = 180
RIGHT = 20
ROW = 26
AXIS = 30
MOST_TICKS = 5
"""Pixels, and the most intervals between ticks."""


class Measured(NamedTuple):
    """One row to draw: a value of None has no mark, bounds of None have no line."""

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    is_hollow: bool = False


class Mark(NamedTuple):
    """A row as drawn: its height, and the places of value and bounds."""

    label: str
    y: float
    value: float | None
    low: float | None
    high: float | None
    is_hollow: bool
    words: str


class Tick(NamedTuple):
    """A place on the axis, and what stands there."""

    x: float
    text: str


class Plot(NamedTuple):
    """An interval plot. `zero` is the place of 0 if it is drawn; `summary` says all in words."""

    title: str
    summary: str
    height: float
    marks: list[Mark]
    ticks: list[Tick]
    zero: float | None


def interval_plot(title: str, rows: Sequence[Measured], *, from_zero: bool) -> Plot | None:
    """Return a plot of rows; None if no row has a value. With `from_zero`, 0 is on the axis."""
    ends = [each for row in rows for each in row[1:4] if each is not None]
    if not ends:
        return None
    if from_zero:
        ends.append(0.0)
    low, high, step = _axis(min(ends), max(ends))
    scale = (WIDTH - LEFT - RIGHT) / (high - low)

    def place(value: float | None) -> float | None:
        return None if value is None else round(LEFT + (value - low) * scale, 1)

    marks = [
        Mark(
            row.label, ROW * (n + 0.5), place(row.value), place(row.low), place(row.high),
            row.is_hollow, in_words(row),
        )
        for n, row in enumerate(rows)
    ]  # fmt: skip
    count = round((high - low) / step)
    ticks = [
        Tick(round(LEFT + n * step * scale, 1), _written(low + n * step, step))
        for n in range(count + 1)
    ]
    summary = f"{title}. " + "; ".join(mark.words for mark in marks)
    zero = place(0.0) if from_zero else None
    return Plot(title, summary, ROW * len(rows) + AXIS, marks, ticks, zero)


def in_words(row: Measured) -> str:
    """Say what a row shows."""
    if row.value is None:
        return f"{row.label}: not known"
    if row.low is None or row.high is None:
        return f"{row.label}: {row.value:.3f}, no interval"
    return f"{row.label}: {row.value:.3f} (95 % interval {row.low:.3f} to {row.high:.3f})"


def _axis(low: float, high: float) -> tuple[float, float, float]:
    """Return ends and steps of an axis, at 1, 2 or 5 times a power of ten."""
    span = (high - low) or abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(span / MOST_TICKS))
    step = next(power * each for each in (1, 2, 5, 10) if span / (power * each) <= MOST_TICKS)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return first * step, max(last, first + 1) * step, step


def _written(value: float, step: float) -> str:
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{value + 0.0:.{digits}f}".replace("-", "\u2212")

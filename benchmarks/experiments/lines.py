"""What a benchmark of experiments returns: lines with a mark, and intervals of shares.

A long benchmark has parts, which run in processes side by side.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import scipy.stats


class Line(NamedTuple):
    """A measured figure with its mark; `reached` is None where there is none to reach."""

    what: str
    figure: str
    mark: str = ""
    reached: bool | None = None


class Parts(NamedTuple):
    """A benchmark in parts: `run` is called with each of `given`, in a process of its own.

    `lines` makes the lines of what these calls returned, in the same order. Seeds are given, so
    results do not depend on how many processes there are.
    """

    run: Callable[[Any], Any]
    given: Sequence[Any]
    lines: Callable[[Sequence[Any]], Sequence[Line]]


Benchmark = Callable[[], Sequence[Line]] | Parts


def clopper_pearson(hits: int, runs: int, level: float = 0.95) -> tuple[float, float]:
    """Return the exact interval of a share (Clopper and Pearson 1934)."""
    tail = (1 - level) / 2
    low = scipy.stats.beta.ppf(tail, hits, runs - hits + 1) if hits else 0.0
    high = scipy.stats.beta.isf(tail, hits + 1, runs - hits) if hits < runs else 1.0
    return float(low), float(high)


def share(hits: int, runs: int) -> str:
    """Return a share in percent, with its interval."""
    low, high = clopper_pearson(hits, runs)
    return f"{hits / runs:.1%} ({low:.1%}–{high:.1%})"


def pieces(runs: int, size: int) -> Iterator[int]:
    """Return the sizes of pieces that together are `runs`, so that arrays stay small."""
    for start in range(0, runs, size):
        yield min(size, runs - start)

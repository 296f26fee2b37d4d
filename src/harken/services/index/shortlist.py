"""The rows with the highest weighted sums, in one pass over the columns.

A score is a weighted sum of columns. It is computed in single precision and in blocks, so that a
block stays in the processor's cache. Only rows that reach a threshold are kept. The threshold comes
from a sample, so it is a good one from the first block on, whatever the order of the rows. The
result has some more rows than requested, by a margin for rounding, so that the caller can decide
the order in double precision.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]
Singles = NDArray[np.float32]

BLOCK = 65_536  # rows: three buffers of single precision fit into a second-level cache
SAMPLE = 4_096
ROUNDING = 1e-6  # of the sum of the terms' greatest values; single precision has 2^-24


class Term(NamedTuple):
    """One column of a sum: `weight · clip(factor · column)`."""

    column: NDArray[Any]
    weight: float
    factor: float = 1.0
    least: float | None = None
    most: float | None = None
    magnitude: float = 1.0  # the greatest absolute value


class Sum(NamedTuple):
    """A score: `weights @ matrix`, plus terms of one column each. `matrix` is columns × rows."""

    matrix: Singles
    weights: Singles
    magnitudes: Sequence[float]  # by column of the matrix, the greatest absolute value
    terms: Sequence[Term]

    def rows(self, rows: Any) -> "Sum":
        """Return the sum over some rows."""
        terms = [term._replace(column=term.column[rows]) for term in self.terms]
        return self._replace(matrix=self.matrix[:, rows], terms=terms)

    @property
    def margin(self) -> float:
        """The greatest change of a score by rounding."""
        of_matrix = np.abs(self.weights) @ np.array(self.magnitudes)
        of_terms = sum(abs(term.weight) * term.magnitude for term in self.terms)
        return ROUNDING * float(of_matrix + of_terms)


class Shortlist(NamedTuple):
    """Rows, unordered, and a score that no other row reaches; −∞ if there is no other row."""

    rows: Rows
    floor: float


def shortlist(score: Sum, mask: Mask, count: int) -> Shortlist:
    """Return rows of a mask that include the `count` with the highest scores.

    If the mask has not many more than `count` rows, all of them are returned.
    """
    available = int(np.count_nonzero(mask))
    if available <= max(count, SAMPLE):
        return Shortlist(np.flatnonzero(mask), -np.inf)
    for threshold in _thresholds(score, mask, available, count):
        rows, scores = _reaching(score, mask, threshold)
        if len(rows) < count:
            continue
        last = np.partition(scores, len(scores) - count)[len(scores) - count] - 2 * score.margin
        if last >= threshold:
            return Shortlist(rows[scores >= last], float(last) + score.margin)
    raise AssertionError("every score reaches the last threshold")


def _thresholds(score: Sum, mask: Mask, available: int, count: int) -> Iterator[float]:
    """Yield thresholds that probably more than `count` rows reach, from high to low, then −∞."""
    sample = np.arange(0, len(mask), max(1, len(mask) // SAMPLE))
    sample = sample[mask[sample]]
    out, scratch = (np.empty(len(sample), np.float32) for _ in range(2))
    _add_up(score.rows(sample), out, scratch)
    out = np.sort(out)[::-1]
    for share in (2, 16):
        place = int(share * count * len(sample) / available) + 4 * share
        if place < len(out):
            yield float(out[place])
    yield -np.inf


def _reaching(score: Sum, mask: Mask, threshold: float) -> tuple[Rows, Singles]:
    found: list[Rows] = []
    scores: list[Singles] = []
    out, scratch = (np.empty(BLOCK, np.float32) for _ in range(2))
    for start in range(0, len(mask), BLOCK):
        block = slice(start, min(start + BLOCK, len(mask)))
        size = block.stop - start
        _add_up(score.rows(block), out[:size], scratch[:size])
        hits = np.flatnonzero((out[:size] >= threshold) & mask[block])
        if len(hits):
            found.append(hits + start)
            scores.append(out[hits])
    if not found:
        return np.zeros(0, np.int64), np.zeros(0, np.float32)
    return np.concatenate(found), np.concatenate(scores)


def _add_up(score: Sum, out: Singles, scratch: Singles) -> None:
    np.matmul(score.weights, score.matrix, out=out)
    for term in score.terms:
        clips = term.least is not None or term.most is not None
        factor = np.float32(term.factor if clips else term.factor * term.weight)
        np.multiply(term.column, factor, out=scratch, dtype=np.float32, casting="unsafe")
        if clips:
            np.clip(scratch, term.least, term.most, out=scratch)
            np.multiply(scratch, np.float32(term.weight), out=scratch)
        out += scratch

"""The rows with the highest weighted sums, in one pass over the columns.

A score is a weighted sum of columns. It is computed in single precision, block by block, so that a
block stays in the processor's cache; only rows that reach a threshold are kept. The threshold comes
from a sample, hence it is a good one from the first block on, in whatever order the rows are.
What is returned is a little more than what is wanted: with a margin for rounding, so that the
caller can settle the order in double precision.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]
Singles = NDArray[np.float32]

BLOCK = 65_536  # rows: three buffers of single precision fit into a second-level cache
SAMPLE = 8_192
ROUNDING = 1e-6  # of the sum of the terms' greatest values; single precision has 2^-24


class Term(NamedTuple):
    """One column of a sum: `weight · clip(factor · column)`."""

    column: NDArray[Any]
    weight: float
    factor: float = 1.0
    least: float | None = None
    most: float | None = None
    magnitude: float = 1.0  # that no value exceeds


def shortlist(terms: Sequence[Term], mask: Mask, count: int) -> Rows:
    """Return rows of a mask among which are the `count` with the highest sums, in no order.

    These are all rows of the mask where it has no more than `count`.
    """
    available = int(np.count_nonzero(mask))
    if available <= max(count, SAMPLE) or not terms:
        return np.flatnonzero(mask)
    margin = ROUNDING * sum(abs(term.weight) * term.magnitude for term in terms)
    for threshold in _thresholds(terms, mask, available, count):
        rows, sums = _reaching(terms, mask, threshold)
        if len(rows) < count:
            continue
        last = np.partition(sums, len(sums) - count)[len(sums) - count] - 2 * margin
        if last >= threshold:
            likely: Rows = rows[sums >= last]
            return likely
    raise AssertionError("every sum reaches the last threshold")


def _thresholds(terms: Sequence[Term], mask: Mask, available: int, count: int) -> Any:
    """Yield sums that likely more than `count` rows reach, then lower ones, then −∞."""
    sample = np.arange(0, len(mask), max(1, len(mask) // SAMPLE))
    sample = sample[mask[sample]]
    sums = np.sort(_sums([term._replace(column=term.column[sample]) for term in terms]))[::-1]
    for share in (2, 16):
        place = int(share * count * len(sample) / available) + 4 * share
        if place < len(sums):
            yield float(sums[place])
    yield -np.inf


def _sums(terms: Sequence[Term]) -> Singles:
    out, scratch = (np.empty(len(terms[0].column), np.float32) for _ in range(2))
    _add_up(terms, slice(None), out, scratch)
    return out


def _reaching(terms: Sequence[Term], mask: Mask, threshold: float) -> tuple[Rows, Singles]:
    found: list[Rows] = []
    sums: list[Singles] = []
    out, scratch = (np.empty(BLOCK, np.float32) for _ in range(2))
    for start in range(0, len(mask), BLOCK):
        block = slice(start, min(start + BLOCK, len(mask)))
        size = block.stop - start
        _add_up(terms, block, out[:size], scratch[:size])
        hits = np.flatnonzero((out[:size] >= threshold) & mask[block])
        if len(hits):
            found.append(hits + start)
            sums.append(out[hits])
    if not found:
        return np.zeros(0, np.int64), np.zeros(0, np.float32)
    return np.concatenate(found), np.concatenate(sums)


def _add_up(terms: Sequence[Term], block: slice, out: Singles, scratch: Singles) -> None:
    for place, term in enumerate(terms):
        into = scratch if place else out
        factor = term.factor if _clips(term) else term.factor * term.weight
        np.multiply(
            term.column[block], np.float32(factor), out=into, dtype=np.float32, casting="unsafe"
        )
        if _clips(term):
            np.clip(into, term.least, term.most, out=into)
            into *= np.float32(term.weight)
        if place:
            out += scratch


def _clips(term: Term) -> bool:
    return term.least is not None or term.most is not None

"""Selection: the rows of a feed's sources that pass its filters, as a mask over an index."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np

from harken.domain.feeds import Condition, FeedFilter, FeedSource, Field, Operator, Source
from harken.services.index.index import Index, Mask, Rows
from harken.services.index.view import computed_mask

# So many selections are kept, at one byte for each row.
MOST_SELECTIONS = 16
LATE = 100


def select(
    index: Index,
    sources: tuple[FeedSource, ...],
    conditions: tuple[Condition, ...],
    revision: int,
    at: int = 0,
) -> Mask:
    """Return the mask of the rows of a revision that are in a source and pass every filter.

    `at` is when the feed's first page was served, in microseconds since 1970. The mask may be
    shared, so it must not be written to. Raises TypeError as `computed_mask` does, and ValueError
    for an operator that the field does not have.
    """
    mask = _lasting(index, sources, tuple(filter(is_cacheable, conditions)), revision)
    for condition in conditions:
        if not is_cacheable(condition):
            mask = mask & _passes(index, condition, at)
    return mask


def latest_of_sources(index: Index, mask: Mask, most: int) -> Rows:
    """Return rows of a mask: of each source the `most` that arrived last, among its last 100."""
    late = (np.array(rows[-LATE:], np.int64) for rows in index.of_sources)
    found = [rows[mask[rows]][-most:] for rows in late]
    return np.concatenate(found) if found else np.zeros(0, np.int64)


def is_cacheable(condition: Condition) -> bool:
    """Whether the result of a condition stays the same until K-Blocks change."""
    return isinstance(condition, FeedFilter) and not condition.is_relative


def _lasting(
    index: Index,
    sources: tuple[FeedSource, ...],
    conditions: tuple[Condition, ...],
    revision: int,
) -> Mask:
    if revision < index.revision:
        return _select(index, sources, conditions) & index.visible(revision)
    mask = index.selections.get((sources, conditions))
    if mask is None:
        if len(index.selections) >= MOST_SELECTIONS:
            index.selections.clear()
        mask = _select(index, sources, conditions) & index.is_open
        index.selections[sources, conditions] = mask
    return mask


def _select(index: Index, sources: Sequence[FeedSource], conditions: Sequence[Condition]) -> Mask:
    mask = np.zeros(len(index), np.bool_)
    for source in sources:
        mask |= _in_source(index, source)
    for condition in conditions:
        mask &= _passes(index, condition)
    return mask


def _in_source(index: Index, source: FeedSource) -> Any:
    match source.kind:
        case Source.ALL:
            return True
        case Source.CONFLICTS:
            return index.in_conflict
        case Source.LAYER:
            return index.layer == source.value
        case Source.AUTHOR:
            return index.flags(Field.AUTHOR, str(source.value))
        case Source.TAG:
            return index.flags(Field.TAG, str(source.value))
        case Source.SOURCE:
            return index.flags(Field.SOURCE, str(source.value))


_COLUMN = {Field.LAYER: "layer", Field.LOSS: "loss", Field.CREATED: "created"}
"""The columns of the fields that are numbers; the other fields are labels."""


def _passes(index: Index, condition: Condition, at: int = 0) -> Mask:
    if not isinstance(condition, FeedFilter):
        return computed_mask(index, condition)
    if condition.field in _COLUMN:
        return _compares(index, condition, at)
    match condition.operator:
        case Operator.EQ | Operator.CONTAINS:
            return index.flags(condition.field, str(condition.value))
        case _:
            raise ValueError(f"labels are not compared by {condition.operator}")


def _compares(index: Index, condition: FeedFilter, at: int) -> Mask:
    column = getattr(index, _COLUMN[condition.field])
    # An unknown loss is NaN, which passes no comparison; an unknown layer is -1.
    known = column >= 0 if condition.field is Field.LAYER else True
    match condition.operator:
        case Operator.LT:
            passed = column < _moment(condition.value, at)
        case Operator.GT:
            passed = column > _moment(condition.value, at)
        case Operator.BETWEEN:
            least, most = (_moment(each, at) for each in condition.value)
            passed = (column >= least) & (column <= most)
        case Operator.EQ:
            passed = column == condition.value
        case _:
            raise ValueError(f"numbers are not compared by {condition.operator}")
    mask: Mask = passed & known
    return mask


def _moment(value: Any, at: int) -> Any:
    return at - value // timedelta(microseconds=1) if isinstance(value, timedelta) else value

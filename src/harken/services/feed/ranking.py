"""Selecting and ordering, as pure functions over the columns of an index."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from harken.domain.feeds import (
    UNDECLARED_PRINCIPLES,
    UNKNOWN_COHERENCE,
    FeedFilter,
    FeedRanking,
    FeedSource,
    Field,
    Operator,
    Signal,
    Source,
    Weights,
)
from harken.domain.slates import Contribution
from harken.services.feed.index import HALF_LIFE_MICROS, Floats, Index, Mask, Rows

EVERY = slice(None)
Some = Rows | slice
"""Row numbers of an index, or a slice of all its rows."""


@dataclass(frozen=True)
class Reader:
    """What a score has to know of who asks: the principles they declared, and the time."""

    principles: tuple[str, ...]
    now: int  # microseconds since 1970


# Which


def select(index: Index, sources: Sequence[FeedSource], conditions: Sequence[FeedFilter]) -> Mask:
    """Tell which rows are in one of the sources and pass every filter."""
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
            return _with_label(index, Field.AUTHOR, str(source.value))
        case Source.TAG:
            return _with_label(index, Field.TAG, str(source.value))


_COLUMN = {Field.LAYER: "layer", Field.LOSS: "loss", Field.CREATED: "created"}


def _passes(index: Index, condition: FeedFilter) -> Mask:
    if condition.field not in _COLUMN:
        return _with_label(index, condition.field, str(condition.value))
    column = getattr(index, _COLUMN[condition.field])
    # An unknown loss is NaN, which passes no comparison; an unknown layer is -1.
    known = column >= 0 if condition.field is Field.LAYER else True
    match condition.operator:
        case Operator.LT:
            passed = column < condition.value
        case Operator.GT:
            passed = column > condition.value
        case Operator.BETWEEN:
            least, most = condition.value
            passed = (column >= least) & (column <= most)
        case _:
            passed = column == condition.value
    mask: Mask = passed & known
    return mask


def _with_label(index: Index, field: Field, label: str) -> Mask:
    mask = np.zeros(len(index), np.bool_)
    mask[index.labelled(field, label)] = True
    return mask


# How good


def recency(index: Index, reader: Reader, rows: Some = EVERY) -> Floats:
    """Return 2^(−age / 7 days), and 1 for what lies in the future."""
    decayed = 2.0 ** ((index.landmark - reader.now) / HALF_LIFE_MICROS)
    fresh: Floats = np.minimum(index.freshness[rows] * decayed, 1.0)
    return fresh


def principles(index: Index, reader: Reader, rows: Some = EVERY) -> Floats:
    """Return the share of the reader's principles that an item has; 0.5 if they declared none."""
    counted = np.zeros(len(index))
    for principle in reader.principles:
        counted[index.labelled(Field.PRINCIPLE, principle)] += 1
    if not reader.principles:
        counted += UNDECLARED_PRINCIPLES
    share: Floats = counted[rows] / (len(reader.principles) or 1)
    return share


def _column(name: str, index: Index, _reader: Reader, rows: Some = EVERY) -> Floats:
    column: Floats = getattr(index, name)[rows].astype(np.float64, copy=False)
    return column


SIGNALS: dict[Signal, Callable[[Index, Reader, Some], Floats]] = {
    Signal.ATTENTION: partial(_column, "attention"),
    Signal.PRINCIPLES: principles,
    Signal.RECENCY: recency,
    Signal.COHERENCE: partial(_column, "coherence"),
    Signal.POPULARITY: partial(_column, "popularity"),
}


def explain(
    index: Index, weights: Weights, reader: Reader, rows: Rows
) -> list[dict[str, Contribution]]:
    """Return what each signal contributes to the score of each row."""
    values = {
        signal: (weight, SIGNALS[signal](index, reader, rows).tolist())
        for signal, weight in weights.items()
    }
    return [
        {
            signal.value: Contribution(of_rows[i], weight, of_rows[i] * weight)
            for signal, (weight, of_rows) in values.items()
        }
        for i in range(len(rows))
    ]


def scores(index: Index, weights: Weights, reader: Reader) -> Floats:
    """Return the weighted sum of the signals, for every row."""
    total = np.zeros(len(index))
    for signal, weight in weights.items():
        if weight:
            total += weight * SIGNALS[signal](index, reader, EVERY)
    return total


# In which order


def best(index: Index, ranking: FeedRanking, weights: Weights, reader: Reader, mask: Mask,
         count: int) -> Rows:  # fmt: skip
    """Return the first rows of a mask: highest score first, then newest, then last to arrive."""
    if ranking.is_chronological:
        return index.newest(mask, count)
    rows = np.flatnonzero(mask)
    keys = [scores(index, weights, reader)[rows]]
    if set(weights) == {Signal.COHERENCE}:
        # Coherence ends at a loss of 1; beyond it, losses still have an order.
        loss = np.nan_to_num(index.loss[rows], nan=1 - UNKNOWN_COHERENCE)
        keys.append(-loss * weights[Signal.COHERENCE])
    keys += [index.created[rows], index.number[rows]]
    return rows[_first(keys, count)]


def _first(keys: list[Any], count: int) -> Rows:
    """Return the places of the greatest, by several keys, in descending order.

    Only what ties with the last one that is wanted is compared by the keys that follow.
    """
    chosen = _greatest(keys, np.arange(len(keys[0])), count)
    order = np.lexsort([-key[chosen] for key in reversed(keys)])
    return chosen[order]


def _greatest(keys: list[Any], places: Rows, count: int) -> Rows:
    if len(places) <= count or not keys:
        return places[:count]
    key = keys[0][places]
    threshold = np.partition(key, len(key) - count)[len(key) - count]
    above = places[key > threshold]
    level = _greatest(keys[1:], places[key == threshold], count - len(above))
    return np.concatenate([above, level])

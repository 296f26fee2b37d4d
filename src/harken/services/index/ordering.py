"""Selecting and ordering, as pure functions over the columns of an index."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np

from harken.domain.decay import OFFSET, doublings, net_at
from harken.domain.declarations import EPOCH
from harken.domain.feeds import (
    UNDECLARED_PRINCIPLES,
    UNKNOWN_COHERENCE,
    Computed,
    Condition,
    FeedFilter,
    FeedSource,
    Field,
    Operator,
    Signal,
    Source,
    Weights,
)
from harken.domain.slates import Contribution
from harken.services.index.index import (
    ATTENTION,
    COHERENCE,
    FRESHNESS,
    HALF_LIFE_MICROS,
    Floats,
    Index,
    Mask,
    Rows,
)
from harken.services.index.shortlist import Sum, Term, shortlist
from harken.services.index.view import computed_mask, computed_scores

# Selections that are kept, at a byte for each row.
MOST_SELECTIONS = 16


@dataclass(frozen=True)
class Reader:
    """What a score has to know of who asks: the principles they declared, and the time.

    `half_life` is the one that `trending` goes by.
    """

    principles: tuple[str, ...]
    now: int  # microseconds since 1970
    half_life: timedelta | None = None


# Which


def select(
    index: Index,
    sources: tuple[FeedSource, ...],
    conditions: tuple[Condition, ...],
    revision: int,
    at: int = 0,
) -> Mask:
    """Tell which rows of a revision are in one of the sources and pass every filter.

    `at` is when the feed's first page was served, in microseconds since 1970. The mask may be
    shared with others: it is not to be written to.
    """
    mask = _lasting(index, sources, tuple(filter(lasts, conditions)), revision)
    for condition in conditions:
        if not lasts(condition):
            mask = mask & _passes(index, condition, at)
    return mask


def lasts(condition: Condition) -> bool:
    """Whether a condition has the same outcome until K-Blocks change."""
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


_COLUMN = {Field.LAYER: "layer", Field.LOSS: "loss", Field.CREATED: "created"}


def _passes(index: Index, condition: Condition, at: int = 0) -> Mask:
    if not isinstance(condition, FeedFilter):
        return computed_mask(index, condition)
    if condition.field not in _COLUMN:
        return index.flags(condition.field, str(condition.value)).astype(np.bool_)
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
        case _:
            passed = column == condition.value
    mask: Mask = passed & known
    return mask


def _moment(value: Any, at: int) -> Any:
    return at - value // timedelta(microseconds=1) if isinstance(value, timedelta) else value


# How good, exactly: what is shown, and what settles an order


def recency(index: Index, reader: Reader, rows: Rows) -> Floats:
    """Return 2^(−age / 7 days), and 1 for what lies in the future."""
    ages = np.maximum(reader.now - index.created[rows], 0)
    fresh: Floats = np.exp2(-ages / HALF_LIFE_MICROS)
    return fresh


def principles(index: Index, reader: Reader, rows: Rows) -> Floats:
    """Return the share of the reader's principles that an item has; 0.5 if they declared none."""
    if not reader.principles:
        return np.full(len(rows), UNDECLARED_PRINCIPLES)
    matched = np.zeros(len(rows))
    for principle in reader.principles:
        matched += index.flags(Field.PRINCIPLE, principle)[rows]
    return matched / len(reader.principles)


def coherence(index: Index, _reader: Reader, rows: Rows) -> Floats:
    """Return 1 − the loss, not below 0, and 0.5 where it is unknown."""
    loss = index.loss[rows]
    return np.where(np.isnan(loss), UNKNOWN_COHERENCE, 1 - np.minimum(loss, 1))


def attention(index: Index, _reader: Reader, rows: Rows) -> Floats:
    """Return the attention score."""
    return np.asarray(index.attention[rows])


def popularity(index: Index, _reader: Reader, rows: Rows) -> Floats:
    """Return how many engagements and views there were."""
    return np.asarray(index.popularity[rows], np.float64)


def trend(index: Index, reader: Reader, rows: Rows) -> Floats:
    """Return a number in the order of the decayed net sum, which itself may be out of range."""
    return np.asarray(index.trend(reader.half_life)[rows])


def trending(index: Index, reader: Reader, rows: Rows) -> Floats:
    """Return the decayed net sum as seen from now: in events that happen now."""
    if reader.half_life is None:
        return np.zeros(len(rows))
    order = trend(index, reader, rows)
    return np.asarray(net_at(order, reader.half_life, EPOCH + timedelta(microseconds=reader.now)))


SIGNALS = {
    Signal.ATTENTION: attention,
    Signal.PRINCIPLES: principles,
    Signal.RECENCY: recency,
    Signal.COHERENCE: coherence,
    Signal.POPULARITY: popularity,
    Signal.TRENDING: trend,
}
# What is shown in place of what settles the order.
SHOWN = SIGNALS | {Signal.TRENDING: trending}


def scores(index: Index, weights: Weights, reader: Reader, rows: Rows) -> Floats:
    """Return the weighted sum of the signals, for some rows."""
    total = np.zeros(len(rows))
    for signal, weight in weights.items():
        total += weight * SIGNALS[signal](index, reader, rows)
    return total


def explain(
    index: Index, weights: Weights, reader: Reader, rows: Rows
) -> list[dict[str, Contribution]]:
    """Return what each signal contributes to the score of each row."""
    values = {
        signal: (weight, SHOWN[signal](index, reader, rows).tolist())
        for signal, weight in weights.items()
    }
    return [
        {
            signal.value: Contribution(of_rows[i], weight, of_rows[i] * weight)
            for signal, (weight, of_rows) in values.items()
        }
        for i in range(len(rows))
    ]


def explain_by(index: Index, score: Computed, rows: Rows) -> list[dict[str, Contribution]]:
    """Return the same where a function gives the score, which then is all that there is to say."""
    values = computed_scores(index, score)[rows].tolist()
    return [{"score": Contribution(value, 1.0, value)} for value in values]


# In which order


def best(index: Index, weights: Weights, reader: Reader, mask: Mask, count: int) -> Rows:
    """Return the first rows of a mask: highest score first, then newest, then last to arrive."""
    rows = shortlist(_sum(index, weights, reader), mask, count).rows
    return rows[_settled(index, weights, reader, rows, count)]


def best_by(index: Index, score: Computed, mask: Mask, count: int) -> Rows:
    """Return the first rows of a mask likewise, where a function gives the scores."""
    rows = np.flatnonzero(mask)
    found = computed_scores(index, score)[rows]
    if len(rows) > count:
        least = np.partition(found, len(found) - count)[len(found) - count]
        reaching = np.flatnonzero(found >= least)
        rows, found = rows[reaching], found[reaching]
    return rows[_first([found, index.created[rows], index.number[rows]], count)]


class Leaders(NamedTuple):
    """Rows that led a ranking, and a score that no other row reached then."""

    rows: Rows
    floor: float
    then: int  # microseconds since 1970
    touched: int  # how much of `Index.touched` went before


def leading(
    index: Index, selection: Hashable, mask: Mask, hidden: Mask | None, weights: Weights,
    reader: Reader, count: int,
) -> Rows:  # fmt: skip
    """Return the `best` of a mask less hidden rows, from those that led it before if they suffice.

    A row that did not lead can only have come up because its statistics changed, which is noted, or
    because the others grew older: by no more than the weight of recency allows in that time.
    """
    if index.greatest_loss > 1 and _goes_beyond(weights):
        return best(index, weights, reader, less(mask, hidden), count)
    key = (selection, tuple(sorted(weights.items())), reader.principles, reader.half_life)
    known = index.leaders.get(key)
    found = known and _among(index, known, mask, hidden, weights, reader, count)
    if found is None:
        # Twice as many as are wanted: so they suffice for a while, and for who hides some.
        rows, floor = shortlist(_sum(index, weights, reader), mask, 2 * count)
        if len(index.leaders) >= MOST_SELECTIONS:
            index.leaders.clear()
        known = index.leaders[key] = Leaders(rows, floor, reader.now, len(index.touched))
        found = _among(index, known, mask, hidden, weights, reader, count)
    return best(index, weights, reader, less(mask, hidden), count) if found is None else found


def less(mask: Mask, hidden: Mask | None) -> Mask:
    """Return a mask less what is hidden."""
    # True is greater than False only.
    return mask if hidden is None else np.greater(mask, hidden)


def _among(
    index: Index, known: Leaders, mask: Mask, hidden: Mask | None, weights: Weights,
    reader: Reader, count: int,
) -> Rows | None:  # fmt: skip
    """Return the best of a ranking's leaders; None where others may be better."""
    touched = np.array(index.touched[known.touched :], np.int64)
    rows = np.union1d(known.rows, touched) if len(touched) else known.rows
    rows = rows[less(mask[rows], None if hidden is None else hidden[rows])]
    found = rows[_settled(index, weights, reader, rows, count)]
    if known.floor == -np.inf:
        return found
    passed = abs(reader.now - known.then) / HALF_LIFE_MICROS
    drift = abs(weights.get(Signal.RECENCY, 0.0)) * (1 - 2.0**-passed)
    if len(found) < count:
        return None
    [last] = scores(index, weights, reader, found[-1:])
    return found if last > known.floor + drift else None


def _settled(index: Index, weights: Weights, reader: Reader, rows: Rows, count: int) -> Rows:
    """Return the places of the best of some rows, in their order."""
    keys = [scores(index, weights, reader, rows)]
    if _goes_beyond(weights):
        loss = np.nan_to_num(index.loss[rows], nan=1 - UNKNOWN_COHERENCE)
        keys.append(-loss * weights[Signal.COHERENCE])
    keys += [index.created[rows], index.number[rows]]
    return _first(keys, count)


def _goes_beyond(weights: Weights) -> bool:
    # Coherence ends at a loss of 1; beyond it, losses still have an order.
    return set(weights) == {Signal.COHERENCE}


def _sum(index: Index, weights: Weights, reader: Reader) -> Sum:  # noqa: C901 — a case a signal
    """Write a score as a sum over columns; what is the same for all rows is left out."""
    of_singles = np.zeros(len(index.singles), np.float32)
    terms: list[Term] = []
    for signal, weight in weights.items():
        match signal:
            case Signal.ATTENTION:
                of_singles[ATTENTION] = weight
            case Signal.COHERENCE:
                if index.greatest_loss <= 1 or _goes_beyond(weights):
                    of_singles[COHERENCE] = weight
                else:
                    terms.append(Term(index.singles[COHERENCE], weight, least=0.0))
            case Signal.RECENCY:
                since = (index.landmark - reader.now) / HALF_LIFE_MICROS
                decayed = float(doublings(since))
                if index.latest <= reader.now:
                    of_singles[FRESHNESS] = weight * decayed
                else:
                    terms.append(Term(index.singles[FRESHNESS], weight, decayed, most=1.0))
            case Signal.POPULARITY:
                terms.append(Term(index.popularity, weight, magnitude=index.greatest_popularity))
            case Signal.TRENDING:
                column = index.trend(reader.half_life)
                terms.append(Term(column, weight, magnitude=2 * OFFSET))
            case Signal.PRINCIPLES:
                terms += _matches(index, weight, reader)
    freshest = float(doublings((index.latest - index.landmark) / HALF_LIFE_MICROS))
    magnitudes = (1.0, max(1.0, index.greatest_loss), freshest)
    return Sum(index.singles, of_singles, magnitudes, terms)


def _matches(index: Index, weight: float, reader: Reader) -> list[Term]:
    if not reader.principles:
        return []
    matched = np.zeros(len(index), np.uint8)
    for principle in reader.principles:
        matched += index.flags(Field.PRINCIPLE, principle).view(np.uint8)
    return [Term(matched, weight / len(reader.principles), magnitude=len(reader.principles))]


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

"""Scores and orders, as pure functions over the columns of an index."""

from collections.abc import Hashable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np

from harken.domain.decay import OFFSET, doublings, net_at
from harken.domain.feeds import (
    UNDECLARED_PRINCIPLES,
    UNKNOWN_COHERENCE,
    Computed,
    Field,
    Signal,
    Weights,
)
from harken.domain.slates import Contribution
from harken.domain.times import from_micros
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
from harken.services.index.selection import MOST_SELECTIONS
from harken.services.index.shortlist import Sum, Term, shortlist
from harken.services.index.view import computed_scores


@dataclass(frozen=True)
class Reader:
    """The reader of a score: their declared principles, the time, the half-life of `trending`."""

    principles: tuple[str, ...]
    now: int  # microseconds since 1970
    half_life: timedelta | None = None


# Scores in double precision, which are shown and which decide the order


def recency(index: Index, reader: Reader, rows: Rows) -> Floats:
    """Return 2^(−age / 7 days), 1 for a time in the future."""
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
    """Return 1 − the loss, at least 0; 0.5 where the loss is unknown."""
    loss = index.loss[rows]
    return np.where(np.isnan(loss), UNKNOWN_COHERENCE, 1 - np.minimum(loss, 1))


def attention(index: Index, _reader: Reader, rows: Rows) -> Floats:
    """Return the attention score."""
    return np.asarray(index.attention[rows])


def popularity(index: Index, _reader: Reader, rows: Rows) -> Floats:
    """Return the number of engagements and views."""
    return np.asarray(index.popularity[rows], np.float64)


def trend(index: Index, reader: Reader, rows: Rows) -> Floats:
    """Return a value in the order of the decayed net sum, which itself may be out of range."""
    return np.asarray(index.trend(reader.half_life)[rows])


def trending(index: Index, reader: Reader, rows: Rows) -> Floats:
    """Return the decayed net sum at the reader's time, in units of an event at that time."""
    if reader.half_life is None:
        return np.zeros(len(rows))
    order = trend(index, reader, rows)
    return np.asarray(net_at(order, reader.half_life, from_micros(reader.now)))


SIGNALS = {
    Signal.ATTENTION: attention,
    Signal.PRINCIPLES: principles,
    Signal.RECENCY: recency,
    Signal.COHERENCE: coherence,
    Signal.POPULARITY: popularity,
    Signal.TRENDING: trend,
}
# The values that are shown; they differ from those that decide the order in trending alone.
SHOWN = SIGNALS | {Signal.TRENDING: trending}


def scores(index: Index, weights: Weights, reader: Reader, rows: Rows) -> Floats:
    """Return the weighted sums of the signals, by row."""
    total = np.zeros(len(rows))
    for signal, weight in weights.items():
        total += weight * SIGNALS[signal](index, reader, rows)
    return total


def explain(
    index: Index, weights: Weights, reader: Reader, rows: Rows
) -> list[dict[str, Contribution]]:
    """Return the contributions of the signals to the score, by row."""
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


def shown_scores(index: Index, weights: Weights, reader: Reader, rows: Rows) -> Floats:
    """Return the sums of the contributions that `explain` returns, by row."""
    total = np.zeros(len(rows))
    for signal, weight in weights.items():
        total += SHOWN[signal](index, reader, rows) * weight
    return total


def explain_by(index: Index, score: Computed, rows: Rows) -> list[dict[str, Contribution]]:
    """Return the explanations of scores that a function computes: the score is the only part."""
    values = computed_scores(index, score)[rows].tolist()
    return [{"score": Contribution(value, 1.0, value)} for value in values]


# Ranking


def best(index: Index, weights: Weights, reader: Reader, mask: Mask, count: int) -> Rows:
    """Return the first `count` rows of a mask by score, then newest, then with higher numbers."""
    rows = shortlist(_sum(index, weights, reader), mask, count).rows
    return rows[_settled(index, weights, reader, rows, count)]


def best_by(index: Index, score: Computed, mask: Mask, count: int) -> Rows:
    """Return the first `count` rows of a mask as `best` does, by the scores of a function."""
    rows = np.flatnonzero(mask)
    found = computed_scores(index, score)[rows]
    if len(rows) > count:
        least = np.partition(found, len(found) - count)[len(found) - count]
        reaching = np.flatnonzero(found >= least)
        rows, found = rows[reaching], found[reaching]
    return rows[_first([found, index.created[rows], index.number[rows]], count)]


class Leaders(NamedTuple):
    """Rows that led a ranking at a time, and a score that no other row reached then."""

    rows: Rows
    floor: float
    then: int  # microseconds since 1970
    touched: int  # the length of `Index.touched` then


def leading(
    index: Index, selection: Hashable, mask: Mask, hidden: Mask | None, weights: Weights,
    reader: Reader, count: int,
) -> Rows:  # fmt: skip
    """Return what `best` returns for the rows that are not hidden, from kept leaders if possible.

    A row that was no leader can only have become one if its statistics changed, which is recorded
    in `Index.touched`, or if the leaders grew older, which changes scores by at most the weight of
    recency times its decay since then.
    """
    if index.greatest_loss > 1 and _goes_beyond(weights):
        return best(index, weights, reader, less(mask, hidden), count)
    key = (selection, tuple(sorted(weights.items())), reader.principles, reader.half_life)
    known = index.leaders.get(key)
    found = known and _among(index, known, mask, hidden, weights, reader, count)
    if found is None:
        # Twice as many as needed, so that they last, also for readers who hide some.
        rows, floor = shortlist(_sum(index, weights, reader), mask, 2 * count)
        if len(index.leaders) >= MOST_SELECTIONS:
            index.leaders.clear()
        known = index.leaders[key] = Leaders(rows, floor, reader.now, len(index.touched))
        found = _among(index, known, mask, hidden, weights, reader, count)
    return best(index, weights, reader, less(mask, hidden), count) if found is None else found


def less(mask: Mask, hidden: Mask | None) -> Mask:
    """Return a mask without hidden rows."""
    # For booleans, a > b is a and not b.
    return mask if hidden is None else np.greater(mask, hidden)


def _among(
    index: Index, known: Leaders, mask: Mask, hidden: Mask | None, weights: Weights,
    reader: Reader, count: int,
) -> Rows | None:  # fmt: skip
    """Return the best of a ranking's leaders; None if other rows may be better."""
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
    """Return the indices of the best of some rows, best first."""
    keys = [scores(index, weights, reader, rows)]
    if _goes_beyond(weights):
        loss = np.nan_to_num(index.loss[rows], nan=1 - UNKNOWN_COHERENCE)
        keys.append(-loss * weights[Signal.COHERENCE])
    keys += [index.created[rows], index.number[rows]]
    return _first(keys, count)


def _goes_beyond(weights: Weights) -> bool:
    # Coherence is 0 for every loss above 1; an order by coherence alone still compares losses.
    return set(weights) == {Signal.COHERENCE}


def _sum(index: Index, weights: Weights, reader: Reader) -> Sum:  # noqa: C901 — a case a signal
    """Return a score as a sum over columns, without terms that are the same for all rows."""
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
    """Return the indices of the `count` greatest by several keys, in descending order.

    Only those that tie with the last one are compared by the following keys.
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

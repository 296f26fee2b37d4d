"""The rows of an index: the columns that are made of them, and the check of stored values."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic_core import from_json

from harken.domain.decay import MOST_HALF_LIVES
from harken.domain.feeds import Field
from harken.domain.kblock import MAX_LOSS
from harken.domain.stored_kblock import is_layer, is_loss, labels, source_key

OPEN = np.iinfo(np.int64).max
"""The value of `until` for the present version of a K-Block."""
UNKNOWN_LAYER = -1
# The limits of trend values and of counts in an index.
MOST_TREND = 1e9
MOST_POPULARITY = np.iinfo(np.int32).max

COLUMNS: dict[str, Any] = {
    "number": np.int64,
    "version": np.int64,
    "until": np.int64,
    "created": np.int64,
    "layer": np.int8,
    "loss": np.float64,  # NaN where it is unknown
    "attention": np.float64,
    "popularity": np.int32,
    "in_conflict": np.bool_,
    "is_open": np.bool_,
}
"""The columns of the index and their types."""


class IndexRow(NamedTuple):
    """A version of a K-Block as the database has it; `tags` and `principles` are JSON lists.

    `source` is the name of its importer's source, and `is_scheduled` tells whether it is hidden
    until `created`.
    """

    number: int
    version: int
    created: int  # in microseconds since 1970
    layer: int | None
    galois_loss: float | None
    kind: str
    author: str | None
    tags: str
    principles: str
    source: str | None = None
    is_scheduled: bool = False
    in_conflict: bool = False
    popularity: int = 0
    attention: float = 0.0
    trends: tuple[float, ...] = (0.0,) * MOST_HALF_LIVES  # see `harken.domain.decay.order`
    until: int = OPEN


UNKNOWN = IndexRow(0, 0, 0, None, None, "", None, "[]", "[]")
"""The row of a K-Block that is unknown."""


Columns = Mapping[str, Sequence[Any]]
"""Rows by columns: for each field of `IndexRow` its values, all of the same length."""


def columns_of(entries: Sequence[IndexRow]) -> Columns:
    """Return rows by columns; there are none without rows."""
    return dict(zip(IndexRow._fields, zip(*entries, strict=True), strict=False))


def rows_of(column: Columns) -> list[IndexRow]:
    """Return the rows of columns."""
    return [IndexRow(*each) for each in zip(*column.values(), strict=True)]


def values(column: Columns) -> dict[str, Any]:
    """Return the columns of an index, by name, that those of rows make."""
    loss = np.array([np.nan if each is None else each for each in column["galois_loss"]])
    return {
        "number": column["number"],
        "version": column["version"],
        "until": column["until"],
        "created": column["created"],
        "layer": [UNKNOWN_LAYER if each is None else each for each in column["layer"]],
        "loss": loss,
        "attention": attentions(column["attention"]),
        "is_open": [until == OPEN for until in column["until"]],
        "popularity": popularities(column["popularity"]),
        "in_conflict": column["in_conflict"],
    }


def labels_of(field: Field, texts: Sequence[str]) -> Sequence[Sequence[str]]:
    """Return the labels that stored texts of a field stand for; of a source, its key.

    Texts of tags and principles must be valid, see `parted`; they are parsed all at once.
    """
    if field in {Field.TAG, Field.PRINCIPLE}:
        found: list[list[str]] = from_json(f"[{','.join(texts)}]")
        return found
    return [(source_key(text) if field is Field.SOURCE else text,) for text in texts]


# The check of stored values


class Parted(NamedTuple):
    """The versions with valid values, and the numbers of the others."""

    sound: list[IndexRow]
    unreadable: list[int]


def parted(entries: list[IndexRow]) -> Parted:
    """Part versions by whether their values are valid; many are checked at once."""
    if are_sound(columns_of(entries)):
        return Parted(entries, [])
    good = [each for each in entries if _is_sound(each)]
    kept = set(map(id, good))
    return Parted(good, [each.number for each in entries if id(each) not in kept])


_KINDS: Sequence[tuple[str, set[type]]] = (
    ("created", {int}),
    ("layer", {int, type(None)}),
    ("galois_loss", {float, int, type(None)}),
    ("kind", {str}),
    ("author", {str, type(None)}),
    ("tags", {str}),
    ("principles", {str}),
    ("source", {str, type(None)}),
)


def are_sound(column: Columns) -> bool:
    """Tell whether all values are valid; there are no columns without rows."""
    if not column:
        return True
    if not all(set(map(type, column[name])) <= kinds for name, kinds in _KINDS):
        return False
    losses = np.array([each for each in column["galois_loss"] if each is not None], np.float64)
    return (
        all(map(is_layer, set(column["layer"])))
        and bool(((losses >= 0) & (losses <= MAX_LOSS)).all())  # also false for NaN
        and None not in map(labels, {*column["tags"], *column["principles"]})
    )


def _is_sound(entry: IndexRow) -> bool:
    return (
        all(type(getattr(entry, name)) in kinds for name, kinds in _KINDS)
        and is_layer(entry.layer)
        and is_loss(entry.galois_loss)
        and labels(entry.tags) is not None
        and labels(entry.principles) is not None
    )


def attentions(column: Sequence[Any]) -> NDArray[np.float64]:
    """Return attention scores, 0 for a value that is no number from 0 to 1."""
    scores = _numbers(column)
    return np.where((scores >= 0) & (scores <= 1), scores, 0.0)


def popularities(column: Sequence[Any]) -> NDArray[np.float64]:
    """Return counts, clipped to the range of an index."""
    return np.clip(np.nan_to_num(_numbers(column)), 0, MOST_POPULARITY)


def trends(rows: Sequence[Any]) -> NDArray[np.float64]:
    """Return trend values of the same shape, clipped; 0 for a value that is no number."""
    return np.clip(np.nan_to_num(_numbers(rows)), -MOST_TREND, MOST_TREND)


def _numbers(values: Sequence[Any]) -> NDArray[np.float64]:
    try:
        return np.array(values, np.float64)  # None becomes NaN
    except (TypeError, ValueError):
        given = np.array(values, object)
        flat = [each if isinstance(each, int | float) else np.nan for each in given.ravel()]
        return np.array(flat, np.float64).reshape(given.shape)

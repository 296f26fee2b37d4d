"""The view of an index that a feed's own functions get, and the check of their results."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harken.domain.feeds import Computed, Field
from harken.services.index.index import Floats, Index, Mask

# The limit of scores in both directions, so that sums and quotients do not overflow.
MOST = 1e100


class Columns:
    """The columns of an index, read-only; a row is a version of a K-Block.

    Rows outside a feed are included; the results of functions for them are ignored.
    """

    def __init__(self, index: Index) -> None:
        self._index = index

    def __len__(self) -> int:
        return len(self._index)

    @property
    def number(self) -> NDArray[np.int64]:
        """The number of the K-Block, from 0 in the order of arrival; versions share it."""
        return _read_only(self._index.number)

    @property
    def created(self) -> NDArray[np.int64]:
        """The time of creation, in microseconds since 1970."""
        return _read_only(self._index.created)

    @property
    def layer(self) -> NDArray[np.int8]:
        """The layer, 0 to 7; −1 where it is unknown."""
        return _read_only(self._index.layer)

    @property
    def loss(self) -> NDArray[np.float64]:
        """The Galois loss; NaN where it is unknown."""
        return _read_only(self._index.loss)

    @property
    def attention(self) -> NDArray[np.float64]:
        """The present attention score, 0 to 1."""
        return _read_only(self._index.attention)

    @property
    def popularity(self) -> NDArray[np.int32]:
        """The number of engagements and views."""
        return _read_only(self._index.popularity)

    @property
    def in_conflict(self) -> NDArray[np.bool_]:
        """Whether it is in conflict with another K-Block at present."""
        return _read_only(self._index.in_conflict)

    def has(self, field: Field | str, label: str) -> Mask:
        """Return the mask of the rows with a label as kind, author, tag or principle."""
        flags = np.zeros(len(self._index), np.bool_)
        flags[self._index.labelled(Field(field), label)] = True
        return flags


def _read_only(column: NDArray[Any]) -> NDArray[Any]:
    view = column.view()
    view.flags.writeable = False
    return view


def computed_mask(index: Index, function: Computed) -> Mask:
    """Return the mask that a function computes, one boolean for each row.

    Raises TypeError for a result of another type or shape.
    """
    mask = np.asarray(function(Columns(index)))
    if mask.dtype != np.bool_ or mask.shape != (len(index),):
        raise TypeError(_wrong("filter", "a boolean", function, index, mask))
    return mask


def computed_scores(index: Index, function: Computed) -> Floats:
    """Return the scores that a function computes, from −1e100 to 1e100; NaN is the lowest.

    Raises TypeError for a result of another type or shape.
    """
    scores = np.asarray(function(Columns(index)))
    if scores.dtype.kind not in "fiub" or scores.shape != (len(index),):
        raise TypeError(_wrong("score", "a number", function, index, scores))
    kept = scores.astype(np.float64)  # a copy, since the result may be a column of the index
    np.copyto(kept, -MOST, where=np.isnan(kept))
    return np.clip(kept, -MOST, MOST, out=kept)


def _wrong(what: str, wanted: str, function: Computed, index: Index, given: Any) -> str:
    name = getattr(function, "__name__", function)
    return (
        f"the {what} {name} must return {wanted} for each of {len(index)} rows, "
        f"not {given.dtype} of shape {given.shape}"
    )

"""What functions of feeds see of an index, and what they have to give."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harken.domain.feeds import Computed, Field
from harken.services.index.index import Floats, Index, Mask

# Of scores, in both directions: far from what overflows in sums and quotients.
MOST = 1e100


class Columns:
    """The columns of an index, which are not to be written to; a row is a version of a K-Block.

    Rows that are not in a feed are there too, and left out of whatever a function gives.
    """

    def __init__(self, index: Index) -> None:
        self._index = index

    def __len__(self) -> int:
        return len(self._index)

    @property
    def created(self) -> NDArray[np.int64]:
        """When it was made, in microseconds since 1970."""
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
        """The attention score of now, 0 to 1."""
        return _read_only(self._index.attention)

    @property
    def popularity(self) -> NDArray[np.int32]:
        """How many engagements and views there were until now."""
        return _read_only(self._index.popularity)

    @property
    def in_conflict(self) -> NDArray[np.bool_]:
        """Whether it contradicts another now."""
        return _read_only(self._index.in_conflict)

    def has(self, field: Field | str, label: str) -> Mask:
        """Whether it has a label as kind, author, tag or principle."""
        flags = np.zeros(len(self._index), np.bool_)
        flags[self._index.labelled(Field(field), label)] = True
        return flags


def _read_only(column: NDArray[Any]) -> NDArray[Any]:
    view = column.view()
    view.flags.writeable = False
    return view


def computed_mask(index: Index, function: Computed) -> Mask:
    """Return the mask that a function gives; raises TypeError where it gives something else."""
    mask = np.asarray(function(Columns(index)))
    if mask.dtype != np.bool_ or mask.shape != (len(index),):
        raise TypeError(_wrong("filter", "a boolean", function, index, mask))
    return mask


def computed_scores(index: Index, function: Computed) -> Floats:
    """Return the scores that a function gives, from −1e100 to 1e100; what is NaN comes last.

    Raises TypeError where it gives something else.
    """
    scores = np.asarray(function(Columns(index)))
    if scores.dtype.kind not in "fiub" or scores.shape != (len(index),):
        raise TypeError(_wrong("score", "a number", function, index, scores))
    kept = scores.astype(np.float64)  # a copy: what was given may be a column
    np.copyto(kept, -MOST, where=np.isnan(kept))
    return np.clip(kept, -MOST, MOST, out=kept)


def _wrong(what: str, wanted: str, function: Computed, index: Index, given: Any) -> str:
    name = getattr(function, "__name__", function)
    return (
        f"the {what} {name} has to give {wanted} for each of {len(index)} rows, "
        f"not {given.dtype} of shape {given.shape}"
    )

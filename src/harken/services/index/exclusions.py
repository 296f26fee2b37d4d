"""The exclusions of a reader, as a mask over the rows of an index."""

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from harken.domain.feeds import Field
from harken.services.index.index import Index, Mask

NOTHING: NDArray[np.int64] = np.zeros(0, np.int64)
Muted = Mapping[Field, Collection[str]]


def hidden_rows(
    index: Index, dismissed: NDArray[np.int64], muted: Muted, at: int | None = None
) -> Mask | None:
    """Return the mask of the rows of dismissed or muted K-Blocks; None if there are none.

    A K-Block is muted by its present labels, with all of its earlier versions. With a time `at`
    (microseconds since 1970), rows that are hidden until a later time are included.
    """
    labels = [(field, label) for field, each in muted.items() for label in each]
    scheduled = NOTHING if at is None else index.scheduled(at)
    if not labels and not len(dismissed) and not len(scheduled):
        return None
    hidden = np.zeros(len(index), np.bool_)
    hidden[scheduled] = True
    for field, label in labels:
        hidden[index.labelled(field, label)] = True
    if labels and len(closed := index.closed):
        present = index.present(index.number[closed])
        hidden[closed] = hidden[present] & (present >= 0)
    hidden[index.versions(dismissed)] = True
    return hidden

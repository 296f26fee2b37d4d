"""What a reader does not want to see, as a mask over the rows of an index."""

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from harken.domain.feeds import Field
from harken.services.feed.index import Index, Mask

Muted = Mapping[Field, Collection[str]]


def hidden_rows(index: Index, dismissed: NDArray[np.int64], muted: Muted) -> Mask | None:
    """Tell which rows are of K-Blocks that are dismissed or muted; None where there are none.

    A K-Block is muted by the labels that it has now, so with it are those that it was before.
    """
    labels = [(field, label) for field, each in muted.items() for label in each]
    if not labels and not len(dismissed):
        return None
    hidden = np.zeros(len(index), np.bool_)
    for field, label in labels:
        hidden[index.labelled(field, label)] = True
    if labels and len(closed := index.closed):
        present = index.present(index.number[closed])
        hidden[closed] = hidden[present] & (present >= 0)
    hidden[index.versions(dismissed)] = True
    return hidden

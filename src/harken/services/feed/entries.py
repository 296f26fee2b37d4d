"""What an index is told of a K-Block."""

from typing import Any, NamedTuple

import numpy as np

from harken.domain.decay import MOST_HALF_LIVES

OPEN = np.iinfo(np.int64).max
"""Until when the present version of a K-Block holds."""
UNKNOWN_LAYER = -1


class Entry(NamedTuple):
    """A version of a K-Block as the database has it; `tags` and `principles` are JSON lists."""

    number: int
    version: int
    created: int  # microseconds since 1970
    layer: int | None
    galois_loss: float | None
    kind: str
    author: str | None
    tags: str
    principles: str
    in_conflict: bool = False
    popularity: int = 0
    attention: float = 0.0
    trends: tuple[float, ...] = (0.0,) * MOST_HALF_LIVES  # see `harken.domain.decay.order`
    until: int = OPEN


UNKNOWN = Entry(0, 0, 0, None, None, "", None, "[]", "[]")
"""What there is of a K-Block that is not known."""


def values(entries: list[Entry]) -> dict[str, Any]:
    """Return the columns that entries make, by their names in an index."""
    column = dict(zip(Entry._fields, zip(*entries, strict=True), strict=True))
    created = np.array(column["created"], np.int64)
    loss = np.array([np.nan if each is None else each for each in column["galois_loss"]])
    return {
        "number": column["number"],
        "version": column["version"],
        "until": column["until"],
        "created": created,
        "layer": [UNKNOWN_LAYER if each is None else each for each in column["layer"]],
        "loss": loss,
        "attention": column["attention"],
        "is_open": [until == OPEN for until in column["until"]],
        "popularity": column["popularity"],
        "in_conflict": column["in_conflict"],
    }

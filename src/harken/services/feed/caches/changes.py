"""The differences between the database and an index, which are applied at once."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from harken.services.index.index import Index
from harken.services.index.rows import IndexRow


@dataclass
class Changes:
    """The differences between the database and an index."""

    ended: list[IndexRow] = field(default_factory=list)
    gone: list[tuple[int, int]] = field(default_factory=list)  # number and revision
    there: list[IndexRow] = field(default_factory=list)
    counts: list[Any] = field(default_factory=list)  # number, popularity, attention, trends
    conflicts: list[tuple[int, bool]] = field(default_factory=list)

    def apply(self, index: Index) -> None:
        """Write the changes into an index."""
        index.close(self.ended)
        for number, revision in self.gone:
            index.remove(number, revision)
        index.put(self.there)
        if self.counts:
            index.count(*zip(*self.counts, strict=True))
        for number, in_conflict in self.conflicts:
            index.mark(np.array([number]), in_conflict=in_conflict)

"""Personal orders of the last second: a page that is asked for again makes none anew.

An order is used again for the same reader, feed and settings, if nothing that it follows from has
changed: no event, no K-Block, no statistic, no text, and not its model. So all that differs is the
time, by less than a second. At most `MOST` orders are kept, each with the scores of its some
hundred candidates: 20 KB, or 200 KB with the features of a learned order.
"""

import copy
from collections.abc import Hashable
from typing import NamedTuple

from harken.services.features.state import Features
from harken.services.index.index import Floats, Index, Rows
from harken.services.learning.collaborative import Collaborative
from harken.services.personal.ordering import PersonalScorer

MOST = 128
SECOND = 1_000_000  # in microseconds


class Basis(NamedTuple):
    """What an order follows from, and how often each was changed."""

    kblocks: Index
    state: Features
    collaborative: Collaborative | None
    changes: tuple[int, int, int]

    @classmethod
    def of(cls, index: Index, state: Features, collaborative: Collaborative | None) -> "Basis":
        """Return these as they are now."""
        changes = index.changes, state.changes, state.affinities.texts.changes
        return cls(index, state, collaborative, changes)

    def is_same(self, other: "Basis") -> bool:
        """Tell whether nothing changed from one to the other."""
        return self.changes == other.changes and all(
            mine is theirs for mine, theirs in zip(self[:-1], other[:-1], strict=True)
        )


class KeptOrder(NamedTuple):
    """An order, with its scorer as it was when the order was made."""

    numbers: Rows
    scores: Floats
    scorer: PersonalScorer


class KeptOrders:
    """The orders of one process, by their reader, feed and settings; all have one basis."""

    def __init__(self) -> None:
        self._basis: Basis | None = None
        self._kept: dict[Hashable, KeptOrder] = {}

    def find(self, key: Hashable, basis: Basis, now: int) -> KeptOrder | None:
        """Return an order that follows from a basis and is less than a second old at `now`."""
        self._hold(basis)
        kept = self._kept.get(key)
        return kept if kept is not None and 0 <= now - kept.scorer.now < SECOND else None

    def keep(self, key: Hashable, basis: Basis, order: KeptOrder) -> None:
        """Keep an order, whose arrays may no longer be changed; the oldest one goes."""
        self._hold(basis)
        for each in (order.numbers, order.scores):
            each.setflags(write=False)
        self._kept.pop(key, None)
        while len(self._kept) >= MOST:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = order._replace(scorer=copy.copy(order.scorer))

    def _hold(self, basis: Basis) -> None:
        """Forget the orders of another basis, and what they followed from."""
        if self._basis is None or not basis.is_same(self._basis):
            self._basis = basis
            self._kept.clear()

"""Candidates by matrix factorization: what readers like whose factors are near to the reader's.

The factors of K-Blocks are trained with a model of the learned ranking, on the same part of the
log, and kept with it. A reader's own factors are computed at each request from their present
history: one step of ALS, which solves a system of factors × factors. So the reader may be new to
the model. K-Blocks that came after the training have no factors; other sources name these. Where
an engine trains, `ItemNeighbours` take the place of factors.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from harken.domain.feedback import GUEST, FeedbackAction
from harken.services.index.index import Rows
from harken.services.learning.collaborative import Collaborative, fit
from harken.services.learning.factorization import Factors
from harken.services.learning.impressions import Event
from harken.services.learning.interaction_matrix import Interactions, Interest
from harken.services.personal.sources import (
    SOURCES,
    CandidateQuery,
    CandidateSource,
    CoEngaged,
    most_candidates,
)
from harken.services.readers.affinities import Affinities
from harken.services.readers.item_attributes import UNKNOWN

MOST_ITEMS = 20_000
"""So many K-Blocks have factors, those with the most readers: 5 MB with 64 factors each."""
RECOMMENDED = 200
CO_ENGAGED_BESIDE = 100
"""What readers like together finds much of the same, so beside a model there is less of it."""

WORTH: Mapping[str, float] = MappingProxyType(
    {FeedbackAction.VIEW: 1.0, FeedbackAction.ENGAGE: 2.0}
)


@dataclass(frozen=True)
class Recommended:
    """The K-Blocks with the highest scores by a model, without those that the reader knows.

    The source has the name of the model's method: `factors` or `neighbours`.
    """

    model: Collaborative
    most: int = RECOMMENDED

    @property
    def name(self) -> str:
        """The name of the source."""
        return self.model.method.name

    def candidates(self, query: CandidateQuery) -> Rows:
        """Return the rows of these K-Blocks, as far as the affinities know them."""
        known = _history(query.affinities, query.user_id)
        found = self.model.recommend(known, self.most)
        ids = [each.item_id for each in found if each.score > 0]
        places = query.affinities.attributes.places(ids, len(ids))
        return query.pool.rows(places[places != UNKNOWN])


def sources_with(model: Collaborative | None) -> tuple[CandidateSource, ...]:
    """Return the candidate sources with a model; None stands for no model."""
    if model is None:
        return SOURCES
    others = (
        CoEngaged(CO_ENGAGED_BESIDE) if isinstance(each, CoEngaged) else each for each in SOURCES
    )
    return (*others, Recommended(model))


def fit_factors(events: Iterable[Event], seed: int) -> Collaborative | None:
    """Fit factors to events; None if so few K-Blocks were touched that all are candidates.

    Raises MissingExtra without the library `implicit`.
    """
    interests = list(_interests(events))
    readers = Counter(
        item_id for _, item_id in {(each.user_id, each.item_id) for each in interests}
    )
    if len(readers) <= most_candidates():
        return None
    # Ties by id, so that the order of events makes no difference.
    kept = {item_id for item_id, _ in sorted(readers.items(), key=_by_readers)[:MOST_ITEMS]}
    matrix = Interactions.from_interests(each for each in interests if each.item_id in kept)
    return fit(matrix, Factors.name, seed)


def _by_readers(counted: tuple[str, int]) -> tuple[int, str]:
    return -counted[1], counted[0]


def _interests(events: Iterable[Event]) -> Iterator[Interest]:
    for event in events:
        touch = event.touch
        worth = WORTH.get(touch.action, 0.0)
        if worth and touch.user_id != GUEST:
            yield Interest(touch.user_id, touch.kblock_id, worth)


def _history(affinities: Affinities, user_id: str) -> dict[str, float]:
    """Return what a reader likes by id, with its worth; 0 for what they know and do not like."""
    reader = affinities.history(user_id)
    if reader is None:
        return {}
    ids = {touch.kblock_id: reader.get(touch.kblock_id) for touch, _place in reader.since(0)}
    return {
        kblock_id: 0.0 if memory is None else float(np.clip(memory.worth, 0.0, 2.0))
        for kblock_id, memory in ids.items()
    }

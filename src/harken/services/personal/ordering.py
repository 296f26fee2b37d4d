"""The personal order: scoring and ranking the candidates of one reader.

The candidates, some hundreds, come from several sources (`sources.py`). All other K-Blocks follow
them, newest first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from harken.domain.feedback import GUEST
from harken.domain.slates import Contribution
from harken.services.features.state import Features
from harken.services.index.index import Floats, Index, Rows
from harken.services.personal.sources import (
    SOURCES,
    CandidatePool,
    CandidateQuery,
    CandidateSource,
    retrieve,
)
from harken.services.personal.stated_interests import STATED, stated_candidates, stated_part
from harken.services.readers.item_attributes import Label
from harken.services.readers.profile import AffinityScores
from harken.services.texts.taste import nearest_liked

CLOSE = 0.1
"""Texts with a smaller cosine are not called close in an explanation."""


class PersonalScorer:
    """Scores K-Blocks for one reader at a time (microseconds since 1970).

    `user_id` is `GUEST` for a reader who switched personalisation off.
    """

    sources: Sequence[CandidateSource] = SOURCES
    """Where the reader's candidates come from."""

    stated: Mapping[Label, float] = MappingProxyType({})
    """How much the reader wants of a label, as they set it."""

    fallback: str | None = None
    """Why this scorer is used in place of the requested one; None if it is not."""

    def __init__(self, state: Features, user_id: str, now: int) -> None:
        self.state = state
        self.affinities = state.affinities
        self.user_id = user_id
        self.now = now
        self._places: Rows = np.zeros(0, np.int64)
        self._scored: AffinityScores | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """What the slate records of how its order was made."""
        return {}

    def adopt(self, other: "PersonalScorer") -> None:
        """Take over the time and the last scores of a scorer of the same kind and reader.

        These are replaced by both, and never changed, so that both may go on.
        """
        vars(self).update(vars(other))

    def places(self, kblock_ids: Sequence[str]) -> Rows:
        """Return the places of K-Blocks that are described to the affinities."""
        return self.affinities.attributes.places(kblock_ids, len(kblock_ids))

    def totals(self, places: Rows) -> Floats:
        """Return the scores of K-Blocks that are given by their places in the affinities."""
        return self.scores(places).total

    def explain(self, places: Rows) -> list[dict[str, Contribution]]:
        """Return what each part contributes to each score; parts that are 0 are left out."""
        return _explained(self.scores(places))

    def learned(self) -> dict[str, dict[str | int, float]]:
        """Return the affinities that are used of the reader: by kind of label, then by label."""
        if not self.affinities.is_known(self.user_id):
            return {}
        return self.affinities.affinities(self.user_id, self.now)

    def of_stated(self, places: Rows) -> Floats:
        """Return what the interests that the reader set add to the scores of K-Blocks."""
        return stated_part(
            self.affinities.attributes, self.stated, self.learned(), self.affinities.weights, places
        )

    def scores(self, places: Rows) -> AffinityScores:
        """Score K-Blocks. The last scores are kept: a page mostly consists of these K-Blocks."""
        if self._scored is not None and (at := within(self._places, places)) is not None:
            return self._scored.at(at)
        scored = self.affinities.score_places(self.user_id, places, self.now)
        if self.stated:
            part = self.of_stated(places)
            scored = replace(
                scored,
                total=scored.total + part,
                parts={**scored.parts, STATED: part},
                weights={**scored.weights, STATED: 1.0},
            )
        self._places, self._scored = places, scored
        return scored

    def candidates(self, pool: CandidatePool) -> Rows:
        """Return the reader's candidates: rows of the pool, in ascending order."""
        query = CandidateQuery(pool, self.affinities, self.user_id, self.now)
        found = retrieve(query, self.sources)
        return stated_candidates(query, self.stated, found) if self.stated else found

    def closest_liked(self, places: Rows) -> Rows:
        """Return, by place, the key of the most similar text that the reader liked; -1 for none."""
        taste = self.affinities.taste(self.user_id, self.now)
        if taste is None:
            return np.full(len(places), -1)
        keys = self.affinities.attributes.texts(places)
        liked, cosines = nearest_liked(self.affinities.texts, taste, keys)
        return np.where((cosines >= CLOSE) & (liked != keys), liked, -1)

    def reason(self) -> str:
        """Return a sentence, without its full stop, that says how the order was made, and why."""
        if self.user_id == GUEST:
            return (
                "made from what everybody reads, since personalisation is switched off or you "
                "read as a guest"
            )
        count, needed = (
            self.affinities.interactions(self.user_id), self.affinities.settings.min_interactions,
        )  # fmt: skip
        if count < needed:
            known = "1 interaction is" if count == 1 else f"{count} interactions are"
            return (
                f"made from what everybody reads{self._and_stated()}, since {known} known of you "
                f"and {needed} are needed"
            )
        last = "interaction" if count == 1 else f"{count} interactions"
        return f"made from your last {last}{self._and_stated()}"

    def _and_stated(self) -> str:
        return " and from the interests that you set" if self.stated else ""


def rank_rows(index: Index, rows: Rows, totals: Floats) -> Rows:
    """Return the indices that sort rows by their scores, highest first, then newest first."""
    return np.lexsort([-index.number[rows], -index.created[rows], -totals])


def within(known: Rows, places: Rows) -> Rows | None:
    """Return the indices of places among known ones; None if one of them is missing."""
    if not len(known):
        return None
    order = np.argsort(known)
    at: Rows = order[np.searchsorted(known, places, sorter=order) % len(order)]
    return at if (known[at] == places).all() else None


def _explained(scored: AffinityScores) -> list[dict[str, Contribution]]:
    weights = scored.weights
    shown = [name for name, part in scored.parts.items() if weights[name] and part.any()]
    if not shown:
        return [{} for _ in scored.total]
    values = np.column_stack([scored.parts[name] for name in shown]).tolist()
    return [
        {
            name: Contribution(value, weights[name], value * weights[name])
            for name, value in zip(shown, each, strict=True)
        }
        for each in values
    ]

"""The personal order: candidate generation, scoring and ranking for one reader.

A personal score takes too long to be computed for every K-Block. Some hundreds are candidates: the
newest, those with the highest trends, those with labels that the reader likes most, those that
similar readers liked last, and those of any age whose texts are near to what the reader liked. All
others follow the candidates, newest first.
"""

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from harken.domain.feedback import GUEST
from harken.domain.feeds import Field, Signal
from harken.domain.slates import Contribution
from harken.services.features.state import Features
from harken.services.index.index import Floats, Index, Mask, Rows
from harken.services.index.ordering import Reader, leading, less
from harken.services.personal.similarity import recently_liked_by
from harken.services.readers.profile import AffinityScores
from harken.services.texts.taste import nearest_liked

NEWEST = 200
TRENDING = 200
LABELLED = 20
"""The candidates of each kind; `LABELLED` is for each of the labels that the reader likes most."""
MOST_LABELS = 6
"""The number of these labels."""
NEAR = 100
"""The candidates whose texts are nearest to the reader's taste."""
CLOSE = 0.1
"""Texts with a smaller cosine are not called close in an explanation."""
_FIELDS = {"tags": Field.TAG, "authors": Field.AUTHOR}
# Rows are added in order of time, so the newest with a label are among its last rows.
LATE = 500


class PersonalScorer:
    """Scores K-Blocks for one reader at a time (microseconds since 1970).

    `user_id` is `GUEST` for a reader who switched personalisation off.
    """

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

    def places(self, kblock_ids: Sequence[str]) -> Rows:
        """Return the places of K-Blocks that are described to the affinities."""
        return self.affinities.attributes.places(kblock_ids, len(kblock_ids))

    def totals(self, places: Rows) -> Floats:
        """Return the scores of K-Blocks that are given by their places in the affinities."""
        return self._score(places).total

    def explain(self, places: Rows, *, whole: bool = True) -> list[dict[str, Contribution]]:
        """Return what each part contributes to each score; parts that are 0 are left out.

        Unless `whole`, the score alone is returned, as one part.
        """
        scored = self._score(places)
        return _explained(scored) if whole else alone(scored.total)

    def _score(self, places: Rows) -> AffinityScores:
        """Score K-Blocks. The last scores are kept: a page mostly consists of these K-Blocks."""
        if self._scored is not None and (at := within(self._places, places)) is not None:
            return self._scored.at(at)
        self._places, self._scored = (
            places, self.affinities.score_places(self.user_id, places, self.now),
        )  # fmt: skip
        return self._scored

    def liked(self) -> list[tuple[Field, str]]:
        """Return the tags and authors that the reader likes most, at most `MOST_LABELS`."""
        labels = self.affinities.liked(self.user_id, list(_FIELDS), self.now, MOST_LABELS)
        return [(_FIELDS[label.kind], str(label.name)) for label in labels]

    def liked_by_similar_readers(self) -> Rows:
        """Return the places of the K-Blocks that similar readers liked last."""
        return recently_liked_by(self.affinities, self.user_id)

    def near_taste(self) -> Rows:
        """Return the keys of the texts that are nearest to the reader's taste."""
        taste = self.affinities.taste(self.user_id, self.now)
        if taste is None:
            return np.zeros(0, np.int64)
        return self.affinities.texts.nearest(taste.terms, NEAR)

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
                "made from what everybody reads, since personalisation is switched off or the "
                "reader is a guest"
            )
        count, needed = (
            self.affinities.interactions(self.user_id), self.affinities.settings.min_interactions,
        )  # fmt: skip
        if count < needed:
            known = "1 interaction is" if count == 1 else f"{count} interactions are"
            return (
                f"made from what everybody reads, since {known} known of the reader and {needed} "
                "are needed"
            )
        last = "interaction" if count == 1 else f"{count} interactions"
        return f"made from the reader's last {last}"


def retrieve(
    index: Index, selection: Hashable, mask: Mask, hidden: Mask | None, reader: Reader,
    scorer: PersonalScorer, liked_by_similar: Rows,
) -> Rows:  # fmt: skip
    """Return the candidates of a reader: rows of a mask that are not hidden, in ascending order.

    `selection` identifies the mask. `liked_by_similar` has the numbers of the K-Blocks that
    similar readers liked last.
    """
    visible = less(mask, hidden)
    found = [index.newest(visible, NEWEST)]
    if index.half_lives:
        shortest = replace(reader, principles=(), half_life=min(index.half_lives))
        trending = {Signal.TRENDING: 1.0}
        found.append(leading(index, selection, mask, hidden, trending, shortest, TRENDING))
    for numbers in (liked_by_similar, scorer.near_taste()):
        rows = index.present(numbers)
        rows = rows[rows >= 0]
        found.append(rows[visible[rows]])
    found += [_newest_with(index, visible, *label) for label in scorer.liked()]
    return np.unique(np.concatenate(found))


def _newest_with(index: Index, mask: Mask, field: Field, label: str) -> Rows:
    rows = index.labelled(field, label)[-LATE:]
    rows = rows[mask[rows]]
    return rows[np.argsort(-index.created[rows], kind="stable")[:LABELLED]]


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


def alone(totals: Floats) -> list[dict[str, Contribution]]:
    """Return explanations that consist of the score alone."""
    return [{"score": Contribution(each, 1.0, each)} for each in totals.tolist()]


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

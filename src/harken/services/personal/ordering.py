"""The personal order: which K-Blocks are looked at for a reader, and in which order they come.

A taste is too rich to be computed for every K-Block. Some hundreds are looked at: the newest ones,
those that most is going on with, those with labels that the reader takes to, and those that readers
of the same taste liked last. What is not among them comes after them, newest first.
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

NEWEST = 200
TRENDING = 200
LABELLED = 20
"""How many of each kind are looked at, the last for each of the labels that a reader likes most."""
MOST_LABELS = 6
_FIELDS = {"tags": Field.TAG, "authors": Field.AUTHOR}
# Rows come about in the order of time, so the newest with a label are among its last rows.
LATE = 500


class PersonalScorer:
    """What readers like, as one of them is asked for it at a time (microseconds since 1970).

    `user_id` is that of guests for who does not want an order of their own.
    """

    fallback: str | None = None
    """Why this is not what was asked for."""

    def __init__(self, state: Features, user_id: str, now: int) -> None:
        self.state = state
        self.affinities = state.affinities
        self.user_id = user_id
        self.now = now
        self._places: Rows = np.zeros(0, np.int64)
        self._scored: AffinityScores | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """What a slate says of how its order came about."""
        return {}

    def places(self, kblock_ids: Sequence[str]) -> Rows:
        """Return the places of K-Blocks, which are described to the state."""
        return self.affinities.attributes.places(kblock_ids, len(kblock_ids))

    def totals(self, places: Rows) -> Floats:
        """Return the scores of K-Blocks that are given by their places in the state."""
        return self._score(places).total

    def explain(self, places: Rows, *, whole: bool = True) -> list[dict[str, Contribution]]:
        """Return what each part contributes to each score; parts that say nothing are left out.

        Not as a `whole`, there is the score alone.
        """
        scored = self._score(places)
        return _explained(scored) if whole else alone(scored.total)

    def _score(self, places: Rows) -> AffinityScores:
        """Score K-Blocks; what was scored last, once: a page is mostly made of it."""
        if self._scored is not None and (at := within(self._places, places)) is not None:
            return self._scored.at(at)
        self._places, self._scored = (
            places, self.affinities.score_places(self.user_id, places, self.now),
        )  # fmt: skip
        return self._scored

    def liked(self) -> list[tuple[Field, str]]:
        """Return the tags and authors that the reader takes to most."""
        labels = self.affinities.liked(self.user_id, list(_FIELDS), self.now, MOST_LABELS)
        return [(_FIELDS[label.kind], str(label.name)) for label in labels]

    def company(self) -> Rows:
        """Return the places of what readers of this taste liked last."""
        return recently_liked_by(self.affinities, self.user_id)

    def reason(self) -> str:
        """Say why an order is the reader's own, or why it is not."""
        if self.user_id == GUEST:
            return (
                "the reader switched personalisation off, or is a guest: what everybody does counts"
            )
        count, needed = (
            self.affinities.interactions(self.user_id), self.affinities.settings.min_interactions,
        )  # fmt: skip
        if count < needed:
            known = "1 interaction is" if count == 1 else f"{count} interactions are"
            return (
                f"{known} known of the reader, and {needed} are needed: what everybody does counts"
            )
        last = "interaction" if count == 1 else f"{count} interactions"
        return f"made from the reader's last {last}"


def retrieve(
    index: Index, selection: Hashable, mask: Mask, hidden: Mask | None, reader: Reader,
    scorer: PersonalScorer, company: Rows,
) -> Rows:  # fmt: skip
    """Return the rows of a mask, less what is hidden, that are worth looking at for a reader.

    `company` are the numbers of K-Blocks that readers of this taste liked last.
    """
    seen = less(mask, hidden)
    found = [index.newest(seen, NEWEST)]
    if index.half_lives:
        shortest = replace(reader, principles=(), half_life=min(index.half_lives))
        trending = {Signal.TRENDING: 1.0}
        found.append(leading(index, selection, mask, hidden, trending, shortest, TRENDING))
    rows = index.present(company)
    rows = rows[rows >= 0]
    found.append(rows[seen[rows]])
    found += [_newest_with(index, seen, *label) for label in scorer.liked()]
    return np.unique(np.concatenate(found))


def _newest_with(index: Index, mask: Mask, field: Field, label: str) -> Rows:
    rows = index.labelled(field, label)[-LATE:]
    rows = rows[mask[rows]]
    return rows[np.argsort(-index.created[rows], kind="stable")[:LABELLED]]


def rank_rows(index: Index, rows: Rows, totals: Floats) -> Rows:
    """Return the places of rows in the order of their scores, then newest first."""
    return np.lexsort([-index.number[rows], -index.created[rows], -totals])


def within(known: Rows, places: Rows) -> Rows | None:
    """Return where places are among known ones; None where not all of them are."""
    if not len(known):
        return None
    order = np.argsort(known)
    at: Rows = order[np.searchsorted(known, places, sorter=order) % len(order)]
    return at if (known[at] == places).all() else None


def alone(totals: Floats) -> list[dict[str, Contribution]]:
    """Return scores of which nothing more is told."""
    return [{"score": Contribution(each, 1.0, each)} for each in totals.tolist()]


def _explained(scored: AffinityScores) -> list[dict[str, Contribution]]:
    weights = scored.weights
    told = [name for name, part in scored.parts.items() if weights[name] and part.any()]
    if not told:
        return [{} for _ in scored.total]
    values = np.column_stack([scored.parts[name] for name in told]).tolist()
    return [
        {
            name: Contribution(value, weights[name], value * weights[name])
            for name, value in zip(told, each, strict=True)
        }
        for each in values
    ]

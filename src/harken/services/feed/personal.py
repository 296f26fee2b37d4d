"""The personal order: which K-Blocks are looked at for a reader, and in which order they come.

A taste is too rich to be computed for every K-Block. Some hundreds are looked at: the newest ones,
those that most is going on with, and those with labels that the reader takes to. What is not among
them comes after them, newest first.
"""

from collections.abc import Hashable
from dataclasses import replace

import numpy as np

from harken.domain.feeds import Field, Signal
from harken.domain.slates import Contribution
from harken.services.feed.index import Index, Mask, Rows
from harken.services.feed.ranking import Reader, leading, less
from harken.services.feed.tastes import Profile, Scored

NEWEST = 300
TRENDING = 300
LABELLED = 40
"""How many of each kind are looked at, the last for each of the labels that a reader likes most."""
MOST_LABELS = 8
# Rows come about in the order of time, so the newest with a label are among its last rows.
LATE = 2_000


def looked_at(
    index: Index, selection: Hashable, mask: Mask, hidden: Mask | None, reader: Reader,
    profile: Profile | None,
) -> Rows:  # fmt: skip
    """Return the rows of a mask, less what is hidden, that are worth looking at for a reader."""
    seen = less(mask, hidden)
    found = [index.newest(seen, NEWEST)]
    if index.half_lives:
        shortest = replace(reader, principles=(), half_life=min(index.half_lives))
        trending = {Signal.TRENDING: 1.0}
        found.append(leading(index, selection, mask, hidden, trending, shortest, TRENDING))
    if profile is not None:
        found += [_newest_with(index, seen, *label) for label in _liked(profile)]
    return np.unique(np.concatenate(found))


def _liked(profile: Profile) -> list[tuple[Field, str]]:
    liked = [
        (affinity, field, str(label))
        for field, affinities in ((Field.TAG, profile.tags), (Field.AUTHOR, profile.authors))
        for label, affinity in affinities.items()
        if affinity > 0
    ]
    return [(field, label) for _, field, label in sorted(liked, reverse=True)[:MOST_LABELS]]


def _newest_with(index: Index, mask: Mask, field: Field, label: str) -> Rows:
    rows = index.labelled(field, label)[-LATE:]
    rows = rows[mask[rows]]
    return rows[np.argsort(-index.created[rows], kind="stable")[:LABELLED]]


def in_order(index: Index, rows: Rows, scored: Scored) -> Rows:
    """Return the places of rows in the order of their scores, then newest first."""
    return np.lexsort([-index.number[rows], -index.created[rows], -scored.total])


def explain(scored: Scored) -> list[dict[str, Contribution]]:
    """Return what each part contributes to each score; parts that say nothing are left out."""
    weights = scored.weights
    told = [name for name, part in scored.parts.items() if weights[name] and part.any()]
    return (
        [
            {
                name: Contribution(value, weights[name], value * weights[name])
                for name, value in zip(told, values, strict=True)
            }
            for values in np.column_stack([scored.parts[name] for name in told]).tolist()
        ]
        if told
        else [{} for _ in scored.total]
    )


def reason(profile: Profile | None, min_interactions: int) -> str:
    """Say why an order is a reader's own, or why it is not."""
    if profile is None:
        return "the reader switched personalisation off, or is a guest: what everybody does counts"
    if not profile.is_personal:
        return (
            f"{profile.interactions} interactions are known of the reader, and {min_interactions} "
            "are needed: what everybody does counts"
        )
    return f"made from the reader's last {profile.interactions} interactions"

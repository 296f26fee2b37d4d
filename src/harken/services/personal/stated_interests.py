"""The interests that a reader set: how much they want of a label, whatever their events say.

They stand in place of the learned affinities in the personal score. A model was trained without
them, so they are a part of their own there, of the same size.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from harken.domain.fields import whole_number
from harken.domain.preferences import MOST_INTEREST, Interests
from harken.services.index.index import Floats, Rows
from harken.services.personal.sources import LABEL_KINDS, LABELLED, CandidateQuery
from harken.services.readers.item_attributes import WIDTHS, ItemAttributes, Label
from harken.services.readers.score_parts import PARTS

STATED = "stated_interests"
"""The name of the part of a score."""
STEP = 1.0
"""By so much "more like this" and "less like this" change an interest."""
Learned = Mapping[str, Mapping[str | int, float]]
_FIRST = ("tags", "authors", "folders")
_ELSE = ("sources", "layers", "principles")
"""The kinds of labels that "like this" means where there are none of the first kinds."""


class Changed(NamedTuple):
    """A change of one interest: how much the reader wants of a label, before and after."""

    label: Label
    before: float
    after: float


def by_label(interests: Mapping[str, Mapping[str, float]]) -> dict[Label, float]:
    """Return the interests of preferences by label."""
    return {
        _label(kind, name): value
        for kind, names in interests.items()
        for name, value in names.items()
    }


def _label(kind: str, name: str) -> Label:
    """Return a label; layers are numbers, and another name is that of no layer."""
    layer = whole_number(name) if kind == "layers" else None
    return Label(kind, name if layer is None else layer)


def as_preferences(stated: Mapping[Label, float]) -> Interests:
    """Return interests by kind, then by name, as preferences have them."""
    kinds: Interests = {}
    for label, value in stated.items():
        kinds.setdefault(label.kind, {})[str(label.name)] = value
    return kinds


def stated_part(
    attributes: ItemAttributes, stated: Mapping[Label, float], learned: Learned,
    weights: Mapping[str, float], places: Rows,
) -> Floats:  # fmt: skip
    """Return what stated interests add to the scores of K-Blocks.

    For each kind of label it is the weight of the kind, but at least its default, times the mean
    over a K-Block's labels of what the reader wants of each; less what the score has of it already.
    """
    numbers = attributes.known(stated)
    added = np.array(
        [max(weights[kind], PARTS[kind]) * value for (kind, _name), value in stated.items()]
    )
    had = np.array([weights[kind] * learned.get(kind, {}).get(name, 0.0) for kind, name in stated])
    is_known = numbers > 0
    means = attributes.means(places, numbers[is_known], (added - had)[is_known])
    total = np.zeros(len(places))
    for kind in WIDTHS:
        total += means[kind]
    return total


def stated_candidates(query: CandidateQuery, stated: Mapping[Label, float], found: Rows) -> Rows:
    """Return candidates with the newest that have a label of which the reader wants more."""
    wanted = [
        query.pool.labelled(kind, str(name), LABELLED)
        for (kind, name), value in stated.items()
        if value > 0 and kind in LABEL_KINDS
    ]
    return np.unique(np.concatenate([found, *wanted]))


def moved_by(
    labels: Sequence[Label], stated: Mapping[Label, float], learned: Learned, step: float
) -> list[Changed]:
    """Return the changes that "more like this" (a step above 0) or "less like this" means.

    It means the tags, the author and the folder; where there are none, the other labels.
    """
    named = _of_kinds(labels, _FIRST) or _of_kinds(labels, _ELSE)
    return [
        Changed(each, before, _moved(before, step))
        for each, before in _known(named, stated, learned)
    ]


def _moved(before: float, step: float) -> float:
    return round(min(max(before + step, -MOST_INTEREST), MOST_INTEREST), 2)


def _of_kinds(labels: Iterable[Label], kinds: Sequence[str]) -> list[Label]:
    return [label for label in dict.fromkeys(labels) if label.kind in kinds]


def _known(
    labels: Iterable[Label], stated: Mapping[Label, float], learned: Learned
) -> list[tuple[Label, float]]:
    return [
        (label, stated.get(label, learned.get(label.kind, {}).get(label.name, 0.0)))
        for label in labels
    ]

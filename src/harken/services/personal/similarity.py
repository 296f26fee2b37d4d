"""The similarity of K-Blocks: item-to-item by their readers, and by their content.

The functions are pure. The number of K-Blocks that they compare is bounded.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from harken.domain.feeds import Field
from harken.domain.slates import ShownKBlock
from harken.services.index.index import Index, Mask, Rows
from harken.services.readers.affinities import Affinities
from harken.services.readers.co_engagement import ANYBODY, Floats, Numbers
from harken.services.readers.history import MICROS, HistoryColumns
from harken.services.readers.personal_parts import DAY

CO_ENGAGED = 200
"""Candidates that the same readers like."""
LABELLED = 50
"""Candidates with each label of a K-Block, the newest ones."""
NEAR = 50
"""Candidates whose texts are most similar."""
NEWEST = 50
"""Candidates that are the newest of all, for K-Blocks without labels."""
# Rows are added in order of time, so the newest with a label are among its last rows.
LATE = 500

PRIOR = 5.0
"""Readers of both K-Blocks at which behaviour counts as much as content."""

CONTENT: Mapping[str, float] = {"words": 0.5, "tags": 0.35, "author": 0.15}
"""The weights of content's parts; those of parts that a K-Block lacks go to the others."""

NEIGHBOURS = 20
"""So many similar readers of a reader are used."""
RECENTLY_LIKED = 5
"""So many of the last K-Blocks of each similar reader are used."""
_OWN = 50

SOURCES_OF_NEIGHBOURS = 20
"""So many of the K-Blocks that a reader liked last are used to find their neighbours."""
NEIGHBOURING_READERS = 100
"""So many readers of these K-Blocks are used."""
_FEW_READERS = 10.0
_POPULAR = 0.25
_LIKELY = 4


class Behaviour(NamedTuple):
    """By K-Block: the cosine by readers, and the smaller number of readers of the two compared."""

    cosines: Floats
    evidence: Floats


class Content(NamedTuple):
    """The labels of a K-Block that are compared."""

    tags: frozenset[str]
    author: str | None

    @classmethod
    def of(cls, shown: ShownKBlock) -> "Content":
        """Return the labels of a K-Block as feeds show it."""
        return cls(frozenset(shown.tags), shown.author)


def co_engaged_rows(affinities: Affinities, place: int) -> Numbers:
    """Return the places of the K-Blocks that most of the last readers of one like, too."""
    who = affinities.recent_readers.who(np.array([affinities.attributes.row(place)]))[0]
    histories = [affinities.reader(number) for number in who[who > ANYBODY].tolist()]
    known = HistoryColumns.of_all([history for history in histories if history is not None])
    places, co_engagements = np.unique(known.places[known.worth > 0], return_counts=True)
    order = np.argsort(-co_engagements, kind="stable")
    return np.asarray(places[order[:CO_ENGAGED]], np.intp)


def by_behaviour(affinities: Affinities, place: int, places: Numbers) -> Behaviour:
    """Compare one K-Block with others by their last readers.

    The cosine is that of sets of readers, each with one reader added to its size.
    """
    recent_readers, row = affinities.recent_readers, np.array([affinities.attributes.row(place)])
    rows = affinities.attributes.rows(places)
    candidate_readers = recent_readers.candidate_readers(rows, 0.0)
    own, theirs = recent_readers.count(row)[0], candidate_readers.readers
    here = recent_readers.co_engagements(candidate_readers, row, 0.0).sum_of_sources(np.ones(1))
    co_engagements = candidate_readers.sum_of_people(here)
    return Behaviour(co_engagements / np.sqrt((own + 1) * (theirs + 1)), np.minimum(own, theirs))


def sharing_labels(index: Index, content: Content, shown: Mask) -> Rows:
    """Return the newest rows with a tag or the author in common, and the newest of all rows."""
    labels = [(Field.TAG, tag) for tag in sorted(content.tags)]
    if content.author is not None:
        labels.append((Field.AUTHOR, content.author))
    found = [index.newest(shown, NEWEST)]
    for field, label in labels:
        rows = index.labelled(field, label)[-LATE:]
        rows = rows[shown[rows]]
        found.append(rows[np.argsort(-index.created[rows], kind="stable")[:LABELLED]])
    return np.unique(np.concatenate(found))


def by_content(index: Index, content: Content, others: Sequence[Content], words: Floats) -> Floats:
    """Compare K-Blocks by their words, tags and authors, from 0 to 1.

    `words` are the cosines of their texts. Tags are compared by their overlap, where a tag weighs
    more if fewer of all K-Blocks have it.
    """
    parts = {"words": words}
    if content.tags:
        parts["tags"] = _by_tags(index, content.tags, [each.tags for each in others])
    if content.author is not None:
        parts["author"] = np.array([float(each.author == content.author) for each in others])
    whole = sum(CONTENT[name] for name in parts)
    total = np.zeros(len(others))
    for name, part in parts.items():
        total += CONTENT[name] / whole * part
    return total


def _by_tags(index: Index, tags: frozenset[str], others: Sequence[frozenset[str]]) -> Floats:
    """Return the weights of shared tags over those of all; a tag of the other has a mean weight."""
    rare = {tag: math.log1p(len(index) / (1 + _count(index, tag))) for tag in tags}
    whole = sum(rare.values())
    mean = whole / len(tags)
    return np.array(
        [sum(rare[tag] for tag in tags & each) / (whole + mean * len(each - tags))
         for each in others]
    )  # fmt: skip


def _count(index: Index, tag: str) -> int:
    return len(index.labelled(Field.TAG, tag))


def recently_liked_by(affinities: Affinities, user_id: str, each: int = RECENTLY_LIKED) -> Numbers:
    """Return the places of the K-Blocks that the most similar readers liked last.

    They are at most `each` of each of 20 readers. Similarity is the cosine of what both like. For a
    reader with too few interactions, the result is empty.
    """
    reader = affinities.history(user_id)
    if reader is None or reader.interactions < affinities.settings.min_interactions:
        return np.zeros(0, np.intp)
    known = reader.columns
    liked = affinities.attributes.rows(known.places[known.worth > 0][-_OWN:])
    numbers, co_engagements = np.unique(affinities.recent_readers.who(liked), return_counts=True)
    cosines = co_engagements / np.sqrt(
        np.maximum(affinities.recent_readers.breadth(numbers), co_engagements)
    )
    cosines[(numbers <= ANYBODY) | (numbers == reader.number)] = 0.0
    nearest = numbers[np.argsort(-cosines, kind="stable")[:NEIGHBOURS]]
    similar = [affinities.reader(number) for number in nearest.tolist() if number != reader.number]
    liked_by = [other.recently_liked(each) for other in similar if other is not None]
    places = [place for liked in liked_by for place in liked]
    return np.unique(np.array(places, np.intp))


def co_engaged_with(affinities: Affinities, user_id: str, now: int, count: int) -> Numbers:
    """Return the places of the item-to-item neighbours of what a reader liked last, best first.

    They are what a random walk reaches that starts at the reader: to one of the K-Blocks that they
    liked last, to one of its recent readers, to one of the K-Blocks that this reader likes. Steps
    to K-Blocks are weighed by worth and half-life. What the reader knows is left out. `now` is in
    microseconds since 1970.

    The walk is RP3β of Paudel, Christoffel, Newell and Bernstein, Updatable, Accurate, Diverse, and
    Scalable Recommendations for Interactive Applications, ACM TiiS 7(1), 2017: a K-Block that many
    read is divided by the number of its readers to the power `_POPULAR`. Three things differ. A
    K-Block of the reader is divided by the root of its readers, and not by their number, so that
    one that hardly anybody else read does not decide. Only the readers whom the walk reaches most
    often go on. Only the K-Blocks that it reaches most often are divided.
    """
    reader = affinities.history(user_id)
    if reader is None:
        return np.zeros(0, np.intp)
    known, recent_readers = reader.columns, affinities.recent_readers
    liked = np.flatnonzero(known.worth > 0)[-SOURCES_OF_NEIGHBOURS:]
    rows = affinities.attributes.rows(known.places[liked])
    start = known.worth[liked] * _decay(affinities, known.last[liked], now)
    start /= np.sqrt(recent_readers.count(rows) + _FEW_READERS)
    who = recent_readers.who(rows)
    numbers, person = np.unique(who, return_inverse=True)
    steps = np.repeat(start, who.shape[1])
    reached = np.asarray(np.bincount(person.ravel(), steps, len(numbers)), np.float64)
    reached[(numbers <= ANYBODY) | (numbers == reader.number)] = 0.0
    nearest = _greatest(reached, NEIGHBOURING_READERS)
    nearest = nearest[reached[nearest] > 0]
    found, probability = _liked_by(affinities, numbers[nearest], reached[nearest], now)
    by_place = np.asarray(np.bincount(found, probability), np.float64)
    by_place[known.places[known.places < len(by_place)]] = 0.0
    places = np.flatnonzero(by_place)
    # The readers of all of them would take longer to count than everything else here.
    likely = places[_greatest(by_place[places], _LIKELY * count)]
    readers = recent_readers.count(affinities.attributes.rows(likely))
    scores = by_place[likely] / np.maximum(readers, 1.0) ** _POPULAR
    return likely[_greatest(scores, count)]


def _greatest(values: Floats, count: int) -> Numbers:
    """Return the indices of the greatest values, the greatest first, equal ones in their order."""
    if len(values) <= 2 * count:
        return np.argsort(-values, kind="stable")[:count]
    least = np.partition(values, len(values) - count)[len(values) - count]
    reaching = np.flatnonzero(values >= least)
    return reaching[np.argsort(-values[reaching], kind="stable")[:count]]


def _liked_by(
    affinities: Affinities, readers: Numbers, probability: Floats, now: int
) -> tuple[Numbers, Floats]:
    """Return what readers like, and the probability that the walk steps there."""
    histories = [affinities.reader(number) for number in readers.tolist()]
    there = [place for place, history in enumerate(histories) if history is not None]
    known = [history for history in histories if history is not None]
    places, _first, last, worth = HistoryColumns.of_all(known)
    of_reader = np.repeat(np.array(there, np.intp), [len(history) for history in known])
    likes = worth > 0
    places, last, of_reader = places[likes], last[likes], of_reader[likes]
    share = probability / np.maximum(np.bincount(of_reader, minlength=len(readers)), 1)
    return places, share[of_reader] * _decay(affinities, last, now)


def _decay(affinities: Affinities, last: Floats, now: int) -> Floats:
    """Return what touches at some times (seconds) weigh at `now` (microseconds)."""
    days = np.maximum(now / MICROS - last, 0.0) / DAY
    weights: Floats = np.exp2(-days / affinities.settings.half_life)
    return weights

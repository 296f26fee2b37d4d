"""From a ranking to the order that is served: some of it drawn, and no author or tag too often.

    ranked    by score, or by time
    drawn     with a temperature: by chance, in proportion to exp(score / temperature)
    spread    with caps: in each window, at most so many by one author, and with one tag

What would be too much for a window waits for the next one, so nothing is lost. Where everything
that is left would be too much, counting starts anew, as in a window of its own.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harken.domain.exploration import (
    SEED_BITS,
    Drawing,
    Floats,
    Order,
    Variety,
    check_variety,
    sample,
)
from harken.domain.feeds import FeedRanking
from harken.services.index.index import Mask, Rows

Labels = tuple[str | None, Sequence[str]]
"""What caps are about: an author, and tags."""


class Cap(NamedTuple):
    """That a label may come at most so often in a window, and the places of those who have it."""

    most: int
    places: NDArray[np.int64]


def settle(wanted: Variety, ranking: FeedRanking, limit: int | None = None) -> Variety:
    """Return what holds from a first page on: the seed is drawn unless it is given.

    `limit` is that of the page, which is how long a window is. Raises InvalidInput.
    """
    check_variety(wanted, ranking)
    if wanted.is_sampled and wanted.seed is None:
        wanted = wanted._replace(seed=secrets.randbits(SEED_BITS))
    return wanted._replace(window=limit) if wanted.is_capped else wanted


def arrange(
    numbers: Rows, scores: Floats, variety: Variety, labels: Mapping[int, Labels], offset: int = 0
) -> Order:
    """Return the order that is served of K-Blocks that come best first.

    `labels` are theirs by number; without one, a K-Block is held back by no cap. Windows are such
    that a page from `offset` on, of the limit that was the window, is one.
    """
    if variety.is_capped:
        window = variety.window or 1
        caps = _caps(numbers, variety, labels)
        first = offset % window or window
        if not variety.is_sampled:
            return Order(numbers[spread(len(numbers), caps, window, first)])
        drawing = Drawing(scores, variety.temperature, variety.seed or 0)
        places = spread(len(numbers), caps, window, first, drawing)
        return Order(numbers[places], np.array(drawing.propensities, np.float64))
    if variety.is_sampled:
        places, propensities = sample(scores, variety.temperature, variety.seed or 0)
        return Order(numbers[places], propensities)
    return Order(numbers)


def _foremost(free: Mask) -> int:
    return int(free.argmax())


def spread(
    count: int,
    caps: Sequence[Cap],
    window: int,
    first: int,
    choose: Callable[[Mask], int] = _foremost,
) -> Rows:
    """Return all places below `count`, in an order in which no window has more than its caps allow.

    A window is `window` places long, the first one `first`. At each place, `choose` picks among
    those that are free: who has come already is not, nor who has a label that has come `most`
    times. The time it takes grows with the count times the labels of an item; for each label that
    reaches its cap, and for each place, one byte an item is looked at.
    """
    most = [cap.most for cap in caps]
    labels = _labels_of(caps, count)
    left = np.ones(count, np.bool_)
    free, rest = left.copy(), most.copy()
    served = np.empty(count, np.int64)
    end = first
    for position in range(count):
        if position == end or not free.any():
            free, rest = left.copy(), most.copy()
            end += window if position == end else 0
        served[position] = place = choose(free)
        left[place] = free[place] = False
        for label in labels[place]:
            rest[label] -= 1
            if not rest[label]:
                free[caps[label].places] = False
    return served


def _labels_of(caps: Sequence[Cap], count: int) -> list[list[int]]:
    labels: list[list[int]] = [[] for _ in range(count)]
    for label, cap in enumerate(caps):
        for place in cap.places.tolist():
            labels[place].append(label)
    return labels


def _caps(numbers: Rows, variety: Variety, labels: Mapping[int, Labels]) -> list[Cap]:
    authors: dict[str, list[int]] = {}
    tags: dict[str, list[int]] = {}
    for place, number in enumerate(numbers.tolist()):
        author, tagged = labels.get(number, (None, ()))
        if author is not None:
            authors.setdefault(author, []).append(place)
        for tag in set(tagged):
            tags.setdefault(tag, []).append(place)
    return [
        Cap(most, np.array(places, np.int64))
        for most, places_of in ((variety.most_per_author, authors), (variety.most_per_tag, tags))
        if most is not None
        for places in places_of.values()
        if len(places) > most
    ]

"""From a ranking to the order that is served: sampling, and caps on authors and tags.

    ranked    by score, or by time
    sampled   with a temperature: drawn in proportion to exp(score / temperature);
              by Thompson sampling: in the order of scores that are drawn (`thompson.py`)
    spread    with caps: in each window, at most so many items of one author, with one tag, and of
              one source; the reader's weight of a source multiplies its cap

An item that exceeds a cap moves to the next window, so none is lost. If all remaining items exceed
a cap, a new window begins at once.
"""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
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
from harken.services.index.thompson import draw, uncertainties


class Labels(NamedTuple):
    """The labels of a K-Block that caps count; the source by its name."""

    author: str | None = None
    tags: Sequence[str] = ()
    source: str | None = None


NO_WEIGHTS: Mapping[str, float] = MappingProxyType({})


_UNLABELLED = Labels()


class Cap(NamedTuple):
    """The cap on one label: its maximum in a window, and the places of the items that have it."""

    most: int
    places: NDArray[np.int64]


def settle(wanted: Variety, ranking: FeedRanking, limit: int | None = None) -> Variety:
    """Return the variety of a first page and the pages after it; a missing seed is drawn.

    `limit` is that of the page; with caps, a window has this length. Raises InvalidInput.
    """
    check_variety(wanted, ranking)
    if wanted.is_sampled and wanted.seed is None:
        wanted = wanted._replace(seed=secrets.randbits(SEED_BITS))
    return wanted._replace(window=limit) if wanted.is_capped else wanted


def arrange(
    numbers: Rows,
    scores: Floats,
    variety: Variety,
    labels: Mapping[int, Labels],
    offset: int = 0,
    shown: Floats | None = None,
    weights: Mapping[str, float] = NO_WEIGHTS,
) -> Order:
    """Return the order in which ranked K-Blocks are served.

    `numbers` and `scores` are of equal length, best first. `labels` are by number; no cap counts a
    K-Block without them. Windows are aligned so that the page at `offset` is one window. `shown` is
    how often each K-Block was shown, for Thompson sampling; without it, never. `weights` multiply
    the caps of sources, by their names.
    """
    if variety.explore is not None:
        shown = np.zeros(len(scores)) if shown is None else shown
        places, odds = draw(scores, uncertainties(scores, shown), variety.seed or 0)
        return Order(numbers[places], odds, scores[places])
    if variety.is_capped:
        window = variety.window or 1
        caps = _caps(numbers, variety, labels, weights)
        first = offset % window or window
        if not variety.is_sampled:
            windows: list[int] = []
            places = spread(len(numbers), caps, window, first, windows=windows)
            return Order(numbers[places], scores=scores[places], windows=tuple(windows))
        drawing = Drawing(scores, variety.temperature, variety.seed or 0)
        places = spread(len(numbers), caps, window, first, drawing)
        return Order(numbers[places], np.array(drawing.propensities, np.float64), scores[places])
    if variety.is_sampled:
        places, propensities = sample(scores, variety.temperature, variety.seed or 0)
        return Order(numbers[places], propensities, scores[places])
    return Order(numbers, scores=scores)


def _foremost(free: Mask) -> int:
    return int(free.argmax())


def spread(
    count: int,
    caps: Sequence[Cap],
    window: int,
    first: int,
    choose: Callable[[Mask], int] = _foremost,
    windows: list[int] | None = None,
) -> Rows:
    """Return the places 0 to `count` − 1, in an order in which every window keeps the caps.

    A window has `window` positions, the first one `first`. At each position, `choose` picks one of
    the free places: those that are not served yet, and none of whose labels has reached its cap.
    The positions where a window begins, apart from 0, are added to `windows`.
    The time grows with `count` × labels per item, and with one byte per item for each position and
    for each label that reaches its cap.
    """
    most = [cap.most for cap in caps]
    labels = _labels_of(caps, count)
    left = np.ones(count, np.bool_)
    free, rest = left.copy(), most.copy()
    served = np.empty(count, np.int64)
    end = first
    for position in range(count):
        if position == end or not free.any():
            if windows is not None:
                windows.append(position)
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


def _caps(
    numbers: Rows, variety: Variety, labels: Mapping[int, Labels], weights: Mapping[str, float]
) -> list[Cap]:
    authors: dict[str, list[int]] = {}
    tags: dict[str, list[int]] = {}
    sources: dict[str, list[int]] = {}
    for place, number in enumerate(numbers.tolist()):
        author, tagged, source = labels.get(number, _UNLABELLED)
        if author is not None:
            authors.setdefault(author, []).append(place)
        for tag in set(tagged):
            tags.setdefault(tag, []).append(place)
        if source is not None:
            sources.setdefault(source, []).append(place)
    return [
        *_over(authors, variety.most_per_author, NO_WEIGHTS),
        *_over(tags, variety.most_per_tag, NO_WEIGHTS),
        *_over(sources, variety.most_per_source, weights),
    ]


def _over(
    places_of: Mapping[str, list[int]], most: int | None, weights: Mapping[str, float]
) -> Iterator[Cap]:
    """Yield the caps of the labels that have more items than that; a cap is at least 1."""
    if most is None:
        return
    for label, places in places_of.items():
        cap = max(1, round(most * weights.get(label, 1.0)))
        if len(places) > cap:
            yield Cap(cap, np.array(places, np.int64))

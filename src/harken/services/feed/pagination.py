"""The pages of a feed: what comes next, whatever happened since the first page.

    first page   order the K-Blocks of this revision, keep the first 1,000 of an order that is
                 scored, or in which caps hold
    later pages  go on in that order, then newest first among the K-Blocks of that revision

A K-Block that is changed meanwhile stays where it was; one that is added is not shown; one that is
deleted, or dismissed by the reader, is passed over. So nothing comes twice, and nothing is missed.
"""

import hashlib
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
from itsdangerous import BadData, URLSafeSerializer
from numpy.typing import NDArray

from harken.domain.declarations import micros
from harken.domain.exploration import Floats, Order, Variety
from harken.domain.feeds import Condition, Feed, FeedRanking, FeedSource, Signal, Weights
from harken.domain.slates import CURSOR_LIFETIME, Cursor, Key
from harken.errors import MOST_QUOTED, CursorExpired, InvalidInput, Problem, shortened
from harken.services.index.index import Index, Mask, Rows
from harken.services.index.ordering import (
    Reader,
    best,
    best_by,
    lasts,
    leading,
    less,
    scores,
    select,
)
from harken.services.index.view import computed_scores

FROZEN = 1_000
NOTHING: Rows = np.zeros(0, np.int64)
# What a chronological feed shows as its score, which it does not need for its order.
BY_TIME: Weights = {Signal.RECENCY: 1.0}


Selection = tuple[tuple[FeedSource, ...], tuple[Condition, ...]]


class Page(NamedTuple):
    """The rows of a page, and where the next one begins."""

    rows: Rows
    total: int
    has_more: bool
    ordered: int
    after: Key | None
    propensities: Floats | None


def goes_by_time(ranking: FeedRanking, variety: Variety) -> bool:
    """Tell whether pages need no order that is kept: a place in time says where they go on."""
    return ranking.is_chronological and not variety.is_capped


def freeze(
    index: Index, ranking: FeedRanking, reader: Reader, feed: Feed, cursor: Cursor,
    hidden: Mask | None,
) -> tuple[Rows, Floats]:  # fmt: skip
    """Return the numbers of a feed's first K-Blocks, the best first, and their scores.

    Scores are 0 where nothing is drawn by them.
    """
    selection, mask = selected(index, feed, cursor)
    if ranking.score is not None:
        rows = best_by(index, ranking.score, less(mask, hidden), FROZEN)
        return np.asarray(index.number[rows]), computed_scores(index, ranking.score)[rows]
    if ranking.is_chronological:
        rows = index.newest(less(mask, hidden), FROZEN)
    elif all(map(lasts, selection[1])):
        rows = leading(index, selection, mask, hidden, cursor.weights, reader, FROZEN)
    else:
        rows = best(index, cursor.weights, reader, less(mask, hidden), FROZEN)
    weights = cursor.weights if cursor.variety.is_sampled else {}
    return np.asarray(index.number[rows]), scores(index, weights, reader, rows)


def in_feed(index: Index, feed: Feed, cursor: Cursor, hidden: Mask | None) -> Mask:
    """Tell which rows are in a feed as it was when its first page was served."""
    return less(selected(index, feed, cursor)[1], hidden)


def selected(index: Index, feed: Feed, cursor: Cursor) -> tuple[Selection, Mask]:
    """Return what a feed selects by, and the rows of its first page's revision that are in it."""
    selection = feed.sources, feed.conditions(cursor.max_loss)
    return selection, select(index, *selection, cursor.revision, micros(cursor.started_at))


def take(
    index: Index, mask: Mask, order: Order, hidden: Mask | None,
    cursor: Cursor, limit: int, skip: int = 0,
) -> Page:  # fmt: skip
    """Take the page that a cursor stands before; `skip` leaves out that many items first."""
    wanted = skip + limit + 1
    places, rows = _in_order(index, order.numbers, hidden, cursor.ordered)
    places, rows = places[:wanted], rows[:wanted]
    if len(rows) < wanted:
        tail = _without(index, mask, order.numbers)
        rows = np.concatenate([rows, index.newest(tail, wanted - len(rows), cursor.after)])
    shown = rows[skip : skip + limit]
    taken = min(len(places), skip + limit)
    ordered = int(places[taken - 1]) + 1 if taken else cursor.ordered
    from_tail = len(shown) and skip + len(shown) > len(places)
    return Page(
        shown,
        int(np.count_nonzero(mask)),
        len(rows) == wanted,
        ordered if not from_tail else len(order.numbers),
        index.key(int(shown[-1])) if from_tail else cursor.after,
        _propensities(order, places[skip : skip + limit], len(shown)),
    )


def _propensities(order: Order, places: Rows, count: int) -> Floats | None:
    """Return those of the items on a page; what goes on by time is certain."""
    if order.propensities is None:
        return None
    found = np.ones(count)
    found[: len(places)] = order.propensities[places]
    return found


def _in_order(
    index: Index, order: NDArray[np.int64], hidden: Mask | None, first: int
) -> tuple[Rows, Rows]:
    """Return what is still there of a frozen order: places in it, and the rows that are there."""
    numbers = order[first:]
    rows = index.present(numbers)
    there = np.flatnonzero(less(rows >= 0, None if hidden is None else hidden[rows]))
    return first + there, rows[there]


def _without(index: Index, mask: Mask, numbers: NDArray[np.int64]) -> Mask:
    """Return a mask less the rows of some K-Blocks."""
    if not len(numbers):
        return mask
    rest = mask.copy()
    rest[index.versions(numbers)] = False
    return rest


class CursorCodec:
    """Writes cursors that only holders of the key can make."""

    def __init__(self, secret: str) -> None:
        self._serializer = URLSafeSerializer(
            secret, salt="harken.feed.cursor.3", signer_kwargs={"digest_method": hashlib.sha256}
        )

    def encode(self, cursor: Cursor) -> str:
        """Write a cursor as text for a URL."""
        values = [
            cursor.request_id, cursor.started_at.timestamp(), cursor.feed, cursor.base_feed,
            cursor.user_id, cursor.ranking, dict(cursor.weights), cursor.half_life, cursor.max_loss,
            cursor.revision, cursor.position, cursor.ordered, cursor.after, cursor.variety,
        ]  # fmt: skip
        return str(self._serializer.dumps(values))

    def decode(self, text: str, now: datetime) -> Cursor:
        """Read a cursor; raises InvalidInput where it was not made here, or CursorExpired."""
        try:
            values: list[Any] = self._serializer.loads(text)
        except BadData:
            raise InvalidInput(
                Problem("cursor", "was not made by this service, or was changed; start again")
            ) from None
        (
            request_id, started_at, feed, base_feed, user_id, ranking, weights, half_life, max_loss,
            revision, position, ordered, after, variety,
        ) = values  # fmt: skip
        cursor = Cursor(
            request_id=request_id,
            started_at=datetime.fromtimestamp(started_at, UTC),
            feed=feed,
            base_feed=base_feed,
            user_id=user_id,
            ranking=ranking,
            weights={Signal(name): weight for name, weight in weights.items()},
            half_life=half_life,
            max_loss=max_loss,
            revision=revision,
            position=position,
            ordered=ordered,
            after=None if after is None else Key(*after),
            variety=Variety(*variety),
        )
        if now - cursor.started_at > CURSOR_LIFETIME:
            raise CursorExpired
        return cursor


def check_same(settled: object, given: dict[str, Any]) -> None:
    """Raise InvalidInput where a request says something else than its cursor was made for."""
    problems = [
        Problem(
            name,
            f"is {shortened(repr(_plain(value)), MOST_QUOTED)}, which is not what the cursor is "
            "for; start again without it",
        )
        for name, value in given.items()
        if value is not None and value != getattr(settled, name)
    ]
    if problems:
        raise InvalidInput(*problems)


def _plain(value: object) -> object:
    return {str(name): each for name, each in value.items()} if isinstance(value, dict) else value

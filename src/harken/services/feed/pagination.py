"""The pages of a feed, which stay consistent while K-Blocks change.

    first page   ranks the K-Blocks of the present revision; the first 1,000 of an order by scores,
                 or with caps, are kept
    later pages  continue in that order, then newest first among the K-Blocks of that revision

A K-Block that is changed meanwhile keeps its position; one that is added is not shown; one that is
deleted, or dismissed by the reader, is skipped. So no K-Block is shown twice, and none is missed.
"""

import hashlib
import hmac
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

import numpy as np
from itsdangerous import BadData, URLSafeSerializer
from itsdangerous.encoding import base64_encode
from numpy.typing import NDArray
from pydantic_core import to_json

from harken.domain.exploration import Floats, Order, Variety
from harken.domain.feeds import Condition, Feed, FeedRanking, FeedSource, Signal, Weights
from harken.domain.slates import CURSOR_LIFETIME, Cursor, Key, Trial
from harken.domain.times import micros
from harken.errors import MOST_QUOTED, CursorExpired, InvalidInput, Problem, shortened
from harken.services.experiments.promotion.pair_swaps import pair_propensities
from harken.services.index.index import Index, Mask, Rows
from harken.services.index.ordering import (
    Reader,
    best,
    best_by,
    leading,
    less,
    scores,
)
from harken.services.index.selection import is_cacheable, latest_of_sources, select
from harken.services.index.view import computed_scores

FROZEN = 1_000
NOTHING: Rows = np.zeros(0, np.int64)
# The weights of the score that a chronological feed shows; its order does not need it.
BY_TIME: Weights = {Signal.RECENCY: 1.0}


Selection = tuple[tuple[FeedSource, ...], tuple[Condition, ...]]


class Page(NamedTuple):
    """The rows of a page, and the position where the next one begins.

    ordered: how many items of the kept order are used up.
    after: the last item of the chronological rest; None before it.
    propensities: 1 in the chronological rest; None if chance had no part in the order.
    places: the index of each row in the kept order, of the first rows; the others are of the rest.
    """

    rows: Rows
    total: int
    has_more: bool
    ordered: int
    after: Key | None
    propensities: Floats | None
    places: Rows


class Reached(Protocol):
    """How far an order was read: the members of `Cursor` of the same names."""

    @property
    def ordered(self) -> int:
        """The number of items of the kept order that were read."""

    @property
    def after(self) -> Key | None:
        """The last item of the chronological rest; None before it."""


def goes_by_time(ranking: FeedRanking, variety: Variety) -> bool:
    """Tell whether pages need no kept order, since a time and a number tell where to continue."""
    return ranking.is_chronological and not variety.is_capped


def freeze(
    index: Index, ranking: FeedRanking, reader: Reader, feed: Feed, cursor: Cursor,
    hidden: Mask | None, *, with_scores: bool = False,
) -> tuple[Rows, Floats]:  # fmt: skip
    """Return the numbers of a feed's first 1,000 K-Blocks, best first, and their scores.

    With a cap on sources, up to 1,000 more follow: the latest of each source.

    Without `with_scores`, they are 0 if the order is not sampled, except with a score function.
    """
    selection, mask = selected(index, feed, cursor)

    def first(visible: Mask) -> Rows:
        if ranking.score is not None:
            return best_by(index, ranking.score, visible, FROZEN)
        if ranking.is_chronological:
            return index.newest(visible, FROZEN)
        return best(index, cursor.weights, reader, visible, FROZEN)

    by_signals = ranking.score is None and not ranking.is_chronological
    if by_signals and all(map(is_cacheable, selection[1])):
        rows = leading(index, selection, mask, hidden, cursor.weights, reader, FROZEN)
    else:
        rows = first(less(mask, hidden))
    if (most := cursor.variety.most_per_source) is not None and len(rows) == FROZEN:
        # What a loud source leaves no place for among the first 1,000 follows them.
        others = np.zeros(len(index), np.bool_)
        others[latest_of_sources(index, less(mask, hidden), most)] = True
        others[rows] = False
        rows = np.concatenate([rows, first(others)])
    if ranking.score is not None:
        return np.asarray(index.number[rows]), computed_scores(index, ranking.score)[rows]
    weights = cursor.weights if with_scores or cursor.variety.is_sampled else {}
    return np.asarray(index.number[rows]), scores(index, weights, reader, rows)


def in_feed(index: Index, feed: Feed, cursor: Cursor, hidden: Mask | None) -> Mask:
    """Return the mask of the rows in a feed as of its first page, without hidden rows."""
    return less(selected(index, feed, cursor)[1], hidden)


def selected(index: Index, feed: Feed, cursor: Cursor) -> tuple[Selection, Mask]:
    """Return a feed's selection, and the mask of its rows in the revision of the first page."""
    selection = feed.sources, feed.conditions(cursor.max_loss)
    return selection, select(index, *selection, cursor.revision, micros(cursor.started_at))


def take(
    index: Index, mask: Mask, order: Order, hidden: Mask | None,
    cursor: Reached, limit: int, skip: int = 0,
) -> Page:  # fmt: skip
    """Return the page that begins at a cursor; `skip` items are left out before it."""
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
        _propensities(order, places, slice(skip, skip + limit), len(shown)),
        places[skip : skip + limit],
    )


def _propensities(order: Order, places: Rows, page: slice, count: int) -> Floats | None:
    """Return propensities of a page's items, 1 in the chronological rest; None if certain.

    `places` are those of the order from the last page on, with one after this page.
    """
    if order.pairs is not None:
        odds = pair_propensities(order.pairs, places)[page]
    elif order.propensities is not None:
        odds = order.propensities[places[page]]
    else:
        return None
    found = np.ones(count)
    found[: len(odds)] = odds
    return found


def _in_order(
    index: Index, order: NDArray[np.int64], hidden: Mask | None, first: int
) -> tuple[Rows, Rows]:
    """Return the rest of a kept order without hidden and deleted items: indices in it, and rows."""
    numbers = order[first:]
    if not len(numbers):
        return NOTHING, NOTHING
    rows = index.present(numbers)
    there = np.flatnonzero(less(rows >= 0, None if hidden is None else hidden[rows]))
    return first + there, rows[there]


def _without(index: Index, mask: Mask, numbers: NDArray[np.int64]) -> Mask:
    """Return a mask without the rows of some K-Blocks."""
    if not len(numbers):
        return mask
    rest = mask.copy()
    rest[index.versions(numbers)] = False
    return rest


class CursorCodec:
    """Writes and reads cursors, which are signed with a secret."""

    def __init__(self, secret: str) -> None:
        self._serializer = URLSafeSerializer(
            secret, salt="harken.feed.cursor.3", signer_kwargs={"digest_method": hashlib.sha256}
        )
        self._key = self._serializer.make_signer(self._serializer.salt).derive_key()

    def encode(self, cursor: Cursor) -> str:
        """Write a cursor as text for a URL.

        It is what the serializer reads. The serializer itself would derive the key anew and
        compress each cursor, which takes a tenth of the time of a page.
        """
        values = [
            cursor.request_id, cursor.started_at.timestamp(), cursor.feed, cursor.base_feed,
            cursor.user_id, cursor.ranking, dict(cursor.weights), cursor.half_life, cursor.max_loss,
            cursor.revision, cursor.position, cursor.ordered, cursor.after, cursor.variety,
            *([] if cursor.trial is None else [cursor.trial]),
        ]  # fmt: skip
        payload = base64_encode(to_json(values))
        signature = base64_encode(hmac.digest(self._key, payload, hashlib.sha256))
        return (payload + b"." + signature).decode()

    def decode(self, text: str, now: datetime) -> Cursor:
        """Read a cursor. Raises InvalidInput if its signature is wrong, or CursorExpired."""
        try:
            values: list[Any] = self._serializer.loads(text)
        except BadData:
            raise InvalidInput(
                Problem("cursor", "was not made by this service, or was changed; start again")
            ) from None
        (
            request_id, started_at, feed, base_feed, user_id, ranking, weights, half_life, max_loss,
            revision, position, ordered, after, variety, *trial,
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
            trial=Trial(*trial[0]) if trial else None,
        )
        if now - cursor.started_at > CURSOR_LIFETIME:
            raise CursorExpired
        return cursor


def check_same(settled: object, given: dict[str, Any]) -> None:
    """Raise InvalidInput for parameters of a request that differ from those of its cursor."""
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

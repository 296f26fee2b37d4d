"""The feed: from a request to a page that is in the ledger.

request ──▶ cursor      what the first page settled, and how far it was read
        ──▶ context     what the reader declared and hides
        ──▶ index       the candidates, brought up to date
        ──▶ page        select, order, take
        ──▶ texts       of the items on the page
        ──▶ slate       committed
        ──▶ FeedPage
"""

import asyncio
import dataclasses
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from uuid_utils import uuid7

from harken.database import Database
from harken.domain.declarations import declaration
from harken.domain.exploration import Order, Variety
from harken.domain.feedback import GUEST
from harken.domain.feeds import (
    DEFAULT_WEIGHTS,
    Feed,
    FeedRanking,
    Source,
    Weights,
    find_ranking,
    weights_of,
)
from harken.domain.fields import check_identifier
from harken.domain.slates import CURSOR_LIFETIME, Contribution, Cursor, FeedPage, Item, Slate
from harken.errors import CursorExpired, HarkenError, InvalidInput, Problem
from harken.services.feed import paging
from harken.services.feed.candidates import Ranked, order_candidates
from harken.services.feed.catalogue import Catalogue
from harken.services.feed.declarations import Feeds
from harken.services.feed.diversity import arrange, settle
from harken.services.feed.hiding import hidden_rows
from harken.services.feed.index import Index
from harken.services.feed.persistence import FeedFeedbackPersistence
from harken.services.feed.ranking import Reader, explain, explain_by
from harken.services.feed.readers import Context, ReaderStore
from harken.services.feed.slates import SlateLedger
from harken.services.kblocks.store import KBlockStore

log = logging.getLogger(__name__)

MOST_ITEMS = 100
MOST_CANDIDATES = 1_000
SLATE_RETENTION = timedelta(days=30)
TIDYING_INTERVAL = timedelta(minutes=5)


@dataclass(frozen=True)
class FeedRequest:
    """What is asked of a feed; with a cursor, what is None is what the first page had."""

    feed: str
    user_id: str | None = None
    ranking: str | None = None
    weights: Mapping[str, float] | None = None
    max_loss: float | None = None
    offset: int = 0
    limit: int = 20
    cursor: str | None = None
    explain: bool = False
    temperature: float | None = None
    seed: int | None = None
    most_per_author: int | None = None
    most_per_tag: int | None = None


@dataclass(frozen=True)
class _Asked:
    """A request that was understood: the order it wants, from where on, for whom."""

    request: FeedRequest
    feed: Feed
    ranking: FeedRanking
    cursor: Cursor
    context: Context
    reader: Reader


class FeedService:
    """Serves feeds from one database; belongs to the event loop that first used it."""

    def __init__(
        self,
        session_factory: async_sessionmaker[AsyncSession],
        *,
        schema: str | None = None,
        record: FeedFeedbackPersistence | None = None,
        kblocks: KBlockStore | None = None,
        weights: Weights = DEFAULT_WEIGHTS,
        feeds: Iterable[Feed] = (),
        slate_retention: timedelta = SLATE_RETENTION,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Use somebody's session factory; `schema` as in `FeedFeedbackPersistence`.

        `record` and `kblocks` are those of the same process, so that what they write is seen by
        the next request. `weights` are those of `ranking=weighted`, `feeds` are as for `register`.
        """
        database = Database(session_factory, schema)
        self.record = record or FeedFeedbackPersistence(session_factory, schema=schema)
        self.kblocks = kblocks or KBlockStore(session_factory, schema=schema)
        self.readers = ReaderStore(database)
        self.ledger = SlateLedger(database)
        self.feeds = Feeds(database)
        self.catalogue = Catalogue(database, self.record, self.kblocks, clock)
        self.weights = weights
        self._retention = slate_retention
        self._clock = clock
        self._codec: paging.CursorCodec | None = None
        self._tidied_at = clock()
        self._tidying: asyncio.Task[None] | None = None
        for feed in feeds:
            self.register(feed)

    def register(self, feed: Feed) -> None:
        """Serve a feed of this program's own; raises InvalidInput where its name is taken.

        Cursors are carried on by every process that registered it.
        """
        self.feeds.register(feed)

    async def close(self) -> None:
        """Commit what waits, and take no more events."""
        if self._tidying is not None:
            await asyncio.wait([self._tidying])
        await self.record.close()

    async def page(self, request: FeedRequest) -> FeedPage:
        """Return a page of a feed, after its slate is committed.

        Raises InvalidInput, CursorExpired or DatabaseUnavailable.
        """
        _check(request)
        codec = await self._cursors()
        asked = await self._ask(request, codec)
        order = await self._order(asked)
        index = await self.catalogue.fresh(asked.cursor.revision)
        if request.cursor is None:
            began = dataclasses.replace(asked.cursor, revision=index.revision)
            asked = dataclasses.replace(asked, cursor=began)
            order = await self._begin(asked, index)
        page = _take(asked, index, order)
        items = await self._items(asked, index, page)
        request_id = asked.cursor.request_id if request.cursor is None else str(uuid7())
        keep = order if page.has_more and request.cursor is None and len(order.numbers) else None
        await self.ledger.enter(_slate(asked, request_id, items), keep)
        self._tidy_sometimes()
        after = dataclasses.replace(
            asked.cursor,
            position=asked.cursor.position + len(page.rows),
            ordered=page.ordered,
            after=page.after,
        )
        return FeedPage(
            items=items,
            total=page.total,
            has_more=page.has_more,
            offset=asked.cursor.position,
            limit=request.limit,
            next_cursor=codec.encode(after) if page.has_more else None,
            request_id=request_id,
        )

    async def _cursors(self) -> paging.CursorCodec:
        if self._codec is None:
            self._codec = paging.CursorCodec(await self.ledger.secret("cursor"))
        return self._codec

    async def _ask(self, request: FeedRequest, codec: paging.CursorCodec) -> _Asked:
        now = self._clock()
        if request.cursor is None:
            feed, user_id = await self.feeds.find(request.feed), request.user_id or GUEST
            context = await self.readers.context(user_id)
            ranking = _ranking(feed, request.ranking)
            preferred = context.weights if feed.weights is None else feed.weights
            feed.conditions(request.max_loss)
            cursor = Cursor(
                request_id=str(uuid7()), started_at=now, feed=feed.name,
                user_id=user_id, ranking=ranking.name,
                weights=self._weights(ranking, request.weights, preferred),
                max_loss=request.max_loss,
                revision=0, position=request.offset, ordered=0, after=None,
                variety=settle(_wanted(request), ranking, request.limit),
            )  # fmt: skip
        else:
            cursor = codec.decode(request.cursor, now)
            settled = ("feed", "user_id", "ranking", "max_loss")
            paging.check_same(cursor, {name: getattr(request, name) for name in settled})
            paging.check_same(cursor.variety, {each: getattr(request, each) for each in _VARIETY})
            feed = await self._continued(cursor)
            ranking = _ranking(feed, cursor.ranking)
            if request.weights is not None:
                given = self._weights(ranking, request.weights)
                paging.check_same(cursor, {"weights": given})
            context = await self.readers.context(cursor.user_id)
        reader = Reader(context.principles, _micros(now))
        return _Asked(request, feed, ranking, cursor, context, reader)

    async def _continued(self, cursor: Cursor) -> Feed:
        """Return the feed that a cursor leads on in, as it was at the first page."""
        if (feed := self.feeds.known(cursor.feed)) is not None:
            return feed
        return self.feeds.kept(cursor.feed, await self.ledger.settings(cursor.request_id))

    def _weights(
        self,
        ranking: FeedRanking,
        given: Mapping[str, float] | None,
        preferred: Mapping[str, float] = MappingProxyType({}),
    ) -> Weights:
        if ranking.weights is None:
            return weights_of(preferred if given is None else given, self.weights)
        if given is not None:
            raise InvalidInput(Problem("weights", "go with ranking=weighted only"))
        return ranking.weights

    async def _order(self, asked: _Asked) -> Order:
        """Return the order that the first page left behind for this one."""
        cursor = asked.cursor
        if asked.request.cursor is None or paging.goes_by_time(asked.ranking, cursor.variety):
            return Order(paging.NOTHING)
        kept = await self.ledger.order(cursor.request_id, is_sampled=cursor.variety.is_sampled)
        if kept is None:
            raise CursorExpired
        return kept

    async def _begin(self, asked: _Asked, index: Index) -> Order:
        """Settle the order that this page and those after it follow.

        Where labels have to be read, the index may go on meanwhile; so the page is taken from this
        order as later ones are.
        """
        cursor, feed = asked.cursor, asked.feed
        if paging.goes_by_time(asked.ranking, cursor.variety):
            return Order(paging.NOTHING)
        hidden = hidden_rows(index, asked.context.hidden, asked.context.muted)
        numbers, scored = paging.freeze(index, asked.ranking, asked.reader, feed, cursor, hidden)
        capped = cursor.variety.is_capped
        labels = await self.ledger.labels(numbers.tolist()) if capped else {}
        return arrange(numbers, scored, cursor.variety, labels, asked.request.offset)

    async def _items(self, asked: _Asked, index: Index, page: paging.Page) -> list[Item]:
        in_conflict = any(source.kind is Source.CONFLICTS for source in asked.feed.sources)
        numbers = index.number[page.rows].tolist()
        explained = _explain(asked, index, page)
        attention = index.attention[page.rows].tolist()
        certain = [None] * len(numbers)
        likely = certain if page.propensities is None else page.propensities.tolist()
        texts = await self.ledger.texts(numbers, with_conflicts=in_conflict) if numbers else {}
        items: list[Item] = []
        found = zip(numbers, explained, attention, likely, strict=True)
        for number, signals, attention_score, propensity in found:
            if number in texts:  # else it was deleted a moment ago
                items.append(
                    Item(
                        **texts[number],
                        attention_score=attention_score,
                        score=sum(each.contribution for each in signals.values()),
                        position=asked.cursor.position + len(items),
                        explanation=signals if asked.request.explain else None,
                        propensity=propensity,
                    )
                )
        return items

    async def rank(
        self,
        kblock_ids: Sequence[str],
        user_id: str = GUEST,
        ranking: str = "weighted",
        weights: Mapping[str, float] | None = None,
        temperature: float = 0.0,
        seed: int | None = None,
    ) -> Ranked:
        """Rank up to 1,000 candidates that the caller brings, after their slate is committed.

        One that is no K-Block here is ranked by what readers did with it. Those that the reader
        dismissed are left out. Ties stay in the caller's order, if nothing tells them apart.
        Raises InvalidInput or DatabaseUnavailable.
        """
        if not 1 <= len(kblock_ids) <= MOST_CANDIDATES:
            raise InvalidInput(Problem("kblock_ids", f"must be 1 to {MOST_CANDIDATES} ids"))
        check_identifier("user_id", user_id)
        for kblock_id in kblock_ids:
            check_identifier("kblock_ids", kblock_id)
        order, now = find_ranking(ranking), self._clock()
        variety = settle(Variety(temperature, seed), order)
        ids = list(dict.fromkeys(kblock_ids))
        context = await self.readers.context(user_id)
        wanted = self._weights(order, weights, context.weights)
        found = await self.catalogue.candidates(ids, user_id)
        ranked = order_candidates(
            ids, found, context, order, wanted, variety, _micros(now), str(uuid7())
        )
        slate = Slate(
            request_id=ranked.request_id, first_request_id=ranked.request_id, user_id=user_id,
            feed="rank", ranking=order.name, revision=0, position=0, items=ranked.kblock_ids,
            settings={"weights": dict(wanted)} | variety.settings(),
            propensities=ranked.propensities,
        )  # fmt: skip
        await self.ledger.enter(slate)
        return ranked

    def _tidy_sometimes(self) -> None:
        if self._clock() - self._tidied_at > TIDYING_INTERVAL:
            self._tidied_at = self._clock()
            self._tidying = asyncio.create_task(self._tidy(), name="harken-tidy")

    async def _tidy(self) -> None:
        now = self._clock()
        try:
            await self.ledger.forget(now - self._retention, now - CURSOR_LIFETIME)
            await self.kblocks.forget_versions(now - CURSOR_LIFETIME)
        except HarkenError as error:
            log.warning("old slates stay a while longer: %s", error)


def _check(request: FeedRequest) -> None:
    if request.user_id is not None:
        check_identifier("user_id", request.user_id)
    if not 1 <= request.limit <= MOST_ITEMS:
        raise InvalidInput(Problem("limit", f"must be from 1 to {MOST_ITEMS}"))
    if not 0 <= request.offset < 2**31:
        raise InvalidInput(Problem("offset", "must be 0 or more"))
    if request.cursor is not None and request.offset:
        raise InvalidInput(Problem("offset", "goes without a cursor, which says where to go on"))


_VARIETY = ("temperature", "seed", "most_per_author", "most_per_tag")


def _wanted(request: FeedRequest) -> Variety:
    given = {each: getattr(request, each) for each in _VARIETY}
    return Variety(**{name: value for name, value in given.items() if value is not None})


def _ranking(feed: Feed, name: str | None) -> FeedRanking:
    return feed.ranking if name in {None, feed.ranking.name} else find_ranking(str(name))


def _explain(asked: _Asked, index: Index, page: paging.Page) -> list[dict[str, Contribution]]:
    if asked.ranking.score is not None:
        return explain_by(index, asked.ranking.score, page.rows)
    return explain(index, asked.cursor.weights or paging.BY_TIME, asked.reader, page.rows)


def _take(asked: _Asked, index: Index, order: Order) -> paging.Page:
    """Take the page; awaits nothing, so that the index stays the same meanwhile."""
    request, cursor = asked.request, asked.cursor
    hidden = hidden_rows(index, asked.context.hidden, asked.context.muted)
    mask = paging.in_feed(index, asked.feed, cursor, hidden)
    skip = request.offset if request.cursor is None else 0
    return paging.take(index, mask, order, hidden, cursor, request.limit, skip)


def _slate(asked: _Asked, request_id: str, items: list[Item]) -> Slate:
    cursor = asked.cursor
    settings: dict[str, Any] = {"weights": dict(cursor.weights)} | cursor.variety.settings()
    propensities = [item.propensity for item in items if item.propensity is not None]
    if cursor.max_loss is not None:
        settings["max_loss"] = cursor.max_loss
    if asked.feed.stored and asked.request.cursor is None:
        # It may be another one by the next page, which goes on with this one.
        settings["declaration"] = declaration(asked.feed)
    return Slate(
        request_id=request_id,
        first_request_id=cursor.request_id,
        user_id=cursor.user_id,
        feed=cursor.feed,
        ranking=cursor.ranking,
        settings=settings,
        revision=cursor.revision,
        position=cursor.position,
        items=[item.id for item in items],
        propensities=propensities if cursor.variety.is_sampled else None,
    )


def _micros(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000)

"""Feed requests, and their resolution to a feed, a ranking, a cursor and a reader."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType, SimpleNamespace
from typing import Any

from uuid_utils import uuid7

from harken.domain.decay import place_of
from harken.domain.declarations import declaration, micros
from harken.domain.durations import parse_duration, write_duration
from harken.domain.exploration import Variety
from harken.domain.feedback import GUEST
from harken.domain.feeds import (
    COSMOS,
    PERSONAL_FEED,
    Feed,
    FeedRanking,
    Weights,
    find_ranking,
    weights_of,
)
from harken.domain.fields import check_identifier
from harken.domain.slates import Cursor, Item, Slate
from harken.errors import InvalidInput, OtherReaderCursor, Problem, UnknownFeed
from harken.services.feed.caches.catalogue import Catalogue
from harken.services.feed.declarations import Feeds
from harken.services.feed.pagination import CursorCodec, check_same
from harken.services.index.diversity import settle
from harken.services.index.ordering import Reader
from harken.services.personal.ordering import PersonalScorer
from harken.services.record.readers import ReaderContext, ReaderStore
from harken.services.record.slates import SlateLedger

MOST_ITEMS = 100


@dataclass(frozen=True)
class FeedRequest:
    """The parameters of a request; with a cursor, None stands for that of the first page."""

    feed: str
    user_id: str | None = None
    ranking: str | None = None
    weights: Mapping[str, float] | None = None
    half_life: str | None = None
    base_feed: str | None = None
    max_loss: float | None = None
    offset: int = 0
    limit: int = 20
    cursor: str | None = None
    explain: bool = False
    temperature: float | None = None
    seed: int | None = None
    most_per_author: int | None = None
    most_per_tag: int | None = None
    explore: str | None = None


@dataclass(frozen=True)
class ResolvedRequest:
    """A request with its feed, ranking, cursor, and the reader's context."""

    request: FeedRequest
    feed: Feed
    ranking: FeedRanking
    cursor: Cursor
    context: ReaderContext
    reader: Reader


class RequestResolver:
    """Resolves requests."""

    def __init__(
        self,
        feeds: Feeds,
        readers: ReaderStore,
        ledger: SlateLedger,
        catalogue: Catalogue,
        weights: Weights,
        clock: Callable[[], datetime],
    ) -> None:
        self._feeds = feeds
        self._readers = readers
        self._ledger = ledger
        self._catalogue = catalogue
        self._weights = weights
        self._clock = clock

    async def resolve(self, request: FeedRequest, codec: CursorCodec) -> ResolvedRequest:
        """Resolve a request.

        Raises InvalidInput, CursorExpired, UnknownFeed or DatabaseUnavailable.
        """
        _check(request)
        if request.cursor is None:
            return await self._begin(request)
        return await self._go_on(request, codec.decode(request.cursor, self._clock()))

    async def _begin(self, request: FeedRequest) -> ResolvedRequest:
        now, user_id = self._clock(), request.user_id or GUEST
        feed = await self._feed(request.feed, request.base_feed)
        feed.conditions(request.max_loss)
        context = await self._readers.context(user_id)
        ranking = _ranking(feed, request.ranking)
        preferred = context.weights if feed.weights is None else feed.weights
        half_life = await self.half_life(ranking, request.half_life)
        cursor = Cursor(
            request_id=str(uuid7()), started_at=now, feed=feed.name, base_feed=request.base_feed,
            user_id=user_id, ranking=ranking.name,
            weights=self.weights(ranking, request.weights, preferred),
            half_life=None if half_life is None else half_life.total_seconds(),
            max_loss=request.max_loss,
            revision=0, position=request.offset, ordered=0, after=None,
            variety=settle(_wanted(request), ranking, request.limit),
        )  # fmt: skip
        return self._resolved(request, feed, ranking, cursor, context)

    async def _go_on(self, request: FeedRequest, cursor: Cursor) -> ResolvedRequest:
        settled = ("feed", "user_id", "ranking", "max_loss")
        given: dict[str, Any] = {name: getattr(request, name) for name in settled}
        try:
            check_same(cursor, given)
        except InvalidInput as error:
            if request.user_id in {None, cursor.user_id}:
                raise
            raise OtherReaderCursor(*error.problems) from None
        given = {"base_feed": request.base_feed, "half_life": _half_life(request)}
        check_same(_as_requested(cursor), given)
        check_same(cursor.variety, {name: getattr(request, name) for name in _VARIETY})
        feed = await self._continued(cursor)
        ranking = _ranking(feed, cursor.ranking)
        if request.weights is not None:
            check_same(cursor, {"weights": self.weights(ranking, request.weights)})
        context = await self._readers.context(cursor.user_id)
        return self._resolved(request, feed, ranking, cursor, context)

    def _resolved(
        self, request: FeedRequest, feed: Feed, ranking: FeedRanking, cursor: Cursor,
        context: ReaderContext,
    ) -> ResolvedRequest:  # fmt: skip
        half_life = None if cursor.half_life is None else timedelta(seconds=cursor.half_life)
        reader = Reader(context.principles, micros(self._clock()), half_life)
        return ResolvedRequest(request, feed, ranking, cursor, context, reader)

    async def _feed(self, name: str, base: str | None) -> Feed:
        feed = await self._feeds.find(name)
        if name != PERSONAL_FEED.name:
            if base is not None:
                raise InvalidInput(Problem("base_feed", f"goes with {PERSONAL_FEED.name} only"))
            return feed
        if base == PERSONAL_FEED.name:
            raise InvalidInput(Problem("base_feed", f"is {base} itself; give another, or none"))
        try:
            return _personal(await self._feeds.find(COSMOS if base is None else base))
        except UnknownFeed as error:
            raise InvalidInput(Problem("base_feed", str(error).removeprefix("feed: "))) from None

    async def _continued(self, cursor: Cursor) -> Feed:
        """Return the feed of a cursor, as it was at the first page."""
        is_personal = cursor.feed == PERSONAL_FEED.name
        name = cursor.base_feed or COSMOS if is_personal else cursor.feed
        feed = self._feeds.known(name)
        if feed is None:
            feed = self._feeds.kept(name, await self._ledger.settings(cursor.request_id))
        return _personal(feed) if is_personal else feed

    async def half_life(
        self, ranking: FeedRanking, given: str | None, kept: Sequence[timedelta] = ()
    ) -> timedelta | None:
        """Return the half-life of a ranking; None for a ranking without decayed counts.

        `kept` are the half-lives that may be given; by default, those of the index. Raises
        InvalidInput or DatabaseUnavailable.
        """
        if not ranking.decays:
            if given is not None:
                raise InvalidInput(Problem("half_life", "goes with ranking=trending only"))
            return None
        kept = kept or (await self._catalogue.fresh()).half_lives
        if given is None:
            return kept[0]
        half_life = parse_duration("half_life", given)
        place_of(half_life, kept)
        return half_life

    def weights(
        self,
        ranking: FeedRanking,
        given: Mapping[str, float] | None,
        preferred: Mapping[str, float] = MappingProxyType({}),
    ) -> Weights:
        """Return the weights of signals: those of a request, else those preferred by its reader.

        Raises InvalidInput for weights in a ranking that takes none.
        """
        if ranking.weights is None:
            return weights_of(preferred if given is None else given, self._weights)
        if given is not None:
            raise InvalidInput(Problem("weights", "go with ranking=weighted only"))
        return ranking.weights


def _personal(base: Feed) -> Feed:
    """Return the personal feed over the K-Blocks of a base feed."""
    personal = PERSONAL_FEED
    return dataclasses.replace(
        base, name=personal.name, description=personal.description, ranking=personal.ranking
    )


def _half_life(request: FeedRequest) -> str | None:
    """Return the half-life of a request in its normal form."""
    if request.half_life is None:
        return None
    return write_duration(parse_duration("half_life", request.half_life))


def _as_requested(cursor: Cursor) -> SimpleNamespace:
    """Return a cursor's half-life and base feed as a request would give them."""
    seconds = cursor.half_life
    half_life = None if seconds is None else write_duration(timedelta(seconds=seconds))
    is_personal = cursor.feed == PERSONAL_FEED.name
    return SimpleNamespace(
        half_life=half_life, base_feed=cursor.base_feed or COSMOS if is_personal else None
    )


def _check(request: FeedRequest) -> None:
    if request.user_id is not None:
        check_identifier("user_id", request.user_id)
    if not 1 <= request.limit <= MOST_ITEMS:
        raise InvalidInput(Problem("limit", f"must be from 1 to {MOST_ITEMS}"))
    if not 0 <= request.offset < 2**31:
        raise InvalidInput(Problem("offset", f"must be from 0 to {2**31 - 1}"))
    if request.cursor is not None and request.offset:
        raise InvalidInput(Problem("offset", "goes without a cursor, which says where to go on"))


_VARIETY = ("temperature", "seed", "most_per_author", "most_per_tag", "explore")


def _wanted(request: FeedRequest) -> Variety:
    given: dict[str, Any] = {name: getattr(request, name) for name in _VARIETY}
    return Variety(**{name: value for name, value in given.items() if value is not None})


def _ranking(feed: Feed, name: str | None) -> FeedRanking:
    return feed.ranking if name in {None, feed.ranking.name} else find_ranking(str(name))


def slate_settings(
    weights: Weights, variety: Variety, half_life: timedelta | None, scorer: PersonalScorer | None
) -> dict[str, Any]:
    """Return the settings that a slate keeps: how its order was made."""
    decaying = {} if half_life is None else {"half_life": write_duration(half_life)}
    made_by = {} if scorer is None else scorer.settings
    return {"weights": dict(weights)} | variety.settings() | decaying | made_by


def slate_of(
    resolved: ResolvedRequest, request_id: str, items: list[Item], scorer: PersonalScorer | None
) -> Slate:
    """Return the slate of a page's items, for the ledger."""
    cursor = resolved.cursor
    settings = slate_settings(cursor.weights, cursor.variety, resolved.reader.half_life, scorer)
    propensities = [item.propensity for item in items if item.propensity is not None]
    if cursor.max_loss is not None:
        settings["max_loss"] = cursor.max_loss
    if cursor.base_feed is not None:
        settings["base_feed"] = cursor.base_feed
    if resolved.feed.stored and resolved.request.cursor is None:
        # The stored feed may change before the next page, which still uses this declaration.
        settings["declaration"] = declaration(resolved.feed)
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

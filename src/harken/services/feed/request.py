"""Feed requests, and their resolution to a feed, a ranking, a cursor and a reader."""

import dataclasses
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType, SimpleNamespace
from typing import Any

from uuid_utils import uuid7

from harken.domain.decay import place_of
from harken.domain.durations import parse_duration, write_duration
from harken.domain.exploration import CAPS, SEED_BITS
from harken.domain.feedback import GUEST
from harken.domain.feeds import (
    COSMOS,
    PERSONAL_FEED,
    READER_FEEDS,
    Feed,
    FeedRanking,
    Signal,
    Weights,
    find_ranking,
    weights_of,
)
from harken.domain.fields import check_identifier
from harken.domain.slates import Cursor, Exposure
from harken.domain.times import micros
from harken.errors import CursorExpired, InvalidInput, OtherReaderCursor, Problem, UnknownFeed
from harken.services.experiments.arms import Arms, Served
from harken.services.experiments.definitions import INTERLEAVED, Arm
from harken.services.experiments.units import Unit
from harken.services.feed.caches.catalogue import Catalogue
from harken.services.feed.declarations import Feeds
from harken.services.feed.pagination import CursorCodec, check_same, goes_by_time
from harken.services.feed.reading.reading import Reading
from harken.services.feed.reading.variety import VARIETY, wanted
from harken.services.index.diversity import settle
from harken.services.index.ordering import Reader
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
    most_per_source: int | None = None
    explore: str | None = None
    session_id: str | None = None
    arm: str | None = None  # of an experiment, for testers: `<experiment>:<arm>`

    @property
    def names_ranking(self) -> bool:
        """Whether it says how the feed is ordered; then it is served as asked."""
        return any(getattr(self, name) is not None for name in _OF_RANKINGS)


@dataclass(frozen=True)
class ResolvedRequest:
    """A request with its feed, ranking, cursor, and the reader's context.

    exposure: what the first page of an experiment exposes its reader to.
    arm: the name of the arm that this is a side of, in an interleaved page.
    sides: the two rankings of an interleaved page; empty for others.
    draft_seed: of the draft between both sides, on the first page.
    made_by: the settings that the first page kept of its scorer, on later pages; the model of an
    arm, on the first page.
    """

    request: FeedRequest
    feed: Feed
    ranking: FeedRanking
    cursor: Cursor
    context: ReaderContext
    reader: Reader
    exposure: Exposure | None = None
    arm: str | None = None
    sides: "tuple[ResolvedRequest, ...]" = ()
    draft_seed: int | None = None
    made_by: Mapping[str, Any] | None = None

    @property
    def rankings(self) -> "tuple[ResolvedRequest, ...]":
        """The rankings of the page: itself, or the two sides."""
        return self.sides or (self,)

    @property
    def is_first(self) -> bool:
        """Whether this is a first page."""
        return self.request.cursor is None

    @property
    def goes_by_time(self) -> bool:
        """Whether the page needs no kept order."""
        return not self.sides and goes_by_time(self.ranking, self.cursor.variety)

    def at(self, revision: int) -> "ResolvedRequest":
        """Return this as of a revision of the K-Blocks, for a first page."""
        cursor = dataclasses.replace(self.cursor, revision=revision)
        sides = tuple(side.at(revision) for side in self.sides)
        return dataclasses.replace(self, cursor=cursor, sides=sides)


class RequestResolver:
    """Resolves requests."""

    def __init__(
        self,
        feeds: Feeds,
        readers: ReaderStore,
        reading: Reading,
        ledger: SlateLedger,
        catalogue: Catalogue,
        weights: Weights,
        clock: Callable[[], datetime],
        arms: Arms | None = None,
    ) -> None:
        """Use these; without `arms` there are no experiments."""
        self.arms = arms
        self._feeds = feeds
        self._readers = readers
        self._reading = reading
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
        user_id = request.user_id or GUEST
        feed = await self._feed(request.feed, request.base_feed, user_id)
        feed.conditions(request.max_loss)
        context = await self._readers.context(user_id)
        served = await self._served(request, user_id, context)
        if served is None:
            return await self._first(request, feed, context)
        return await self._first_in(served, request, feed, context)

    async def _served(
        self, request: FeedRequest, user_id: str, context: ReaderContext
    ) -> Served | None:
        named = [name for name in _OF_RANKINGS if getattr(request, name) is not None]
        if request.arm is not None and named:
            raise InvalidInput(Problem("arm", f"cannot be combined with {named[0]}"))
        if self.arms is None or named:
            return None
        unit = Unit(user_id, request.session_id)
        return await self.arms.serve(request.feed, unit, context, request.arm)

    async def _first(
        self, request: FeedRequest, feed: Feed, context: ReaderContext
    ) -> ResolvedRequest:
        """Resolve a first page whose ranking is that of the request, or else of the feed."""
        ranking = _ranking(feed, request.ranking)
        preferred = context.weights if feed.weights is None else feed.weights
        half_life = await self.half_life(ranking, request.half_life)
        cursor = Cursor(
            request_id=str(uuid7()), started_at=self._clock(), feed=feed.name,
            base_feed=request.base_feed, user_id=request.user_id or GUEST, ranking=ranking.name,
            weights=self.weights(ranking, request.weights, preferred),
            half_life=None if half_life is None else half_life.total_seconds(),
            max_loss=request.max_loss,
            revision=0, position=request.offset, ordered=0, after=None,
            variety=settle(wanted(request, feed, context), ranking, request.limit),
        )  # fmt: skip
        return self._resolved(request, feed, ranking, cursor, context)

    async def _first_in(
        self, served: Served, request: FeedRequest, feed: Feed, context: ReaderContext
    ) -> ResolvedRequest:
        """Resolve a first page by the arms of an experiment, or by another arm if one fails."""
        plain = await self._first(request, feed, context)  # what is wrong here is no arm's fault
        sides = []
        for arm in served.arms:
            try:
                side = await self._first(_applied(request, arm), feed, context)
            except InvalidInput as error:
                if served.trial is None or self.arms is None:  # the other arm fails, too
                    return plain
                others = await self.arms.without(served, arm, str(error))
                return await self._first_in(others, request, feed, context)
            model = None if arm.model is None else {"model": arm.model}
            sides.append(dataclasses.replace(side, arm=arm.name, made_by=model))
        whole = sides[0] if len(sides) == 1 else plain
        if len(sides) == 2:
            whole = _interleaved(whole, tuple(sides))
            whole = dataclasses.replace(whole, draft_seed=secrets.randbits(SEED_BITS))
        cursor = dataclasses.replace(whole.cursor, trial=served.trial)
        return dataclasses.replace(whole, cursor=cursor, exposure=served.exposure)

    async def check_arm(self, feed: str, arm: Arm) -> None:
        """Check that a feed can be ordered by an arm. Raises InvalidInput or DatabaseUnavailable.

        The check is made by what serves first pages.
        """
        request = _applied(FeedRequest(feed), arm)
        await self._first(request, await self._feed(feed, None), ReaderContext())

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
        check_same(cursor.variety, {name: getattr(request, name) for name in VARIETY})
        feed = await self._continued(cursor)
        if cursor.trial is not None and cursor.trial.is_interleaved:
            return await self._go_on_in_sides(request, feed, cursor)
        ranking = _ranking(feed, cursor.ranking)
        if request.weights is not None:
            check_same(cursor, {"weights": self.weights(ranking, request.weights)})
        context = await self._readers.context(cursor.user_id)
        return self._resolved(request, feed, ranking, cursor, context)

    async def _go_on_in_sides(
        self, request: FeedRequest, feed: Feed, cursor: Cursor
    ) -> ResolvedRequest:
        """Resolve a later page of an interleaving, whose first slate has both sides."""
        settings = await self._ledger.settings(cursor.request_id)
        if settings is None:
            raise CursorExpired
        context = await self._readers.context(cursor.user_id)
        sides = []
        for kept in settings["sides"]:
            weights = {Signal(name): weight for name, weight in kept["weights"].items()}
            of = dataclasses.replace(
                cursor, ranking=kept["ranking"], weights=weights, half_life=kept["half_life"]
            )
            side = self._resolved(request, feed, _ranking(feed, of.ranking), of, context)
            sides.append(dataclasses.replace(side, arm=kept["arm"], made_by=kept))
        whole = self._resolved(request, feed, feed.ranking, cursor, context)
        return _interleaved(whole, tuple(sides))

    def _resolved(
        self, request: FeedRequest, feed: Feed, ranking: FeedRanking, cursor: Cursor,
        context: ReaderContext,
    ) -> ResolvedRequest:  # fmt: skip
        if feed.name in READER_FEEDS:
            context = context.by_hand()
        half_life = None if cursor.half_life is None else timedelta(seconds=cursor.half_life)
        reader = Reader(context.principles, micros(self._clock()), half_life)
        return ResolvedRequest(request, feed, ranking, cursor, context, reader)

    async def _feed(self, name: str, base: str | None, user_id: str = GUEST) -> Feed:
        feed = await self._reading.find(name, user_id)
        if name != PERSONAL_FEED.name:
            if base is not None:
                raise InvalidInput(Problem("base_feed", f"goes with {PERSONAL_FEED.name} only"))
            return feed
        if base == PERSONAL_FEED.name:
            raise InvalidInput(Problem("base_feed", f"is {base} itself; give another, or none"))
        try:
            return _personal(await self._reading.find(COSMOS if base is None else base, user_id))
        except UnknownFeed as error:
            raise InvalidInput(Problem("base_feed", str(error).removeprefix("feed: "))) from None

    async def _continued(self, cursor: Cursor) -> Feed:
        """Return the feed of a cursor, as it was at the first page."""
        is_personal = cursor.feed == PERSONAL_FEED.name
        name = cursor.base_feed or COSMOS if is_personal else cursor.feed
        feed = self._feeds.known(name)
        if feed is None:
            feed = self._feeds.kept(name, await self._ledger.settings(cursor.request_id))
        feed = await self._reading.held(feed, cursor.user_id)
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
    for name in ("user_id", "session_id"):
        if (given := getattr(request, name)) is not None:
            check_identifier(name, given)
    if not 1 <= request.limit <= MOST_ITEMS:
        raise InvalidInput(Problem("limit", f"must be from 1 to {MOST_ITEMS}"))
    if not 0 <= request.offset < 2**31:
        raise InvalidInput(Problem("offset", f"must be from 0 to {2**31 - 1}"))
    if request.cursor is not None and request.offset:
        raise InvalidInput(Problem("offset", "cannot be combined with a cursor, which has one"))
    if request.cursor is not None and request.arm is not None:
        raise InvalidInput(Problem("arm", "cannot be combined with a cursor, which keeps it"))


def _applied(request: FeedRequest, arm: Arm) -> FeedRequest:
    """Return a request with the ranking and the settings of an arm."""
    if arm.explore is not None:  # it cannot be combined with caps
        no_caps: dict[str, Any] = dict.fromkeys(CAPS)
        request = dataclasses.replace(request, **no_caps)
    return dataclasses.replace(request, ranking=arm.ranked_by, **arm.settings)


def _interleaved(whole: ResolvedRequest, sides: "tuple[ResolvedRequest, ...]") -> ResolvedRequest:
    """Return the request of a page that is made of two rankings; caps are those of the request."""
    cursor = dataclasses.replace(whole.cursor, ranking=INTERLEAVED, weights={}, half_life=None)
    return dataclasses.replace(whole, cursor=cursor, sides=sides)


_OF_RANKINGS = ("ranking", "weights", "half_life", "temperature", "seed", "explore")
"""What a request may name of its ranking; then no experiment applies."""


def _ranking(feed: Feed, name: str | None) -> FeedRanking:
    return feed.ranking if name in {None, feed.ranking.name} else find_ranking(str(name))

"""The feed service: from a request to a page whose slate is committed.

request ──▶ cursor      the settings of the first page, and the position reached
        ──▶ context     the reader's principles, preferences and exclusions
        ──▶ arm         of a running experiment, if the request names no ranking
        ──▶ index       the candidates, refreshed
        ──▶ order       made and kept by the first page, read by later ones
        ──▶ page        cut from the order
        ──▶ texts       of the items on the page
        ──▶ slate       committed to the ledger
        ──▶ FeedPage
"""

import logging
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from uuid_utils import uuid7

from harken.database import Database
from harken.domain.decay import DEFAULT_TREND_WEIGHTS, TrendWeights
from harken.domain.exploration import Variety
from harken.domain.feedback import GUEST
from harken.domain.feeds import (
    DEFAULT_WEIGHTS,
    PERSONAL,
    Feed,
    Weights,
    find_ranking,
)
from harken.domain.fields import check_identifier, check_kept_identifier
from harken.domain.objectives import known_objectives
from harken.domain.slates import CURSOR_LIFETIME, FeedPage, Item, Slate
from harken.domain.times import FutureItems, micros
from harken.errors import HarkenError, InvalidInput, NotFound, Problem
from harken.services.experiments.arms import Arms
from harken.services.experiments.promotion.trials import Trials
from harken.services.experiments.service import Experiments
from harken.services.feed import pagination
from harken.services.feed.caches.catalogue import Catalogue
from harken.services.feed.caches.known_events import KnownEvents
from harken.services.feed.caches.profiles import Profiles
from harken.services.feed.candidate_ranking import Ranked, order_candidates
from harken.services.feed.declarations import Feeds
from harken.services.feed.page_items import (
    PageItems,
    PageRanking,
    brought_to,
    slate_of,
    slate_settings,
)
from harken.services.feed.page_order import OrderedRequest, PageOrders, answer, take
from harken.services.feed.personal_orders import PersonalOrders
from harken.services.feed.reading.reading import Reading
from harken.services.feed.request import (
    FeedRequest,
    RequestResolver,
    ResolvedRequest,
)
from harken.services.feed.search.finding import KBlockSearch
from harken.services.feed.similar import SimilarItems, SimilarKBlocks
from harken.services.index.diversity import settle
from harken.services.index.ordering import Reader
from harken.services.kblocks.search.matches import SearchStore
from harken.services.kblocks.store import KBlockStore
from harken.services.personal.impressions import Impressions
from harken.services.personal.interests import ReaderInterests, describe_interests
from harken.services.personal.ordering import PersonalScorer
from harken.services.personal.stated_interests import Changed, by_label, moved_by
from harken.services.readers.affinities import AffinitySettings
from harken.services.record.figures.figures import Figures
from harken.services.record.log_order.following import LogFollower
from harken.services.record.persistence import FeedFeedbackPersistence
from harken.services.record.readers import ReaderStore
from harken.services.record.slates import SlateLedger
from harken.services.record.window_analytics import WindowAnalytics
from harken.services.registry.registry import Registry
from harken.services.registry.serving import ModelsInService
from harken.services.sources.service import SourceOptions, Sources
from harken.single_flight import SingleFlight

log = logging.getLogger(__name__)

MOST_CANDIDATES = 1_000
SLATE_RETENTION = timedelta(days=30)
ORDER_SAMPLES = 0.01
TIDYING = "tidying"
TIDYING_INTERVAL = timedelta(minutes=5)


class FeedService:
    """Serves feeds from one database; belongs to the event loop that first used it."""

    def __init__(
        self,
        session_factory: async_sessionmaker[AsyncSession],
        *,
        schema: str | None = None,
        record: FeedFeedbackPersistence | None = None,
        kblocks: KBlockStore | None = None,
        catalogue: Catalogue | None = None,
        weights: Weights = DEFAULT_WEIGHTS,
        trend_weights: TrendWeights = DEFAULT_TREND_WEIGHTS,
        affinities: AffinitySettings | None = None,
        objectives: Mapping[str, float] | None = None,
        feeds: Iterable[Feed] = (),
        slate_retention: timedelta = SLATE_RETENTION,
        future_items: FutureItems = FutureItems.SHOW,
        order_samples: float = ORDER_SAMPLES,
        swap_share: float = 0.0,
        trial_margin: float | None = None,
        sources: SourceOptions | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Use a session factory of the caller; `schema` is as in `FeedFeedbackPersistence`.

        record, kblocks: those of this process, so that the next request includes their writes.
        catalogue: an index of the same database with these two, as if it were made here.
        weights: the weights of signals in `ranking=weighted`.
        trend_weights: what an event adds in `ranking=trending`.
        affinities: the settings of `ranking=personal`.
        objectives: the weights of objectives in `ranking=learned`, by name.
        feeds: are registered, as by `register`.
        future_items: whether items with a future date are shown.
        order_samples: the share of first pages whose whole order is kept with its scores.
        swap_share: the share of personal orders in which pairs are swapped.
        trial_margin: by how much credit a retrained model may be worse than the one in service and
        still replace it, from 0 to 1; None where models are not promoted by trial.
        sources: how sources are read, and how often.
        """
        database = Database(session_factory, schema)
        self.record = record or FeedFeedbackPersistence(session_factory, schema=schema)
        self.kblocks = kblocks or KBlockStore(session_factory, schema=schema, clock=clock)
        self.followed = LogFollower(database, self.record)
        self.readers = ReaderStore(database)
        self.ledger = SlateLedger(database, clock)
        self.feeds = Feeds(database)
        self.registry = Registry(database, clock, future_items, affinities or AffinitySettings())
        self.analytics = WindowAnalytics(database, clock)
        self.figures = Figures(database, clock)
        self.catalogue = catalogue or Catalogue(
            database, self.record, self.kblocks, clock, trend_weights, future_items
        )
        self.known_events = KnownEvents(database, self.record, self.catalogue)
        self.profiles = Profiles(
            database,
            self.record,
            clock,
            affinities or AffinitySettings(),
            self.catalogue,
            future_items,
        )
        self.sources = Sources(
            database, self.kblocks, self.readers, clock, sources, self.ledger.kblocks.forget
        )
        self.reading = Reading(self.readers, self.feeds, self.catalogue, clock)
        self.requests = RequestResolver(
            self.feeds, self.readers, self.reading, self.ledger, self.catalogue, weights, clock
        )
        models = ModelsInService(self.registry.models)
        self.experiments = Experiments(
            database, self.registry.models, self.ledger, self.requests.check_arm, clock
        )
        self.requests.arms = Arms(self.experiments, models)
        self.trials = Trials(
            database, self.registry, self.experiments, known_objectives(objectives or {}),
            slate_retention, trial_margin, clock,
        )  # fmt: skip
        self._orders = PersonalOrders(self.profiles, models, self.ledger, objectives or {})
        self._similar = SimilarKBlocks(self.catalogue, self.profiles, self.readers, self.ledger)
        self.search = KBlockSearch(
            SearchStore(database), self.catalogue, self.readers, self.reading, self.ledger, clock
        )
        self.impressions = Impressions(self.ledger, now=clock)
        self.weights = weights
        self.trend_weights = trend_weights
        self._retention = slate_retention
        self._order_samples = order_samples
        self._swap_share = swap_share
        self._clock = clock
        self._codec: pagination.CursorCodec | None = None
        self._tidied_at = clock()
        self._tidying: SingleFlight[None] = SingleFlight("harken-tidy")
        for feed in feeds:
            self.register(feed)

    def register(self, feed: Feed) -> None:
        """Serve a feed of this program; raises InvalidInput if its name is taken.

        Every process that registers the feed accepts its cursors.
        """
        self.feeds.register(feed)

    async def warm(self) -> None:
        """Load the index, which all pages wait for. Raises DatabaseUnavailable."""
        await self.catalogue.fresh()

    async def warm_personal(self) -> None:
        """Load what the next personal or learned page would wait for, in some seconds.

        Nothing is loaded if nobody asked for one lately. Other requests are answered meanwhile.
        Raises DatabaseUnavailable.
        """
        await self._orders.warm()

    async def close(self) -> None:
        """Commit the events that are queued, and accept no more."""
        await self._tidying.close()
        await self.experiments.close()
        await self.profiles.close()
        await self.ledger.idle()
        await self.record.close()

    async def page(self, request: FeedRequest) -> FeedPage:
        """Return a page of a feed, after its slate is committed.

        Raises InvalidInput, CursorExpired, UnknownFeed or DatabaseUnavailable.
        """
        codec = await self._cursors()
        resolved = await self.requests.resolve(request, codec)
        ordered = await self._ordered(resolved)
        page = take(ordered.resolved, ordered.index, ordered.order)
        items = await PageItems(self._orders, self.ledger, self.catalogue).of(
            ordered.rankings, ordered.index, page, ordered.order
        )
        request_id = await self._enter(ordered, items, has_more=page.has_more)
        self._tidy_sometimes()
        return answer(ordered, page, items, request_id, codec)

    async def _ordered(self, resolved: ResolvedRequest) -> OrderedRequest:
        """Return a request with the order of its pages: made by the first one, kept for others."""
        orders = PageOrders(self._orders, self.ledger, self.impressions, self._swap_share)
        kept = await orders.kept(resolved)
        rankings = [PageRanking(each, await self._scorer_of(each)) for each in resolved.rankings]
        index = await self.catalogue.fresh(resolved.cursor.revision)
        if not resolved.is_first:
            return OrderedRequest(resolved, rankings, index, kept)
        is_sample = not resolved.goes_by_time and self._is_sample()
        resolved = resolved.at(index.revision)
        rankings = brought_to(rankings, resolved)
        order = await orders.first(rankings, resolved, index, with_scores=is_sample)
        return OrderedRequest(resolved, rankings, index, order, is_sample)

    async def _enter(self, ordered: OrderedRequest, items: list[Item], *, has_more: bool) -> str:
        """Commit the slate of a page, with the order for the pages after it; returns its id."""
        resolved, order = ordered.resolved, ordered.order
        request_id = resolved.cursor.request_id if resolved.is_first else str(uuid7())
        slate = slate_of(resolved, request_id, items, ordered.rankings, order)
        is_kept = has_more and resolved.is_first and len(order.numbers)
        sample = order if ordered.is_sample else None
        await self.ledger.enter(slate, order if is_kept else None, resolved.exposure, sample)
        return request_id

    async def _scorer_of(self, resolved: ResolvedRequest) -> PersonalScorer | None:
        return await self._orders.scorer_for(resolved) if resolved.ranking.is_personal else None

    def _is_sample(self) -> bool:
        return secrets.randbelow(10**6) < self._order_samples * 10**6

    async def _cursors(self) -> pagination.CursorCodec:
        if self._codec is None:
            self._codec = pagination.CursorCodec(await self.ledger.secret("cursor"))
        return self._codec

    async def rank(
        self,
        kblock_ids: Sequence[str],
        user_id: str = GUEST,
        ranking: str = "weighted",
        weights: Mapping[str, float] | None = None,
        half_life: str | None = None,
        temperature: float = 0.0,
        seed: int | None = None,
        explore: str | None = None,
    ) -> Ranked:
        """Rank 1 to 1,000 candidates that the caller sends, after their slate is committed.

        A candidate that is no K-Block here is ranked by its events. Candidates that the reader
        dismissed or muted are left out. Ties stay in the caller's order. Raises InvalidInput or
        DatabaseUnavailable.
        """
        if not 1 <= len(kblock_ids) <= MOST_CANDIDATES:
            raise InvalidInput(Problem("kblock_ids", f"must be 1 to {MOST_CANDIDATES} ids"))
        check_identifier("user_id", user_id)
        for kblock_id in kblock_ids:
            check_identifier("kblock_ids", kblock_id)
        order, now = find_ranking(ranking), self._clock()
        variety = settle(Variety(temperature, seed, explore=explore), order)
        ids = list(dict.fromkeys(kblock_ids))
        context = await self.readers.context(user_id)
        wanted = self.requests.weights(order, weights, context.weights)
        found = await self.catalogue.candidates(ids, user_id)
        reader = Reader(
            context.principles,
            micros(now),
            await self.requests.half_life(order, half_life, found.half_lives),
        )
        scorer = None
        if order.is_personal:
            scorer = await self._orders.scorer(order, user_id, context, reader.now)
            await self.profiles.describe(scorer.state, found.entries.values())
        shown = {} if explore is None else await self.impressions.of_ids(ids)
        ranked = order_candidates(
            ids, found, context, order, wanted, variety, reader, str(uuid7()), scorer, shown
        )
        slate = Slate(
            request_id=ranked.request_id, first_request_id=ranked.request_id, user_id=user_id,
            feed="rank", ranking=order.name, revision=0, position=0, items=ranked.kblock_ids,
            settings=slate_settings(wanted, variety, reader.half_life, scorer),
            propensities=ranked.propensities,
        )  # fmt: skip
        await self.ledger.enter(slate)
        return ranked

    async def similar(self, kblock_id: str, user_id: str = GUEST, limit: int = 10) -> SimilarItems:
        """Return the K-Blocks that are most similar to one, after their slate is committed.

        Those that the reader dismissed or muted are left out. Raises NotFound, InvalidInput or
        DatabaseUnavailable.
        """
        return await self._similar.find(kblock_id, user_id, limit, micros(self._clock()))

    async def profile(self, user_id: str) -> ReaderInterests:
        """Return the interests of a reader. Raises InvalidInput or DatabaseUnavailable."""
        check_kept_identifier("id", user_id)
        if user_id == GUEST:
            raise InvalidInput(Problem("id", f"{GUEST} stands for all guests, and has no profile"))
        context = await self.readers.context(user_id)
        state = await self.profiles.fresh(user_id, context.profile_since)
        profile = state.affinities.profile(user_id, micros(self._clock()))
        return describe_interests(
            profile,
            self.profiles.settings.min_interactions,
            personalized=context.personalized,
            since=context.profile_since,
            stated=by_label(context.interests),
        )

    async def preview_interests(self, kblock_id: str, user_id: str, step: float) -> list[Changed]:
        """Return which interests "more like this" (a step above 0) or "less" would change.

        `step` is added to the reader's stated interest in each label of the K-Block, within -2 and
        2; with 0, the result has the present ones. Nothing is stored: `ReaderStore.prefer` does
        that. Raises NotFound or DatabaseUnavailable.
        """
        check_kept_identifier("id", kblock_id)
        found = await self.catalogue.candidates([kblock_id], user_id)
        if kblock_id not in found.entries:
            raise NotFound(f"there is no K-Block {kblock_id!r}")
        context = await self.readers.context(user_id)
        scorer = await self._orders.scorer(PERSONAL, user_id, context, micros(self._clock()))
        await self.profiles.describe(scorer.state, found.entries.values())
        [labels] = scorer.affinities.attributes.labels(scorer.places([kblock_id]))
        return moved_by(labels, by_label(context.interests), scorer.learned(), step)

    def _tidy_sometimes(self) -> None:
        is_busy = self._tidying.is_running or self._tidying.is_closed
        # The absolute difference, since the clock may have been set back.
        if not is_busy and abs(self._clock() - self._tidied_at) > TIDYING_INTERVAL:
            self._tidied_at = self._clock()
            self._tidying.start(self._tidy)

    async def _tidy(self) -> None:
        now = self._clock()
        try:
            # The lease lasts as long as the interval: one process of a database does it.
            if not await self.registry.leases.take(TIDYING, uuid4().hex, TIDYING_INTERVAL):
                return
            await self.ledger.forget(now - self._retention, now - CURSOR_LIFETIME)
            await self.kblocks.forget_versions(now - CURSOR_LIFETIME)
        except HarkenError as error:
            log.warning("old slates could not be deleted, and will be tried again: %s", error)

"""The routes of REST; `create_feed_router()` adds them to any FastAPI application."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from fastapi import APIRouter, Depends, FastAPI, Response
from pydantic_core import to_json

from harken.database import Database
from harken.domain.declarations import RESERVED, check_feed_id
from harken.domain.feeds import DEFAULT_FEEDS, Feed
from harken.domain.fields import KeptIdentifier
from harken.errors import InvalidInput, NotFound, Problem, quoted
from harken.protocols import presentation
from harken.protocols.api import analytics, feedback, kblocks, keys, models
from harken.protocols.api.callers import User, dependency
from harken.protocols.api.comments import routes as comments
from harken.protocols.api.experiments import routes as experiments
from harken.protocols.api.feed_pages.answering import covering
from harken.protocols.api.feed_schemas import Dismissals
from harken.protocols.api.feeds import add_page, feed_routes
from harken.protocols.api.figures import routes as figures
from harken.protocols.api.following import routes as following
from harken.protocols.api.integrity import routes as integrity
from harken.protocols.api.kblocks import Provide
from harken.protocols.api.reading import routes as reading
from harken.protocols.api.report import routes as report
from harken.protocols.api.report.making import ReportMaker
from harken.protocols.api.schemas import (
    Candidates,
    RankedShape,
)
from harken.protocols.api.search import routes as search
from harken.protocols.api.sources import routes as sources
from harken.protocols.http.addresses import PREFIX
from harken.protocols.http.errors import BODY_RESPONSES, RESPONSES, described
from harken.protocols.http.routing import METHODS, BatchRoute, HarkenRoute, LenientRoute
from harken.services.access.rights import Caller
from harken.services.feed.service import FeedService
from harken.services.integrity.alerts.alert_store import AlertStore
from harken.services.integrity.quarantine.acts import Quarantine
from harken.services.providers import (
    Singleton,
    get_feed_feedback_persistence,
    get_feed_service,
    get_key_ring,
    get_session_factory,
)
from harken.services.record.persistence import QUEUE_LIMIT, FeedFeedbackPersistence

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

log = logging.getLogger(__name__)

Sessions = Callable[[], Awaitable["async_sessionmaker[AsyncSession]"]]

GROUPS: dict[str, str] = {
    "record": "record events",
    "feeds": "read, rank and store feeds; undo dismissals",
    "items": "read, search and write K-Blocks",
    "readers": "principles, preferences and profiles of readers",
    "reading": "what readers have read and saved for later; take a contradiction back",
    "comments": "list the comments on K-Blocks; edit and remove one's own",
    "analytics": "counts of all readers",
    "models": "list, promote and roll back models",
    "report": "whether the feed gets better",
    "experiments": "compare rankings on readers; flags for your own code",
    "integrity": "alerts, and what is set aside",
    "sources": "subscribe to feeds on the web",
    "events": "follow the log of all readers",
}
"""The groups of routes, and what they are for."""
NOT_BY_DEFAULT = frozenset({"comments", "events", "experiments", "integrity", "reading", "sources"})
"""Groups that `create_feed_router` adds only where `include` names them."""
DEFAULT_GROUPS = tuple(name for name in GROUPS if name not in NOT_BY_DEFAULT)


def create_feed_router(
    session_factory: "async_sessionmaker[AsyncSession] | None" = None,
    *,
    user: User | None = None,
    include: Collection[str] = DEFAULT_GROUPS,
    schema: str | None = None,
    queue_limit: int = QUEUE_LIMIT,
    prefix: str = PREFIX,
    feeds: Sequence[Feed] = (),
) -> APIRouter:
    """Create the router of Harken's routes for a FastAPI application.

    `user` is a dependency that returns the id of the reader who sends a request, or None for a
    guest. Each request then acts as that reader: another `user_id` is answered with 403. Without
    it, whoever reaches the routes may read and write as every reader, and a warning is logged.
    `include` names groups of routes; see `GROUPS`. Those of `NOT_BY_DEFAULT`
    are only there if they are named.

    With a session factory, the routes use that database, which must have been migrated by
    `harken migrate`; queued events are committed when the application shuts down. `schema` is the
    PostgreSQL schema of the tables, if it is not the default one. At most `queue_limit` events
    wait for their commit. Without a session factory, the routes use the configured database.
    `feeds` are your own feeds, whose filters and scores may be functions; each is served at
    `/api/feed/feeds/{name}`. Raises InvalidInput for an unknown group, or if the name of a feed is
    already used.
    """
    _check_names(feeds)
    _check_groups(include)
    who = _who(user)
    if session_factory is None:

        async def provide_configured() -> FeedService:
            service = await get_feed_service()
            for feed in feeds:
                service.register(feed)
            return service

        return _router(
            Parts(provide_configured, get_feed_feedback_persistence, who, get_session_factory),
            prefix,
            include,
        )

    @Singleton
    async def provide() -> FeedService:
        record = FeedFeedbackPersistence(session_factory, schema=schema, queue_limit=queue_limit)
        return FeedService(session_factory, schema=schema, record=record, feeds=feeds)

    async def provide_record() -> FeedFeedbackPersistence:
        return (await provide()).record

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        if service := await provide.forget():
            await service.close()

    parts = Parts(provide, provide_record, who, _always(session_factory), schema)
    return _router(parts, prefix, include, lifespan=lifespan)


@cache
def service_router() -> APIRouter:
    """Return the router of `harken serve`: all routes, behind its access rules.

    It is to be included with the prefix; FastAPI would read all routes of one that has it already
    twice. It is made once, since FastAPI needs a tenth of a second for it.
    """
    who = dependency(None)
    parts = Parts(
        get_feed_service,
        get_feed_feedback_persistence,
        who,
        get_session_factory,
        make_report=ReportMaker(),
    )
    router = _router(parts, "", GROUPS)
    router.include_router(keys.routes(get_key_ring))
    return router


class Parts(NamedTuple):
    """What routes need: the feed service, the record, who sends a request, and the database."""

    service: Provide
    record: Callable[[], Awaitable[FeedFeedbackPersistence]]
    who: User
    sessions: Sessions
    schema: str | None = None
    make_report: report.MakeReport | None = None

    async def alerts(self) -> AlertStore:
        """Return the alerts of the database."""
        return AlertStore(Database(await self.sessions(), self.schema))

    async def quarantine(self) -> Quarantine:
        """Return what sets aside and releases."""
        return Quarantine(await self.sessions(), schema=self.schema)


def _always(sessions: "async_sessionmaker[AsyncSession]") -> Sessions:
    async def provide() -> "async_sessionmaker[AsyncSession]":
        return sessions

    return provide


def _who(user: User | None) -> User:
    if user is None:
        log.warning(
            "create_feed_router() without user=: whoever reaches its routes may read and write as "
            "every reader. Pass a dependency that returns the reader's id."
        )
    return dependency(user)


def _check_groups(include: Collection[str]) -> None:
    known = list(GROUPS)
    for name in include:
        if name not in known:
            raise InvalidInput(
                Problem("include", f"{quoted(name)} is unknown; known are {', '.join(known)}")
            )


def _check_names(feeds: Sequence[Feed]) -> None:
    for feed in feeds:
        check_feed_id(feed.name)


def _router(parts: Parts, prefix: str, include: Collection[str], **options: Any) -> APIRouter:
    groups: dict[str, Callable[[], list[APIRouter]]] = {
        "record": lambda: [feedback.recording_routes(parts.record, parts.service, parts.who)],
        "analytics": lambda: [
            feedback.count_routes(parts.record),
            analytics.routes(parts.service),
            figures.routes(parts.service),
        ],
        "feeds": lambda: [_feeds(parts.service, parts.who)],
        "items": lambda: [
            search.routes(parts.service, parts.who),
            kblocks.routes(parts.service, parts.who),
        ],
        "readers": lambda: [kblocks.user_routes(parts.service)],
        "reading": lambda: [reading.routes(parts.service, parts.who, parts.quarantine)],
        "comments": lambda: [comments.routes(parts.service, parts.who)],
        "models": lambda: [models.routes(parts.service)],
        "report": lambda: [report.routes(parts.service, parts.make_report)],
        "integrity": lambda: [integrity.routes(parts.alerts, parts.quarantine, parts.who)],
        "experiments": lambda: [experiments.routes(parts.service, parts.who)],
        "sources": lambda: [sources.routes(parts.service, parts.who)],
        "events": lambda: [following.routes(parts.service, parts.who)],
    }
    # The dependency checks the reader that an address names, in each route.
    router = APIRouter(
        prefix=prefix, responses=RESPONSES, dependencies=[Depends(parts.who)], **options
    )
    for name, make in groups.items():
        if name in include:
            for each in make():
                router.include_router(each)
    return router


def _feeds(provide: Provide, who: User) -> APIRouter:
    router = APIRouter(prefix="/feed", tags=["feed"], route_class=HarkenRoute)
    batches = APIRouter(route_class=BatchRoute)
    Service = Annotated[FeedService, Depends(provide)]  # noqa: N806 — a type
    Who = Annotated[Caller, Depends(who)]  # noqa: N806 — a type

    router.include_router(feed_routes(provide, who))
    for feed in DEFAULT_FEEDS.values():
        add_page(router, feed, provide, who)

    @router.get("/config", summary="Get the available feeds, rankings and limits")
    async def config(service: Service) -> dict[str, Any]:
        """Return the available feeds, rankings, signals and limits."""
        return presentation.config(service, (await service.catalogue.fresh()).half_lives)

    @batches.post(
        "/rank",
        summary="Rank your own candidates",
        response_model=RankedShape,
        responses=BODY_RESPONSES | kblocks.ERASED,
    )
    async def rank(candidates: Candidates, service: Service, caller: Who) -> Response:
        """Rank the K-Blocks of the request, up to 1,000, for a reader."""
        coverage = await covering(service, candidates.after_event)
        ranked = await service.rank(
            candidates.kblock_ids,
            caller.acts_as(candidates.user_id),
            candidates.ranking,
            candidates.weights,
            half_life=candidates.half_life,
            temperature=candidates.temperature,
            seed=candidates.seed,
            explore=candidates.explore,
        )
        content = presentation.ranked(ranked, explain=candidates.explain) | coverage
        return Response(to_json(content), media_type="application/json")

    @router.get("/dismissals", summary="List the dismissals of a reader")
    async def dismissals(service: Service, user_id: KeptIdentifier) -> Dismissals:
        """Return the K-Blocks that a reader dismissed, latest first."""
        found = await service.readers.dismissals(user_id)
        return Dismissals.model_validate(
            {"dismissals": [{"kblock_id": each, "dismissed_at": at} for each, at in found]}
        )

    @router.delete(
        "/dismissals/{kblock_id:id}",
        summary="Undo a dismissal",
        responses=described(status_404="The reader has not dismissed this K-Block."),
    )
    async def undo_dismissal(
        service: Service, kblock_id: KeptIdentifier, user_id: KeptIdentifier
    ) -> dict[str, bool]:
        """Undo the dismissal of a K-Block: the feeds of the reader show it again."""
        if not await service.readers.undo_dismissal(user_id, kblock_id):
            raise NotFound(f"{user_id} has not dismissed {kblock_id}")
        return {"success": True}

    router.include_router(batches)
    last = APIRouter(route_class=UnknownFeedRoute)

    @last.api_route("/{name}", methods=list(METHODS), include_in_schema=False)
    async def unknown(name: str) -> None:
        raise NotFound(
            f"there is no feed {quoted(name)}; the default feeds are {', '.join(DEFAULT_FEEDS)}; "
            "your own feeds are under /feed/feeds"
        )

    router.include_router(last)
    return router


class UnknownFeedRoute(LenientRoute):
    """Answers unknown feed names with the list of feeds; paths of other routes are not matched."""

    other_names = frozenset({*DEFAULT_FEEDS, *RESERVED})

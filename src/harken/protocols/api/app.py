"""The application of `harken serve`: REST, health checks, access rules and browser pages."""

import gc
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

import harken
from harken.child_processes import HARKEN
from harken.config import Settings
from harken.databases.standbys import observe_reads
from harken.errors import HarkenError
from harken.protocols import presentation
from harken.protocols.api import privacy, recording
from harken.protocols.api.bluesky import routes as bluesky
from harken.protocols.api.callers import dependency
from harken.protocols.api.experiments import flags
from harken.protocols.api.feed import PREFIX, service_router
from harken.protocols.api.feed_pages.answering import PageEndpoint
from harken.protocols.api.recording import RecordingEndpoint
from harken.protocols.http import errors, security
from harken.protocols.http.addresses import accepts_html, path_of
from harken.protocols.http.gate import Gate
from harken.protocols.http.openapi_document import with_access_rules
from harken.protocols.http.routing import LenientRoute
from harken.protocols.pages import routes as pages
from harken.protocols.pages.images.shown import ShownImages
from harken.protocols.pages.note_rendering import NoteRenderer
from harken.protocols.telemetry import scraping
from harken.protocols.telemetry.access_log import AccessLog
from harken.protocols.telemetry.metrics import ServiceMetrics
from harken.protocols.telemetry.requests import RequestObserver
from harken.protocols.telemetry.sampling import sampled
from harken.protocols.telemetry.tracing import traces_of
from harken.services.access.user_tokens import UserTokens
from harken.services.experiments.adaptive.schedule import AllocationSchedule
from harken.services.integrity.alerts.schedule import DetectionSchedule
from harken.services.integrity.archive.archiving import Archive
from harken.services.integrity.archive.schedule import ArchiveSchedule
from harken.services.providers import (
    check_database,
    close_providers,
    get_engine,
    get_feed_feedback_persistence,
    get_feed_service,
    get_key_ring,
    get_session_factory,
    setup_providers,
)
from harken.services.registry.retraining import Commands, Retraining
from harken.services.registry.writer_slots import WriterSlot
from harken.services.sources.schedule import RefreshSchedule
from harken.settings.telemetry import LogFormat

CLOSING_PART = 0.2
"""The part of `shutdown_timeout` in which queued events are committed."""


class Application(FastAPI):
    """A FastAPI application that records events and answers pages without FastAPI's routing."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(
            title="Harken",
            version=harken.__version__,
            summary="A feedback engine for feeds.",
            lifespan=_lifespan,
            docs_url=None,  # Harken has its own page, which loads nothing from other hosts
            redoc_url=None,
        )
        self.settings = settings
        self.retraining: Retraining | None = None
        self.detection: DetectionSchedule | None = None
        self._recording_path = f"{PREFIX}/feed{recording.PATH}"
        self._recording = RecordingEndpoint(get_feed_feedback_persistence, get_feed_service)
        self._pages = PageEndpoint(get_feed_service, f"{PREFIX}/feed")
        is_static = security.Pages(self.is_page, lambda scope: pages.is_static(path_of(scope)))
        self.metrics = ServiceMetrics() if settings.metrics else None
        self.access_log = AccessLog.of(settings)
        self._gate = Gate(self._route, settings, get_key_ring, is_static)
        # Without any of them, no layer stands before the gate, and a request costs nothing more.
        is_observed = (
            settings.metrics or settings.access_log or settings.log_format is LogFormat.JSON
        )
        self._front: ASGIApp = (
            RequestObserver(self._gate, self.metrics, self.access_log)
            if is_observed
            else self._gate
        )
        self.traces = traces_of(settings)
        if self.traces is not None:
            self._front = self.traces.around(self._front)

    @property
    def user_tokens(self) -> UserTokens:
        """What verifies user tokens, with those that it knows already."""
        return self._gate.tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, if the gate lets it in."""
        await self._front(scope, receive, send)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request: by a fast way if it records one event or asks for a page."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
        elif self._is_recording(scope):
            await self._recording(scope, receive, send)
        elif (feed := self._pages.feed_of(scope)) is not None:
            await self._pages(feed, scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    def _is_recording(self, scope: Scope) -> bool:
        return (
            scope["method"] == "POST"
            and path_of(scope) == self._recording_path
            and not scope["query_string"]  # the route refuses parameters with an error message
        )

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document, with the access rules."""
        if self.openapi_schema is None:
            self.openapi_schema = with_access_rules(
                super().openapi(), has_keys=bool(self.settings.api_keys)
            )
        return self.openapi_schema

    def is_page(self, scope: Scope) -> bool:
        """Return whether a request gets a page, including the page of the status 404."""
        return pages.is_page(path_of(scope)) or (
            _may_be_page(scope)
            and all(route.matches(scope)[0] is Match.NONE for route in self.routes)
        )


def create_app(settings: Settings | None = None) -> Application:
    """Create the application of `harken serve`.

    Settings are read from the environment if none are given. Raises InvalidSettings, or
    MissingExtra for HARKEN_TOKEN_JWKS.
    """
    settings = settings or Settings.load()
    app = Application(settings)
    errors.install(app)
    router, no_page = pages.pages_router(settings)
    app.include_router(_service)
    app.state.note_renderer = NoteRenderer()
    app.state.images = ShownImages.of(settings)
    app.state.user_tokens = app.user_tokens
    app.include_router(router)
    app.include_router(service_router(), prefix=PREFIX)
    app.include_router(privacy.routes(get_feed_service, get_session_factory, PREFIX))
    app.include_router(flags.routes(get_feed_service, dependency(None)))
    app.include_router(
        bluesky.routes(
            get_feed_feedback_persistence,
            get_feed_service,
            dependency(None),
            is_on=settings.bluesky,
        )
    )
    app.include_router(scraping.routes(app.metrics, get_feed_service))

    @app.exception_handler(404)
    async def not_found(request: Request, _error: Exception) -> Response:
        if _may_be_page(request.scope):
            return await no_page(request)
        return errors.problem(
            404, f"There is no route {request.url.path}. /openapi.json lists all routes."
        )

    return app


def _may_be_page(scope: Scope) -> bool:
    """Return whether a browser requests a path that is not below the API's prefix."""
    return accepts_html(scope) and not f"{path_of(scope)}/".startswith(f"{PREFIX}/")


@asynccontextmanager
async def _lifespan(app: Application) -> AsyncIterator[None]:
    # Objects that exist after the start live until the end. Freezing them keeps the garbage
    # collector from scanning them: each full collection would stop all requests for about 80 ms,
    # about once a second under load.
    gc.disable()
    try:
        await setup_providers()
        await (await get_feed_service()).warm()
        await (await get_key_ring()).current()
        if app.metrics is not None:
            (await get_feed_feedback_persistence()).observe_commits(app.metrics.committed)
            observe_reads(await get_engine(), app.metrics.waited_for_standby)
        gc.freeze()
    finally:
        gc.enable()
    async with AsyncExitStack() as stack:
        for each in await _beside_requests(app):
            await stack.enter_async_context(each)
        yield
    gc.unfreeze()
    await close_providers(CLOSING_PART * app.settings.shutdown_timeout)


async def _beside_requests(app: Application) -> Sequence[AbstractAsyncContextManager[None]]:
    """Return what runs while the server does; by leases, one process of a database does a job."""
    service = await get_feed_service()
    running = [each.running() for each in (app.access_log, app.traces) if each is not None]
    if service.record.has_rivals:
        running.append(WriterSlot(service.registry.leases, service.record).running())
    if app.metrics is not None and app.metrics.is_shared:
        running.append(sampled(app.metrics, service))
    app.retraining = await _retraining(app.settings)
    app.detection = await _detection(app.settings)
    schedules = [
        app.retraining,
        app.detection,
        RefreshSchedule(service.sources, service.registry.leases),
        await _allocating(app.settings),
        await _archiving(app.settings),
    ]
    return running + [each.running() for each in schedules if each is not None]


async def _retraining(settings: Settings) -> Retraining | None:
    if settings.retrain_every is None:
        return None
    service = await get_feed_service()
    return Retraining(
        service.registry.models,
        service.registry.leases,
        settings.retrain_every,
        Commands((*HARKEN, "train", "--promote"), (*HARKEN, "report")),
        secrets=settings.secrets,
    )


async def _detection(settings: Settings) -> DetectionSchedule | None:
    if settings.detect_every is None:
        return None
    leases = (await get_feed_service()).registry.leases
    command = (*HARKEN, "detect", "--automatic")
    return DetectionSchedule(leases, settings.detect_every, command, secrets=settings.secrets)


async def _allocating(settings: Settings) -> AllocationSchedule | None:
    if settings.allocate_every is None:
        return None
    service = await get_feed_service()
    leases = service.registry.leases
    return AllocationSchedule(service.experiments, leases, settings.allocate_every)


async def _archiving(settings: Settings) -> ArchiveSchedule | None:
    if settings.log_days is None:
        return None
    leases = (await get_feed_service()).registry.leases
    archive = Archive(await get_session_factory(), settings.archive_dir)
    return ArchiveSchedule(archive, leases, timedelta(days=settings.log_days))


_service = APIRouter(tags=["service"], route_class=LenientRoute)


@_service.get(security.HEALTH, summary="Check whether the process runs")
async def healthz() -> dict[str, str]:
    """Return a fixed answer: the process runs."""
    return {"status": "ok"}


@_service.get(
    security.READY,
    summary="Check whether events can be recorded",
    responses={503: {"description": "Not ready: `problem` says why."}},
)
async def readyz(request: Request) -> Response:
    """Return 200 if the database accepts writes and has the required schema, else 503."""
    report: dict[str, Any] = {"status": "ready"}
    status = 200
    try:
        report["schema"] = await check_database()
        service = await get_feed_service()
        report["queue_depth"] = service.record.queue_depth
        report["index"] = {
            "kblocks": service.catalogue.size,
            "age_seconds": round(service.catalogue.age, 3),
        }
        retraining: Retraining | None = request.app.retraining
        if retraining is not None:
            report["retraining"] = presentation.retraining(retraining.status())
        detection: DetectionSchedule | None = request.app.detection
        if detection is not None:
            report["detection"] = presentation.detection(detection.status())
    except HarkenError as error:
        status = 503
        report = {"status": "not ready", "problem": str(error)}
    return JSONResponse(report, status)

"""The application of `harken serve`: REST, health checks, access rules and browser pages."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

import harken
from harken.child_processes import HARKEN
from harken.config import Settings
from harken.errors import HarkenError
from harken.protocols import presentation
from harken.protocols.api import privacy
from harken.protocols.api.bluesky import routes as bluesky
from harken.protocols.api.callers import dependency
from harken.protocols.api.experiments import flags
from harken.protocols.api.feed import service_router
from harken.protocols.front.front import Front
from harken.protocols.front.running import opened
from harken.protocols.http import errors, security
from harken.protocols.http.addresses import PREFIX, accepts_html, path_of
from harken.protocols.http.openapi_document import with_access_rules
from harken.protocols.http.routing import LenientRoute
from harken.protocols.pages import routes as pages
from harken.protocols.pages.images.shown import ShownImages
from harken.protocols.pages.note_rendering import NoteRenderer
from harken.protocols.telemetry import scraping
from harken.services.experiments.adaptive.schedule import AllocationSchedule
from harken.services.integrity.alerts.schedule import DetectionSchedule
from harken.services.integrity.archive.archiving import Archive
from harken.services.integrity.archive.schedule import ArchiveSchedule
from harken.services.providers import (
    check_database,
    get_feed_feedback_persistence,
    get_feed_service,
    get_session_factory,
)
from harken.services.registry.retraining import Commands, Retraining
from harken.services.sources.schedule import RefreshSchedule


class Application(FastAPI):
    """A FastAPI application behind a `Front`, which answers events and pages of feeds itself."""

    def __init__(self, settings: Settings, front: Front | None = None) -> None:
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
        own = security.Pages(self.is_page, self.is_static)
        self.front = front or Front(settings, self.by_routes, own)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, if the gate lets it in."""
        await self.front(scope, receive, send)

    async def by_routes(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that has passed the gate by the routes."""
        await super().__call__(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document, with the access rules."""
        if self.openapi_schema is None:
            self.openapi_schema = with_access_rules(
                super().openapi(), has_keys=bool(self.settings.api_keys)
            )
        return self.openapi_schema

    @asynccontextmanager
    async def schedules(self) -> AsyncIterator[None]:
        """Run what is due from time to time; by leases, one process of a database does a job."""
        service = await get_feed_service()
        self.retraining = await _retraining(self.settings)
        self.detection = await _detection(self.settings)
        due = [
            self.retraining,
            self.detection,
            RefreshSchedule(service.sources, service.registry.leases),
            await _allocating(self.settings),
            await _archiving(self.settings),
        ]
        async with AsyncExitStack() as stack:
            for each in due:
                if each is not None:
                    await stack.enter_async_context(each.running())
            yield

    def is_static(self, scope: Scope) -> bool:
        """Return whether a request gets a static file or an image."""
        return pages.is_static(path_of(scope))

    def is_page(self, scope: Scope) -> bool:
        """Return whether a request gets a page, including the page of the status 404."""
        return pages.is_page(path_of(scope)) or (
            _may_be_page(scope)
            and all(route.matches(scope)[0] is Match.NONE for route in self.routes)
        )


def create_app(settings: Settings | None = None, front: Front | None = None) -> Application:
    """Create the application of `harken serve`.

    Settings are read from the environment if none are given. `front` is what stands before its
    routes already; without it, the application makes its own. Raises InvalidSettings, or
    MissingExtra for HARKEN_TOKEN_JWKS.
    """
    settings = settings or Settings.load()
    app = Application(settings, front)
    errors.install(app)
    router, no_page = pages.pages_router(settings)
    app.include_router(_service)
    app.state.note_renderer = NoteRenderer()
    app.state.images = ShownImages.of(settings)
    app.state.user_tokens = app.front.user_tokens
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
    app.include_router(scraping.routes(app.front.metrics, get_feed_service))

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
    async with opened(app.front), app.schedules():
        yield


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

"""The service: the feed's routes with health, access rules and pages for people."""

import gc
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

import harken
from harken.config import Settings
from harken.errors import HarkenError
from harken.protocols import presentation
from harken.protocols.api import recording
from harken.protocols.api.feed import PREFIX, create_feed_router
from harken.protocols.api.recording import RecordingEndpoint
from harken.protocols.http import errors, security
from harken.protocols.http.addresses import path_of, wants_page
from harken.protocols.http.document import with_access_rules
from harken.protocols.http.routing import LenientRoute
from harken.protocols.pages import routes as pages
from harken.protocols.pages.rendered import RenderedNotes
from harken.services.providers import (
    check_database,
    close_providers,
    get_feed_feedback_persistence,
    get_feed_service,
    setup_providers,
)
from harken.services.registry.retraining import Commands, Retraining

CLOSING_PART = 0.2
"""Of the time that a server has to end, how much what waits for its commit has."""


class Application(FastAPI):
    """FastAPI, but for one path: recording an event is answered before FastAPI is asked."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(
            title="Harken",
            version=harken.__version__,
            summary="A feedback engine for feeds.",
            lifespan=_lifespan,
            docs_url=None,  # a page of ours, which fetches nothing from elsewhere
            redoc_url=None,
        )
        self.settings = settings
        self.retraining: Retraining | None = None
        self._recording_path = f"{PREFIX}/feed{recording.PATH}"
        self._recording = security.guarded(
            RecordingEndpoint(get_feed_feedback_persistence), settings
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        is_recording = (
            scope["type"] == "http"
            and scope["method"] == "POST"
            and path_of(scope) == self._recording_path
            and not scope["query_string"]  # which the route refuses, and says why
        )
        await (self._recording if is_recording else super().__call__)(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document, with the access rules that no route knows."""
        if self.openapi_schema is None:
            self.openapi_schema = with_access_rules(
                super().openapi(), has_keys=bool(self.settings.api_keys)
            )
        return self.openapi_schema

    def is_page(self, scope: Scope) -> bool:
        """Whether a request is for a page, or for the one that says that there is none."""
        return pages.is_page(path_of(scope)) or (
            _may_be_page(scope)
            and all(route.matches(scope)[0] is Match.NONE for route in self.routes)
        )


def create_app(settings: Settings | None = None) -> FastAPI:
    """Make the application that `harken serve` serves."""
    settings = settings or Settings.load()
    app = Application(settings)
    errors.install(app)
    security.install(
        app,
        settings,
        security.Pages(app.is_page, lambda scope: pages.is_static(path_of(scope))),
    )
    router, no_page = pages.pages_router(settings)
    app.include_router(_service)
    app.state.rendered = RenderedNotes()
    app.include_router(router)
    app.include_router(create_feed_router())

    @app.exception_handler(404)
    async def nothing_there(request: Request, _error: Exception) -> Response:
        if _may_be_page(request.scope):
            return await no_page(request)
        return errors.problem(
            404, f"There is nothing at {request.url.path}; /openapi.json lists what there is."
        )

    return app


def _may_be_page(scope: Scope) -> bool:
    """Whether it is a person who asks, and not for something of the API."""
    return wants_page(scope) and not f"{path_of(scope)}/".startswith(f"{PREFIX}/")


@asynccontextmanager
async def _lifespan(app: Application) -> AsyncIterator[None]:
    # What is made until then stays: going through it in every full collection would take a good
    # part of the start, and later stop all requests for some 80 ms, about once a second under load.
    gc.disable()
    try:
        await setup_providers()
        await (await get_feed_service()).warm()
        gc.freeze()
    finally:
        gc.enable()
    async with AsyncExitStack() as stack:
        app.retraining = await _retraining(app.settings)
        if app.retraining is not None:
            await stack.enter_async_context(app.retraining.running())
        yield
    gc.unfreeze()
    await close_providers(CLOSING_PART * app.settings.shutdown_timeout)


async def _retraining(settings: Settings) -> Retraining | None:
    if settings.retrain_every is None:
        return None
    service = await get_feed_service()
    # Of what is installed, whatever lies in the current folder.
    harken_itself = (sys.executable, "-P", "-m", "harken")
    return Retraining(
        service.registry.models,
        service.registry.leases,
        settings.retrain_every,
        Commands((*harken_itself, "train", "--promote"), (*harken_itself, "report")),
        secrets=settings.secrets,
    )


_service = APIRouter(tags=["service"], route_class=LenientRoute)


@_service.get(security.HEALTH, summary="Is the process alive?")
async def healthz() -> dict[str, str]:
    """Say that the process answers."""
    return {"status": "ok"}


@_service.get(
    security.READY,
    summary="Can events be recorded?",
    responses={503: {"description": "Not ready: `problem` says why."}},
)
async def readyz(request: Request) -> Response:
    """Say whether events can be recorded: something can be written, with the schema we need."""
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
    except HarkenError as error:
        status = 503
        report = {"status": "not ready", "problem": str(error)}
    return JSONResponse(report, status)

"""The service: the feed's routes with health, access rules and pages for people."""

import gc
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.types import Receive, Scope, Send

import harken
from harken.config import Settings
from harken.errors import HarkenError
from harken.protocols import presentation
from harken.protocols.api import errors, recording, security
from harken.protocols.api.feed import PREFIX, create_feed_router
from harken.protocols.api.recording import RecordingEndpoint
from harken.protocols.pages import routes as pages
from harken.protocols.pages.rendered import RenderedNotes
from harken.services.providers import (
    check_database,
    close_providers,
    get_feed_feedback_persistence,
    get_feed_service,
    setup_providers,
)
from harken.services.retraining import Commands, Retraining


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
            and scope["path"] == self._recording_path
            and scope["method"] == "POST"
        )
        await (self._recording if is_recording else super().__call__)(scope, receive, send)


def create_app(settings: Settings | None = None) -> FastAPI:
    """Make the application that `harken serve` serves."""
    settings = settings or Settings.load()
    app = Application(settings)
    errors.install(app)
    security.install(app, settings, pages.is_page)
    app.include_router(_service)
    app.state.rendered = RenderedNotes()
    app.include_router(pages.pages_router(settings))
    app.include_router(create_feed_router())
    return app


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
    await close_providers()


async def _retraining(settings: Settings) -> Retraining | None:
    if settings.retrain_every is None:
        return None
    service = await get_feed_service()
    # Of what is installed, whatever lies in the current folder.
    harken_itself = (sys.executable, "-P", "-m", "harken")
    return Retraining(
        service.models,
        service.leases,
        settings.retrain_every,
        Commands((*harken_itself, "train", "--promote"), (*harken_itself, "report")),
        secrets=settings.secrets,
    )


_service = APIRouter(tags=["service"])


@_service.get(security.HEALTH, summary="Is the process alive?")
async def healthz() -> dict[str, str]:
    """Say that the process answers."""
    return {"status": "ok"}


@_service.get(
    "/readyz",
    summary="Can events be recorded?",
    responses={503: {"description": "Not ready: `problem` says why."}},
)
async def readyz(request: Request) -> Response:
    """Say whether events can be recorded: the database answers, with the schema we need."""
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

"""The way of a request before FastAPI's routes.

observers ──▶ gate ──▶ a fast way, if the request records one event or asks for a page of a feed
                  ──▶ the routes, else
"""

from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Receive, Scope, Send

from harken.config import Settings
from harken.protocols.api import recording
from harken.protocols.api.feed_pages.answering import PageEndpoint
from harken.protocols.api.recording import RecordingEndpoint
from harken.protocols.http.addresses import PREFIX, path_of
from harken.protocols.http.gate import Gate
from harken.protocols.http.security import NO_PAGES, Pages
from harken.protocols.telemetry.tracing import traces_of
from harken.services.access.user_tokens import UserTokens
from harken.services.providers import (
    get_feed_feedback_persistence,
    get_feed_service,
    get_key_ring,
)
from harken.settings.telemetry import LogFormat

if TYPE_CHECKING:  # imported where the settings ask for them
    from harken.protocols.telemetry.access_log import AccessLog
    from harken.protocols.telemetry.metrics import ServiceMetrics


class Front:
    """An ASGI application that records events and answers pages, and gives the rest to others."""

    def __init__(self, settings: Settings, routes: ASGIApp, pages: Pages = NO_PAGES) -> None:
        """Stand before `routes`. Raises InvalidSettings, or MissingExtra for HARKEN_TOKEN_JWKS."""
        self.settings = settings
        self._routes = routes
        self._recording_path = f"{PREFIX}/feed{recording.PATH}"
        self._recording = RecordingEndpoint(get_feed_feedback_persistence, get_feed_service)
        self._pages = PageEndpoint(get_feed_service, f"{PREFIX}/feed")
        self._gate = Gate(self._route, settings, get_key_ring, pages)
        self.metrics = _metrics(settings)
        self.access_log = _access_log(settings)
        self._first: ASGIApp = self._observed()
        self.traces = traces_of(settings)
        if self.traces is not None:
            self._first = self.traces.around(self._first)

    @property
    def user_tokens(self) -> UserTokens:
        """What verifies user tokens, with those that it knows already."""
        return self._gate.tokens

    def _observed(self) -> ASGIApp:
        """Return the gate; without metrics and logs no layer stands before it, which costs less."""
        settings = self.settings
        if not (settings.metrics or settings.access_log or settings.log_format is LogFormat.JSON):
            return self._gate
        from harken.protocols.telemetry.requests import RequestObserver  # noqa: PLC0415

        return RequestObserver(self._gate, self.metrics, self.access_log)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, if the gate lets it in."""
        await self._first(scope, receive, send)

    def is_fast(self, scope: Scope) -> bool:
        """Return whether a request is answered without the routes."""
        return scope["type"] == "http" and (
            self._is_recording(scope) or self._pages.feed_of(scope) is not None
        )

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request: by a fast way if it records one event or asks for a page."""
        if scope["type"] != "http":
            await self._routes(scope, receive, send)
        elif self._is_recording(scope):
            await self._recording(scope, receive, send)
        elif (feed := self._pages.feed_of(scope)) is not None:
            await self._pages(feed, scope, receive, send)
        else:
            await self._routes(scope, receive, send)

    def _is_recording(self, scope: Scope) -> bool:
        return (
            scope["method"] == "POST"
            and path_of(scope) == self._recording_path
            and not scope["query_string"]  # the route refuses parameters with an error message
        )


def _metrics(settings: Settings) -> "ServiceMetrics | None":
    if not settings.metrics:
        return None
    from harken.protocols.telemetry.metrics import ServiceMetrics  # noqa: PLC0415

    return ServiceMetrics()


def _access_log(settings: Settings) -> "AccessLog | None":
    if not settings.access_log:
        return None
    from harken.protocols.telemetry.access_log import AccessLog  # noqa: PLC0415

    return AccessLog.of(settings)

"""An ASGI layer around all others that times requests, and names them in the log.

It only notes what happened; metrics and lines of the log are made of many requests together. By the
next request, what makes them has left the caches of the processor, so to make them one by one takes
several times as long (docs/monitoring.md).
"""

from collections.abc import Callable
from time import perf_counter

from starlette.types import ASGIApp, Receive, Scope, Send

from harken.protocols.http.addresses import path_of
from harken.protocols.http.gate import STATUS
from harken.protocols.telemetry import request_names
from harken.protocols.telemetry.access_log import AccessLog
from harken.protocols.telemetry.metrics import ServiceMetrics

INTERRUPTED = 499
"""The status of a request that ended without an answer, as in the log of nginx."""


class RequestObserver:
    """Forwards requests to the gate; what they took goes to the metrics and the access log."""

    def __init__(
        self, app: ASGIApp, metrics: ServiceMetrics | None, access_log: AccessLog | None,
        *, clock: Callable[[], float] = perf_counter,
    ) -> None:  # fmt: skip
        self._app = app
        self._metrics = metrics
        self._access_log = access_log
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, and note its status and its time."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = self._clock()
        if self._metrics is not None:
            self._metrics.began(scope["method"])
        token = request_names.enter(scope)
        try:
            await self._app(scope, receive, send)
        finally:
            seconds = self._clock() - began
            status = scope.get(STATUS, INTERRUPTED)
            if self._metrics is not None:
                self._metrics.answered(scope["method"], path_of(scope), status, seconds)
            if self._access_log is not None:
                self._access_log.note(scope, status, seconds)
            request_names.leave(token)

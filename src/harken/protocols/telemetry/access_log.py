"""The access log: a line for each request, on stderr, in the format of the other lines.

A request notes what its line needs. The lines of many are made and written together, at the latest
after `WRITTEN_WITHIN` seconds and at the end of the server. So a line costs a request a few
microseconds; by way of `logging` and structlog it cost half as much as recording an event
(docs/monitoring.md).
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from time import time
from typing import NamedTuple

from pydantic_core import to_json
from starlette.types import Scope

from harken.protocols.http.addresses import path_of
from harken.protocols.http.request_ids import request_id_of
from harken.protocols.http.route_rules import route_of
from harken.protocols.telemetry.metrics import known_method
from harken.protocols.telemetry.request_names import trace_of
from harken.protocols.telemetry.trace_context import TRACE
from harken.settings.telemetry import LogFormat, LogLevel, TelemetrySettings

WRITTEN_WITHIN = 0.2
MOST_LINES = 1_000
"""So many lines are written at once, without waiting for more."""
LOGGER = __name__


class _Noted(NamedTuple):
    """A request that was answered, at a time in seconds since 1970."""

    method: str
    path: str
    status: int
    seconds: float
    request_id: bytes
    trace_id: str | None
    headers: list[tuple[bytes, bytes]]
    at: float


class AccessLog:
    """Writes a line for each request; belongs to one event loop."""

    def __init__(self, log_format: LogFormat) -> None:
        self._line = _json if log_format is LogFormat.JSON else _text
        self._noted: list[_Noted] = []

    @classmethod
    def of(cls, settings: TelemetrySettings) -> "AccessLog | None":
        """Return the access log that the settings ask for; its lines have the level `info`."""
        is_heard = settings.log_level in {LogLevel.DEBUG, LogLevel.INFO}
        return cls(settings.log_format) if settings.access_log and is_heard else None

    def note(self, scope: Scope, status: int, seconds: float) -> None:
        """Note a request that was answered."""
        self._noted.append(
            _Noted(
                scope["method"], path_of(scope), status, seconds, request_id_of(scope),
                scope.get(TRACE), scope["headers"], time(),
            )
        )  # fmt: skip
        if len(self._noted) == 1:
            asyncio.get_running_loop().call_later(WRITTEN_WITHIN, self.write)
        elif len(self._noted) >= MOST_LINES:
            self.write()

    def write(self) -> None:
        """Write the lines of what was noted."""
        noted, self._noted = self._noted, []
        # As in `logging`: a server goes on if nobody takes its log.
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write("".join(map(self._line, noted)))
            sys.stderr.flush()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write at the end of the context what was noted in it."""
        try:
            yield
        finally:
            self.write()


def _fields(noted: _Noted) -> tuple[str, dict[str, object]]:
    method, route = known_method(noted.method), route_of(noted.method, noted.path)
    return f"{method} {route} {noted.status}", {
        "http_route": route,
        "http_response_status_code": noted.status,
        "duration_ms": round(1_000 * noted.seconds, 3),
        "request_id": noted.request_id.decode("latin-1"),
        **({"trace_id": noted.trace_id} if noted.trace_id else trace_of(noted.headers)),
    }


def _json(noted: _Noted) -> str:
    event, fields = _fields(noted)
    at = datetime.fromtimestamp(noted.at, UTC)
    line = {"event": event, "level": "info", "logger": LOGGER, **fields, "timestamp": at}
    return to_json(line).decode() + "\n"


def _text(noted: _Noted) -> str:
    event, fields = _fields(noted)
    named = " ".join(f"{name}={value}" for name, value in fields.items())
    return f"{'INFO:':9} {event} {named}\n"

"""The access log: a line for each request, on stderr, in the format of the other lines.

Lines are made by a request and written together with those of others, at the latest after
`WRITTEN_WITHIN` seconds and at the end of the server. So a line costs a request a few microseconds;
by way of `logging` and structlog it cost half as much as recording an event (docs/monitoring.md).
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from pydantic_core import to_json

from harken.protocols.telemetry.request_names import names
from harken.settings.telemetry import LogFormat, LogLevel, TelemetrySettings

WRITTEN_WITHIN = 0.2
MOST_LINES = 1_000
"""So many lines are written at once, without waiting for more."""
LOGGER = __name__


class AccessLog:
    """Writes a line for each request; belongs to one event loop."""

    def __init__(self, log_format: LogFormat) -> None:
        self._line = _json if log_format is LogFormat.JSON else _text
        self._lines: list[str] = []

    @classmethod
    def of(cls, settings: TelemetrySettings) -> "AccessLog | None":
        """Return the access log that the settings ask for; its lines have the level `info`."""
        is_heard = settings.log_level in {LogLevel.DEBUG, LogLevel.INFO}
        return cls(settings.log_format) if settings.access_log and is_heard else None

    def note(self, method: str, route: str, status: int, seconds: float) -> None:
        """Note a request that was answered, with what names it in the log."""
        fields: dict[str, object] = {
            "http_route": route,
            "http_response_status_code": status,
            "duration_ms": round(1_000 * seconds, 3),
        }
        self._lines.append(self._line(f"{method} {route} {status}", fields | names()))
        if len(self._lines) == 1:
            asyncio.get_running_loop().call_later(WRITTEN_WITHIN, self.write)
        elif len(self._lines) >= MOST_LINES:
            self.write()

    def write(self) -> None:
        """Write the lines that were noted."""
        lines, self._lines = self._lines, []
        # As in `logging`: a server goes on if nobody takes its log.
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write("".join(lines))
            sys.stderr.flush()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write at the end of the context what was noted in it."""
        try:
            yield
        finally:
            self.write()


def _json(event: str, fields: dict[str, object]) -> str:
    line = {
        "event": event, "level": "info", "logger": LOGGER, **fields, "timestamp": datetime.now(UTC),
    }  # fmt: skip
    return to_json(line).decode() + "\n"


def _text(event: str, fields: dict[str, object]) -> str:
    named = " ".join(f"{name}={value}" for name, value in fields.items())
    return f"{'INFO:':9} {event} {named}\n"

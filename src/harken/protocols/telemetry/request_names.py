"""What lines of the log say of the request that they are written for: its id, and its trace.

The names are found when a line is written, since most requests write none.
"""

from collections.abc import Iterable
from contextvars import ContextVar, Token

from starlette.types import Scope
from structlog.contextvars import get_contextvars
from structlog.types import EventDict, WrappedLogger

from harken.protocols.http.request_ids import request_id_of
from harken.protocols.telemetry.trace_context import trace_id_of

_REQUEST: ContextVar[Scope | None] = ContextVar("harken_request", default=None)


def enter(scope: Scope) -> Token[Scope | None]:
    """Name a request in the lines that are written from here on, until `leave`."""
    return _REQUEST.set(scope)


def leave(token: Token[Scope | None]) -> None:
    """Name what was named before `enter`."""
    _REQUEST.reset(token)


def names() -> dict[str, object]:
    """Return `request_id` and `trace_id` of the present request, as far as there are any."""
    found = dict(get_contextvars())
    scope = _REQUEST.get()
    if scope is not None:
        found["request_id"] = request_id_of(scope).decode("latin-1")
        found |= trace_of(scope["headers"])
    return found


def trace_of(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return `trace_id` of a request, if it has one, by its headers."""
    trace = trace_id_of(dict(headers).get(b"traceparent", b""))
    return {"trace_id": trace} if trace else {}


def add_names(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add the names of the present request to a line, as a processor of structlog."""
    event.update(names())
    return event

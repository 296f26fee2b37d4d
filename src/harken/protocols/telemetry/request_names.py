"""What lines of the log say of the request that they are written for: its id, and its trace.

The names are found when a line is written, since most requests write none.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from starlette.types import Scope
from structlog.contextvars import get_contextvars
from structlog.types import EventDict, WrappedLogger

from harken.protocols.http.request_ids import request_id_of
from harken.protocols.telemetry.trace_context import trace_id_of

_REQUEST: ContextVar[Scope | None] = ContextVar("harken_request", default=None)


@contextmanager
def within(scope: Scope) -> Iterator[None]:
    """Name a request in the lines that are written within the context."""
    request_id_of(scope)  # layers that copy the scope share it from here on
    token = _REQUEST.set(scope)
    try:
        yield
    finally:
        _REQUEST.reset(token)


def names() -> dict[str, object]:
    """Return `request_id` and `trace_id` of the present request, as far as there are any."""
    found = dict(get_contextvars())
    scope = _REQUEST.get()
    if scope is not None:
        found["request_id"] = request_id_of(scope).decode("latin-1")
        sent = dict(scope["headers"]).get(b"traceparent", b"")
        if trace := trace_id_of(sent):
            found["trace_id"] = trace
    return found


def add_names(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add the names of the present request to a line, as a processor of structlog."""
    event.update(names())
    return event

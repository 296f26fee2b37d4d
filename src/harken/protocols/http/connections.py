"""Connections of `harken serve`: their number is limited, and so is the time to receive a request.

A client that sends nothing, or one byte a second, keeps its connection for a limited time only. If
the limit of connections is reached, the connection that has been idle longest is closed for a new
one; so idle connections never block a new one.
"""

import asyncio
import logging
import time
from http import HTTPStatus
from typing import Any, ClassVar, NamedTuple, cast

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from harken.protocols.http.errors import problem
from harken.protocols.http.size_limits import HEAD_LIMIT, URL_LIMIT

log = logging.getLogger(__name__)

# A body that arrives, or an answer that is read, at this rate or faster has no time limit.
BYTES_PER_SECOND = 8 * 1024
CHECK_SECONDS = 0.5
# File descriptors that the process needs for its database, logs and modules.
OTHER_FILES = 256


class Limits(NamedTuple):
    """The highest number of connections, and the seconds for receiving headers and body."""

    connections: int
    header_seconds: float
    body_seconds: float


class Connection(HttpToolsProtocol):
    """A connection with time limits.

    The overridden methods run for every request, so they only note when the present phase began,
    in seconds of the watch's clock, and how many bytes arrived since then.
    """

    watch: ClassVar["Watch"]

    def connection_made(self, transport: Any) -> None:
        """Wait for a request, if the limit of connections allows it."""
        super().connection_made(transport)
        self.received = 0
        self.chunk = 0
        self.since = 0.0
        self.watch.admit(self)

    def data_received(self, data: bytes) -> None:
        """Parse received bytes; answers 431 if the headers exceed `HEAD_LIMIT` bytes."""
        self.chunk = len(data)
        super().data_received(data)
        self.received += self.chunk
        if self.received > HEAD_LIMIT and self.is_in_head and not self.transport.is_closing():
            self.refuse(431, f"The headers are larger than {HEAD_LIMIT} bytes.")

    def on_message_begin(self) -> None:
        """Note that a request begins."""
        self.received = 0
        self.since = self.watch.now
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Start the application for a request, and wait for its body."""
        self.since = self.watch.now
        if self.received + self.chunk <= URL_LIMIT:
            super().on_headers_complete()
            return
        app = self.app
        self.app = self._refusal_of_size() or app
        try:
            super().on_headers_complete()
        finally:
            self.app = app

    @property
    def is_in_head(self) -> bool:
        """Whether the headers of a request have arrived in part."""
        return self.scope is not None and (self.cycle is None or self.scope is not self.cycle.scope)

    @property
    def is_waiting(self) -> bool:
        """Whether no request is being answered; the connection waits for one or its headers."""
        return self.cycle is None or self.cycle.response_complete

    def is_overdue(self) -> bool:
        """Return whether the present phase has exceeded its time limit."""
        limits, waited = self.watch.limits, self.watch.now - self.since
        if not self.is_waiting:
            allowed = limits.body_seconds + self.received / BYTES_PER_SECOND
            return self.cycle.more_body and waited > allowed and not self.flow.read_paused
        if self.cycle is None or self.is_in_head:
            return waited > limits.header_seconds
        # Uvicorn closes connections that are idle between requests; its timer does not run if
        # bytes arrived that do not begin a request.
        is_idle = self.timeout_keep_alive_task is not None
        return not is_idle and waited > limits.header_seconds + self.timeout_keep_alive

    def end(self) -> None:
        """Close the connection because its time limit is exceeded."""
        if not self.is_waiting:
            self.refuse(408, "The body of the request took too long to arrive.")
        elif self.is_in_head:
            self.refuse(408, "The headers of the request took too long to arrive.")
        else:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Refuse bytes that are not valid HTTP."""
        self.refuse(400, msg)

    def refuse(self, status: int, detail: str) -> None:
        """Send a problem document, unless an answer has begun, and close the connection."""
        if self.is_waiting or not (self.cycle.response_started or self.pipeline):
            self.transport.write(_http_bytes(status, detail))
        if not self.is_waiting:
            self.cycle.disconnected = True  # wakes the application if it waits for the body
            self.cycle.message_event.set()
        self.transport.close()

    def _refusal_of_size(self) -> Any:
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if len(self.url) > URL_LIMIT:
            return _Refusal(414, f"The address is longer than {URL_LIMIT} bytes.")
        if size > HEAD_LIMIT:
            return _Refusal(431, f"The headers are larger than {HEAD_LIMIT} bytes.")
        return None


class Watch:
    """Closes the connections of a server that exceed their time limits.

    `now` is a monotonic time in seconds, updated every half second.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.now = 0.0
        self._connections: set[Any] = set()
        self._unread: dict[Connection, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def protocol(self) -> type[Connection]:
        """Return the protocol class for uvicorn."""
        return type("WatchedConnection", (Connection,), {"watch": self})

    def admit(self, connection: Connection) -> None:
        """Accept a new connection; at the limit, close the connection that is idle longest.

        If all other connections answer requests, the new one gets a 503.
        """
        self._connections = cast("set[Any]", connection.connections)
        if self._timer is None:
            self.now = time.monotonic()
            self._schedule_check(connection.loop)
        connection.since = time.monotonic()
        if len(self._connections) <= self.limits.connections:
            return
        idle = [each for each in self._connections if each.is_waiting and each is not connection]
        open_ = [each for each in idle if not each.transport.is_closing()]
        if open_:
            min(open_, key=lambda each: each.since).transport.close()
        elif not idle:
            connection.refuse(503, "All connections are in use. Try again in a moment.")

    def _schedule_check(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(CHECK_SECONDS, self._check, loop)

    def _check(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close the connections whose time limit is exceeded."""
        before, self.now = self.now, time.monotonic()
        # After a pause of the event loop, bytes that arrived meanwhile are read first.
        if self.now - before < 4 * CHECK_SECONDS:
            self._close_overdue()
            self._close_unread()
        if self._connections:
            self._schedule_check(loop)
        else:
            self._timer = None

    def _close_overdue(self) -> None:
        overdue = [
            each
            for each in self._connections
            if each.is_overdue() and not each.transport.is_closing()
        ]
        for each in overdue:
            each.end()
        if overdue:
            log.info("closed %d connections that exceeded a time limit", len(overdue))

    def _close_unread(self) -> None:
        """Close the connections whose client does not read its answer."""
        unread = [
            each
            for each in self._connections
            if each.flow.write_paused or each.transport.is_closing()
        ]
        self._unread = {
            each: self._unread.get(each) or self._read_deadline(each) for each in unread
        }
        for each, end in self._unread.items():
            if end < self.now:
                each.transport.abort()

    def _read_deadline(self, connection: Connection) -> float:
        """Return the time until which a client may read the bytes that are buffered for it."""
        size = connection.transport.get_write_buffer_size()
        return self.now + self.limits.body_seconds + size / BYTES_PER_SECOND


def room_for(connections: int) -> int:
    """Raise the limit of open files for this number of connections.

    Returns the number of connections that the limit allows, at most `connections`.
    """
    try:
        import resource  # noqa: PLC0415 — Windows has none, and no such limit
    except ImportError:
        return connections
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return connections
    soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(1, soft - OTHER_FILES)


class _Refusal:
    """An ASGI application that refuses a request and closes the connection."""

    def __init__(self, status: int, detail: str) -> None:
        self._response = problem(status, detail, headers={"Connection": "close"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._response(scope, receive, send)


def _http_bytes(status: int, detail: str) -> bytes:
    """Return an HTTP/1.1 response as bytes, for a connection without a parsed request."""
    headers = {"Connection": "close"} | ({"Retry-After": "1"} if status == 503 else {})
    response = problem(status, detail, headers=headers)
    lines = [b"HTTP/1.1 %d %s" % (status, HTTPStatus(status).phrase.encode())]
    lines += [name + b": " + value for name, value in response.raw_headers]
    return b"\r\n".join([*lines, b"", bytes(response.body)])

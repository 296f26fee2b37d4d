"""Connections of `harken serve`: how many there may be, and how long a request may take to arrive.

A client that sends nothing, or a byte a second, has its place for a bounded time only. Where all
places are taken, the connection that has waited longest for a request makes room for a new one; so
those that idle keep nobody out.
"""

import asyncio
import logging
import time
from http import HTTPStatus
from typing import Any, ClassVar, NamedTuple, cast

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from harken.protocols.http.errors import problem

log = logging.getLogger(__name__)

URL_LIMIT = 32 * 1024
HEAD_LIMIT = 64 * 1024
# Bodies that come, and answers that are read, at least this fast may take as long as they need.
BYTES_PER_SECOND = 8 * 1024
LOOK_SECONDS = 0.5
# What the process opens besides: its database, logs, modules.
OTHER_FILES = 256


class Limits(NamedTuple):
    """How many connections there may be, and the seconds that parts of a request may take."""

    connections: int
    header_seconds: float
    body_seconds: float


class Connection(HttpToolsProtocol):
    """A connection that is watched.

    What is overridden runs for every request, so it does little: it notes when something began,
    by the watch's clock, and how much came since.
    """

    watch: ClassVar["Watch"]

    def connection_made(self, transport: Any) -> None:
        """Wait for a request, where there is room."""
        super().connection_made(transport)
        self.received = 0
        self.chunk = 0
        self.since = 0.0
        self.watch.admit(self)

    def data_received(self, data: bytes) -> None:
        """Read; a request's head has at most `HEAD_LIMIT` bytes."""
        self.chunk = len(data)
        super().data_received(data)
        self.received += self.chunk
        if self.received > HEAD_LIMIT and self.is_in_head and not self.transport.is_closing():
            self.refuse(431, f"The headers are larger than {HEAD_LIMIT} bytes.")

    def on_message_begin(self) -> None:
        """Begin to read a request."""
        self.received = 0
        self.since = self.watch.now
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Hand the request over, and begin to wait for its body."""
        self.since = self.watch.now
        if self.received + self.chunk <= URL_LIMIT:
            super().on_headers_complete()
            return
        app = self.app
        self.app = self._refusal_of_large() or app
        try:
            super().on_headers_complete()
        finally:
            self.app = app

    @property
    def is_in_head(self) -> bool:
        """Whether a part of a request's head has come, and not all of it."""
        return self.scope is not None and (self.cycle is None or self.scope is not self.cycle.scope)

    @property
    def is_waiting(self) -> bool:
        """Whether no request is at work: it is waited for the next, or for the rest of its head."""
        return self.cycle is None or self.cycle.response_complete

    def is_late(self) -> bool:
        """Whether what is waited for has taken too long."""
        limits, waited = self.watch.limits, self.watch.now - self.since
        if not self.is_waiting:
            allowed = limits.body_seconds + self.received / BYTES_PER_SECOND
            return self.cycle.more_body and waited > allowed and not self.flow.read_paused
        if self.cycle is None or self.is_in_head:
            return waited > limits.header_seconds
        # Between requests uvicorn looks after it, unless what came begins no request.
        is_idle = self.timeout_keep_alive_task is not None
        return not is_idle and waited > limits.header_seconds + self.timeout_keep_alive

    def end(self) -> None:
        """End it for being late."""
        if not self.is_waiting:
            self.refuse(408, "The body of the request took too long to arrive.")
        elif self.is_in_head:
            self.refuse(408, "The headers of the request took too long to arrive.")
        else:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP."""
        self.refuse(400, msg)

    def refuse(self, status: int, detail: str) -> None:
        """Answer with a problem document, unless an answer has begun, and close."""
        if self.is_waiting or not (self.cycle.response_started or self.pipeline):
            self.transport.write(_written(status, detail))
        if not self.is_waiting:
            self.cycle.disconnected = True  # whoever waits for the body is told so
            self.cycle.message_event.set()
        self.transport.close()

    def _refusal_of_large(self) -> Any:
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if len(self.url) > URL_LIMIT:
            return _Refusal(414, f"The address is longer than {URL_LIMIT} bytes.")
        if size > HEAD_LIMIT:
            return _Refusal(431, f"The headers are larger than {HEAD_LIMIT} bytes.")
        return None


class Watch:
    """All connections of a server, and what ends the ones that take too long.

    `now` is a monotonic time, right to half a second.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.now = 0.0
        self._everybody: set[Any] = set()
        self._unread: dict[Connection, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def protocol(self) -> type[Connection]:
        """Return the protocol for uvicorn to make connections with."""
        return type("WatchedConnection", (Connection,), {"watch": self})

    def admit(self, connection: Connection) -> None:
        """Let a new connection wait for a request; where all places are taken, make room."""
        self._everybody = cast("set[Any]", connection.connections)
        if self._timer is None:
            self.now = time.monotonic()
            self._look_later(connection.loop)
        connection.since = time.monotonic()
        if len(self._everybody) <= self.limits.connections:
            return
        idle = [each for each in self._everybody if each.is_waiting and each is not connection]
        open_ = [each for each in idle if not each.transport.is_closing()]
        if open_:
            min(open_, key=lambda each: each.since).transport.close()
        elif not idle:
            connection.refuse(503, "All connections are at work; try again in a moment.")

    def _look_later(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(LOOK_SECONDS, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """End the connections whose time is over."""
        before, self.now = self.now, time.monotonic()
        # After a pause of the loop, what came meanwhile is read first.
        if self.now - before < 4 * LOOK_SECONDS:
            self._end_late()
            self._end_unread()
        if self._everybody:
            self._look_later(loop)
        else:
            self._timer = None

    def _end_late(self) -> None:
        late = [
            each for each in self._everybody if each.is_late() and not each.transport.is_closing()
        ]
        for each in late:
            each.end()
        if late:
            log.info("closed %d connections that took too long", len(late))

    def _end_unread(self) -> None:
        """End the connections whose client does not read what was answered."""
        unread = [
            each
            for each in self._everybody
            if each.flow.write_paused or each.transport.is_closing()
        ]
        self._unread = {each: self._unread.get(each) or self._end_of(each) for each in unread}
        for each, end in self._unread.items():
            if end < self.now:
                each.transport.abort()

    def _end_of(self, connection: Connection) -> float:
        """Return the time until which a client may read what waits for it now."""
        size = connection.transport.get_write_buffer_size()
        return self.now + self.limits.body_seconds + size / BYTES_PER_SECOND


def room_for(connections: int) -> int:
    """Let the process open as many files as so many connections need.

    Returns how many there is room for, where the system's limit cannot be raised as far.
    """
    try:
        import resource  # noqa: PLC0415 — Windows has none, and no such limit
    except ImportError:
        return connections
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections
    soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(1, soft - OTHER_FILES)


class _Refusal:
    """An ASGI application that refuses a request, and ends its connection."""

    def __init__(self, status: int, detail: str) -> None:
        self._response = problem(status, detail, headers={"Connection": "close"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._response(scope, receive, send)


def _written(status: int, detail: str) -> bytes:
    """Write an answer as HTTP/1.1, for where there is no request that could be answered."""
    headers = {"Connection": "close"} | ({"Retry-After": "1"} if status == 503 else {})
    response = problem(status, detail, headers=headers)
    lines = [b"HTTP/1.1 %d %s" % (status, HTTPStatus(status).phrase.encode())]
    lines += [name + b": " + value for name, value in response.raw_headers]
    return b"\r\n".join([*lines, b"", bytes(response.body)])

"""Connections of `harken serve`: how many there may be, and how long a request may take to arrive.

A client that sends nothing, or a byte a second, has its place for a bounded time only. Where all
places are taken, the connection that has waited longest for a request makes room for a new one; so
those that idle keep nobody out.
"""

import asyncio
import logging
from http import HTTPStatus
from typing import Any, ClassVar, NamedTuple

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from harken.protocols.api.errors import problem

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
    """A connection that is watched."""

    watch: ClassVar["Watch"]

    def connection_made(self, transport: Any) -> None:
        """Wait for a request, where there is room."""
        super().connection_made(transport)
        self.head_bytes = 0
        self.body_bytes = 0
        self.watch.admit(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave room for another."""
        self.watch.forget(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read; a request's head has at most `HEAD_LIMIT` bytes."""
        if self not in self.watch.reading:
            self.head_bytes += len(data)
        super().data_received(data)
        if self.head_bytes > HEAD_LIMIT and not self.transport.is_closing():
            self.refuse(431, f"The headers are larger than {HEAD_LIMIT} bytes.")

    def on_headers_complete(self) -> None:
        """Hand the request over, and wait for its body."""
        self.watch.waiting.pop(self, None)
        is_large, self.head_bytes, self.body_bytes = self.head_bytes > URL_LIMIT, 0, 0
        app = self.app
        try:
            if is_large:
                self.app = self._refusal_of_large() or app
            super().on_headers_complete()
        finally:
            self.app = app
        self.watch.reading[self] = self.watch.now

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        self.body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Know that the whole request is there."""
        self.watch.reading.pop(self, None)
        super().on_message_complete()
        self._wait_for_next()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._wait_for_next()

    def _wait_for_next(self) -> None:
        watch = self.watch
        if self.cycle.response_complete and self not in watch.reading:
            watch.waiting[self] = watch.now + self.timeout_keep_alive + watch.limits.header_seconds

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP."""
        self.refuse(400, msg)

    def refuse(self, status: int, detail: str) -> None:
        """Answer with a problem document, unless an answer has begun, and close."""
        cycle = self.cycle
        is_between = cycle is None or cycle.response_complete
        if is_between or not (cycle.response_started or self.pipeline):
            self.transport.write(_written(status, detail))
        if not is_between:
            cycle.disconnected = True  # whoever waits for the body is told so
            cycle.message_event.set()
        self.transport.close()

    @property
    def has_begun(self) -> bool:
        """Whether a part of the request that is waited for has come."""
        return self.headers is not None and self.timeout_keep_alive_task is None

    def _refusal_of_large(self) -> Any:
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if len(self.url) > URL_LIMIT:
            return _Refusal(414, f"The address is longer than {URL_LIMIT} bytes.")
        if size > HEAD_LIMIT:
            return _Refusal(431, f"The headers are larger than {HEAD_LIMIT} bytes.")
        return None


class Watch:
    """All connections of a server, and what ends the ones that take too long.

    Connections that wait for a request are in `waiting`, with the time at which that ends, the one
    that began first at the front; those that wait for the rest of a body are in `reading`, with
    the time at which that began. Times are those of the event loop, by `now`, which is right to
    half a second.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.waiting: dict[Connection, float] = {}
        self.reading: dict[Connection, float] = {}
        self.now = 0.0
        self._everybody: set[Any] = set()
        self._unread: dict[Connection, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def protocol(self) -> type[Connection]:
        """Return the protocol for uvicorn to make connections with."""
        return type("WatchedConnection", (Connection,), {"watch": self})

    def admit(self, connection: Connection) -> None:
        """Let a new connection wait for a request; where all places are taken, make room."""
        self._everybody = connection.connections
        if self._timer is None:
            self.now = connection.loop.time()
            self._look_later(connection.loop)
        if len(self._everybody) > self.limits.connections:
            longest = next(iter(self.waiting), None)
            if longest is None:
                connection.refuse(503, "All connections are in use; try again in a moment.")
                return
            del self.waiting[longest]
            longest.transport.close()
        self.waiting[connection] = self.now + self.limits.header_seconds

    def forget(self, connection: Connection) -> None:
        """Know that a connection is gone."""
        for among in (self.waiting, self.reading, self._unread):
            among.pop(connection, None)

    def _look_later(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(LOOK_SECONDS, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """End the connections whose time is over."""
        before, self.now = self.now, loop.time()
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
            each
            for each, end in self.waiting.items()
            if end < self.now and not each.transport.is_closing()
        ]
        for each in late:
            del self.waiting[each]
            if each.has_begun:
                each.refuse(408, "The headers of the request took too long to arrive.")
            else:
                each.transport.close()
        slow = [each for each, began in self.reading.items() if self._is_slow(each, began)]
        for each in slow:
            del self.reading[each]
            if each.cycle.response_complete:  # it was answered without its body
                each.transport.close()
            else:
                each.refuse(408, "The body of the request took too long to arrive.")
        if late or slow:
            log.info("closed %d connections that took too long", len(late) + len(slow))

    def _is_slow(self, connection: Connection, began: float) -> bool:
        allowed = self.limits.body_seconds + connection.body_bytes / BYTES_PER_SECOND
        return self.now - began > allowed and not connection.flow.read_paused

    def _end_unread(self) -> None:
        """End the connections whose client does not read what was answered."""
        for each in list(self._everybody):
            transport = each.transport
            if not (each.flow.write_paused or transport.is_closing()):
                self._unread.pop(each, None)
                continue
            size = transport.get_write_buffer_size()
            end = self.now + self.limits.body_seconds + size / BYTES_PER_SECOND
            if self._unread.setdefault(each, end) < self.now:
                transport.abort()


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

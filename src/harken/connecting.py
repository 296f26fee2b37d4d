"""Database connections: their timeouts, and when open ones are replaced."""

import asyncio
import contextlib
import socket
import time
import weakref
from collections.abc import Awaitable, Callable
from secrets import token_hex
from types import TracebackType
from typing import Any, NamedTuple

import asyncpg
from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry
from sqlalchemy.util import queue

from harken.config import Settings
from harken.databases.postgresql_urls import driver_url
from harken.databases.sqlite_files import SqliteFile
from harken.failures import FileReplaced, breaks_connection
from harken.outages import Attempt, Outages

OPTION = "harken_connections"
"""The execution option that holds the `Connections` of an engine."""
DEADLINE = "harken_deadline"
"""The execution option that holds the `Deadline` of a transaction."""

TOO_MANY = "53300"
# How long no further connection is opened after the server refused one because it had too many.
BACKOFF_SECONDS = 1.0
PROBES = 3
CLOSING_SECONDS = 1.0

# How often the server checks that a waiting client is still connected, in milliseconds. Without
# this, a statement of a client that gave up would wait for its lock and occupy a connection.
_LOOK_MILLISECONDS = "5000"
# A server or connection pooler that does not know a setting refuses the connection with these.
_REFUSES_SETTINGS = {"08P01", "22023", "42704", "0A000"}


class Limits(NamedTuple):
    """Timeouts in seconds; None means no limit."""

    connect: float | None = None
    command: float | None = None  # of each statement, and of waiting for a free connection
    keepalive: float | None = None  # silence after which TCP checks that the peer still answers


class Connections:
    """The state of the connections of one engine: limits, outages, and which are outdated."""

    def __init__(self, limits: Limits | None = None, file: SqliteFile | None = None) -> None:
        self.limits = limits or Limits()
        self.file = file
        self.outages = Outages()
        self.generation = 0
        """Grows when the open connections must not be used any more."""
        self._drivers: weakref.WeakSet[Any] = weakref.WeakSet()

    def failed(
        self, error: BaseException, info: dict[Any, Any] | None, began: Attempt | None = None
    ) -> None:
        """Note an error, with the `info` of the connection that it occurred on, if any."""
        self.outages.failed(error, began)
        if info is not None and breaks_connection(error):
            self._outdate(info)

    def succeeded(self, began: Attempt, *, wrote: bool) -> None:
        """Note a successful transaction."""
        if self.outages.obstacle is not None:
            (self.outages.wrote if wrote else self.outages.read)(began.failures)

    def check_file(self, info: dict[Any, Any]) -> None:
        """Raise FileReplaced if the file of an SQLite connection is no longer at its path."""
        if self.file is not None:
            try:
                self.file.check(info.get("harken_file"))
            except FileReplaced:
                self._outdate(info)
                raise

    def follow(self, engine: AsyncEngine) -> None:
        """Listen to the events of an engine's connections."""
        event.listen(engine.sync_engine, "connect", self._connected)
        event.listen(engine.sync_engine, "checkout", self._checked_out)
        if self.limits.command is not None and engine.dialect.name == "postgresql":
            event.listen(engine.sync_engine, "before_cursor_execute", extend)
        if self.file is not None:
            event.listen(engine.sync_engine, "do_connect", self._connecting)

    async def close(self, engine: AsyncEngine) -> None:
        """Close all connections within a second, even if the server does not answer."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSING_SECONDS):
                await engine.dispose()
        for driver in list(self._drivers):
            driver.terminate()

    def renew(self) -> None:
        """Stop using all connections that are open now."""
        self.generation += 1

    def _outdate(self, info: dict[Any, Any]) -> None:
        # Once per generation: connections that were opened since then may be good.
        if info.get("harken_generation") == self.generation:
            self.renew()

    def _connecting(self, *_: Any) -> None:
        if self.file is not None:
            self.file.prepare()

    def _connected(self, connection: Any, record: ConnectionPoolEntry) -> None:
        record.info["harken_generation"] = self.generation
        if self.file is not None:
            record.info["harken_file"] = self.file.identity()
        driver = connection.driver_connection
        if isinstance(driver, asyncpg.Connection):
            self._drivers.add(driver)

    def _checked_out(self, connection: Any, record: ConnectionPoolEntry, _proxy: Any) -> None:
        if self.file is not None:
            try:
                self.check_file(record.info)
            except FileReplaced as error:
                raise DisconnectionError(str(error)) from None
        if record.info.get("harken_generation") != self.generation:
            driver = connection.driver_connection
            if isinstance(driver, asyncpg.Connection):
                driver.terminate()  # a regular close may wait for a server that never answers
            raise DisconnectionError("the connection is outdated")


class Deadline:
    """A time limit for each statement of a transaction: `async with Deadline(10)`, in seconds."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._timeout = asyncio.timeout(seconds)

    async def __aenter__(self) -> "Deadline":
        await self._timeout.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._timeout.__aexit__(kind, error, traceback)

    def extend(self) -> None:
        """Restart the time limit, as for a new statement."""
        if self._seconds is not None and not self._timeout.expired():
            self._timeout.reschedule(asyncio.get_running_loop().time() + self._seconds)


def extend(connection: Any, *_: Any) -> None:
    """Restart the time limit of a connection's transaction."""
    deadline = connection.get_execution_options().get(DEADLINE)
    if deadline is not None:
        deadline.extend()


class Pool(AsyncAdaptedQueuePool):
    """A pool that shares its open connections when the server accepts no more of them."""

    _backs_off_until = 0.0

    def _do_get(self) -> ConnectionPoolEntry:
        if time.monotonic() < self._backs_off_until and self.checkedout():
            return self._wait_for_returned()
        try:
            return super()._do_get()
        except Exception as error:
            # The error is asyncpg's own, or SQLAlchemy's wrapper of it.
            if getattr(error, "sqlstate", None) != TOO_MANY or not self.checkedout():
                raise
        self._backs_off_until = time.monotonic() + BACKOFF_SECONDS
        return self._wait_for_returned()

    def _wait_for_returned(self) -> ConnectionPoolEntry:
        try:
            return self._pool.get(block=True, timeout=self._timeout)
        except queue.Empty:
            raise PoolTimeout("no connection was returned to the pool in time") from None


def limits_of(settings: Settings) -> Limits:
    """Return the configured limits."""
    return Limits(
        settings.database_connect_timeout,
        settings.database_command_timeout,
        settings.database_keepalive,
    )


def connector(url: str, limits: Limits) -> Callable[..., Awaitable[Any]]:
    """Return a function that connects to PostgreSQL at a URL within the limits."""
    watched = type("WatchedConnection", (_Watched, asyncpg.Connection), {"limits": limits})
    address = driver_url(url)
    own: dict[str, Any] = {"timeout": limits.connect, "connection_class": watched}

    async def connect(*_: Any, **_of_sqlalchemy: Any) -> Any:
        try:
            return await asyncpg.connect(address, **own, server_settings=_server(limits))
        except asyncpg.PostgresError as error:
            if error.sqlstate not in _REFUSES_SETTINGS:
                raise
        return await asyncpg.connect(address, **own)

    return connect


class _Watched:
    """A connection with TCP keepalive, whose prepared statements have names that no other uses.

    A pooler may hand the server's side of a connection on. A statement of the same name there,
    which another process prepared, would be executed in place of ours.
    """

    limits: Limits

    def __init__(self, protocol: Any, transport: asyncio.Transport, *rest: Any) -> None:
        init: Any = super().__init__  # asyncpg's, which has no types
        init(protocol, transport, *rest)
        found = transport.get_extra_info("socket")
        if found is not None and self.limits.keepalive is not None:
            keep_alive(found, self.limits.keepalive)
        self._own = token_hex(6)

    def _get_unique_id(self, prefix: str) -> str:
        name: str = super()._get_unique_id(prefix)  # type: ignore[misc]  # asyncpg's
        return f"{name}{self._own}"


def keep_alive(connection: Any, seconds: float) -> None:
    """Turn on TCP keepalive after `seconds` of silence; a dead peer is noticed after twice that."""
    if connection.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    idle, between = max(1, round(seconds)), max(1, round(seconds / PROBES))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    wanted = {"TCP_KEEPIDLE": idle, "TCP_KEEPINTVL": between, "TCP_KEEPCNT": PROBES,
              "TCP_USER_TIMEOUT": 2_000 * idle}  # fmt: skip
    for name, value in wanted.items():
        if hasattr(socket, name):  # some systems lack some of these options
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _server(limits: Limits) -> dict[str, str]:
    """Return the server settings of a connection."""
    asked = {
        "client_connection_check_interval": _LOOK_MILLISECONDS,
        # For statements outside transactions; the others name theirs.
        "default_transaction_isolation": "read committed",
    }
    if limits.command is not None:
        # Shorter than our own timeout, so that no statement waits on the server after we gave up.
        asked["lock_timeout"] = str(max(1, round(900 * limits.command)))
    if limits.keepalive is not None:
        idle, between = max(1, round(limits.keepalive)), max(1, round(limits.keepalive / PROBES))
        asked |= {"tcp_keepalives_idle": str(idle), "tcp_keepalives_interval": str(between),
                  "tcp_keepalives_count": str(PROBES)}  # fmt: skip
    return asked

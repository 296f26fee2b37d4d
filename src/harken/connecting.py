"""Connections: how long is waited for them and for what they do, and which are of use still."""

import asyncio
import contextlib
import socket
import time
import weakref
from collections.abc import Awaitable, Callable
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
from harken.failures import FileReplaced, breaks_connection
from harken.outages import Outages
from harken.sqlite_files import SqliteFile

OPTION = "harken_connections"
"""The execution option by which an engine knows its `Connections`."""
DEADLINE = "harken_deadline"
"""… and a transaction its `Deadline`."""

TOO_MANY = "53300"
# After a server had no place for another connection, how long none is asked for.
CONTENT_SECONDS = 1.0
PROBES = 3
CLOSING_SECONDS = 1.0

# How often a server looks whether who waits for a statement is there still, in milliseconds. Else
# it would go on waiting for a lock, in one of its few connections, for a client that gave up.
_LOOK_MILLISECONDS = "5000"
# A server or pooler between us that does not know a setting refuses the connection with these.
_REFUSES_SETTINGS = {"08P01", "22023", "42704", "0A000"}


class Limits(NamedTuple):
    """How long is waited, in seconds; None for ever."""

    connect: float | None = None
    command: float | None = None  # for each statement, and for a connection to be free
    keepalive: float | None = None  # of silence, before it is asked whether the other side is there


class Connections:
    """What is known of the connections of one engine."""

    def __init__(self, limits: Limits | None = None, file: SqliteFile | None = None) -> None:
        self.limits = limits or Limits()
        self.file = file
        self.outages = Outages()
        self.generation = 0
        """Goes up when those that are open are of no use any more."""
        self._drivers: weakref.WeakSet[Any] = weakref.WeakSet()

    def failed(self, error: BaseException, info: dict[Any, Any] | None) -> None:
        """Take down an error, and where it was met on a connection, that connection's `info`."""
        self.outages.failed(error)
        if info is not None and breaks_connection(error):
            self._outdate(info)

    def succeeded(self, failures: int, *, wrote: bool) -> None:
        """Take down a transaction that began when there had been so many failures."""
        if self.outages.obstacle is not None:
            (self.outages.wrote if wrote else self.outages.read)(failures)

    def check_file(self, info: dict[Any, Any]) -> None:
        """Raise FileReplaced where an SQLite connection is not to the file at its path."""
        if self.file is not None:
            try:
                self.file.check(info.get("harken_file"))
            except FileReplaced:
                self._outdate(info)
                raise

    def follow(self, engine: AsyncEngine) -> None:
        """Watch an engine's connections from now on."""
        event.listen(engine.sync_engine, "connect", self._connected)
        event.listen(engine.sync_engine, "checkout", self._checked_out)
        if self.limits.command is not None and engine.dialect.name == "postgresql":
            event.listen(engine.sync_engine, "before_cursor_execute", extend)
        if self.file is not None:
            event.listen(engine.sync_engine, "do_connect", self._connecting)

    async def close(self, engine: AsyncEngine) -> None:
        """Close all, within a second, whatever the server does."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSING_SECONDS):
                await engine.dispose()
        for driver in list(self._drivers):
            driver.terminate()

    def renew(self) -> None:
        """Use none of the connections any more that are open now."""
        self.generation += 1

    def _outdate(self, info: dict[Any, Any]) -> None:
        # Once for all connections that stand at the same: those that are new may be good.
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
                driver.terminate()  # since its server may never answer that we leave
            raise DisconnectionError("the connection is of no use any more")


class Deadline:
    """How long a transaction may wait for each of its statements: `async with Deadline(10)`."""

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
        """Let the time begin anew, as with another statement."""
        if self._seconds is not None and not self._timeout.expired():
            self._timeout.reschedule(asyncio.get_running_loop().time() + self._seconds)


def extend(connection: Any, *_: Any) -> None:
    """Let the time of a connection's transaction begin anew."""
    deadline = connection.get_execution_options().get(DEADLINE)
    if deadline is not None:
        deadline.extend()


class Pool(AsyncAdaptedQueuePool):
    """Connections that are kept; fewer of them where the server has no place for more."""

    _content_until = 0.0

    def _do_get(self) -> ConnectionPoolEntry:
        if time.monotonic() < self._content_until and self.checkedout():
            return self._wait_for_one_of_ours()
        try:
            return super()._do_get()
        except Exception as error:
            # asyncpg's, or what SQLAlchemy makes of it.
            if getattr(error, "sqlstate", None) != TOO_MANY or not self.checkedout():
                raise
        self._content_until = time.monotonic() + CONTENT_SECONDS
        return self._wait_for_one_of_ours()

    def _wait_for_one_of_ours(self) -> ConnectionPoolEntry:
        try:
            return self._pool.get(block=True, timeout=self._timeout)
        except queue.Empty:
            raise PoolTimeout("no connection was given back in time") from None


def limits_of(settings: Settings) -> Limits:
    """Return the limits that are configured."""
    return Limits(
        settings.database_connect_timeout,
        settings.database_command_timeout,
        settings.database_keepalive,
    )


def connector(limits: Limits) -> Callable[..., Awaitable[Any]]:
    """Return what connects to PostgreSQL within limits."""
    watched = type("WatchedConnection", (_Watched, asyncpg.Connection), {"limits": limits})

    async def connect(*args: Any, **options: Any) -> Any:
        options |= {"timeout": limits.connect, "connection_class": watched}
        try:
            return await asyncpg.connect(*args, **options, server_settings=_server(limits))
        except asyncpg.PostgresError as error:
            if error.sqlstate not in _REFUSES_SETTINGS:
                raise
        return await asyncpg.connect(*args, **options)

    return connect


class _Watched:
    """A connection whose other side is asked whether it is there still."""

    limits: Limits

    def __init__(self, protocol: Any, transport: asyncio.Transport, *rest: Any) -> None:
        init: Any = super().__init__  # asyncpg's, which has no types
        init(protocol, transport, *rest)
        found = transport.get_extra_info("socket")
        if found is not None and self.limits.keepalive is not None:
            keep_alive(found, self.limits.keepalive)


def keep_alive(connection: Any, seconds: float) -> None:
    """Have the system ask after so many seconds of silence, and give up after twice as many."""
    if connection.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    idle, between = max(1, round(seconds)), max(1, round(seconds / PROBES))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    wanted = {"TCP_KEEPIDLE": idle, "TCP_KEEPINTVL": between, "TCP_KEEPCNT": PROBES,
              "TCP_USER_TIMEOUT": 2_000 * idle}  # fmt: skip
    for name, value in wanted.items():
        if hasattr(socket, name):  # which is not so everywhere
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _server(limits: Limits) -> dict[str, str]:
    """Return what the server is asked to do for us."""
    asked = {"client_connection_check_interval": _LOOK_MILLISECONDS}
    if limits.command is not None:
        # Before our own time is over, so that nobody waits there for a statement given up here.
        asked["lock_timeout"] = str(max(1, round(900 * limits.command)))
    if limits.keepalive is not None:
        idle, between = max(1, round(limits.keepalive)), max(1, round(limits.keepalive / PROBES))
        asked |= {"tcp_keepalives_idle": str(idle), "tcp_keepalives_interval": str(between),
                  "tcp_keepalives_count": str(PROBES)}  # fmt: skip
    return asked

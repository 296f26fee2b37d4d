"""Standbys of a PostgreSQL server: they answer reads as soon as they know what the primary knows.

Before a read, the primary is asked how far its log goes (microseconds), and then a standby whether
it has replayed it so far. So the read sees everything that was committed before it began, whoever
wrote it: it is as fresh as on the primary. A standby that lags or does not answer is passed over.
"""

import asyncio
import itertools
import logging
import time
from collections.abc import Sequence
from typing import Protocol

from asyncpg import InterfaceError, PostgresError
from sqlalchemy import Boolean, String, bindparam, literal_column, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker

from harken.config import Settings
from harken.database import STANDBYS, Database, Prepared, close_engine, create_engine
from harken.failures import cause_of

log = logging.getLogger(__name__)

REST_SECONDS = 5.0
"""How long a standby is not asked after it failed."""
FIRST_PAUSE, MOST_PAUSE = 0.001, 0.02

_POSITION = Prepared(select(literal_column("pg_current_wal_flush_lsn()::text", String)))
# A server that was promoted follows nobody any more.
_HAS_REPLAYED = Prepared(
    select(
        literal_column("pg_is_in_recovery()", Boolean),
        literal_column("pg_last_wal_replay_lsn()", String).op(">=", is_comparison=True)(
            bindparam("position", type_=String).op("::")(literal_column("pg_lsn"))
        ),
    )
)


class ReadObserver(Protocol):
    """Is told of each read that might go to a standby."""

    def __call__(self, seconds: float, *, is_served: bool) -> None:
        """Note how long it took to find a standby that was ready, or to give that up."""


class Standbys:
    """The standbys of one primary; a standby may take `waiting` seconds to catch up."""

    def __init__(self, engines: Sequence[AsyncEngine], schema: str | None, waiting: float) -> None:
        self._standbys = [_Standby(each, schema) for each in engines]
        self._turns = itertools.cycle(range(len(engines)))
        self._waiting = waiting
        self.served = 0
        """For how many reads a standby was ready."""
        self.declined = 0
        """How many reads went to the primary, since no standby was ready."""
        self.observer: ReadObserver | None = None

    async def ready(self, primary: Database, at_most: float | None = None) -> Database | None:
        """Return a standby that knows all that the primary knows now; None if none does in time.

        `at_most` are the most seconds that a standby may take. Raises the errors of the primary.
        """
        seconds = self._waiting if at_most is None else min(at_most, self._waiting)
        began = time.perf_counter()
        [[position]] = await primary.execute_alone(_POSITION, {})
        standby = await self._first_at(position, seconds)
        self.served += standby is not None
        self.declined += standby is None
        if self.observer is not None:
            self.observer(time.perf_counter() - began, is_served=standby is not None)
        return standby

    async def _first_at(self, position: str, seconds: float) -> Database | None:
        own = next(self._turns)
        for standby in (*self._standbys[own:], *self._standbys[:own]):
            if await standby.has_replayed(position, seconds):
                return standby.database
        return None

    async def close(self) -> None:
        """Close all connections to the standbys."""
        await asyncio.gather(*(each.close() for each in self._standbys))


class _Standby:
    def __init__(self, engine: AsyncEngine, schema: str | None) -> None:
        self._engine = engine
        self.database = Database(async_sessionmaker(engine, expire_on_commit=False), schema)
        self._host = engine.url.host
        self._rests_until = 0.0
        self._late: set[asyncio.Task[bool]] = set()

    async def has_replayed(self, position: str, seconds: float) -> bool:
        """Tell whether this standby knows what is up to a position, or will within some time."""
        if self._late or time.monotonic() < self._rests_until:
            return False
        asking = asyncio.create_task(self._replays(position, time.monotonic() + seconds))
        try:
            await asyncio.wait({asking}, timeout=seconds)
        finally:
            # A question that is cancelled costs its connection, and the next one would wait for a
            # new one. So it gets its answer; until then, reads go past this standby.
            if not asking.done():
                self._late.add(asking)
                asking.add_done_callback(self._late.discard)
        return asking.done() and asking.result()

    async def close(self) -> None:
        """Give up what has no answer yet, and close all connections."""
        for asking in self._late:
            asking.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)
        await close_engine(self._engine)

    async def _replays(self, position: str, deadline: float) -> bool:
        pause = FIRST_PAUSE
        while True:
            try:
                [[follows, has]] = await self.database.execute_alone(
                    _HAS_REPLAYED, {"position": position}
                )
            except (SQLAlchemyError, PostgresError, InterfaceError, OSError) as error:
                self._rest(cause_of(error))
                return False
            if not follows:
                self._rest("it follows no primary")
                return False
            if has:
                return True
            if time.monotonic() + pause > deadline:
                return False
            await asyncio.sleep(pause)
            pause = min(2 * pause, MOST_PAUSE)

    def _rest(self, cause: str) -> None:
        log.warning(
            "Reads go past the standby at %s for %s s: %s.", self._host, REST_SECONDS, cause
        )
        self._rests_until = time.monotonic() + REST_SECONDS


def follow(engine: AsyncEngine, settings: Settings) -> AsyncEngine:
    """Return an engine whose reads may go to the standbys that the settings name."""
    if not settings.read_urls:
        return engine
    engines = [
        create_engine(settings.model_copy(update={"database_url": url, "read_urls": ()}))
        for url in settings.read_urls
    ]
    standbys = Standbys(engines, settings.database_schema, settings.read_wait)
    return engine.execution_options(**{STANDBYS: standbys})


def observe_reads(engine: AsyncEngine, observer: ReadObserver) -> None:
    """Tell an observer of each read that might go to the standbys of an engine, if it has any."""
    standbys: Standbys | None = engine.get_execution_options().get(STANDBYS)
    if standbys is not None:
        standbys.observer = observer

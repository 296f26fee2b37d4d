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
from contextlib import suppress

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


class Standbys:
    """The standbys of one primary; a standby may take `waiting` seconds to catch up."""

    def __init__(self, engines: Sequence[AsyncEngine], schema: str | None, waiting: float) -> None:
        self._engines = engines
        self._standbys = [_Standby(each, schema) for each in engines]
        self._turns = itertools.cycle(range(len(engines)))
        self._waiting = waiting
        self.served = 0
        """For how many reads a standby was ready."""
        self.declined = 0
        """How many reads went to the primary, since no standby was ready."""

    async def ready(self, primary: Database) -> Database | None:
        """Return a standby that knows all that the primary knows now; None if none does in time.

        Raises the errors of the primary.
        """
        [[position]] = await primary.execute_alone(_POSITION, {})
        own = next(self._turns)
        for standby in (*self._standbys[own:], *self._standbys[:own]):
            if await standby.has_replayed(position, self._waiting):
                self.served += 1
                return standby.database
        self.declined += 1
        return None

    async def close(self) -> None:
        """Close all connections to the standbys."""
        await asyncio.gather(*map(close_engine, self._engines))


class _Standby:
    def __init__(self, engine: AsyncEngine, schema: str | None) -> None:
        self.database = Database(async_sessionmaker(engine, expire_on_commit=False), schema)
        self._host = engine.url.host
        self._rests_until = 0.0

    async def has_replayed(self, position: str, seconds: float) -> bool:
        """Tell whether this standby knows what is up to a position, or will within some time."""
        if time.monotonic() < self._rests_until:
            return False
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                return await self._replays(position)
        return False

    async def _replays(self, position: str) -> bool:
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

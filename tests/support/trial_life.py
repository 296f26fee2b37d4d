"""Readers of a feed, and days that pass, on the database of a command or of a server.

Commands and servers go by the clock of the machine. So that days pass in a test, all times of an
experiment's past are moved back.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from sqlalchemy import bindparam, select, update

from harken.database import Database, Kind
from harken.models import FeedExperiment, FeedExposure, FeedInteraction, FeedSlate
from harken.models.types import table
from harken.services.feed.service import FeedService
from harken.services.record.persistence import FeedFeedbackPersistence
from harken.services.simulation.simulator import SimulatedClock
from tests.conftest import session_factory_for
from tests.support.trial_readers import Readers

EARLIER = timedelta(minutes=15)
"""Readers come so much earlier than now, a second apart."""
PAST = [
    table(FeedExperiment).c.created_at,
    table(FeedExperiment).c.started_at,
    table(FeedExposure).c.created_at,
    table(FeedSlate).c.created_at,
    table(FeedInteraction).c.created_at,
]


@asynccontextmanager
async def readers_of(url: str, wanted: Callable[[int], bool]) -> AsyncIterator[Readers]:
    """Yield the readers of a database, all of whose personal orders have swapped pairs."""
    clock = SimulatedClock(datetime.now(UTC) - EARLIER)
    async with session_factory_for(url) as factory:
        record = FeedFeedbackPersistence(factory, clock=clock)
        service = FeedService(factory, record=record, swap_share=1.0, clock=clock)
        try:
            yield Readers(service, clock, wanted)
        finally:
            await service.close()


async def let_pass(url: str, days: int) -> None:
    """Move all that experiments and their readers did so many days back."""
    async with session_factory_for(url) as factory:
        database = Database(factory)
        for column in PAST:
            keys = list(column.table.primary_key.columns)
            same = [key == bindparam(f"key_{place}") for place, key in enumerate(keys)]
            async with database.transaction(Kind.WRITE) as connection:
                rows = await connection.execute(select(*keys, column).where(column.is_not(None)))
                moved = [
                    {f"key_{place}": key for place, key in enumerate(row[:-1])}
                    | {"moved": row[-1] - timedelta(days=days)}
                    for row in rows
                ]
                if moved:
                    back = update(column.table).where(*same).values({column: bindparam("moved")})
                    await connection.execute(back, moved)

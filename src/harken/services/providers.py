"""Where the services come from: made on first use, one of each, closed together.

    persistence = await get_feed_feedback_persistence()

works without any call before it. Connections belong to an event loop, hence so do the services:
a program that runs several loops gets its own in each.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from harken import migrations
from harken.config import Settings
from harken.database import Database, close_engine, create_engine, translated
from harken.errors import InvalidSettings
from harken.services.feed.service import FeedService
from harken.services.kblocks.store import KBlockStore
from harken.services.readers.affinities import AffinitySettings
from harken.services.record.persistence import FeedFeedbackPersistence
from harken.services.record.readiness import Readiness
from harken.services.record.write_probe import WriteProbe

log = logging.getLogger(__name__)

T = TypeVar("T")
Factory = Callable[[], Awaitable[T]]


class Singleton(Generic[T]):
    """A factory that is called once in each event loop; callers at the same time share it."""

    def __init__(self, factory: Factory[T]) -> None:
        self.__doc__ = factory.__doc__
        self._factory = factory
        self._made: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Task[T]] = (
            WeakKeyDictionary()
        )

    async def __call__(self) -> T:
        """Return the one object, made now if it is not there yet."""
        loop = asyncio.get_running_loop()
        task = self._made.get(loop)
        if task is None or (task.done() and (task.cancelled() or task.exception())):
            task = self._made[loop] = loop.create_task(self._make())
        return await asyncio.shield(task)

    async def _make(self) -> T:
        return await self._factory()

    async def forget(self) -> T | None:
        """Drop the object and return it; None where there was none."""
        task = self._made.pop(asyncio.get_running_loop(), None)
        if task is None:
            return None
        await asyncio.wait([task])
        return None if task.cancelled() or task.exception() else task.result()


class Container:
    """Factories by name."""

    def __init__(self) -> None:
        self._factories: dict[str, Factory[Any]] = {}

    def register(self, name: str, factory: Factory[Any], *, singleton: bool = False) -> None:
        """Name a factory; with `singleton`, its object is made once and shared."""
        if singleton and not isinstance(factory, Singleton):
            factory = Singleton(factory)
        self._factories[name] = factory

    async def resolve(self, name: str) -> Any:
        """Return what the named factory makes; raises KeyError for a name never registered."""
        return await self._factories[name]()


container = Container()


@Singleton
async def get_engine() -> AsyncEngine:
    """Return the engine of the configured database, its schema checked.

    SQLite is brought to the newest schema. Raises SchemaMismatch where PostgreSQL is not at it.
    """
    settings = Settings.load()
    engine = create_engine(settings)
    try:
        with translated():
            if engine.dialect.name == "sqlite":
                await migrations.upgrade(engine)
            else:
                async with asyncio.timeout(settings.database_command_timeout):
                    await migrations.check(engine, settings.database_schema)
    except BaseException:
        await close_engine(engine)
        raise
    return engine


@Singleton
async def get_readiness() -> Readiness:
    """Return what proves that the configured database can be written to."""
    settings = Settings.load()
    database = Database(await get_session_factory())
    return Readiness(WriteProbe(database), settings.readiness_timeout)


@Singleton
async def get_session_factory() -> async_sessionmaker[AsyncSession]:
    """Return the session factory of the configured database."""
    return async_sessionmaker(await get_engine(), expire_on_commit=False)


@Singleton
async def get_feed_feedback_persistence() -> FeedFeedbackPersistence:
    """Return the record of interactions in the configured database."""
    settings = Settings.load()
    return FeedFeedbackPersistence(
        session_factory=await get_session_factory(),
        queue_limit=settings.queue_limit,
        attention_prior=settings.attention_prior,
    )


@Singleton
async def get_kblock_store() -> KBlockStore:
    """Return the K-Blocks of the configured database."""
    return KBlockStore(session_factory=await get_session_factory())


@Singleton
async def get_feed_service() -> FeedService:
    """Return the feeds of the configured database."""
    settings = Settings.load()
    return FeedService(
        session_factory=await get_session_factory(),
        record=await get_feed_feedback_persistence(),
        kblocks=await get_kblock_store(),
        weights=settings.weights,
        trend_weights=settings.trend_weights,
        affinities=affinity_settings(settings),
        slate_retention=timedelta(days=settings.slate_days),
        future_items=settings.future_items,
    )


def affinity_settings(settings: Settings) -> AffinitySettings:
    """Return how affinities are learned, by the settings. Raises InvalidSettings."""
    try:
        return AffinitySettings(
            min_interactions=settings.min_interactions_for_personalization,
            weights=settings.personal_weights,
        )
    except ValueError as error:
        raise InvalidSettings(f"HARKEN_PERSONAL_WEIGHTS: {error}") from None


container.register("engine", get_engine, singleton=True)
container.register("readiness", get_readiness, singleton=True)
container.register("session_factory", get_session_factory, singleton=True)
container.register("feed_feedback_persistence", get_feed_feedback_persistence, singleton=True)
container.register("kblock_store", get_kblock_store, singleton=True)
container.register("feed_service", get_feed_service, singleton=True)


async def check_database() -> str:
    """Prove that the database can be written to, and return its schema's revision.

    Raises SchemaMismatch, or DatabaseUnavailable at the latest after HARKEN_READINESS_TIMEOUT.
    """
    return await (await get_readiness()).check()


async def migrate_database() -> tuple[str | None, str]:
    """Bring the database to the newest schema; returns its revision before and after."""
    settings = Settings.load()
    engine = create_engine(settings)
    try:
        with translated():
            return await migrations.upgrade(engine, settings.database_schema)
    finally:
        await close_engine(engine)


async def setup_providers() -> None:
    """Make everything now, so that what is wrong shows at the start."""
    await get_feed_service()


async def close_providers(seconds: float | None = None) -> None:
    """Commit what waits and close the connections, in the reverse order of making.

    What is not committed after so many seconds is given up: nobody was told that it is recorded.
    """
    try:
        async with asyncio.timeout(seconds):
            if service := await get_feed_service.forget():
                await service.close()
            await get_kblock_store.forget()
            if persistence := await get_feed_feedback_persistence.forget():
                await persistence.close()
    except TimeoutError:
        log.warning("What waited for its commit is given up: the database does not answer.")
    if readiness := await get_readiness.forget():
        readiness.close()
    await get_session_factory.forget()
    if engine := await get_engine.forget():
        await close_engine(engine)

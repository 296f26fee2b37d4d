"""The provider container: it makes each service once, on first use, and closes all of them.

    persistence = await get_feed_feedback_persistence()

No set-up call is needed before. Connections belong to an event loop, and so do the services: a
program with several loops gets separate services in each.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from harken import migrations
from harken.config import Settings
from harken.database import Database, close_engine, create_engine, translated
from harken.databases.standbys import follow
from harken.errors import InvalidSettings

if TYPE_CHECKING:  # each factory imports what it makes: few programs use all services
    from harken.services.access.key_ring import KeyRing
    from harken.services.feed.caches.catalogue import Catalogue
    from harken.services.feed.service import FeedService
    from harken.services.kblocks.store import KBlockStore
    from harken.services.readers.affinities import AffinitySettings
    from harken.services.record.persistence import FeedFeedbackPersistence
    from harken.services.record.readiness import Readiness
    from harken.services.sources.service import SourceOptions

log = logging.getLogger(__name__)

T = TypeVar("T")
Factory = Callable[[], Awaitable[T]]


class Singleton(Generic[T]):
    """A factory that is called once in each event loop; concurrent callers share the object."""

    def __init__(self, factory: Factory[T]) -> None:
        self.__doc__ = factory.__doc__
        self._factory = factory
        self._made: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Task[T]] = (
            WeakKeyDictionary()
        )

    async def __call__(self) -> T:
        """Return the object of this event loop, and make it if there is none yet."""
        loop = asyncio.get_running_loop()
        task = self._made.get(loop)
        if task is None or (task.done() and (task.cancelled() or task.exception())):
            task = self._made[loop] = loop.create_task(self._make())
        return await asyncio.shield(task)

    async def _make(self) -> T:
        return await self._factory()

    async def forget(self) -> T | None:
        """Drop the object and return it; None if there is none."""
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
        """Register a factory under a name; with `singleton`, its object is made once."""
        if singleton and not isinstance(factory, Singleton):
            factory = Singleton(factory)
        self._factories[name] = factory

    async def resolve(self, name: str) -> Any:
        """Return the object of a registered factory. Raises KeyError for an unknown name."""
        return await self._factories[name]()


container = Container()


@Singleton
async def get_engine() -> AsyncEngine:
    """Return the engine of the configured database, after its schema is checked.

    SQLite is migrated to the newest schema. Raises SchemaMismatch if PostgreSQL has another one.
    """
    settings = Settings.load()
    engine = follow(create_engine(settings), settings)
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
async def get_readiness() -> "Readiness":
    """Return the readiness check of the configured database."""
    from harken.services.record.readiness import Readiness  # noqa: PLC0415
    from harken.services.record.write_probe import WriteProbe  # noqa: PLC0415

    settings = Settings.load()
    database = Database(await get_session_factory())
    return Readiness(WriteProbe(database), settings.readiness_timeout)


@Singleton
async def get_session_factory() -> async_sessionmaker[AsyncSession]:
    """Return the session factory of the configured database."""
    return async_sessionmaker(await get_engine(), expire_on_commit=False)


@Singleton
async def get_feed_feedback_persistence() -> "FeedFeedbackPersistence":
    """Return the record of interactions in the configured database."""
    from harken.services.record.persistence import FeedFeedbackPersistence  # noqa: PLC0415

    settings = Settings.load()
    return FeedFeedbackPersistence(
        session_factory=await get_session_factory(),
        queue_limit=settings.queue_limit,
        attention_prior=settings.attention_prior,
    )


@Singleton
async def get_kblock_store() -> "KBlockStore":
    """Return the K-Block store of the configured database."""
    from harken.services.kblocks.store import KBlockStore  # noqa: PLC0415

    return KBlockStore(session_factory=await get_session_factory())


@Singleton
async def get_key_ring() -> "KeyRing":
    """Return the keys of the configured database; `store` of it manages them."""
    from harken.services.access.key_ring import KeyRing  # noqa: PLC0415
    from harken.services.access.key_store import KeyStore  # noqa: PLC0415

    return KeyRing(KeyStore(await get_session_factory()))


@Singleton
async def get_catalogue() -> "Catalogue":
    """Return the index of the configured database."""
    from harken.services.feed.caches.catalogue import Catalogue  # noqa: PLC0415

    settings = Settings.load()
    return Catalogue(
        Database(await get_session_factory()),
        await get_feed_feedback_persistence(),
        await get_kblock_store(),
        trend_weights=settings.trend_weights,
        future=settings.future_items,
    )


@Singleton
async def get_feed_service() -> "FeedService":
    """Return the feed service of the configured database."""
    from harken.services.feed.service import FeedService  # noqa: PLC0415

    settings = Settings.load()
    return FeedService(
        session_factory=await get_session_factory(),
        record=await get_feed_feedback_persistence(),
        kblocks=await get_kblock_store(),
        catalogue=await get_catalogue(),
        weights=settings.weights,
        trend_weights=settings.trend_weights,
        affinities=affinity_settings(settings),
        objectives=settings.objectives,
        slate_retention=timedelta(days=settings.slate_days),
        future_items=settings.future_items,
        order_samples=settings.order_samples,
        swap_share=settings.swapped_share,
        trial_margin=settings.margin_of_trials,
        sources=source_options(settings),
    )


def source_options(settings: Settings) -> "SourceOptions":
    """Return how sources are read, and how often, that the settings give."""
    from harken.services.kblocks.importers.syndication.fetching import Fetcher  # noqa: PLC0415
    from harken.services.sources.service import REMEDY, SourceOptions  # noqa: PLC0415

    fetcher = Fetcher(private_hosts=settings.private_sources, remedy=REMEDY)
    return SourceOptions(settings.refresh_every, fetcher)


def affinity_settings(settings: Settings) -> "AffinitySettings":
    """Return the affinity settings that the settings give. Raises InvalidSettings."""
    from harken.services.readers.affinities import AffinitySettings  # noqa: PLC0415

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
container.register("key_ring", get_key_ring, singleton=True)
container.register("feed_service", get_feed_service, singleton=True)


async def check_database() -> str:
    """Check by a write that the database is ready, and return its schema's revision.

    Raises SchemaMismatch, or DatabaseUnavailable at the latest after HARKEN_READINESS_TIMEOUT.
    """
    return await (await get_readiness()).check()


async def migrate_database() -> tuple[str | None, str]:
    """Migrate the database to the newest schema; returns its revisions before and after."""
    settings = Settings.load()
    engine = create_engine(settings)
    try:
        with translated():
            return await migrations.upgrade(engine, settings.database_schema)
    finally:
        await close_engine(engine)


async def setup_providers() -> None:
    """Make all services now, so that errors show at the start."""
    await get_feed_service()


async def close_providers(seconds: float | None = None) -> None:
    """Commit queued events and close all services, the last made first.

    Events that are not committed after so many seconds are given up; none of them was confirmed.
    """
    try:
        async with asyncio.timeout(seconds):
            if service := await get_feed_service.forget():
                await service.close()
            await get_catalogue.forget()
            await get_kblock_store.forget()
            if ring := await get_key_ring.forget():
                await ring.close()
            if persistence := await get_feed_feedback_persistence.forget():
                await persistence.close()
    except TimeoutError:
        log.warning("Queued events are given up: the database does not answer.")
    if readiness := await get_readiness.forget():
        readiness.close()
    await get_session_factory.forget()
    if engine := await get_engine.forget():
        await close_engine(engine)

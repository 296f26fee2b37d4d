"""Real databases for every test: SQLite in a folder, PostgreSQL from a wheel.

The PostgreSQL server is started once. One database of it is migrated once, and each test gets a
clone of that database. Its owner is an ordinary user, as in production: what only a superuser may
do fails, and so does what expects a default that an operator has changed.

HARKEN_TEST_POSTGRES_URL names a server that already runs; its user must be allowed to create
databases. HARKEN_TEST_DATABASES=sqlite leaves every test on PostgreSQL out;
HARKEN_TEST_DATABASES=sqlite,postgresql runs also those on both that else take turns (`in_turn`).
"""

import asyncio
import gc
import logging
import os
import re
import shutil
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import URL, make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from harken import migrations
from harken.config import Settings
from harken.database import create_engine
from harken.services.record.persistence import FeedFeedbackPersistence
from tests.faults import SOAK
from tests.support import in_turn
from tests.support.postgres import FAST, PostgresServer

# A test sets each setting that it needs. Settings of the developer's shell would change its result.
for name in [name for name in os.environ if name.startswith("HARKEN_") and "_TEST_" not in name]:
    del os.environ[name]

DATABASES = ("sqlite", "postgresql")
GIVEN = os.environ.get("HARKEN_TEST_DATABASES")
WITH = tuple((GIVEN or ",".join(DATABASES)).split(","))

# A server or a browser decides the pace of these tests. One that fails is run a second time, and
# the report of the run names it. On CI this holds for all tests: a run of half an hour is not
# thrown away for one, and each name in the report is a defect to look for.
OF_OTHER_PROCESSES = [Path(__file__).parent / name for name in ("browser", "faults", "integration")]


OWNER = "harken_owner"
PASSWORD = "sesame"
# What an operator may have set for this user, each of it unlike PostgreSQL's own default.
DEFAULTS = {
    "bytea_output": "escape",
    "datestyle": "SQL, DMY",
    "default_text_search_config": "pg_catalog.swedish",
    "default_transaction_isolation": "serializable",
    "extra_float_digits": "0",
    "intervalstyle": "sql_standard",
    "timezone": "Asia/Kathmandu",
}


class Databases:
    """Creates and drops databases on one PostgreSQL server, over one connection.

    They are the ordinary user's `OWNER`, if the server's user is a superuser, and else its own.
    """

    def __init__(self, server_url: str, strategy: str = "") -> None:
        self._server = make_url(server_url)
        self._strategy = strategy
        self._loop = asyncio.new_event_loop()
        self._connection = self._run(self._connect())
        self._url: URL = self._run(self._as_owner())
        self.template = self._name()
        self._run(self._make_template())

    def close(self) -> None:
        """Close the connection."""
        self._run(self._connection.close())
        self._loop.close()

    def create(self, *, migrated: bool = True) -> str:
        """Create a database and return its URL."""
        name = self._name()
        template = self.template if migrated else "template0"
        owner = self._url.username
        self.execute(
            f'CREATE DATABASE "{name}" OWNER "{owner}" TEMPLATE "{template}" {self._strategy}'
        )
        return self._url_of(name)

    def drop(self, url: str) -> None:
        self.execute(f'DROP DATABASE "{make_url(url).database}" WITH (FORCE)')

    async def _make_template(self) -> None:
        await self._connection.execute(
            f'CREATE DATABASE "{self.template}" OWNER "{self._url.username}" TEMPLATE template0'
        )
        engine = create_engine(Settings(database_url=self._url_of(self.template)))
        await migrations.upgrade(engine)
        await engine.dispose()

    async def _connect(self) -> asyncpg.Connection:
        url = self._server.set(drivername="postgresql")
        return await asyncpg.connect(url.render_as_string(hide_password=False))

    async def _as_owner(self) -> URL:
        is_superuser = "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"
        if not await self._connection.fetchval(is_superuser):
            return self._server
        with suppress(asyncpg.DuplicateObjectError):
            await self._connection.execute(f"CREATE ROLE {OWNER} LOGIN PASSWORD '{PASSWORD}'")
        for name, value in DEFAULTS.items():
            await self._connection.execute(f"ALTER ROLE {OWNER} SET {name} = '{value}'")
        return self._server.set(username=OWNER, password=PASSWORD)

    def execute(self, statement: str) -> None:
        self._run(self._connection.execute(statement))

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._loop.run_until_complete(work)

    def _url_of(self, name: str) -> str:
        return self._url.set(database=name).render_as_string(hide_password=False)

    @staticmethod
    def _name() -> str:
        return f"harken_test_{uuid4().hex}"


# Keys and tokens of Harken, as texts of a log could contain them.
SECRETS = re.compile(
    r"h[kp]_[0-9a-z]{12}_[0-9A-Za-z]{43}|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}", re.ASCII
)


@pytest.fixture(autouse=True)
def _no_secret_in_the_log() -> Iterator[None]:
    """Fail a test in whose course a logger of Harken writes a key or a token."""
    found: list[str] = []

    class Watch(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if SECRETS.search(f"{self.format(record)} {vars(record)}"):
                found.append(f"{record.name}: {record.msg}")

    watch = Watch(logging.DEBUG)
    logger = logging.getLogger("harken")
    logger.addHandler(watch)
    yield
    logger.removeHandler(watch)
    assert not found


@pytest.fixture(scope="session", autouse=True)
def _no_frozen_remains() -> Iterator[None]:
    """Let the garbage collector find what applications leave behind.

    A server freezes its objects when it starts (see `protocols.api.app`), and lives with them until
    it ends. Here hundreds of applications begin and end in one process: what one of them freezes
    counts as old when it thaws, and would be collected hardly ever. What the tests have imported
    stays frozen instead, so that a collection is short.
    """
    gc.collect()
    gc.freeze()
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(gc, "freeze", lambda: None)
        changed.setattr(gc, "unfreeze", lambda: None)
        yield


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Databases]:
    """Yield the databases of the PostgreSQL server that the test run uses."""
    if given := os.environ.get("HARKEN_TEST_POSTGRES_URL"):
        databases = Databases(Settings(database_url=given).database_url)
        yield databases
        databases.drop(databases._url_of(databases.template))
        databases.close()
        return
    with PostgresServer(**FAST) as server:
        # Without fsync, FILE_COPY (PostgreSQL 15 and newer) is ten times as fast as the default.
        databases = Databases(server.url, "STRATEGY FILE_COPY")
        yield databases
        databases.close()


@pytest.fixture(params=DATABASES)
def database_kind(request: pytest.FixtureRequest) -> str:
    """Return "sqlite" or "postgresql"; a test that takes this fixture runs once on each."""
    return str(request.param)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """Return one more than there are cores: many tests wait for a server, a browser or a limit."""
    if os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS"):
        return None  # the plugin takes that
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (cores or 1) + 1


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what HARKEN_TEST_DATABASES does not name, and let some tests have a second run."""
    left = {item for item in items if not _databases(item) <= set(WITH)}
    if not (SOAK or GIVEN or any("::" in each for each in config.args)):
        left |= in_turn.left_out(items)
    config.hook.pytest_deselected(items=[item for item in items if item in left])
    items[:] = [item for item in items if item not in left]
    for item in items:
        if os.environ.get("CI") or any(each in item.path.parents for each in OF_OTHER_PROCESSES):
            item.add_marker(pytest.mark.flaky(reruns=1))


def _databases(item: pytest.Item) -> set[str]:
    """Return the databases that a test needs."""
    kind = in_turn.kind_of(item)
    fixed = {"postgresql"} & set(getattr(item, "fixturenames", ()))
    return fixed | ({kind} if kind else set())


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a migrated SQLite file, which each test copies."""
    path = tmp_path_factory.mktemp("template") / "harken.db"
    asyncio.run(_migrate(f"sqlite+aiosqlite:///{path}"))
    return path


@pytest.fixture
def empty_url(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Return the URL of a database without tables."""
    if database_kind == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path / 'harken.db'}"
        return
    databases = request.getfixturevalue("postgresql")
    url = databases.create(migrated=False)
    yield url
    databases.drop(url)


@pytest.fixture
def database_url(
    database_kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[str]:
    """Yield the URL of a migrated database that only this test uses."""
    if database_kind == "sqlite":
        path = tmp_path / "harken.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite+aiosqlite:///{path}"
        return
    databases: Databases = request.getfixturevalue("postgresql")
    url = databases.create()
    yield url
    databases.drop(url)


async def _migrate(url: str) -> None:
    engine = create_engine(Settings(database_url=url))
    await migrations.upgrade(engine)
    await engine.dispose()


@asynccontextmanager
async def session_factory_for(url: str) -> AsyncIterator[async_sessionmaker[AsyncSession]]:
    engine = create_engine(Settings(database_url=url))
    yield async_sessionmaker(engine)
    await engine.dispose()


@pytest.fixture
async def session_factory(database_url: str) -> AsyncIterator[async_sessionmaker[AsyncSession]]:
    async with session_factory_for(database_url) as factory:
        yield factory


@pytest.fixture
async def persistence(
    session_factory: async_sessionmaker[AsyncSession],
) -> AsyncIterator[FeedFeedbackPersistence]:
    async with FeedFeedbackPersistence(session_factory) as opened:
        yield opened

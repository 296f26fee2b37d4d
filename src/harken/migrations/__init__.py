"""The schema's migrations, and functions that apply them to a database."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import resources
from typing import TypeVar

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from harken.database import Kind, begin_sqlite
from harken.errors import SchemaMismatch
from harken.migrations import log_order, log_partitions

VERSION_TABLE = "harken_alembic_version"
# The advisory lock of a migration: an arbitrary number that other programs are unlikely to use.
_LOCK = 0x4841524B454E

T = TypeVar("T")


async def upgrade(engine: AsyncEngine, schema: str | None = None) -> tuple[str | None, str]:
    """Migrate a database to the newest schema; returns its revision before and after.

    Raises SchemaMismatch if the database is newer than this program.
    """

    def run(connection: Connection) -> tuple[str | None, str]:
        script = _script()
        with schema_entered(connection, schema, create=True):
            before = _revision(connection)
            _refuse_newer(script, before)
            if before != _head(script):  # else Alembic would read all scripts, and do nothing
                config = _config()
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
            log_order.continue_numbers(connection)
        return before, _head(script)

    revisions = await _within_transaction(engine, run)
    if engine.dialect.name == "postgresql":
        await _complete(engine, schema)
    return revisions


async def check(engine: AsyncEngine, schema: str | None = None) -> str:
    """Return the database's revision; raises SchemaMismatch unless it is the newest one."""

    def run(connection: Connection) -> str:
        with schema_entered(connection, schema, create=False):
            revision = check_revision(_revision(connection))
            log_order.check(connection)
            return revision

    return await _within_transaction(engine, run)


def check_revision(current: str | None) -> str:
    """Return a database's revision; raises SchemaMismatch unless it is the newest one."""
    script = _script()
    _refuse_newer(script, current)
    if current != _head(script):
        raise SchemaMismatch(
            f"the database's schema is {current or 'not set up'}, this version of Harken needs "
            f"{_head(script)}: run `harken migrate`"
        )
    return current


@contextmanager
def schema_entered(connection: Connection, schema: str | None, *, create: bool) -> Iterator[None]:
    """Set the PostgreSQL schema of unqualified names until the transaction ends.

    With `create`, make the schema if it is missing, and wait for other migrations to end.
    """
    dialect = connection.dialect
    if create and dialect.name == "postgresql":
        connection.execute(text("SET LOCAL lock_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    if not schema or dialect.name != "postgresql":
        yield
        return
    if create:
        connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{schema}"'))
    connection.execute(text(f'SET LOCAL search_path TO "{schema}"'))
    # The dialect belongs to the engine, which others may use: its schema is restored at the end.
    default, dialect.default_schema_name = dialect.default_schema_name, schema
    try:
        yield
    finally:
        dialect.default_schema_name = default


async def _within_transaction(engine: AsyncEngine, run: Callable[[Connection], T]) -> T:
    async with engine.connect() as connection:
        await connection.execution_options(schema_translate_map=None)
        async with connection.begin():
            await begin_sqlite(connection, Kind.WRITE)
            return await connection.run_sync(run)


async def _complete(engine: AsyncEngine, schema: str | None) -> None:
    """Do what migrations leave to be done while events are recorded."""
    async with engine.connect() as connection:
        alone = await connection.execution_options(
            isolation_level="AUTOCOMMIT", schema_translate_map=None
        )
        await alone.execute(text("SET lock_timeout = 0"))
        if schema:
            await alone.execute(text(f'SET search_path TO "{schema}"'))
        try:
            await log_order.complete(alone)
            if await alone.run_sync(log_partitions.lacks_statistics):
                await alone.execute(text(f"ANALYZE {log_partitions.LOG}"))
        finally:
            await alone.execute(text("RESET search_path"))
            await alone.execute(text("RESET lock_timeout"))


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(resources.files("harken") / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


@cache
def _script() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _head(script: ScriptDirectory) -> str:
    head = script.get_current_head()
    if head is None:
        raise SchemaMismatch("the installation is damaged: its migrations are missing")
    return head


def _revision(connection: Connection) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return context.get_current_revision()


def _refuse_newer(script: ScriptDirectory, revision: str | None) -> None:
    known = {each.revision for each in script.walk_revisions()}
    if revision is not None and revision not in known:
        raise SchemaMismatch(
            f"the database's schema is {revision}, which this version of Harken does not know: it "
            "was made by a newer one; upgrade Harken, or use another database"
        )

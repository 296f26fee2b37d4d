"""The schema's migrations, and functions that apply them to a database."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import Connection, String, column, inspect, select, table, text
from sqlalchemy.ext.asyncio import AsyncEngine

from harken.database import Kind, begin_sqlite
from harken.errors import SchemaMismatch
from harken.migrations import log_order, log_partitions

if TYPE_CHECKING:
    from alembic.config import Config

VERSION_TABLE = "harken_alembic_version"
# The advisory lock of a migration: an arbitrary number that other programs are unlikely to use.
_LOCK = 0x4841524B454E

T = TypeVar("T")


async def upgrade(engine: AsyncEngine, schema: str | None = None) -> tuple[str | None, str]:
    """Migrate a database to the newest schema; returns its revision before and after.

    Raises SchemaMismatch if the database is newer than this program.
    """

    def run(connection: Connection) -> tuple[str | None, str]:
        newest = newest_revision()
        with schema_entered(connection, schema, create=True):
            before = _revision(connection)
            _refuse_newer(before)
            if before != newest:
                _apply(connection)
            log_order.continue_numbers(connection)
        return before, newest

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
    _refuse_newer(current)
    if current != newest_revision():
        raise SchemaMismatch(
            f"the database's schema is {current or 'not set up'}, this version of Harken needs "
            f"{newest_revision()}: run `harken migrate`"
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


def _apply(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 — it takes long to import, and is needed once

    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _config() -> "Config":
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(resources.files("harken") / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


@cache
def revisions() -> tuple[str, ...]:
    """Return all revisions, oldest first: the names of their scripts begin with them.

    Alembic knows them, too, but imports every script to find out.
    """
    scripts = resources.files("harken") / "migrations" / "versions"
    found = (re.fullmatch(r"(\d{4})_\w+\.py", each.name) for each in scripts.iterdir())
    return tuple(sorted(each[1] for each in found if each))


def newest_revision() -> str:
    """Return the revision of the schema that this version needs."""
    if not revisions():
        raise SchemaMismatch("the installation is damaged: its migrations are missing")
    return revisions()[-1]


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    number = column("version_num", String)
    return connection.execute(select(number).select_from(table(VERSION_TABLE))).scalar()


def _refuse_newer(revision: str | None) -> None:
    if revision is not None and revision not in revisions():
        raise SchemaMismatch(
            f"the database's schema is {revision}, which this version of Harken does not know: it "
            "was made by a newer one; upgrade Harken, or use another database"
        )

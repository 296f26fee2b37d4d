"""Alembic's environment: uses the connection of `harken.migrations`, or opens its own.

`alembic upgrade head` and `alembic revision --autogenerate` open their own connection, to the
database in HARKEN_DATABASE_URL.
"""

import asyncio
from typing import Any

from alembic import context
from sqlalchemy import Connection

from harken.config import Settings
from harken.database import Kind, begin_sqlite, create_engine
from harken.migrations import VERSION_TABLE, log_order, schema_entered
from harken.models import Base


def _ours(_object: Any, _name: str | None, _type: str, reflected: bool, compared: Any) -> bool:  # noqa: FBT001 — Alembic's signature
    # An application may share the database: tables without a model here belong to it.
    return not (reflected and compared is None and _type == "table")


def _migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        version_table=VERSION_TABLE,
        include_object=_ours,
        compare_type=True,
        compare_server_default=log_order.compare_default,
        render_as_batch=connection.dialect.name == "sqlite",
    )
    with context.begin_transaction():
        context.run_migrations()


def _migrate_configured(connection: Connection, schema: str | None) -> None:
    with schema_entered(connection, schema, create=True):
        _migrate(connection)


async def _connect_and_migrate() -> None:
    settings = Settings.load()
    engine = create_engine(settings)
    async with engine.connect() as connection:
        await connection.execution_options(schema_translate_map=None)
        async with connection.begin():
            await begin_sqlite(connection, Kind.WRITE)
            await connection.run_sync(_migrate_configured, settings.database_schema)
    await engine.dispose()


if context.is_offline_mode():
    raise SystemExit("Harken migrates a database that it is connected to; leave out --sql")
handed_over = context.config.attributes.get("connection")
if handed_over is not None:
    _migrate(handed_over)
else:
    asyncio.run(_connect_and_migrate())

"""Schemas: the newest one, which several tests expect in an answer, and databases of older ones."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from alembic import command
from sqlalchemy import Boolean, Connection, DateTime, LargeBinary, MetaData
from sqlalchemy.ext.asyncio import AsyncEngine

from harken import migrations

NEWEST = "0019"

RELEASED = Path(__file__).parents[1] / "vectors" / "schemas"
"""A file for each schema that a version had: rows that this version itself wrote, on SQLite."""


def released(revision: str) -> dict[str, dict[str, Any]]:
    """Return the tables of a version: `columns`, and `rows` in their order."""
    tables: dict[str, dict[str, Any]] = json.loads((RELEASED / f"{revision}.json").read_text())
    return tables


async def make_database(engine: AsyncEngine, revision: str) -> None:
    """Give an empty database the schema of an older version, and the rows that it wrote."""
    tables = released(revision)

    def make(connection: Connection) -> None:
        config = migrations._config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        found = MetaData()
        found.reflect(connection, only=list(tables))
        for table in found.sorted_tables:
            connection.execute(table.delete())  # what the migrations wrote
            columns = tables[table.name]["columns"]
            for row in tables[table.name]["rows"]:
                values = {
                    name: _value(table.c[name].type, each)
                    for name, each in zip(columns, row, strict=True)
                }
                connection.execute(table.insert().values(values))

    await migrations._within_transaction(engine, make)


def _value(kind: Any, value: Any) -> Any:
    """Return a value of SQLite as a column of any database takes it."""
    if value is None:
        return None
    match kind:
        case DateTime():
            return datetime.fromisoformat(value)
        case Boolean():
            return bool(value)
        case LargeBinary():
            return bytes.fromhex(value["hex"])
    return bytes.fromhex(value["hex"]) if isinstance(value, dict) else value

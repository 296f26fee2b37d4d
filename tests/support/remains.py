"""Where a text is left in a database: its tables, and the files of SQLite."""

from pathlib import Path

from sqlalchemy import Integer, String, cast, func, select

from harken.database import Database, Kind
from harken.models import Base


def files_of(database_url: str) -> list[bytes]:
    """Return the contents of the files of an SQLite database; none for PostgreSQL."""
    if not database_url.startswith("sqlite"):
        return []
    path = database_url.partition("///")[2]
    return [Path(each).read_bytes() for each in (path, f"{path}-wal") if Path(each).exists()]


async def places_of(database: Database, text: str) -> list[str]:
    """Return the columns of all tables in which a text occurs."""
    found = []
    async with database.reading(Kind.MAINTENANCE) as connection:
        holds = func.instr if connection.dialect.name == "sqlite" else func.strpos
        for table in Base.metadata.sorted_tables:
            occurs = [func.sum(cast(holds(cast(c, String), text) > 0, Integer)) for c in table.c]
            [counts] = await connection.execute(select(*occurs))
            found += [
                f"{table.name}.{column.name}"
                for column, count in zip(table.c, counts, strict=True)
                if count
            ]
    return found

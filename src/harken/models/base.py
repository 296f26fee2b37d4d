"""The declarative base, and the function that creates the tables."""

from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase

from harken import migrations
from harken.config import Settings
from harken.database import create_engine


class Base(DeclarativeBase):
    """The base of all tables of Harken; constraints get predictable names."""

    metadata = MetaData(naming_convention={"pk": "pk_%(table_name)s", "ix": "ix_%(table_name)s"})


async def init_db(settings: Settings | None = None) -> None:
    """Migrate the configured database to the newest schema.

    Raises SchemaMismatch if the database is newer than this program.
    """
    settings = settings or Settings.load()
    engine = create_engine(settings)
    try:
        await migrations.upgrade(engine, settings.database_schema)
    finally:
        await engine.dispose()

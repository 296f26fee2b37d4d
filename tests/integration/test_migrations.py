"""The schema's history ends where the models are, however one gets there."""

import asyncio
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Boolean, Connection, bindparam, inspect, text

from harken import migrations
from harken.config import Settings
from harken.database import Database, create_engine
from harken.domain.preferences import Preferences
from harken.errors import SchemaMismatch
from harken.migrations import log_order
from harken.models import Base
from harken.models.base import init_db
from harken.models.search import SEARCH_TABLE
from harken.models.types import UtcDateTime
from harken.services.kblocks.search import rows
from harken.services.kblocks.search.matches import SearchStore
from harken.services.kblocks.search.query import parse_query
from harken.services.kblocks.search.upkeep import SearchUpkeep
from harken.services.providers import (
    close_providers,
    get_feed_feedback_persistence,
    setup_providers,
)
from harken.services.record.persistence import FeedFeedbackPersistence
from harken.services.record.readers import ReaderStore
from tests.conftest import session_factory_for
from tests.support.schema import NEWEST

ROOT = Path(__file__).parents[2]
OUR_TABLES = {*Base.metadata.tables, migrations.VERSION_TABLE, SEARCH_TABLE}
PARTITIONS = "feed_interactions_"
HIDDEN = (SEARCH_TABLE, PARTITIONS)
_FTS5_PARTS = {f"{SEARCH_TABLE}_{part}" for part in ("config", "content", "data", "docsize", "idx")}


async def inspected(url: str, look):
    engine = create_engine(Settings(database_url=url))
    async with engine.connect() as connection:
        found = await connection.run_sync(look)
    await engine.dispose()
    return found


def tables(connection: Connection) -> set[str]:
    found = set(inspect(connection).get_table_names()) - _FTS5_PARTS
    return {name for name in found if not name.startswith(PARTITIONS)}


def differences(connection: Connection) -> list:
    context = MigrationContext.configure(
        connection,
        opts={
            "compare_type": True,
            "compare_server_default": log_order.compare_default,
            "version_table": migrations.VERSION_TABLE,
            # Search has a table of another kind on each database, which no model describes. Nor
            # does a model describe the partitions of the log.
            "include_name": lambda name, _kind, _parents: not str(name).startswith(HIDDEN),
        },
    )
    found: list = compare_metadata(context, Base.metadata)
    return found


async def test_models_and_migrations_agree(database_url):
    assert await inspected(database_url, differences) == []


async def test_the_seeds_indexes_are_there(database_url):
    def names(connection: Connection) -> set[str | None]:
        look = inspect(connection)
        both = ("feed_interactions", "feed_engagement_stats")
        return {index["name"] for table in both for index in look.get_indexes(table)}

    assert await inspected(database_url, names) == {
        "idx_user_kblock", "idx_user_timestamp", "idx_kblock_action", "idx_timestamp",
        "idx_transaction_number",
        "idx_attention_score", "idx_last_engaged", "idx_engagement_updated",
    }  # fmt: skip


async def test_init_db_makes_the_tables_and_may_be_called_again(empty_url, monkeypatch):
    monkeypatch.setenv("HARKEN_DATABASE_URL", empty_url)
    await init_db()
    await init_db()
    assert await inspected(empty_url, tables) == OUR_TABLES
    assert await inspected(empty_url, differences) == []


def alembic(folder: Path, url: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "alembic", *arguments],
        cwd=folder,
        env=os.environ | {"HARKEN_DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


async def test_alembics_own_commands_work(empty_url, tmp_path):
    """As the seed document has them, on a copy of the migrations that may be written to."""
    shutil.copytree(ROOT / "src/harken/migrations", tmp_path / "migrations")
    ini = (ROOT / "alembic.ini").read_text()
    (tmp_path / "alembic.ini").write_text(ini.replace("harken:migrations", "%(here)s/migrations"))
    alembic(tmp_path, empty_url, "upgrade", "head")
    assert await inspected(empty_url, tables) == OUR_TABLES
    alembic(tmp_path, empty_url, "revision", "--autogenerate", "-m", "Add feed feedback tables")
    [made] = (tmp_path / "migrations/versions").glob("*add_feed_feedback_tables.py")
    assert "op." not in made.read_text().split("def upgrade")[1]
    alembic(tmp_path, empty_url, "upgrade", "head")
    alembic(tmp_path, empty_url, "downgrade", "base")
    assert await inspected(empty_url, tables) <= {migrations.VERSION_TABLE}


async def test_the_shipped_ini_works_as_it_is(empty_url):
    alembic(ROOT, empty_url, "upgrade", "head")
    assert f"{NEWEST} (head)" in alembic(ROOT, empty_url, "current")


async def test_readers_of_before_prefer_nothing(empty_url):
    alembic(ROOT, empty_url, "upgrade", "0002")

    def fill(connection: Connection) -> None:
        connection.execute(
            text(
                "INSERT INTO feed_users (user_id, principles, created_at, updated_at) VALUES "
                """('ada', '["humane"]', '2026-01-01T00:00:00.000000Z', """
                "'2026-01-01T00:00:00.000000Z')"
            )
        )
        connection.commit()

    await inspected(empty_url, fill)
    alembic(ROOT, empty_url, "upgrade", "head")
    async with session_factory_for(empty_url) as sessions:
        readers = ReaderStore(Database(sessions))
        assert (await readers.context("ada")).principles == ("humane",)
        assert await readers.preferences("ada") == Preferences()


async def test_tables_of_others_are_left_alone(empty_url, tmp_path):
    def make(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE theirs (id INTEGER PRIMARY KEY)"))
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
        connection.commit()

    await inspected(empty_url, make)
    alembic(ROOT, empty_url, "upgrade", "head")
    alembic(ROOT, empty_url, "check")
    assert await inspected(empty_url, tables) == OUR_TABLES | {"theirs", "alembic_version"}


async def test_a_schema_of_ones_own(postgresql, monkeypatch):
    url = postgresql_url = await _create(postgresql)
    monkeypatch.setenv("HARKEN_DATABASE_URL", url)
    monkeypatch.setenv("HARKEN_DATABASE_SCHEMA", "feedback")
    try:
        await init_db()
        record = await get_feed_feedback_persistence()
        await record.record_interaction("u", "k", "view")
        await record.rebuild()
        assert (await record.verify()).differences == 0
        await close_providers()
        assert await inspected(url, tables) == set()
        # Somebody else's session factory knows nothing of the schema; the record does.
        async with (
            session_factory_for(url) as sessions,
            FeedFeedbackPersistence(sessions, schema="feedback") as embedded,
        ):
            await embedded.record_interaction("u", "k", "view")
            await embedded.rebuild()
            assert await embedded.get_interaction_stats("u", "k") == {
                "views": 2, "engagements": 0, "dismissals": 0,
            }  # fmt: skip
    finally:
        await _drop(postgresql, postgresql_url)


async def _create(databases) -> str:
    return await asyncio.to_thread(databases.create, migrated=False)


async def _drop(databases, url: str) -> None:
    await asyncio.to_thread(databases.drop, url)


async def test_a_newer_database_is_refused(database_url, monkeypatch):
    def age(connection: Connection) -> None:
        connection.execute(text(f"UPDATE {migrations.VERSION_TABLE} SET version_num = '9999'"))
        connection.commit()

    await inspected(database_url, age)
    monkeypatch.setenv("HARKEN_DATABASE_URL", database_url)
    with pytest.raises(SchemaMismatch, match=r"9999, which this version .* made by a newer one"):
        await setup_providers()
    with pytest.raises(SchemaMismatch, match="made by a newer one"):
        await init_db()


async def test_a_database_that_is_behind(empty_url, database_kind, monkeypatch):
    """SQLite is brought up to date; PostgreSQL is refused, with the command that does it."""
    monkeypatch.setenv("HARKEN_DATABASE_URL", empty_url)
    if database_kind == "sqlite":
        await setup_providers()
        await close_providers()
        assert await inspected(empty_url, tables) == OUR_TABLES
    else:
        with pytest.raises(SchemaMismatch, match=r"not set up.*run `harken migrate`"):
            await setup_providers()


async def test_notes_of_before_can_be_found(empty_url, monkeypatch):
    monkeypatch.setattr(rows, "STEP", 2)
    alembic(ROOT, empty_url, "upgrade", "0011")

    def fill(connection: Connection) -> None:
        for number in range(1, 8):
            connection.execute(
                text(
                    "INSERT INTO kblocks (id, number, revision, version, digest, title, preview, "
                    "content, kind, created_at, updated_at, tags, deleted) VALUES "
                    "(:id, :number, 1, 1, 'd', 'Note', '', :content, 'note', :at, :at, :tags, "
                    ":deleted)"
                ).bindparams(
                    bindparam("at", type_=UtcDateTime), bindparam("deleted", type_=Boolean)
                ),
                {
                    "id": f"k{number}", "number": number, "content": f"word{number}",
                    "at": datetime(2026, 1, 1, tzinfo=UTC), "deleted": number == 3,
                    "tags": "not JSON" if number == 4 else '["zebra"]',
                },
            )  # fmt: skip
        connection.commit()

    await inspected(empty_url, fill)
    engine = create_engine(Settings(database_url=empty_url))
    await migrations.upgrade(engine)
    await engine.dispose()
    async with session_factory_for(empty_url) as sessions:
        database = Database(sessions)
        store = SearchStore(database)
        assert sorted(await store.numbers(parse_query("word*"))) == [1, 2, 4, 5, 6, 7]
        assert sorted(await store.numbers(parse_query("zebra"))) == [1, 2, 5, 6, 7]
        assert (await SearchUpkeep(database).check()).differences == 0
    alembic(ROOT, empty_url, "downgrade", "0011")
    assert SEARCH_TABLE not in await inspected(empty_url, tables)

"""What the program says of a database has no secret in it, whatever is wrong."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from harken.config import Settings
from harken.errors import InvalidSettings
from tests.support.postgres import PostgresServer, free_port

PASSWORD = "pa55-w0rd"


def harken(*arguments: str, url: str, folder: Path) -> str:
    """Run a verb that fails, and return all that it says."""
    done = subprocess.run(
        [sys.executable, "-m", "harken", *arguments],
        env={**os.environ, "HARKEN_DATABASE_URL": url, "HARKEN_API_KEYS": PASSWORD,
             "HARKEN_DATABASE_CONNECT_TIMEOUT": "1"},
        cwd=folder, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def guarded() -> Iterator[PostgresServer]:
    """A server that wants a password, of a role that has another one."""
    with PostgresServer() as server:
        server.execute("CREATE ROLE somebody LOGIN PASSWORD 'another'")
        rules = server._folder / "data" / "pg_hba.conf"
        rules.write_text(
            "host all somebody 127.0.0.1/32 scram-sha-256\n" + rules.read_text("utf-8"), "utf-8"
        )
        server.execute("SELECT pg_reload_conf()")
        yield server


SERVE = ["serve", "--port", "0"]


@pytest.mark.parametrize(
    ("wrong", "verb"),
    [("password", SERVE), ("password", ["verify"]), ("password", ["migrate"]), ("host", SERVE),
     ("port", ["verify"])],
)  # fmt: skip
def test_no_verb_says_a_password(guarded, tmp_path, verb, wrong):
    where = {
        "password": f"127.0.0.1:{guarded.port}",
        "host": "no-such-host.invalid",
        "port": f"127.0.0.1:{free_port()}",
    }[wrong]
    url = f"postgresql+asyncpg://somebody:{PASSWORD}@{where}/postgres"
    said = harken(*verb, url=url, folder=tmp_path)
    assert "the database does not answer" in said
    assert PASSWORD not in said
    assert "Traceback" not in said


async def test_the_role_of_that_test_exists(guarded):
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(f"postgresql://somebody:{PASSWORD}@127.0.0.1:{guarded.port}/postgres")


@pytest.mark.parametrize("rest", ["@host:54x32/database", "@host:port/database", ":x@host:y"])
def test_a_url_that_cannot_be_read_is_not_repeated(rest, monkeypatch):
    monkeypatch.setenv("HARKEN_DATABASE_URL", f"postgresql+asyncpg://user:{PASSWORD}{rest}")
    with pytest.raises(InvalidSettings, match="HARKEN_DATABASE_URL: is not a URL") as raised:
        Settings.load()
    assert PASSWORD not in str(raised.value)


async def test_what_readers_did_is_in_no_message_of_the_database(session_factory):
    async with session_factory() as session:
        with pytest.raises(DBAPIError, match="no_such_table") as raised:
            await session.execute(text("SELECT :x FROM no_such_table"), {"x": PASSWORD})
    assert PASSWORD not in str(raised.value)

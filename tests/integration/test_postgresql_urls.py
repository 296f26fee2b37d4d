"""URLs of PostgreSQL as hosting services and libpq write them, each used on a real server."""

import os
import subprocess
from collections.abc import AsyncIterator, Iterator

import pytest
from sqlalchemy import text

from harken.config import Settings
from harken.database import close_engine, create_engine
from harken.databases.postgresql_urls import libpq_url
from harken.errors import InvalidSettings
from harken.failures import cause_of
from tests.support.postgres import PostgresServer
from tests.support.tls import certify, tls_before

SHOWN = text("SELECT current_setting('application_name'), current_setting('search_path')")
DEFAULT = ("", '"$user", public')


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer() as started:
        yield started


@pytest.fixture
async def tls_url(server, tmp_path) -> AsyncIterator[str]:
    """Yield the URL of the same server behind TLS, with a certificate in `own.pem`."""
    async with tls_before(server.port, certify(tmp_path)) as port:
        yield f"postgres://harken@localhost:{port}/postgres"


async def shown(url: str) -> tuple[str, str]:
    engine = create_engine(Settings(database_url=url))
    try:
        async with engine.connect() as connection:
            name, path = (await connection.execute(SHOWN)).one()
            return name, path
    finally:
        await close_engine(engine)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sslmode=disable&application_name=a%20shop", ("a shop", DEFAULT[1])),
        ("options=-c%20search_path%3Down,public", ("", "own,public")),
        ("keepalives_idle=30&client_encoding=utf8&gssencmode=disable&sslmode=allow", DEFAULT),
        ("ssl=prefer&connect_timeout=10", DEFAULT),
    ],
)
async def test_parameters_of_libpq(server, query, expected):
    assert await shown(f"{server.url.replace('+asyncpg', '')}?{query}") == expected


@pytest.mark.parametrize("query", ["sslmode=require&channel_binding=require", "ssl=require"])
async def test_tls(server, tls_url, query):
    assert await shown(f"{tls_url}?{query}") == DEFAULT
    with pytest.raises(ConnectionError, match="rejected SSL"):
        await shown(f"{server.url}?{query}")


async def test_a_certificate_is_checked(tls_url, tmp_path):
    trusted = f"sslmode=verify-full&sslrootcert={tmp_path / 'own.pem'}"
    assert await shown(f"{tls_url}?{trusted}") == DEFAULT
    with pytest.raises(OSError, match="certificate") as found:
        await shown(f"{tls_url.replace('localhost', '127.0.0.1')}?{trusted}")
    assert "no secure connection" in cause_of(found.value)


async def test_of_several_hosts_the_one_that_can_write(server):
    standby = server.standby()
    try:
        standby.start_first()
        hosts = f"127.0.0.1:1,127.0.0.1:{standby.port},127.0.0.1:{server.port}"
        url = f"postgres://harken@{hosts}/postgres?target_session_attrs=read-write"
        engine = create_engine(Settings(database_url=url))
        async with engine.connect() as connection:
            port = await connection.execute(text("SELECT current_setting('port')"))
            assert port.scalar_one() == str(server.port)
        await close_engine(engine)
    finally:
        standby.remove()


def test_pg_dump_connects_alike(server, tmp_path):
    hosts = f"127.0.0.1:1,127.0.0.1:{server.port}"
    given = f"postgres://harken@{hosts}/postgres?ssl=prefer&options=-c%20search_path%3Dpublic"
    url = libpq_url(Settings(database_url=given).database_url)
    done = subprocess.run(
        [server.binaries / "pg_dump", f"--file={tmp_path / 'dump'}", f"--dbname={url}"],
        capture_output=True, text=True, check=False, timeout=60, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("sslmod=require", "'sslmod'"),
        ("pool_size=5", "'pool_size'"),
        ("sslmode=on", "none of allow, disable, prefer, require, verify-ca, verify-full"),
    ],
)
def test_what_means_nothing_is_refused(monkeypatch, query, said):
    monkeypatch.setenv("HARKEN_DATABASE_URL", f"postgres://u:secret@h/d?{query}")
    with pytest.raises(InvalidSettings, match="HARKEN_DATABASE_URL") as found:
        Settings.load()
    assert said in str(found.value)
    assert "secret" not in str(found.value)


def test_passwords_in_parameters_are_secrets():
    settings = Settings(database_url="postgres://h/d?password=sesame&sslpassword=another")
    assert {"sesame", "another"} <= set(settings.secrets)
    assert "sesame" not in libpq_url(settings.database_url)


async def test_prepared_statements_of_two_connections_have_unlike_names(server):
    """A pooler may show one connection what another prepared: see `harken.connecting`."""
    names = text("SELECT name FROM pg_prepared_statements WHERE name <> ''")
    found: list[set[str]] = []
    for _ in range(2):
        engine = create_engine(Settings(database_url=server.url))
        async with engine.connect() as connection:
            found.append({name[-12:] for name in (await connection.execute(names)).scalars()})
        await close_engine(engine)
    assert all(found)
    assert not found[0] & found[1]

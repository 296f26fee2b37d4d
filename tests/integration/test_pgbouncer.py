"""A real PgBouncer between Harken and PostgreSQL, as docs/postgresql.md has it."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import URL, make_url

from harken.database import Database
from harken.errors import DatabaseUnavailable
from harken.services.record.persistence import FeedFeedbackPersistence
from tests.conftest import session_factory_for
from tests.contract.conftest import log
from tests.support.chromium import program
from tests.support.postgres import free_port, is_free
from tests.support.waiting import until

EVENTS = 200


@pytest.fixture
def database_kind() -> str:
    return "postgresql"


@contextmanager
def pgbouncer(server: URL, folder: Path, mode: str) -> Iterator[str]:
    """Run PgBouncer before a server; yields the URL of the same database behind it."""
    path, port, own = program("pgbouncer"), free_port(), folder / "pgbouncer.ini"
    own.write_text(
        f"[databases]\n* = host={server.host} port={server.port} user={server.username}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = any\npool_mode = {mode}\ndefault_pool_size = 30\n"
    )
    folder.chmod(0o755)
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    process = subprocess.Popen([path, "-q", *user, own], stderr=subprocess.DEVNULL, cwd="/")
    try:
        yield server.set(port=port).render_as_string(hide_password=False)
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.parametrize("mode", ["session", "transaction"])
async def test_nothing_is_lost_or_mixed_up(database_url, session_factory, tmp_path, mode):
    with pgbouncer(make_url(database_url), tmp_path, mode) as url:
        port = make_url(url).port
        assert port is not None
        await until(lambda: not is_free(port))
        async with (
            session_factory_for(url) as factory,
            session_factory_for(url) as other,
            FeedFeedbackPersistence(factory) as record,
            FeedFeedbackPersistence(other) as second,
        ):
            outcomes = await asyncio.gather(
                *(
                    one.record_interaction(f"u{n % 7}", f"k{n % 5}", "view", interaction_id=f"{n}")
                    for n, one in enumerate([record, second] * (EVENTS // 2))
                ),
                return_exceptions=True,
            )
    acknowledged = {each for each in outcomes if isinstance(each, str)}
    refused = [each for each in outcomes if not isinstance(each, str)]
    assert all(isinstance(each, DatabaseUnavailable) for each in refused)
    assert all("let it pool sessions" in str(each) for each in refused)
    assert mode == "transaction" or not refused
    async with FeedFeedbackPersistence(session_factory) as record:
        kept = await log(Database(session_factory))
        assert acknowledged <= {each.id for each in kept}
        assert all(each.kblock_id == f"k{int(each.id) % 5}" for each in kept)
        assert (await record.verify()).differences == 0

"""The commands of docs/backup.md, each on a real database that is being recorded to."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx
import pytest

from harken.config import Settings
from tests.conftest import Databases
from tests.integration.test_documented_commands import Command, commands, pattern
from tests.support.postgres import FAST, PostgresServer, free_port
from tests.support.server import HarkenServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
PAGE = (Path(__file__).parents[2] / "docs/backup.md").read_text("utf-8")
SHOWN_HOST, SHOWN_PORT = "db.example.org", "5433"
EVENTS = 20


def section(title: str) -> list[Command]:
    """Return the commands of a section, those of its restore with them."""
    found = list(commands(PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]))
    assert found
    return found


class Shell:
    """Runs commands one after the other in a folder, as a person would."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self._folder = folder
        self._environment = {**os.environ, "COLUMNS": "100", **environment}

    def run(self, command: Command) -> None:
        if command.line.startswith("export "):
            for each in command.line.removeprefix("export ").split():
                name, _, value = each.partition("=")
                self._environment[name] = value
            return
        done = subprocess.run(
            ["bash", "-c", command.line], cwd=self._folder, env=self._environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=120, check=False,
        )  # fmt: skip
        said = f"$ {command.line}\n{done.stdout}"
        assert done.returncode == 0, said
        assert pattern(command.output).fullmatch(done.stdout.strip()), said


def record(server: HarkenServer, first: int) -> None:
    """Record events, some of them on K-Blocks that others record on as well."""
    events = [
        {"user_id": f"u{n % 3}", "kblock_id": f"k{n % 5}", "action": "view",
         "interaction_id": f"e{n}"}
        for n in range(first, first + EVENTS)
    ]  # fmt: skip
    path = f"{server.url}/api/feed/feedback/batch"
    answer = httpx.post(path, json={"events": events}, trust_env=False)
    assert answer.json()["accepted"] == EVENTS


@pytest.fixture
def own_server():
    """A PostgreSQL server of its own, whose whole data folder is copied."""
    with PostgresServer(**FAST) as server:
        yield server


def shell_on(server: PostgresServer, folder: Path) -> Shell:
    python, postgres = Path(sys.executable).parent, server.binaries
    tools = folder / "bin"
    tools.mkdir()
    if os.geteuid() == 0:
        # PostgreSQL does not run as root: its server gets another user, and the data folder.
        (tools / "pg_ctl").write_text(
            "#!/bin/sh\nchown -R nobody base; touch base.log; chown nobody base.log\n"
            f'exec setpriv --reuid=nobody --regid=nogroup --clear-groups {postgres}/pg_ctl "$@"\n'
        )
        (tools / "pg_ctl").chmod(0o755)
    return Shell(
        folder, PATH=f"{tools}:{postgres}:{python}:{os.environ['PATH']}",
        PGPORT=str(server.port), PGHOST="127.0.0.1", PGUSER="harken",
    )  # fmt: skip


def real(command: Command, port: int, own_port: int) -> Command:
    line = command.line.replace("harken@127.0.0.1", "HARKEN_ITSELF")
    line = line.replace(f"harken@{SHOWN_HOST}", f"harken@127.0.0.1:{port}")
    line = line.replace(SHOWN_HOST, "127.0.0.1").replace("HARKEN_ITSELF", "harken@127.0.0.1")
    line = line.replace(f"-p {SHOWN_PORT}", f"-p {own_port} -c unix_socket_directories=")
    return Command(line.replace(f":{SHOWN_PORT}", f":{own_port}"), command.output)


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_sqlite(database_url, tmp_path):
    url = "sqlite+aiosqlite:///harken.db"
    python = Path(sys.executable).parent
    shell = Shell(tmp_path, PATH=f"{python}:{os.environ['PATH']}", HARKEN_DATABASE_URL=url)
    backup, *restore = section("SQLite")
    with HarkenServer(database_url) as server:
        record(server, 0)
        shell.run(backup)
        record(server, EVENTS)
    for command in restore:
        shell.run(command)
    with HarkenServer(database_url) as server:
        counted = httpx.get(f"{server.url}/api/feed/analytics", trust_env=False).json()
        assert counted["totals"]["views"] == EVENTS
        record(server, EVENTS)  # what was recorded since, sent again


def test_postgresql(own_server, tmp_path):
    databases = Databases(own_server.url, "STRATEGY FILE_COPY")
    databases.execute(f'ALTER DATABASE "{databases.template}" RENAME TO harken')
    databases.close()
    url = Settings(database_url=own_server.url).database_url.replace("/postgres", "/harken")
    # Below /tmp: the folders of tests may be closed to the user of a server.
    with _open_folder() as folder, HarkenServer(url) as server:
        shell = shell_on(own_server, folder)
        record(server, 0)
        own_port = free_port()
        for number, title in enumerate(("PostgreSQL: a dump", "PostgreSQL: a base backup"), 1):
            for command in section(title):
                shell.run(real(command, own_server.port, own_port))
            record(server, number * EVENTS)


@contextlib.contextmanager
def _open_folder():
    folder = Path(tempfile.mkdtemp(prefix="harken-backup-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)

"""Fixtures that run the command line on each database, in this process or in a new one.

A process of its own takes more than a second to start, which several hundred calls cannot afford.
"""

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from harken.protocols import cli
from harken.protocols.cli.running import console, messages
from tests.support.choices import choices
from tests.support.interaction_files import rows, write
from tests.support.once import made_once

# The synthetic logs are short.
FEW = ("--fewest", "200")
WIDTH = 200
POLL_SECONDS = 0.02


class Run(NamedTuple):
    """The output and the exit code of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def call(*arguments: Any, **env: str) -> Run:
    """Run the command line in this process, with further environment variables."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
    code: Any = 0
    with (
        pytest.MonkeyPatch.context() as changed,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        for name, value in env.items():
            changed.setenv(name, value)
        changed.setattr(sys, "argv", ["harken", *map(str, arguments)])
        # The process of all tests keeps its priority.
        changed.setattr(cli, "give_way", lambda _arguments: None)
        try:
            cli.main()
        except SystemExit as ended:
            code = ended.code or 0
    texts = []
    for stream in (out, err):
        stream.seek(0)
        texts.append(stream.read())
    return Run(code, *texts)


@pytest.fixture
def harken(database_url, tmp_path, monkeypatch) -> Callable[..., Run]:
    monkeypatch.setenv("HARKEN_DATABASE_URL", database_url)
    monkeypatch.chdir(tmp_path)
    for each in (console, messages):
        monkeypatch.setattr(each, "width", WIDTH)
    return call


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Path:
    """Return an SQLite file with the log of `choices`, and a model that was promoted by it."""

    def make(path: Path) -> None:
        shutil.copy(sqlite_template, path)
        url = {"HARKEN_DATABASE_URL": f"sqlite+aiosqlite:///{path}"}
        log = write(path.with_name("choices.jsonl.gz"), rows(choices()))
        assert call("import", "interactions", log, **url).code == 0
        assert call("train", *FEW, "--promote", **url).code == 0

    return made_once(tmp_path_factory, "trained.db", make)


@pytest.fixture
def trained(
    harken: Callable[..., Run], database_kind: str, database_url: str, trained_once: Path
) -> Callable[..., Run]:
    """Return `harken` on a database with the log of `choices` and a model in service.

    The model was trained once a run. What training itself does is tested where it is done.
    """
    if database_kind == "sqlite":
        shutil.copy(trained_once, database_url.partition("///")[2])
        return harken
    there = {"HARKEN_DATABASE_URL": f"sqlite+aiosqlite:///{trained_once}"}
    [model] = harken("models", "list", "--json", **there).json["models"]
    for arguments, env in (
        (("export", "choices.jsonl.gz"), there),
        (("import", "interactions", "choices.jsonl.gz"), {}),
        (("models", "export", model["id"], "choices.model"), there),
        (("models", "import", "choices.model"), {}),
        (("models", "promote", model["id"]), {}),
    ):
        assert harken(*arguments, **env).code == 0
    return harken


@pytest.fixture
def harken_process(database_url, tmp_path) -> Callable[..., Run]:
    """Return a function that runs the command line in a new process, as a shell does."""

    def run(*arguments: Any, **env: str) -> Run:
        done = subprocess.run(
            [sys.executable, "-m", "harken", *map(str, arguments)],
            env=os.environ | {"HARKEN_DATABASE_URL": database_url, "COLUMNS": str(WIDTH)} | env,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=280,  # it is the test's own limit that counts
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Run(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def interrupted_import(database_url) -> Callable[..., Any]:
    """Interrupt an import with Ctrl-C while it reads a slow file, and return its output."""

    def run(
        kind: str,
        file: Path,
        *options: str,
        first: Iterable[str],
        until: Callable[[], bool],
        then: Iterable[str],
    ) -> Any:
        os.mkfifo(file)
        with subprocess.Popen(
            [sys.executable, "-m", "harken", "import", kind, str(file), *options, "--json"],
            env=os.environ | {"HARKEN_DATABASE_URL": database_url},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            # As in a terminal; SIGINT may be ignored if the tests run in the background.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        ) as process:  # fmt: skip
            try:
                # After the signal, the process may read on or close the file.
                with contextlib.suppress(BrokenPipeError), file.open("w") as pipe:
                    pipe.writelines(first)
                    pipe.flush()
                    while not until():
                        assert process.poll() is None
                        time.sleep(POLL_SECONDS)
                    process.send_signal(signal.SIGINT)
                    pipe.writelines(then)
                out, err = process.communicate(timeout=60)
            finally:
                process.kill()
        assert process.returncode == 130, err
        file.unlink()
        return json.loads(out)

    return run

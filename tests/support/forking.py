"""Processes of the command line that start at once: forks of one that has imported everything.

A new process of `harken serve` spends seconds on its imports. Here one process per test process
makes these imports once; each command then runs in a fork of it, with its own environment, folder
and output. What the command does is what it does in a process of its own.

Run as a program (`python -m tests.support.forking`), this is the process that forks. It reads one
JSON object a line and answers with one line: `{"run": …}` with the id of a new process, and
`{"ended": id}` with its exit code, or null while it runs.
"""

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from harken.setting_names import PREFIX

POLL_SECONDS = 0.005
# What `harken serve` and `harken consume` import when they run.
IMPORTED = (
    "harken.protocols.cli", "harken.protocols.cli.server", "harken.protocols.api.app",
    "harken.protocols.front.serving",
    "harken.protocols.http.security", "harken.protocols.http.connections",
    "harken.protocols.cli.data_commands.consuming", "harken.protocols.stream.jetstream",
    "harken.protocols.stream.kafka", "aiosqlite", "asyncpg", "alembic.command", "feedparser",
    "harken.services.feed.service", "httpx", "httptools", "jwt",
    "sqlalchemy.dialects.postgresql.asyncpg", "sqlalchemy.dialects.sqlite.aiosqlite",
    "uvicorn.lifespan.on", "uvloop",
)  # fmt: skip


class Forked:
    """A process that was forked; it has the methods of `subprocess.Popen` that tests need."""

    def __init__(self, forks: "Forks", pid: int) -> None:
        self._forks = forks
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""
        if self.returncode is None:
            self.returncode = self._forks.ask(ended=self.pid)
        return self.returncode

    def wait(self, timeout: float) -> int:
        """Wait until it has ended, and return the exit code; raises TimeoutExpired."""
        deadline = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
            time.sleep(POLL_SECONDS)
        return code

    def terminate(self) -> None:
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        self._send(signal.SIGKILL)

    def _send(self, number: int) -> None:
        # Until `poll` has seen its end, nobody else can have its id.
        if self.poll() is None:
            os.kill(self.pid, number)


class Forks:
    """The process that forks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
            env={name: value for name, value in os.environ.items() if not name.startswith(PREFIX)},
        )

    def run(
        self, arguments: Sequence[str], environment: Mapping[str, str], folder: Path, output: Path
    ) -> Forked:
        """Run a command of Harken; what it writes is added to the file `output`."""
        asked = {
            "arguments": list(arguments),
            "environment": dict(environment),
            "folder": str(folder),
            "output": str(output),
        }
        return Forked(self, self.ask(run=asked))

    def ask(self, **asked: Any) -> Any:
        with self._lock:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps(asked) + "\n")
            self._process.stdin.flush()
            if not (line := self._process.stdout.readline()):
                raise RuntimeError("the process that forks has ended")
            return json.loads(line)

    def close(self) -> None:
        self._process.communicate(timeout=30)


@cache
def forks() -> Forks:
    """Return the process that forks for this process; it ends with it."""
    made = Forks()
    atexit.register(made.close)
    return made


def _serve() -> None:
    """Answer until the input ends. In a fork, this returns so that the command can run."""
    for module in IMPORTED:
        import_module(module)
    # What the first application of a process compiles and keeps.
    import_module("harken.protocols.api.app").create_app()
    with os.fdopen(os.dup(1), "w") as answers:
        while line := sys.stdin.readline():
            asked = json.loads(line)
            if "ended" in asked:
                answer = _exit_code(asked["ended"])
            elif (answer := os.fork()) == 0:
                break
            print(json.dumps(answer), file=answers, flush=True)
        else:
            return
    _become(**asked["run"])


def _exit_code(pid: int) -> int | None:
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def _become(arguments: list[str], environment: dict[str, str], folder: str, output: str) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    said = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for source, target in ((nothing, 0), (said, 1), (said, 2)):
        os.dup2(source, target)
    os.close(nothing)
    os.close(said)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["harken", *arguments]
    import_module("harken.protocols.cli").main()


if __name__ == "__main__":
    _serve()

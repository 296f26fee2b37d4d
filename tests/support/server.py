"""A real `harken serve` in a process of its own, on loopback and a free port."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from tests.support.forking import Forked, forks
from tests.support.postgres import FIRST_STARTS, free_port, is_free

START_SECONDS = 120
STOP_SECONDS = 30
POLL_SECONDS = 0.02
ROOT = Path(__file__).parents[2]


class HarkenServer:
    """A server that can be killed and started again: `with HarkenServer(url) as server: ...`.

    `environment` are further variables, such as `HARKEN_QUEUE_LIMIT="10"`. The process is a fork of
    one that has imported everything, which saves seconds.
    """

    is_fork = sys.platform == "linux"
    program = "harken"
    """The module that is run, if it is no fork."""
    options: tuple[str, ...] = ()
    """Further options of the command."""
    start_seconds = START_SECONDS
    stop_seconds = STOP_SECONDS

    def __init__(self, database_url: str, **environment: str) -> None:
        self._choose_port()
        self._environment = {**os.environ, "HARKEN_DATABASE_URL": database_url, **environment}
        self._folder = Path(tempfile.mkdtemp(prefix="harken-server-"))
        self._process: subprocess.Popen[bytes] | Forked | None = None

    @property
    def output(self) -> str:
        """What it has written so far, over all its starts."""
        file = self._folder / "output"
        return file.read_text("utf-8", "replace") if file.exists() else ""

    @property
    def is_running(self) -> bool:
        """Whether the process was started, and has not ended since."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process."""
        return self._running().pid

    def __enter__(self) -> Self:
        try:
            self._start_first()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _tb: TracebackType | None,
    ) -> None:
        self._remove()

    def start(self) -> None:
        """Start the process and return when it answers; after an end, on the same port again."""
        if self._process is not None:
            raise RuntimeError("the server runs already")
        self._process = self._run(*self._arguments)
        deadline = time.monotonic() + self.start_seconds
        while not self._answers():
            if self._process.poll() is not None:
                self._process = None
                raise RuntimeError(f"harken serve ended by itself: {self.output[-2000:]}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"harken serve does not answer: {self.output[-2000:]}")
            time.sleep(POLL_SECONDS)

    def kill(self) -> None:
        """End the process as a crash would, and return when it is gone."""
        process = self._running()
        process.kill()
        process.wait(STOP_SECONDS)
        self._process = None

    def terminate(self) -> int:
        """Ask the process to end, and return its exit code when it has."""
        process = self._running()
        process.terminate()
        code = process.wait(self.stop_seconds)
        self._process = None
        return code

    @property
    def _arguments(self) -> tuple[str, ...]:
        return ("serve", "--port", str(self.port), *self.options)

    def _run(self, *arguments: str) -> subprocess.Popen[bytes] | Forked:
        # Output goes to a file: nobody reads a pipe while the server runs.
        file = self._folder / "output"
        if self.is_fork:
            return forks().run(arguments, self._environment, self._folder, file)
        with file.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", self.program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environment,
                cwd=self._folder,
            )

    def _choose_port(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def _start_first(self) -> None:
        """Start the process; on another port if somebody was faster."""
        for left in reversed(range(FIRST_STARTS)):
            try:
                self.start()
                break
            except RuntimeError:
                is_taken = self._process is None and not is_free(self.port)
                if not left or not is_taken:
                    raise
                self._choose_port()

    def _running(self) -> subprocess.Popen[bytes] | Forked:
        if self._process is None:
            raise RuntimeError("the server does not run")
        return self._process

    def _answers(self) -> bool:
        # Asked often while it starts, so by what costs little.
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    def _remove(self) -> None:
        if self._process is not None:
            self.kill()
        shutil.rmtree(self._folder)


class HarkenProgram(HarkenServer):
    """A `HarkenServer` that starts as from a shell: a new program, with all its imports."""

    is_fork = False


class HarkenWorkers(HarkenProgram):
    """A server of several processes under a supervisor."""

    # Several processes that import at once take several times as long.
    start_seconds = 3 * START_SECONDS
    stop_seconds = 3 * STOP_SECONDS

    def __init__(self, database_url: str, workers: int, **environment: str) -> None:
        super().__init__(database_url, **environment)
        self.options = ("--workers", str(workers))
        # What a supervisor that is killed leaves behind goes with the folder.
        self._environment["TMPDIR"] = str(self._folder)

    @property
    def pids(self) -> set[int]:
        """The processes that serve, or start to."""
        children = psutil.Process(self._running().pid).children()
        return {each.pid for each in children if _is_worker(each)}

    @property
    def starts(self) -> int:
        """How many processes have become ready, over all starts of the server."""
        return self.output.count("Application startup complete.")

    def await_starts(self, count: int) -> None:
        """Wait until so many processes have become ready."""
        self._await(lambda: self.starts >= count, f"fewer than {count} started")

    def send(self, signum: signal.Signals) -> None:
        """Send a signal to the supervisor."""
        os.kill(self._running().pid, signum)

    def kill_worker(self, pid: int) -> None:
        """End one of the processes as a crash would."""
        os.kill(pid, signal.SIGKILL)

    def add_worker(self) -> None:
        """Ask for one process more, and return when it is ready."""
        starts = self.starts
        self.send(signal.SIGTTIN)
        self.await_starts(starts + 1)

    def remove_worker(self) -> None:
        """Ask for one process less, and return when it has ended."""
        count = len(self.pids)
        self.send(signal.SIGTTOU)
        self._await(lambda: len(self.pids) < count, "no process ends")

    def replace_workers(self) -> None:
        """Ask for a rolling restart, and return when no process is left that ran before."""
        before = self.pids
        self.send(signal.SIGHUP)
        self._await(lambda: not before & self.pids, "the restart does not end", len(before))

    def _await(self, reached: Callable[[], bool], else_: str, times: int = 1) -> None:
        deadline = time.monotonic() + times * self.start_seconds
        while not reached():
            if time.monotonic() > deadline:
                raise RuntimeError(f"{else_}: {self.output[-2000:]}")
            time.sleep(POLL_SECONDS)


class LightWorkers(HarkenWorkers):
    """The same supervisor, over processes with an application that starts at once."""

    program = "tests.support.light_workers"

    def __init__(self, workers: int, **environment: str) -> None:
        super().__init__("sqlite+aiosqlite:///unused.db", workers, **environment)
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._environment["PYTHONPATH"] = os.pathsep.join(paths)


def _is_worker(process: psutil.Process) -> bool:
    try:
        return any("spawn_main" in part for part in process.cmdline())
    except psutil.NoSuchProcess:
        return False

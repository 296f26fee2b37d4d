"""The servers to measure: each has its own database; all are pinned to the same processor."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.request import urlopen

import asyncpg
import psutil
from tests.support.postgres import free_port

HARKEN, STRAIGHTFORWARD, LIMIT = "harken", "straightforward", "limit"
CLIENT_CPU, SERVER_CPU = 0, 1
START_SECONDS, STOP_SECONDS = 60, 20


async def idle(process_id: int, second: float = 1.0) -> None:
    """Return when a process has hardly used its processor for a second."""
    process = psutil.Process(process_id)
    while True:
        before = sum(process.cpu_times()[:2])
        await asyncio.sleep(second)
        if sum(process.cpu_times()[:2]) - before < 0.05 * second:
            return


class Contestant:
    """A running server and its database."""

    def __init__(self, name: str, database: str, port: int, process_id: int) -> None:
        self.name = name
        self.port = port
        self._database = database
        self._process = psutil.Process(process_id)

    def cpu_seconds(self) -> float:
        """Return the server's processor seconds, without PostgreSQL's."""
        used = self._process.cpu_times()
        return float(used.user + used.system)

    async def empty(self) -> None:
        """Empty the tables and run a checkpoint, so that each run starts in the same state."""
        connection = await asyncpg.connect(self._database)
        tables = await connection.fetch(
            "SELECT tablename FROM pg_tables WHERE tablename LIKE 'feed\\_%'"
        )
        await connection.execute("TRUNCATE " + ", ".join(row["tablename"] for row in tables))
        await connection.execute("CHECKPOINT")
        await connection.close()

    async def recorded(self) -> tuple[int, int]:
        """Return the number of events in the log and in the statistics."""
        connection = await asyncpg.connect(self._database)
        row = await connection.fetchrow(
            "SELECT (SELECT count(*) FROM feed_interactions),"
            " (SELECT coalesce(sum(view_count + engage_count + dismiss_count + contradict_count),"
            " 0) FROM feed_engagement_stats)"
        )
        await connection.close()
        return int(row[0]), int(row[1])


def postgres_cpu_seconds() -> float:
    """Return the processor seconds of all PostgreSQL processes."""
    seconds = 0.0
    for process in psutil.process_iter(["name", "cpu_times"]):
        if process.info["name"] == "postgres":
            seconds += process.info["cpu_times"].user + process.info["cpu_times"].system
    return seconds


@contextmanager
def started(name: str, server_url: str) -> Iterator[Contestant]:
    """Start a contestant on a new database; stop it at the end of the context."""
    port, url = free_port(), server_url.removesuffix("postgres") + name
    asyncio.run(create_database(server_url.replace("+asyncpg", ""), name))
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HARKEN_")}
    environment["HARKEN_DATABASE_URL"] = url
    python = sys.executable
    if name != STRAIGHTFORWARD:
        migrate = [python, "-m", "harken", "migrate"]
        subprocess.run(migrate, env=environment, check=True, capture_output=True)
    command = {
        HARKEN: ["harken", "serve"],
        STRAIGHTFORWARD: ["benchmarks.straightforward", "--database-url", url],
        LIMIT: ["benchmarks.limit", "--database-url", url],
    }[name]
    command = [python, "-m", *command, "--port", str(port)]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, env=environment, stdout=quiet, stderr=quiet)
    pin(process, SERVER_CPU)
    try:
        wait_for(process, port)
        yield Contestant(name, url.replace("+asyncpg", ""), port, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def create_database(server: str, name: str, template: str = "template0") -> None:
    connection = await asyncpg.connect(server)
    await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    await connection.close()


async def run_harken(url: str, *arguments: str) -> None:
    """Run a command of Harken on a database, and wait for its end; if cancelled, end it."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "harken", *arguments,
        env=os.environ | {"HARKEN_DATABASE_URL": url}, stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        status = await child.wait()
    except asyncio.CancelledError:
        child.kill()
        await child.wait()
        raise
    if status:
        raise RuntimeError(f"harken {' '.join(arguments)} failed")


def pin(process: "subprocess.Popen[bytes]", cpu: int) -> None:
    """Pin a new process to a processor, if there are at least two."""
    # PostgreSQL is not pinned and uses the rest of both.
    if hasattr(os, "sched_setaffinity") and len(processors := sorted(os.sched_getaffinity(0))) > 1:
        os.sched_setaffinity(process.pid, {processors[cpu]})


def pin_self(cpu: int) -> None:
    """Pin this process in the same way."""
    if hasattr(os, "sched_setaffinity") and len(processors := sorted(os.sched_getaffinity(0))) > 1:
        os.sched_setaffinity(0, {processors[cpu]})


def wait_for(process: subprocess.Popen[bytes], port: int, path: str = "/openapi.json") -> None:
    """Wait until a server answers. Raises RuntimeError if it ends, or does not answer in time."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
        try:
            with urlopen(f"http://127.0.0.1:{port}{path}", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"{process.args!r} does not answer")

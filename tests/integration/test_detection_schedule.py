"""Scheduled detection, with real child processes: one run in each interval."""

import asyncio
import sys
from contextlib import AsyncExitStack
from datetime import timedelta

from harken.database import Database
from harken.services.integrity.alerts.schedule import DetectionSchedule
from harken.services.registry.leases import LeaseStore

EVERY = timedelta(hours=1)
RETRY = timedelta(seconds=0.1)
WAIT_SECONDS = 60
APPEND = "import sys; open({path!r}, 'a').write(' '.join(sys.argv[1:]) + '\\n')"


def schedules(session_factory, text, count=1):
    program = (sys.executable, "-c", text, "detect")
    leases = LeaseStore(Database(session_factory))
    return [DetectionSchedule(leases, EVERY, program, retry=RETRY) for _ in range(count)]


async def until(condition):
    async with asyncio.timeout(WAIT_SECONDS):
        while not condition():  # noqa: ASYNC110 — child processes notify nobody
            await asyncio.sleep(0.02)


async def test_one_server_runs_it_and_says_what_to_look_at(session_factory, tmp_path):
    path = tmp_path / "runs"
    both = schedules(session_factory, APPEND.format(path=str(path)), count=2)
    async with AsyncExitStack() as stack:
        for each in both:
            await stack.enter_async_context(each.running())
        await until(lambda: any(each.status().last for each in both))
    # A server that starts again finds the lease, which lasts as long as the interval.
    [again] = schedules(session_factory, APPEND.format(path=str(path)))
    assert await again._turn() > timedelta()
    assert path.read_text() == "detect --last 1h\n"
    assert [each.status().last[1] for each in both if each.status().last] == ["done"]


async def test_a_failed_run_is_tried_again_and_named_in_the_log(session_factory, tmp_path, caplog):
    path = tmp_path / "runs"
    text = APPEND.format(path=str(path)) + "; sys.exit('no such thing' if len("
    text += f"open({str(path)!r}).readlines()) < 2 else 0)"
    [one] = schedules(session_factory, text)
    async with one.running():
        await until(lambda: one.status().last and one.status().last[1] == "done")
    assert len(path.read_text().splitlines()) == 2
    assert "exit code 1: no such thing" in caplog.text

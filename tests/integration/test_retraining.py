"""Scheduled retraining, with real child processes."""

import asyncio
import contextlib
import logging
import os
import sys
from datetime import UTC, datetime, timedelta
from inspect import isawaitable

import httpx
import psutil
import pytest

from harken import child_processes
from harken.child_processes import run_child
from harken.database import Database
from harken.errors import NotFound
from harken.services.evaluation.holdout import run_metrics, train_and_measure
from harken.services.learning.ranker import RankerSettings
from harken.services.learning.rolling_training import TrainingSettings
from harken.services.registry import retraining
from harken.services.registry.leases import LeaseStore
from harken.services.registry.report_store import ReportStore
from harken.services.registry.retraining import Commands, Retraining
from harken.services.registry.store import ModelStore
from tests.faults import SOAK
from tests.support.choices import choices
from tests.support.server import HarkenServer

WEEK = timedelta(weeks=1)
HARKEN = (sys.executable, "-P", "-m", "harken")
TRAIN = (*HARKEN, "train", "--promote", "--fewest", "200")  # the synthetic log is short
REPORT = (*HARKEN, "report")
WAIT_SECONDS = 240
RETRY = timedelta(seconds=0.3)  # so long that half of it does not pass between two lines of code


# What becomes of a child process is the same on both databases; who may start it is tried on both.
ON_ONE = pytest.mark.parametrize("database_kind", ["sqlite"])


def program(text):
    return sys.executable, "-c", text


async def until(condition):
    """Poll a condition, since other processes do not notify this one."""
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            found = condition()
            if isawaitable(found):
                found = await found
            if found:
                return found
            await asyncio.sleep(0.02)


async def fill(persistence, log):
    events = [
        {"user_id": touch.user_id, "kblock_id": touch.kblock_id, "action": touch.action,
         "occurred_at": datetime.fromtimestamp(touch.at / 1e6, UTC)}
        for touch, *_ in log
    ]  # fmt: skip
    assert (await persistence.record_batch(events)).accepted == len(events)


@pytest.fixture
def models(session_factory):
    return ModelStore(Database(session_factory))


@pytest.fixture
def server_of(session_factory, database_url, models, monkeypatch):
    """Create the retraining of a server; each has its own lease holder."""
    monkeypatch.setenv("HARKEN_DATABASE_URL", database_url)
    monkeypatch.setattr(retraining, "BUSY", timedelta(seconds=0.1))
    leases = LeaseStore(Database(session_factory))

    def make(train=TRAIN, report=REPORT, every=WEEK, **more):
        return Retraining(models, leases, every, Commands(train, report), **more)

    return make


def own_children():
    return [each for each in psutil.Process().children() if is_harken(each)]


def is_harken(process):
    # The process may end meanwhile.
    with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
        return process.cmdline()[2:4] == ["-m", "harken"]
    return False


@pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"] if SOAK else ["postgresql"])
async def test_one_of_two_servers_trains_and_reports(
    server_of, models, persistence, session_factory
):
    await fill(persistence, choices())
    first, second = server_of(), server_of()
    async with first.running(), second.running():

        def both_wait():
            found = [each.status() for each in (first, second)]
            is_done = any(each.last for each in found)
            return is_done and all(each.next_at and not each.is_running for each in found)

        await until(both_wait)
        [model] = await models.listed()
        assert model.in_service
        due = model.created_at + WEEK
        await until(lambda: {each.status().next_at for each in (first, second)} == {due})
    [last] = [each.status().last for each in (first, second) if each.status().last]
    assert last.outcome == "promoted"
    assert last.began_at < last.ended_at
    found = await ReportStore(Database(session_factory)).latest()
    assert found.report["models"][0]["model_id"] == model.id
    # After a restart too, the newest model is new enough.
    third = server_of()
    async with third.running():
        await until(lambda: third.status().next_at)
        assert third.status()[1:] == (False, due, None)
    assert len(await models.listed()) == 1


@ON_ONE
async def test_one_that_is_not_better_is_no_failure(server_of, models, persistence, caplog):
    log = choices()
    await fill(persistence, log)
    same = train_and_measure(log, TrainingSettings(ranker=RankerSettings(fewest=200)))
    first = await models.add(same.model, {}, run_metrics(same), "1.0", promote=True)
    server = server_of(every=timedelta(microseconds=1))
    async with server.running():
        last = (await until(lambda: server.status().last)).outcome
    assert last == "not_better"
    assert await models.in_service() == first
    assert len(await models.listed()) >= 2
    assert [each for each in caplog.records if each.levelno > logging.INFO] == []


async def test_a_failure_is_logged_and_tried_again_later(
    server_of, models, session_factory, caplog
):
    """A refusal also exits with 1, but stores no model, so it counts as a failure."""
    caplog.set_level("INFO")
    say = "import sys; print('p4ss'); print('one\\nno p4ss here', file=sys.stderr); sys.exit(1)"
    server = server_of(program(say), secrets=["p4ss"], retry=RETRY)
    pauses = []
    async with server.running():
        for _ in range(3):
            last = server.status().last
            await until(lambda last=last: server.status().last not in {None, last})
            status = server.status()
            pauses.append(status.next_at - status.last.ended_at)
    assert status.last.outcome == "failed"
    assert [round(pause / RETRY) for pause in pauses] == [1, 2, 4]
    said = [each.getMessage() for each in caplog.records]
    assert "Retraining failed (exit code 1: no … here); it is tried again at" in " ".join(said)
    assert "…" in said
    assert not any("p4ss" in each for each in said)
    with pytest.raises(NotFound):
        await ReportStore(Database(session_factory)).latest()
    assert await models.listed() == []


async def test_a_program_that_is_not_there_ends_nothing(server_of, caplog):
    server = server_of(["/nowhere/harken"])
    async with server.running():
        await until(lambda: server.status().next_at and "Retraining failed." in caplog.text)
        assert not server.status().is_running


@ON_ONE
async def test_a_training_that_is_killed_is_survived(server_of, models, persistence):
    await fill(persistence, choices())
    server = server_of(retry=timedelta(seconds=0.1))
    async with server.running():
        [child] = await until(own_children)
        low = min(os.getpriority(os.PRIO_PROCESS, 0) + 10, 19)
        await until(lambda: child.nice() == low)
        child.kill()
        assert (await until(lambda: server.status().last)).outcome == "failed"
        await until(lambda: server.status().last.outcome == "promoted")
    assert len(await models.listed()) == 1


async def test_a_shutdown_leaves_no_process_behind(server_of, models, persistence):
    await fill(persistence, choices())
    server = server_of()
    async with server.running():
        [child] = await until(own_children)
    assert not psutil.pid_exists(child.pid)
    assert await models.listed() == []
    # The lease is free again: another server starts at once.
    other = server_of()
    async with other.running():
        await until(own_children)
    assert own_children() == []


async def test_one_that_will_not_end_is_killed(monkeypatch):
    monkeypatch.setattr(child_processes, "GRACE_SECONDS", 0.1)
    stubborn = "signal.signal(signal.SIGTERM, signal.SIG_IGN); print(os.getpid(), flush=True)"
    text = f"import os, signal, time; {stubborn}; time.sleep(600)"
    said: list[str] = []
    task = asyncio.create_task(run_child(program(text), said.append))
    [pid] = await until(lambda: said)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not psutil.pid_exists(int(pid))


async def test_what_a_program_says_is_handed_over():
    said: list[str] = []
    text = "import sys; print('a\\n\\nb'); print('é\\x1b', file=sys.stderr); sys.exit(3)"
    assert await run_child(program(text), said.append) == (3, "é\x1b")
    assert sorted(said) == ["a", "b", "é\x1b"]


# In a real server


async def ready(url):
    async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as client:
        return (await client.get("/readyz")).json().get("retraining")


@pytest.mark.parametrize("database_kind", ["postgresql"])
async def test_a_server_trains_by_itself(database_url, persistence, models):
    await fill(persistence, choices())
    with HarkenServer(database_url, HARKEN_RETRAIN_EVERY="7d") as server:

        async def trained():
            status = await ready(server.url)
            return status if status["last"] and not status["is_running"] else None

        status = await until(trained)
        [model] = await models.listed()
        assert model.in_service
        due = model.created_at + WEEK
        assert status["every"] == "7d"
        assert status["last"]["outcome"] == "promoted"
        assert datetime.fromisoformat(status["next_at"]) == due
        async with httpx.AsyncClient(base_url=server.url, timeout=60, trust_env=False) as client:
            report = (await client.get("/api/report")).json()
        assert report["models"][0]["model_id"] == model.id
        assert "INFO:     Retraining ended: the model is promoted." in server.output
        server.terminate()


async def test_a_server_that_ends_in_mid_training_leaves_no_process(
    database_url, persistence, models
):
    await fill(persistence, choices(count=3_000, readers=60))
    with HarkenServer(database_url, HARKEN_RETRAIN_EVERY="1min") as server:
        process = psutil.Process(server._running().pid)
        [child] = await until(process.children)
        assert (await ready(server.url))["is_running"] is True
        server.terminate()
        assert not psutil.pid_exists(child.pid)
    assert await models.listed() == []


async def test_it_is_off_by_default(database_url):
    with HarkenServer(database_url) as server:
        assert await ready(server.url) is None
        assert psutil.Process(server._running().pid).children() == []

"""Quarantines that are killed under load: nothing is lost, and the next act settles."""

import asyncio
import os
import random
import signal
import subprocess
import sys

import pytest

from harken.services.integrity.quarantine.acts import Decision, Quarantine
from harken.services.record.admission.quarantines import Target

ROUNDS = 20 if os.environ.get("HARKEN_TEST_SOAK") else 2
EVENTS = 2_000
BY = Decision("test", confirm=True)


def events_of(user_id: str, number: int, name: str) -> list[dict[str, object]]:
    return [
        {
            "user_id": user_id, "kblock_id": f"k{i % 50}",
            "action": ("view", "engage", "dismiss")[i % 3], "interaction_id": f"{name}-{i}",
        }
        for i in range(number)
    ]  # fmt: skip


@pytest.mark.slow
async def test_acts_that_are_killed_under_load_lose_nothing(
    persistence, session_factory, database_url
):
    draw = random.Random(5)
    await persistence.record_batch(events_of("ada", EVENTS, "a"))
    await persistence.record_batch(events_of("bob", 500, "b"))
    acknowledged, done = [EVENTS + 500], asyncio.Event()

    async def send() -> None:
        count = 0
        while not done.is_set():
            events = events_of("ada", 3, f"x{count}") + events_of("bob", 3, f"y{count}")
            result = await persistence.record_batch(events)
            acknowledged[0] += result.accepted
            count += 1
            await asyncio.sleep(0.005)

    sending = asyncio.create_task(send())
    environment = os.environ | {"HARKEN_DATABASE_URL": database_url}
    for turn in range(ROUNDS):
        verb = ["release"] if turn % 2 else ["add", "--confirm"]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "harken", "quarantine", *verb, "reader", "ada",
            env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            await asyncio.wait_for(process.wait(), draw.uniform(0.5, 3))
        except TimeoutError:
            process.send_signal(signal.SIGKILL)
            await process.wait()
        assert (await persistence.verify()).differences == 0
    done.set()
    await sending
    quarantine = Quarantine(session_factory)
    await quarantine.add(Target.READER, ["ada"], BY)  # settles what was interrupted, too
    found = await persistence.verify()
    assert (found.differences, found.events) == (0, acknowledged[0])
    assert found.set_aside == EVENTS + (acknowledged[0] - EVENTS - 500) // 2
    await quarantine.release(Target.READER, ["ada"], BY)
    found = await persistence.verify()
    assert (found.differences, found.set_aside) == (0, 0)

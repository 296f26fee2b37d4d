import asyncio

import pytest

from harken import event_loop
from harken.event_loop import Interruptible


class Rounds:
    """Counts the rounds that the event loop makes within the context."""

    def __init__(self):
        self.count = 0

    async def __aenter__(self):
        self._task = asyncio.create_task(self._run())
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *_):
        self._task.cancel()

    async def _run(self):
        while True:
            self.count += 1
            await asyncio.sleep(0)


@pytest.mark.parametrize(("seconds", "least", "most"), [(0.0, 100, 102), (1e9, 0, 2)])
async def test_a_computation_lets_others_run_when_its_time_is_used_up(
    monkeypatch, seconds, least, most
):
    monkeypatch.setattr(event_loop, "AT_ONCE_SECONDS", seconds)
    async with Rounds() as rounds:
        before, computation = rounds.count, Interruptible()
        for _ in range(100):
            await computation.pause()
        assert least <= rounds.count - before <= most

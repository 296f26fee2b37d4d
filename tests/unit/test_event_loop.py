import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harken import event_loop
from harken.event_loop import ROUNDS_BETWEEN, Interruptible, Line


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


async def test_an_empty_line_does_not_let_anybody_wait():
    async with Rounds() as rounds:
        before = rounds.count
        await Line().turn()
        assert rounds.count == before


@given(cancelled=st.lists(st.booleans(), min_size=1, max_size=12), at=st.integers(0, 40))
def test_each_in_line_gets_a_turn_in_order_with_rounds_between(cancelled, at):
    async def run():
        line, turns = Line(), []

        async def wait(number):
            await line.turn()
            turns.append((number, rounds.count))

        async with Rounds() as rounds:
            tasks = [asyncio.create_task(wait(number)) for number in range(len(cancelled))]
            for _ in range(at):
                await asyncio.sleep(0)
            for task, is_cancelled in zip(tasks, cancelled, strict=True):
                if is_cancelled:
                    task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            served = {number for number, _ in turns}
            assert served >= {number for number, each in enumerate(cancelled) if not each}
            assert [number for number, _ in turns] == sorted(served)
            at_rounds = [each for _, each in turns]
            between = [b - a for a, b in pairwise(at_rounds)]
            assert all(each >= ROUNDS_BETWEEN for each in between)
            # Nobody is in line any more, and after some rounds the next one does not wait.
            for _ in range(2 * (ROUNDS_BETWEEN + 1) + ROUNDS_BETWEEN * len(cancelled)):
                await asyncio.sleep(0)
            before = rounds.count
            await line.turn()
            assert rounds.count == before

    asyncio.run(run())

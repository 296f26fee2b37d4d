"""Work that many wait for, and that is done once at a time."""

import asyncio
import logging

import pytest

from harken.errors import Closed, DatabaseUnavailable
from harken.single_flight import SingleFlight


class Work:
    """Work that waits until the test lets it go on; it returns how often it was begun."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.begun = 0
        self.error: Exception | None = None

    async def __call__(self) -> int:
        self.begun += 1
        number = self.begun
        await self.go_on.wait()
        if self.error:
            raise self.error
        return number


@pytest.fixture
async def work():
    return Work()


@pytest.fixture
def flight():
    return SingleFlight("harken-test")


async def test_all_who_come_meanwhile_get_the_same(flight, work):
    tasks = [flight.start(work) for _ in range(3)]
    waiting = asyncio.gather(*(flight.finish(each) for each in tasks))
    assert flight.is_running
    work.go_on.set()
    assert await waiting == [True] * 3
    assert {each.result() for each in tasks} == {1}
    assert not flight.is_running
    assert await flight.finish(again := flight.start(work))
    assert again.result() == 2


async def test_the_next_may_begin_before_a_waiter_goes_on(flight, work):
    first = flight.start(work)

    async def twice():
        await flight.finish(first)
        work.go_on.clear()
        flight.start(work)

    waiting = asyncio.gather(twice(), *(flight.finish(first) for _ in range(3)))
    work.go_on.set()
    assert (await waiting)[1:] == [True] * 3
    assert first.result() == 1
    work.go_on.set()
    await flight.close()
    assert work.begun == 2


async def test_one_who_goes_away_takes_nobody_along(flight, work):
    task = flight.start(work)
    leaving, staying = (asyncio.create_task(flight.finish(task)) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    work.go_on.set()
    assert await staying
    with pytest.raises(asyncio.CancelledError):
        await leaving


async def test_an_error_is_everybodys_and_the_next_works(flight, work):
    work.error = DatabaseUnavailable("away")
    work.go_on.set()
    task = flight.start(work)
    found = await asyncio.gather(*(flight.finish(task) for _ in range(3)), return_exceptions=True)
    assert [str(each) for each in found] == ["away"] * 3
    work.error = None
    assert await flight.finish(flight.start(work))


async def test_who_waits_long_enough_goes_on_without_it(flight, work):
    task = flight.start(work)
    assert not await flight.finish(task, 0)
    work.go_on.set()
    assert await flight.finish(task, 60)


@pytest.mark.parametrize(
    ("error", "said"), [(DatabaseUnavailable("away"), 0), (ZeroDivisionError("a defect"), 1)]
)
async def test_only_a_defect_that_nobody_waits_for_is_logged(flight, work, caplog, error, said):
    work.error = error
    work.go_on.set()
    flight.start(work)
    with caplog.at_level(logging.ERROR):
        await flight.close()
    assert len([each for each in caplog.records if "harken-test failed" in each.message]) == said


async def test_what_is_stopped_tells_those_who_wait_and_begins_no_more(flight, work):
    task = flight.start(work)
    waiting = asyncio.gather(*(flight.finish(task) for _ in range(2)), return_exceptions=True)
    await asyncio.sleep(0)
    flight.stop()
    assert all(isinstance(each, Closed) for each in await waiting)
    with pytest.raises(Closed, match="harken-test has stopped"):
        flight.start(work)

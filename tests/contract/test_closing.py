"""What waits is committed, whoever goes away."""

import asyncio

import pytest

from harken.errors import Closed
from harken.services.record.persistence import FeedFeedbackPersistence
from tests.contract.conftest import log


async def test_closing_commits_what_waits_and_takes_no_more(session_factory, database):
    record = FeedFeedbackPersistence(session_factory)
    waiting = [asyncio.create_task(record.record_interaction("u", "k", "view")) for _ in range(50)]
    await asyncio.sleep(0)  # lets each hand its event over
    await record.close()
    assert len(await log(database)) == 50
    assert len(await asyncio.gather(*waiting)) == 50
    with pytest.raises(Closed):
        await record.record_interaction("u", "k", "view")


async def test_a_caller_that_gives_up_cancels_nobodys_commit(session_factory, database):
    async with FeedFeedbackPersistence(session_factory) as record:
        waiting = [
            asyncio.create_task(record.record_interaction("u", "k", "view")) for _ in range(20)
        ]
        await asyncio.sleep(0)
        for task in waiting[::2]:
            task.cancel()
        done = await asyncio.gather(*waiting, return_exceptions=True)
    assert sum(isinstance(each, str) for each in done) == 10
    assert len(await log(database)) == 20

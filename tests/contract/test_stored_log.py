"""The log and the slates of a database, as detectors read them."""

from dataclasses import fields
from datetime import timedelta

import numpy as np
import pytest

from harken.domain.kblock import KBlock
from harken.services.feed.request import FeedRequest
from harken.services.feed.service import FeedService
from harken.services.integrity.alerts import stored_log
from harken.services.integrity.alerts.stored_log import read_log
from harken.services.integrity.quarantine.acts import Decision, Quarantine
from harken.services.record.admission.quarantines import Target
from tests.contract.conftest import NOW

READERS = ("ada", "bob", "eve", "guest")


@pytest.fixture
async def feeds(session_factory, record, clock):
    service = FeedService(session_factory, record=record, clock=clock)
    await service.kblocks.put([KBlock.parse({"id": f"k{n}", "title": "t"}) for n in range(9)])
    yield service
    await service.close()


def assert_equal(one, other):
    for each in fields(one):
        assert np.array_equal(getattr(one, each.name), getattr(other, each.name)), each.name


async def test_a_log_that_is_read_in_many_pages_is_the_whole_log(
    feeds, record, session_factory, database, monkeypatch
):
    chance = np.random.default_rng(3)
    events = [
        {
            "user_id": READERS[n % 4], "kblock_id": f"k{chance.integers(9)}",
            "action": ("view", "engage", "dismiss")[n % 3], "session_id": f"s{n % 4}",
            "occurred_at": NOW - timedelta(hours=int(chance.integers(99))),
        }
        for n in range(40)
    ]  # fmt: skip
    assert (await record.record_batch(events)).accepted == 40
    for user in READERS:
        await feeds.page(FeedRequest("cosmos", user, limit=3))
    await Quarantine(session_factory).add(Target.READER, ["eve"], Decision("cli", confirm=True))
    whole = await read_log(database, None)
    assert len(whole.log) == 30
    assert set(whole.log.reader_ids) == {"ada", "bob", "guest"}
    assert (np.diff(whole.log.at) >= 0).all()
    assert whole.slates is not None
    assert len(whole.slates) == 2  # those of a guest and of a reader in quarantine are left out
    monkeypatch.setattr(stored_log, "PAGE", 3)
    paged = await read_log(database, None)
    assert_equal(paged.log, whole.log)
    assert_equal(paged.slates, whole.slates)


async def test_a_database_without_events_has_no_log_and_no_slates(database):
    found = await read_log(database, None)
    assert (len(found.log), found.slates) == (0, None)

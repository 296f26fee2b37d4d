"""What one process of a database does, and what each has for itself: by leases."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from harken.domain.kblock import KBlock
from harken.protocols.api.report.making import LEASE, LEASE_NAME, Busy, ReportMaker
from harken.services.feed.request import FeedRequest
from harken.services.feed.service import SLATE_RETENTION, FeedService
from harken.services.record.persistence import FeedFeedbackPersistence
from harken.services.record.writing.shards import SHARDS, SLOTS, of_slot
from harken.services.registry.leases import LeaseStore
from harken.services.registry.writer_slots import WriterSlot, lease_name
from tests.contract.conftest import Clock


def test_no_two_slots_have_a_shard_in_common():
    shards = [shard for slot in range(SLOTS) for shard in of_slot(slot, 2)]
    assert sorted(shards) == list(range(SHARDS))


async def until(reached) -> None:
    async with asyncio.timeout(60):
        while True:
            if reached():
                return
            await asyncio.sleep(0.01)


async def test_processes_have_different_slots_and_give_them_back(session_factory, database):
    leases = LeaseStore(database)
    records = [FeedFeedbackPersistence(session_factory) for _ in range(6)]
    slots = [WriterSlot(leases, record) for record in records]
    async with asyncio.TaskGroup() as group:
        ended = asyncio.Event()

        async def run(slot: WriterSlot) -> None:
            async with slot.running():
                await ended.wait()

        for slot in slots:
            group.create_task(run(slot))
        await until(lambda: all(slot.slot is not None for slot in slots))
        taken = [slot.slot for slot in slots if slot.slot is not None]
        assert len(set(taken)) == len(slots)
        shards = [shard for record in records for shard in record._shards]
        assert len(shards) == len(set(shards))
        ended.set()
    for number in taken:
        assert await leases.take(lease_name(number), "somebody else", timedelta(minutes=1))
    await records[0].record_interaction("ada", "a", "view")
    assert (await records[0].verify()).differences == 0
    for record in records:
        await record.close()


async def test_who_lost_a_slot_takes_another_and_who_has_one_keeps_it(session_factory, database):
    leases = LeaseStore(database)
    async with FeedFeedbackPersistence(session_factory) as record:
        slot = WriterSlot(leases, record)
        await slot._turn()
        first = slot.slot
        assert first is not None
        await slot._turn()
        assert slot.slot == first
        await leases.release(lease_name(first), slot._holder)
        assert await leases.take(lease_name(first), "somebody else", timedelta(minutes=1))
        await slot._turn()
        assert slot.slot not in {None, first}
        assert record._shards == of_slot(slot.slot, len(record._shards))


async def test_where_all_slots_are_taken_shards_stay_drawn(session_factory, database):
    leases = LeaseStore(database)
    for number in range(SLOTS):
        await leases.take(lease_name(number), "somebody else", timedelta(minutes=1))
    async with FeedFeedbackPersistence(session_factory) as record:
        before = list(record._shards)
        slot = WriterSlot(leases, record)
        await slot._turn()
        assert (slot.slot, record._shards) == (None, before)


async def test_a_report_is_refused_while_another_process_makes_one(session_factory):
    service = FeedService(session_factory)
    make = ReportMaker()
    async with service.registry.leases.held(LEASE_NAME, LEASE) as is_ours:
        assert is_ours
        with pytest.raises(Busy, match="being made already"):
            await make(service)
    await make(service)
    assert (await service.registry.reports.latest()).created_at <= datetime.now(UTC)
    await service.close()


async def test_old_slates_are_removed_once_in_an_interval(session_factory):
    clock = Clock()
    clock.now = datetime.now(UTC) - SLATE_RETENTION - timedelta(days=1)
    some, others = (FeedService(session_factory, clock=clock) for _ in range(2))
    await some.kblocks.put([KBlock.parse({"id": "a", "title": "a"})])
    old = [(await some.page(FeedRequest("cosmos"))).request_id for _ in range(2)]
    later = Clock()
    later.now = datetime.now(UTC)
    some._clock = others._clock = later
    await some._tidy()
    assert [await some.ledger.slate(each) for each in old] == [None, None]
    clock.now = later.now - SLATE_RETENTION - timedelta(days=1)
    another = (await others.page(FeedRequest("cosmos"))).request_id
    await others._tidy()  # within the interval, and another process did it
    assert await some.ledger.slate(another) is not None
    for each in (some, others):
        await each.close()

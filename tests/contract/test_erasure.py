"""Erasing a reader: nothing of theirs is left or comes back, and nothing of others is lost."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Column, MetaData, String, Table, select

from harken.domain.preferences import Preferences
from harken.errors import Erased, InvalidInput, NotFound
from harken.models import Base, FeedEngagementStats
from harken.services.integrity import compaction, event_removal, reader_tables
from harken.services.integrity.erasure import Erasure
from harken.services.integrity.export import PersonalData
from harken.services.integrity.reader_tables import ReaderTable, Removal
from harken.services.record.admission.subjects import Subject
from harken.services.record.persistence import FeedFeedbackPersistence
from harken.services.record.readers import ReaderStore
from tests.contract.conftest import log
from tests.support.remains import files_of, places_of

ADA = "reader-ada-4711"
BOB = "reader-bob-4712"


@pytest.fixture
def erasure(session_factory) -> Erasure:
    return Erasure(session_factory)


def events_of(user_id: str, count: int, kblocks: int = 7) -> list[dict[str, Any]]:
    """Make events of all kinds, with ids, over several K-Blocks and minutes."""
    made = []
    for i in range(count):
        action = ("view", "engage", "dismiss", "contradict")[i % 4]
        event: dict[str, Any] = {
            "user_id": user_id, "kblock_id": f"k{i % kblocks}", "action": action,
            "interaction_id": f"{user_id[7:10]}-{i}",
            "occurred_at": f"2026-03-01T{i % 12:02}:{i % 60:02}:00Z",
        }  # fmt: skip
        if action == "view":
            event["dwell_time_ms"] = 1000 + i
        if action == "engage":
            event |= {"interaction_type": "comment", "metadata": {"text": f"{user_id} says {i}"}}
        if action == "contradict":
            event["metadata"] = {"contradicts": f"other{i % 3}"}
        made.append(event)
    return made


async def test_nothing_of_the_reader_is_left_and_nothing_of_others_lost(
    record, database, erasure, database_url
):
    await record.record_batch(events_of(ADA, 60) + events_of(BOB, 40))
    await ReaderStore(database).prefer(ADA, Preferences(muted_tags=("politics",)))
    receipt = await erasure.erase(Subject.READER, ADA)
    assert receipt.counts["events"] == 60
    assert receipt.finished_at is not None
    assert receipt.is_compacted
    assert await places_of(database, ADA) == []
    assert {row.user_id for row in await log(database)} == {BOB}
    assert len(await log(database)) == 40
    assert (await record.verify()).differences == 0
    assert not any(ADA.encode() in content for content in files_of(database_url))


async def test_what_remains_is_what_would_have_been_recorded_without_them(
    record, database, erasure
):
    await record.record_batch(events_of(BOB, 40))
    async with database.reading() as connection:
        wanted = select(FeedEngagementStats.__table__).order_by(FeedEngagementStats.kblock_id)
        before = [dict(row) for row in (await connection.execute(wanted)).mappings()]
    await record.record_batch(events_of(ADA, 60))
    await erasure.erase(Subject.READER, ADA)
    async with database.reading() as connection:
        after = [dict(row) for row in (await connection.execute(wanted)).mappings()]
    for one, other in zip(before, after, strict=True):
        for name, value in one.items():
            if name not in {"created_at", "updated_at"}:
                assert other[name] == (
                    pytest.approx(value, abs=1e-9) if isinstance(value, float) else value
                )


async def test_a_kblock_with_many_events_is_counted_again_few_times(
    record, database, erasure, monkeypatch
):
    """Each removal counts it again, so a removal takes more of it than of others."""
    monkeypatch.setattr(event_removal, "MOST_EVENTS", {Subject.READER: 20})
    monkeypatch.setattr(event_removal, "MOST_RECOUNTED", 100)
    monkeypatch.setattr(event_removal, "COUNTED_PER_REMOVED", 4)
    removed: list[int] = []

    async def counted(*given):
        removal = await remove_events(*given)
        removed.append(removal.events)
        return removal

    remove_events = event_removal.remove_events
    monkeypatch.setattr("harken.services.integrity.erasure.remove_events", counted)
    await record.record_batch(events_of(ADA, 350, kblocks=1) + events_of(BOB, 90, kblocks=3))
    receipt = await erasure.erase(Subject.READER, ADA, rebuild_file=False)
    assert receipt.counts["events"] == 350
    # 380 events of k0: a fourth of what is left at a time, until it is like the others.
    assert removed[:2] == [95, 71]
    assert len(removed) < 350 // 20
    assert {row.user_id for row in await log(database)} == {BOB}
    assert (await record.verify()).differences == 0


async def test_late_events_and_retries_are_refused_alone(record, database, erasure):
    await record.record_batch(events_of(ADA, 8))
    await erasure.erase(Subject.READER, ADA)
    mixed = [*events_of(ADA, 9), *events_of(BOB, 3)]
    result = await record.record_batch(mixed)
    assert result.accepted == 3
    assert [each.index for each in result.rejected] == list(range(9))
    assert all(isinstance(each.error, Erased) for each in result.rejected)
    with pytest.raises(Erased):
        await record.record_interaction(ADA, "k1", "view")
    with pytest.raises(Erased):
        await ReaderStore(database).declare(ADA, ["honesty"])
    assert await places_of(database, ADA) == []


async def test_a_process_that_knows_nothing_of_the_erasure_records_nothing(
    record, session_factory, erasure, database
):
    async with FeedFeedbackPersistence(session_factory) as other:
        await other.record_interaction(ADA, "k1", "view")
        await erasure.erase(Subject.READER, ADA)
        with pytest.raises(Erased):
            await other.record_interaction(ADA, "k1", "view")
        await other.record_interaction(BOB, "k1", "view")
    assert (await record.verify()).differences == 0
    assert len(await log(database)) == 1


async def test_a_readmitted_reader_begins_anew(record, database, erasure):
    await record.record_batch(events_of(ADA, 8))
    first = await erasure.erase(Subject.READER, ADA)
    await erasure.readmit(Subject.READER, ADA)
    assert (await record.record_batch(events_of(ADA, 5))).accepted == 5
    assert (await record.verify()).differences == 0
    second = await erasure.erase(Subject.READER, ADA)
    assert second.receipt_id != first.receipt_id
    assert second.counts["events"] == 5
    with pytest.raises(NotFound):
        await erasure.readmit(Subject.READER, BOB)


async def test_erasing_twice_gives_the_same_receipt(record, erasure):
    await record.record_batch(events_of(ADA, 8))
    first = await erasure.erase(Subject.READER, ADA)
    assert await erasure.erase(Subject.READER, ADA) == first


async def test_a_preview_changes_nothing(record, database, erasure):
    await record.record_batch(events_of(ADA, 8))
    found = await erasure.preview(Subject.READER, ADA)
    assert found.counts["events"] == 8
    assert found.receipt_id is None
    assert len(await log(database)) == 8
    await record.record_interaction(ADA, "k1", "view")


async def test_nobody_and_guest_are_refused(record, erasure):
    with pytest.raises(NotFound):
        await erasure.erase(Subject.READER, ADA)
    await record.record_interaction(ADA, "k1", "view")  # no tombstone was left
    with pytest.raises(InvalidInput):
        await erasure.erase(Subject.READER, "guest")


async def test_the_log_of_a_kblock_is_erased(record, database, erasure):
    await record.record_batch(events_of(ADA, 28) + events_of(BOB, 28))
    receipt = await erasure.erase(Subject.KBLOCK, "k3")
    assert receipt.counts["events"] == 8
    assert {row.kblock_id for row in await log(database)} == {f"k{i}" for i in range(7)} - {"k3"}
    assert (await record.verify()).differences == 0
    result = await record.record_batch(events_of(ADA, 40))
    assert [each.index for each in result.rejected] == [3, 10, 17, 24, 31, 38]
    await erasure.readmit(Subject.KBLOCK, "k3")
    await record.record_interaction(ADA, "k3", "view")


async def test_others_are_recorded_while_a_reader_is_erased(record, database, erasure):
    await record.record_batch(events_of(ADA, 3_000, kblocks=40))
    is_done = asyncio.Event()
    acknowledged: list[str] = []

    async def write(name: str) -> None:
        i = 0
        while not is_done.is_set() or i < 20:
            event = await record.record_interaction(name, f"k{i % 40}", "view")
            acknowledged.append(event)
            await record.record_batch(events_of(ADA, 2)[:1])
            i += 1

    writers = [asyncio.create_task(write(f"other-{i}")) for i in range(4)]
    await erasure.erase(Subject.READER, ADA)
    is_done.set()
    await asyncio.gather(*writers)
    rows = await log(database)
    assert {row.id for row in rows} == set(acknowledged)
    assert (await record.verify()).differences == 0
    await record.rebuild([timedelta(hours=1)])
    assert (await record.verify()).differences == 0
    assert await places_of(database, ADA) == []


async def test_an_export_holds_everything(record, database, session_factory):
    await record.record_batch(events_of(ADA, 2_500) + events_of(BOB, 40))
    await ReaderStore(database).prefer(ADA, Preferences(muted_tags=("politics",)))
    pieces = [piece async for piece in PersonalData(session_factory).export(ADA)]
    assert max(map(len, pieces)) < 1_000_000
    found = json.loads(b"".join(pieces))
    assert [each["id"] for each in found["events"]] == [
        row.id for row in sorted(await log(database), key=lambda row: (row.created_at, row.id))
        if row.user_id == ADA
    ]  # fmt: skip
    assert found["preferences"][0]["muted_tags"] == ["politics"]
    assert found["events"][3]["interaction_metadata"] is None or isinstance(
        found["events"][3]["interaction_metadata"], dict
    )
    assert BOB not in json.dumps(found)
    assert len(found["statistics"]) == 7
    assert len(found["dismissals"]) == 7
    said = {each["text"] for each in found["comments"]}
    assert said == {f"{ADA} says {i}" for i in range(1, 2_500, 4)}


async def test_an_export_of_nobody_is_empty(session_factory):
    pieces = [piece async for piece in PersonalData(session_factory).export(ADA)]
    found = json.loads(b"".join(pieces))
    assert found["events"] == found["slates"] == found["orders"] == []
    assert found.keys() >= reader_tables.tables().keys()
    with pytest.raises(InvalidInput):
        [piece async for piece in PersonalData(session_factory).export("guest")]


def test_every_table_with_readers_is_known_to_erasure_and_export():
    assert reader_tables.undeclared(Base.metadata) == []
    assert set(compaction.TABLES) > set(reader_tables.written_for_readers())


def test_a_new_table_with_readers_is_missed_until_it_is_declared():
    models = MetaData()
    Table(
        "feed_likes", models, Column("user_id", String, primary_key=True), Column("liked", String)
    )
    Table("feed_moods", models, Column("mood", String, primary_key=True))
    assert reader_tables.undeclared(models) == ["feed_likes"]
    declared = ReaderTable("likes", models.tables["feed_likes"], Removal.AT_ONCE)
    assert reader_tables.undeclared(models, [declared]) == []

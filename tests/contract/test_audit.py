"""Statistics that the log contradicts are found and mended."""

import asyncio
from datetime import timedelta

from harken.database import Kind
from harken.models import Base, FeedEngagementStats
from harken.models.types import table
from harken.services.record.persistence import FeedFeedbackPersistence
from tests.contract.conftest import act


async def test_verify_finds_what_was_tampered_with_and_rebuild_mends_it(record, database):
    await act(record, view=5, engage=2)
    stats = table(FeedEngagementStats)
    async with database.transaction(Kind.WRITE) as connection:
        await connection.execute(stats.update().values(view_count=6))
    found = await record.verify()
    assert found.differences == 1
    [example] = found.examples
    assert (example.table, example.key) == ("feed_engagement_stats", {"kblock_id": "k"})
    assert example.kept is not None
    assert example.recounted is not None
    assert (example.kept["view_count"], example.recounted["view_count"]) == (6, 5)
    assert await record.rebuild() == 7
    assert (await record.verify()).differences == 0
    await act(record, view=1)
    assert (await record.verify()).differences == 0


async def test_verify_misses_no_row_of_any_table(record, database):
    await act(record, view=1)
    await record.record_interaction("u0", "k", "contradict", metadata={"contradicts": "other"})
    rows = (await record.verify()).rows
    assert rows
    for name, count in rows.items():
        assert count, f"this test has no event that is counted in {name}"
        async with database.transaction(Kind.WRITE) as connection:
            await connection.execute(Base.metadata.tables[name].delete())
        found = await record.verify()
        assert found.differences == count
        assert {each.table for each in found.examples} == {name}
        await record.rebuild()


async def test_verify_finds_a_decayed_count_that_is_off_by_more_than_rounding(record, database):
    await act(record, view=5, engage=2)
    stats = table(FeedEngagementStats)
    column = stats.c.decayed_views_2
    for off, differences in ((1e-11, 0), (3e-9, 1)):
        async with database.transaction(Kind.WRITE) as connection:
            await connection.execute(stats.update().values(decayed_views_2=column + off))
        assert (await record.verify()).differences == differences
    async with database.transaction(Kind.WRITE) as connection:
        await connection.execute(stats.update().values(decayed_views_2=None))
    assert (await record.verify()).differences == 1
    assert await record.rebuild() == 7
    assert (await record.verify()).differences == 0


async def test_half_lives_can_be_changed_while_others_record(record, session_factory):
    async with FeedFeedbackPersistence(session_factory) as other:

        async def recording(reader: int) -> None:
            for _ in range(20):
                await other.record_interaction(f"u{reader}", "k", "view")

        work = [asyncio.create_task(recording(reader)) for reader in range(4)]
        for hours in ([1], [2, 48, 500, 3], [6, 24]):
            await record.rebuild([timedelta(hours=each) for each in hours])
            assert (await record.verify()).differences == 0
        await asyncio.gather(*work)
    found = await record.verify()
    assert (found.events, found.differences) == (80, 0)

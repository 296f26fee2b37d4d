"""Statistics that the log contradicts are found and mended."""

import pytest

from harken.database import Kind
from harken.models import FeedEngagementStats, FeedInteraction
from harken.models.types import table
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


@pytest.mark.parametrize(
    "table",
    [
        "feed_user_engagement_stats",
        "feed_engagement_stats",
        "feed_activity_minutes",
        "feed_activity_totals",
    ],
)
async def test_verify_misses_no_row_of_any_table(record, database, table):
    await act(record, view=1)
    models = FeedInteraction.metadata.tables
    async with database.transaction(Kind.WRITE) as connection:
        await connection.execute(models[table].delete())
    found = await record.verify()
    assert found.differences == 1
    assert found.examples[0].table == table

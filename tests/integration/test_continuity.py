"""A database that lacks what it had: nothing of that is left in what a service keeps in memory."""

import asyncio
import logging
from typing import Any

import pytest
from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from harken.domain.kblock import KBlock
from harken.models import Base
from harken.services.feed.request import FeedRequest
from harken.services.feed.service import FeedService

OLD_ENOUGH = 1.1  # seconds after which the profiles, too, look at the database again


async def saved(factory: async_sessionmaker[AsyncSession]) -> dict[str, list[Any]]:
    async with factory() as session:
        return {
            each.name: [dict(row) for row in (await session.execute(select(each))).mappings()]
            for each in Base.metadata.sorted_tables
        }


async def restore(factory: async_sessionmaker[AsyncSession], rows: dict[str, list[Any]]) -> None:
    """Have a database go back, as a backup or a standby that is behind has it."""
    async with factory() as session, session.begin():
        for each in Base.metadata.sorted_tables:
            await session.execute(delete(each))
            if rows[each.name]:
                await session.execute(insert(each), rows[each.name])


async def seen(service: FeedService) -> tuple[set[str], dict[str, float], int]:
    """Return the K-Blocks of a page, their popularity, and what is known of the reader `lost`."""
    page = await service.page(FeedRequest(feed="cosmos", ranking="popularity", explain=True))
    popularity = {item.id: (item.explanation or {})["popularity"].value for item in page.items}
    return set(popularity), popularity, (await service.profile("lost")).profile.interactions


@pytest.mark.parametrize("loses", ["kblocks and events", "events"])
async def test_what_a_database_lost_is_not_served(session_factory, loses, caplog):
    service = FeedService(session_factory)
    await service.kblocks.put([KBlock(id="kept", title="kept", content="")])
    for number in range(3):
        await service.record.record_interaction(f"u{number}", "kept", "view")
    before = await saved(session_factory)

    if loses != "events":
        await service.kblocks.put([KBlock(id="lost", title="lost", content="")])
    for _ in range(4):
        await service.record.record_interaction("lost", "kept", "view")
    await asyncio.sleep(OLD_ENOUGH)
    ids, popularity, interactions = await seen(service)
    assert ids == ({"kept"} if loses == "events" else {"kept", "lost"})
    assert (popularity["kept"], interactions) == (7, 4)

    await restore(session_factory, before)
    await asyncio.sleep(OLD_ENOUGH)
    with caplog.at_level(logging.WARNING, "harken"):
        assert await seen(service) == ({"kept"}, {"kept": 3}, 0)
    assert [each.levelname for each in caplog.records] == ["ERROR"]
    assert "lost data" in caplog.text

    await service.kblocks.put([KBlock(id="new", title="new", content="")])
    assert (await seen(service))[0] == {"kept", "new"}
    assert (await service.record.verify()).differences == 0
    await service.close()


async def test_a_database_that_only_grows_is_followed(session_factory, caplog):
    service = FeedService(session_factory)
    with caplog.at_level(logging.WARNING, "harken"):
        for number in range(5):
            await service.kblocks.put([KBlock(id=f"k{number}", title="t", content="")])
            await service.record.record_interaction("u", f"k{number}", "view")
            assert len((await seen(service))[0]) == number + 1
            await asyncio.sleep(0.3)
    assert service.catalogue.breaks == 0
    assert caplog.records == []
    await service.close()

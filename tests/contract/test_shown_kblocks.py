"""What pages show of K-Blocks is kept in memory, and is never older than the service says."""

import time
from datetime import timedelta

import pytest

from harken.domain.kblock import KBlock
from harken.services.feed.request import FeedRequest
from harken.services.feed.service import FeedService
from harken.services.kblocks.importers.syndication.fetching import Fetcher
from harken.services.record.ledger import shown_kblocks
from harken.services.record.ledger.shown_kblocks import ShownKBlocks
from harken.services.sources.service import SourceOptions
from tests.contract.conftest import NOW
from tests.support.feeds import rss
from tests.support.web import Answer, web


def look_now(service, kblock_id: str) -> None:
    """Let the next page read what others wrote; else it does within a quarter of a second."""
    service.catalogue.look_after(time.monotonic(), kblock_id)


@pytest.fixture
async def service(session_factory, clock):
    options = SourceOptions(timedelta(hours=1), Fetcher(allow_private=True))
    opened = FeedService(session_factory, clock=clock, sources=options)
    yield opened
    await opened.close()


def kblock(n, **fields):
    given = {"title": f"Title {n}", "created_at": NOW - timedelta(days=n)} | fields
    return KBlock.parse({"id": f"k{n}", **given})


async def page(service, user_id="ada", **asked):
    return (await service.page(FeedRequest("cosmos", user_id, **asked))).items


async def titles(service, **asked):
    return [item.title for item in await page(service, **asked)]


async def test_a_page_that_is_asked_for_again_reads_no_texts(service, monkeypatch):
    await service.kblocks.put([kblock(n) for n in range(4)])
    first = await page(service)
    asked = []
    reading = service.ledger.kblocks._lookups.get_all

    async def read(numbers):
        asked.extend(numbers)
        return await reading(numbers)

    monkeypatch.setattr(service.ledger.kblocks._lookups, "get_all", read)
    assert [item.kblock for item in await page(service)] == [item.kblock for item in first]
    assert asked == []
    await service.kblocks.put([kblock(4)])  # the K-Blocks have another revision
    assert len(await page(service)) == 5
    assert len(asked) == 5


@pytest.mark.parametrize("fields", [{"title": "New"}, {"content": "New"}, {"tags": ["new"]}])
async def test_an_edit_is_on_the_next_page(service, other_process, fields):
    await service.kblocks.put([kblock(0), kblock(1)])
    first = {each: await page(each) for each in (service, other_process)}
    await service.kblocks.put([kblock(1, **fields)])
    look_now(other_process, "k1")
    for each in (service, other_process):
        untouched, edited = await page(each)
        assert untouched == first[each][0]
        assert edited.kblock != first[each][1].kblock
        shown = {"title": edited.title, "content": edited.preview, "tags": edited.tags}
        assert [shown[name] for name in fields] == [*fields.values()]
        assert b"new" in edited.kblock.as_json.lower()


async def test_what_is_deleted_or_dismissed_is_not_on_the_next_page(service, other_process):
    await service.kblocks.put([kblock(n) for n in range(4)])
    assert await titles(other_process) == await titles(service) == [f"Title {n}" for n in range(4)]
    await service.kblocks.delete(["k0"])
    await service.record.record_interaction("ada", "k2", "dismiss")
    look_now(other_process, "k0")
    for each in (service, other_process):
        assert await titles(each) == ["Title 1", "Title 3"]
        assert await titles(each, user_id="bob") == ["Title 1", "Title 2", "Title 3"]


async def test_the_title_of_a_source_is_new_within_the_time(service, other_process, monkeypatch):
    with web() as site:
        site.pages["/feed"] = Answer(rss("Blog", "one"))
        found = await service.sources.subscribe(f"{site.url}/feed")
    source_id = found.refreshed.source.source_id
    for each in (service, other_process):
        assert [item.source.title for item in await page(each)] == ["Blog"]
    await service.sources.rename(source_id, "Mine")
    assert [item.source.title for item in await page(service)] == ["Mine"]
    monkeypatch.setattr(shown_kblocks, "MAX_AGE_SECONDS", 0.0)  # as after the time has passed
    assert [item.source.title for item in await page(other_process)] == ["Mine"]


async def test_so_much_memory_is_used_and_no_more(database, service, monkeypatch):
    await service.kblocks.put([kblock(n, title="x" * 100) for n in range(30)])
    monkeypatch.setattr(shown_kblocks, "MOST_BYTES", 20_000)
    shown = ShownKBlocks(database)
    for start in range(0, 30, 10):
        found = await shown.of(range(start + 1, start + 11), 1)
        assert len(found) == 10
        assert 0 < shown._bytes <= 20_000
        rows = [each.row for each in shown._known.values()]
        assert shown._bytes == sum(map(shown_kblocks._size, rows))
    assert len(shown._known) < 10

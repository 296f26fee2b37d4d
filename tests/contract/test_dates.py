"""Dates that lie ahead, dates of long ago, and clocks that were wrong once."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from harken.domain.feeds import RANKINGS
from harken.domain.kblock import KBlock
from harken.domain.times import EARLIEST_TIME, LATEST_TIME, FutureItems
from harken.services.feed.request import FeedRequest
from harken.services.feed.service import FeedService
from harken.services.record.persistence import FeedFeedbackPersistence
from tests.contract.conftest import NOW
from tests.faults import SOAK

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
YEAR_2099 = datetime(2099, 1, 1, tzinfo=UTC)


@pytest.fixture
async def start(session_factory, clock):
    """Starts services on the same database, one after the other."""
    started: list[FeedService] = []

    async def start(**options) -> FeedService:
        record = FeedFeedbackPersistence(session_factory, clock=clock)
        service = FeedService(session_factory, record=record, clock=clock, **options)
        started.append(service)
        return service

    yield start
    for service in started:
        await service.close()


async def put(service: FeedService, kblock_id: str, **fields) -> None:
    fields = {"id": kblock_id, "title": kblock_id.upper(), **fields}
    await service.kblocks.put([KBlock.parse(fields)])


async def walked(service: FeedService, limit: int = 1, **request) -> list[str]:
    """Return the ids of a feed, page by page."""
    found: list[str] = []
    cursor = None
    while True:
        page = await service.page(FeedRequest("cosmos", limit=limit, cursor=cursor, **request))
        found += [item.id for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return found


async def everything(service: FeedService, kblock_ids: list[str]) -> None:
    for user_id in ("guest", "ada"):
        for ranking in RANKINGS:
            resolved: dict[str, Any] = {"ranking": ranking, "user_id": user_id}
            page = await service.page(FeedRequest("cosmos", explain=True, **resolved))
            drawn: dict[str, Any] = {} if ranking == "chronological" else {"temperature": 1.0}
            await service.page(FeedRequest("cosmos", **resolved, **drawn))
            assert len(page.items) == page.total == len(await walked(service, 4, **resolved))
            await service.rank([*kblock_ids, "unknown"], user_id, ranking)
    await service.analytics.leaders()
    await service.analytics.dwell()
    await service.record.get_analytics()
    await service.record.get_timeseries()
    await service.profile("ada")


async def act(service: FeedService, kblock_ids: list[str]) -> None:
    for kblock_id in kblock_ids:
        for user_id in ("ada", "ben"):
            await service.record.record_interaction(user_id, kblock_id, "view", 60_000)
            await service.record.record_interaction(user_id, kblock_id, "engage")


async def test_a_date_far_ahead_counts_as_its_arrival(start, clock):
    service = await start()
    await put(service, "first", created_at=NOW - HOUR)
    clock.now += HOUR
    await put(service, "ahead", created_at=YEAR_2099)
    clock.now += HOUR
    await put(service, "last", created_at=clock.now - timedelta(minutes=1))
    for each in (service, await start()):
        for ranking in ("chronological", "weighted"):
            assert await walked(each, ranking=ranking) == ["last", "ahead", "first"]
        page = await each.page(FeedRequest("cosmos", explain=True))
        [ahead] = [item for item in page.items if item.id == "ahead"]
        assert ahead.created_at == YEAR_2099
        assert ahead.explanation["recency"].value == pytest.approx(2 ** (-1 / (7 * 24)))
        ranked = await each.rank(["first", "ahead", "last"], ranking="chronological")
        assert ranked.kblock_ids == ["last", "ahead", "first"]


async def test_its_arrival_is_the_first_one(start, clock):
    service = await start()
    await put(service, "ahead", created_at=YEAR_2099)
    clock.now += DAY
    await put(service, "later")
    clock.now += DAY
    await put(service, "ahead", created_at=LATEST_TIME, content="changed")
    assert await walked(service) == ["later", "ahead"]
    assert await walked(await start()) == ["later", "ahead"]
    await service.kblocks.delete(["ahead"])
    clock.now += DAY
    await put(service, "ahead", created_at=YEAR_2099)  # it is another one now
    assert await walked(service) == ["ahead", "later"]


@pytest.mark.parametrize(
    ("by", "expected"), [(DAY, ["ahead", "now"]), (DAY + HOUR, ["now", "ahead"])]
)
async def test_a_day_ahead_is_a_date(start, clock, by, expected):
    service = await start()
    await put(service, "ahead", created_at=NOW + by)
    clock.now += HOUR
    await put(service, "now")
    assert await walked(service) == expected


async def test_pages_go_on_while_what_lies_ahead_changes(start, clock):
    service = await start()
    for number in range(4):
        clock.now += HOUR
        await put(service, f"k{number}", created_at=YEAR_2099 - number * DAY)
    first = await service.page(FeedRequest("cosmos", limit=2))
    await put(service, "k1", created_at=NOW - DAY)
    then = await service.page(FeedRequest("cosmos", cursor=first.next_cursor))
    assert [item.id for item in (*first.items, *then.items)] == ["k3", "k2", "k1", "k0"]


async def test_what_is_hidden_comes_at_its_date(start, clock):
    service = await start(future_items=FutureItems.HIDE)
    await put(service, "before", created_at=NOW - DAY)
    await put(service, "ahead", created_at=NOW + 30 * DAY, tags=["a"])
    await put(service, "like", created_at=NOW - DAY, tags=["a"])
    for each in (service, await start(future_items=FutureItems.HIDE)):
        for ranking in RANKINGS:
            page = await each.page(FeedRequest("cosmos", ranking=ranking, limit=1))
            assert page.total == 2
            assert sorted(await walked(each, ranking=ranking)) == ["before", "like"]
        assert [item.id for item in (await each.similar("like")).items] == []
    begun = await service.page(FeedRequest("cosmos", limit=1))
    clock.now = NOW + 30 * DAY - timedelta(minutes=10)
    begun = await service.page(FeedRequest("cosmos", limit=1))
    clock.now += timedelta(minutes=20)
    rest = await service.page(FeedRequest("cosmos", cursor=begun.next_cursor))
    assert [item.id for item in rest.items] == ["before"]  # as it was at the first page
    for each in (service, await start(future_items=FutureItems.HIDE)):
        assert await walked(each) == ["ahead", "like", "before"]
        assert [item.id for item in (await each.similar("like")).items] == ["ahead"]


DATES = (
    EARLIEST_TIME, datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC), NOW, YEAR_2099,
    datetime(2500, 1, 1, tzinfo=UTC), LATEST_TIME,
)  # fmt: skip


async def test_every_order_answers_whatever_the_dates_are(start):
    service = await start()
    names = [f"k{number}" for number in range(len(DATES))]
    for name, at in zip(names, DATES, strict=True):
        await put(service, name, created_at=at, tags=["a"], author="x", layer=1, galois_loss=0.1)
    await act(service, names)
    for each in (service, await start()):
        await everything(each, names)
        for name in names:
            assert len((await each.similar(name)).items) == len(names) - 1
    await service.kblocks.delete(names)
    for each in (service, await start()):
        await everything(each, names)


@pytest.mark.slow
@pytest.mark.parametrize(
    "wrong",
    [LATEST_TIME - DAY, datetime(1970, 1, 1, tzinfo=UTC), *([YEAR_2099] if SOAK else [])],
)
async def test_a_clock_that_was_wrong_once(start, clock, wrong):
    """While it is wrong, when it was put right, and for a service that starts afterwards."""
    names = [f"k{number}" for number in range(6)]
    service = await start()
    for name in names[:3]:
        await put(service, name)
    await act(service, names[:3])
    await everything(service, names)
    clock.now = wrong
    for name in names[3:]:
        await put(service, name)
    await act(service, names[3:])
    for each in (service, await start()):
        await everything(each, names)
    clock.now = NOW + HOUR
    for each in (service, await start()):
        await everything(each, names)
    await put(service, "right")
    await act(service, ["right", *names])
    for each in (service, await start()):
        await everything(each, [*names, "right"])
        assert "right" in await walked(each, ranking="trending")
    assert not (await service.record.verify()).differences
    await service.record.rebuild()
    await everything(await start(), names)

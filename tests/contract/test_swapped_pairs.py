"""Swapped pairs in feeds: whose orders have them, and what their slates keep."""

import json
from datetime import timedelta

import pytest

from harken.domain.kblock import KBlock
from harken.domain.preferences import Preferences
from harken.services.feed.request import FeedRequest
from harken.services.feed.service import FeedService
from harken.services.integrity.export import PersonalData
from tests.contract.conftest import NOW

COUNT = 45


@pytest.fixture
async def feeds(session_factory, record, clock):
    """Yield a service that swaps pairs in every order that it may."""
    service = FeedService(session_factory, record=record, clock=clock, swap_share=1.0)
    await service.kblocks.put(
        [
            KBlock.parse(
                {"id": f"k{n:02}", "title": f"K {n}", "tags": [f"t{n % 3}"],
                 "author": "ada" if n % 4 else "bob", "created_at": NOW - timedelta(hours=n)}
            )
            for n in range(COUNT)
        ]
    )  # fmt: skip
    yield service
    await service.close()


async def pages(service, feed="personal", user_id="ann", limit=7, **request):
    found = [await service.page(FeedRequest(feed, user_id, limit=limit, **request))]
    while found[-1].next_cursor:
        again = FeedRequest(feed, cursor=found[-1].next_cursor, limit=limit)
        found.append(await service.page(again))
    return found


async def slates(service, found):
    return [await service.ledger.slate(page.request_id) for page in found]


def unswapped(slate):
    """Return the items of a slate in the order before pairs were turned."""
    items = list(slate["items"])
    for at, turned in slate["settings"]["pairs"]:
        if turned:
            items[at], items[at + 1] = items[at + 1], items[at]
    return items


async def test_an_order_has_swapped_pairs_and_its_slates_tell_the_order_before(feeds):
    found = await pages(feeds)
    kept = await slates(feeds, found)
    plain = await pages(feeds, ranking="personal")
    before = [item.id for page in plain for item in page.items]
    assert [each for slate in kept for each in unswapped(slate)] == before
    assert sum(turned for slate in kept for _, turned in slate["settings"]["pairs"]) > 0
    for page, slate in zip(found, kept, strict=True):
        firsts = [at for at, _ in slate["settings"]["pairs"]]
        assert slate["items"] == [item.id for item in page.items]
        odds = [0.5 if at in firsts else 1.0 for at in range(len(page.items))]
        assert slate["propensities"] == odds == [item.propensity for item in page.items]
        assert len(firsts) in {2, 3} or len(page.items) < 7
    assert all("pairs" not in slate["settings"] for slate in await slates(feeds, plain))
    assert [item.score for page in plain for item in page.items] == sorted(
        (score for slate in kept for score in slate["scores"]), reverse=True
    )


async def test_a_page_at_an_offset_has_whole_pairs(feeds):
    [first, *_] = await slates(feeds, await pages(feeds, offset=3))
    before = [i.id for page in await pages(feeds, ranking="personal") for i in page.items]
    assert unswapped(first) == before[3:10]


async def test_dismissed_items_leave_no_half_pairs_on_later_pages(feeds):
    first = await feeds.page(FeedRequest("personal", "ann", limit=7))
    rest = await feeds.page(FeedRequest("personal", cursor=first.next_cursor, limit=30))
    dismissed = [item.id for item in rest.items[1:9:2]]
    for kblock_id in dismissed:
        await feeds.record.record_interaction("ann", kblock_id, "dismiss")
    again = await feeds.page(FeedRequest("personal", cursor=first.next_cursor, limit=30))
    slate = await feeds.ledger.slate(again.request_id)
    shown = slate["items"]
    assert not set(dismissed) & set(shown)
    positions = {item.id: item.pair for item in again.items}
    for at, odds in enumerate(slate["propensities"][:-1]):
        is_whole = positions[shown[at]] is not None and (
            positions[shown[at]] == positions[shown[at + 1]]
        )
        assert (odds == 0.5) == is_whole == (at in {p for p, _ in slate["settings"]["pairs"]})


@pytest.mark.parametrize(
    "request_",
    [
        {"ranking": "personal"},
        {"feed": "cosmos", "ranking": "learned"},
        {"feed": "cosmos"},
        {"temperature": 0.5},
        {"explore": "thompson"},
        {"weights": {"recency": 1.0}, "ranking": "weighted"},
        {"user_id": "guest"},
        {"user_id": "off"},
    ],
)
async def test_an_order_that_was_asked_for_or_is_nobodys_has_none(feeds, request_):
    await feeds.readers.prefer("off", Preferences(personalized=False))
    for slate in await slates(feeds, await pages(feeds, **request_)):
        assert "pairs" not in slate["settings"]


async def test_ranked_candidates_have_none(feeds):
    ranked = await feeds.rank([f"k{n:02}" for n in range(9)], "ann", "personal")
    slate = await feeds.ledger.slate(ranked.request_id)
    assert slate["propensities"] is None
    assert "pairs" not in slate["settings"]


async def test_pages_of_an_experiment_have_none(feeds):
    await feeds.experiments.create(
        {"id": "try", "feeds": ["personal"], "metric": "engagements_per_slate",
         "arms": [{"name": "a", "ranking": "personal"}, {"name": "b", "ranking": "learned"}]}
    )  # fmt: skip
    await feeds.experiments.start("try")
    for slate in await slates(feeds, await pages(feeds)):
        assert slate["experiment_id"] == "try"
        assert slate["propensities"] is None
        assert "pairs" not in slate["settings"]


async def test_swaps_keep_the_caps_of_a_page(feeds):
    found = await pages(feeds, most_per_author=4)
    plain = await pages(feeds, ranking="personal", most_per_author=4)
    for one, other in zip(found, plain, strict=True):
        assert {item.id for item in one.items} == {item.id for item in other.items}


async def test_without_the_setting_nothing_changes(session_factory, record, clock, feeds):
    service = FeedService(session_factory, record=record, clock=clock)
    found = await pages(service)
    assert [i.id for page in found for i in page.items] == [
        i.id for page in await pages(feeds, ranking="personal") for i in page.items
    ]
    assert all(slate["propensities"] is None for slate in await slates(service, found))


async def test_a_reader_gets_their_swapped_orders_in_an_export(feeds, session_factory):
    [first, *_] = found = await pages(feeds)
    pieces = [piece async for piece in PersonalData(session_factory).export("ann")]
    [order] = json.loads(b"".join(pieces))["orders"]
    assert order["request_id"] == first.request_id
    assert order["kblock_ids"] == [item.id for page in found for item in page.items]

"""ranking=trending: by sums that decay, and never have to be computed again."""

import asyncio
import random
from datetime import timedelta

import pytest

from harken.domain.decay import TrendWeights
from harken.domain.kblock import KBlock
from harken.errors import InvalidInput
from harken.services.feed.request import FeedRequest
from harken.services.feed.service import FeedService
from tests.contract.conftest import NOW

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
WEIGHTS = {"view": 1, "engage": 1, "dismiss": -1}


@pytest.fixture
async def feeds(session_factory, record, clock):
    service = FeedService(session_factory, record=record, clock=clock)
    yield service
    await service.close()


async def fill(feeds, count: int) -> None:
    await feeds.kblocks.put(
        [
            KBlock.parse({"id": f"k{i}", "title": f"Note {i}", "created_at": NOW - i * DAY})
            for i in range(count)
        ]
    )


async def record_some(feeds, count: int, seed: int) -> list[tuple[str, str, float]]:
    """Record interactions of all ages, in no order; returns K-Block, action and age in hours."""
    chance = random.Random(seed)
    made = []
    for number in range(count):
        kblock_id = f"k{chance.randrange(12)}"
        action = chance.choice(["view", "view", "engage", "dismiss"])
        age = chance.choice([chance.random() * 20, chance.random() * 400, 9_000 * chance.random()])
        made.append((kblock_id, action, age))
        await feeds.record.record_interaction(
            f"u{number}", kblock_id, action, occurred_at=NOW - age * HOUR
        )
    return made


def by_hand(made, half_life: float, weights=WEIGHTS) -> dict[str, float]:
    sums = dict.fromkeys((f"k{number}" for number in range(12)), 0.0)
    for kblock_id, action, age in made:
        sums[kblock_id] += weights[action] * 2 ** (-age / half_life)
    return sums


@pytest.mark.parametrize(("half_life", "hours"), [(None, 6), ("1d", 24), ("7d", 7 * 24)])
async def test_the_order_is_that_of_the_sums_also_for_late_events(feeds, half_life, hours):
    await fill(feeds, 12)
    made = await record_some(feeds, 120, seed=hours)
    request = FeedRequest("cosmos", ranking="trending", half_life=half_life, limit=100)
    page = await feeds.page(request)
    sums = by_hand(made, hours)
    assert [item.id for item in page.items] == sorted(sums, key=lambda each: -sums[each])
    for item in page.items:
        assert item.score == pytest.approx(sums[item.id], rel=1e-8, abs=1e-12)


async def test_the_order_stays_as_time_goes_on_and_turns_with_a_new_event(feeds, clock):
    await fill(feeds, 12)
    await record_some(feeds, 60, seed=1)
    request = FeedRequest("cosmos", ranking="trending", limit=100)
    before = [item.id for item in (await feeds.page(request)).items]
    clock.now += timedelta(days=3_000)
    after = await feeds.page(request)
    assert [item.id for item in after.items] == before
    await feeds.record.record_interaction("u", before[-1], "view")
    assert (await feeds.page(request)).items[0].id == before[-1]


async def test_pages_go_on_in_the_order_of_their_half_life(feeds):
    await fill(feeds, 12)
    await record_some(feeds, 60, seed=2)
    whole = FeedRequest("cosmos", ranking="trending", half_life="7d", limit=100)
    expected = [item.id for item in (await feeds.page(whole)).items]
    page = await feeds.page(FeedRequest("cosmos", ranking="trending", half_life="7d", limit=5))
    found = [item.id for item in page.items]
    with pytest.raises(InvalidInput, match="half_life"):
        await feeds.page(FeedRequest("cosmos", cursor=page.next_cursor, half_life="6h"))
    while page.next_cursor:
        page = await feeds.page(FeedRequest("cosmos", cursor=page.next_cursor, limit=5))
        found += [item.id for item in page.items]
    assert found == expected


async def test_a_half_life_that_is_not_kept_is_refused_with_those_that_are(feeds):
    await fill(feeds, 1)
    with pytest.raises(InvalidInput, match="half_life: '2d' is not kept; kept are 6h, 1d, 7d"):
        await feeds.page(FeedRequest("cosmos", ranking="trending", half_life="2d"))
    with pytest.raises(InvalidInput, match="half_life: goes with ranking=trending only"):
        await feeds.page(FeedRequest("cosmos", half_life="6h"))
    with pytest.raises(InvalidInput, match="half_life: 'soon' is not a duration"):
        await feeds.page(FeedRequest("cosmos", ranking="trending", half_life="soon"))


async def test_other_half_lives_hold_after_a_rebuild(feeds, clock):
    await fill(feeds, 12)
    made = await record_some(feeds, 60, seed=3)
    await feeds.page(FeedRequest("cosmos"))
    await feeds.record.rebuild([timedelta(hours=2), timedelta(days=30)])
    page = await until_kept(feeds, FeedRequest("cosmos", ranking="trending", half_life="30d"))
    sums = by_hand(made, 30 * 24)
    assert [item.id for item in page.items] == sorted(sums, key=lambda each: -sums[each])


async def test_what_goes_by_a_half_life_that_is_kept_no_more_says_so(feeds):
    await fill(feeds, 12)
    await record_some(feeds, 60, seed=6)
    page = await feeds.page(FeedRequest("cosmos", ranking="trending", half_life="6h", limit=5))
    await feeds.record.rebuild([timedelta(hours=2)])
    ids = ["k1", "k2"]
    assert len((await feeds.rank(ids, ranking="trending")).kblock_ids) == 2
    await until_kept(feeds, FeedRequest("cosmos", ranking="trending", half_life="2h"))
    refused = "half_life: '6h' is not kept; kept are 2h"
    for explain in (False, True):
        with pytest.raises(InvalidInput, match=refused):
            await feeds.page(FeedRequest("cosmos", cursor=page.next_cursor, explain=explain))
    with pytest.raises(InvalidInput, match=refused):
        await feeds.rank(ids, ranking="trending", half_life="6h")


async def test_a_cursor_takes_its_half_life_however_it_is_written(feeds):
    await fill(feeds, 12)
    page = await feeds.page(FeedRequest("cosmos", ranking="trending", half_life="24h", limit=5))
    await feeds.page(FeedRequest("cosmos", cursor=page.next_cursor, half_life="1d"))
    with pytest.raises(InvalidInput, match="half_life: is '6h', which is not what the cursor"):
        await feeds.page(FeedRequest("cosmos", cursor=page.next_cursor, half_life="360min"))


async def until_kept(feeds, request):
    """Ask until the index was looked at again, which it is after a moment."""
    while True:
        try:
            return await feeds.page(request)
        except InvalidInput:
            await asyncio.sleep(0.05)


async def test_what_events_weigh_can_be_set(session_factory, record, clock):
    weights = {"view": 1, "engage": 5, "dismiss": -3}
    feeds = FeedService(
        session_factory, record=record, clock=clock, trend_weights=TrendWeights(**weights)
    )
    await fill(feeds, 12)
    made = await record_some(feeds, 60, seed=4)
    page = await feeds.page(FeedRequest("cosmos", ranking="trending", half_life="7d", limit=100))
    sums = by_hand(made, 7 * 24, weights)
    assert [item.id for item in page.items] == sorted(sums, key=lambda each: -sums[each])


async def test_candidates_of_others_are_ranked_by_what_is_trending_too(feeds):
    made = await record_some(feeds, 60, seed=5)  # K-Blocks that are not known here
    ids = [f"k{number}" for number in range(12)]
    ranked = await feeds.rank(ids, ranking="trending", half_life="1d")
    sums = by_hand(made, 24)
    assert ranked.kblock_ids == sorted(sums, key=lambda each: -sums[each])


async def test_attention_over_decayed_counts_is_shown_and_not_ordered_by(feeds):
    await fill(feeds, 2)
    await feeds.record.record_interaction("u", "k1", "view", occurred_at=NOW)
    await feeds.record.record_interaction("u", "k1", "engage", occurred_at=NOW - 6 * HOUR)
    page = await feeds.page(FeedRequest("cosmos", ranking="trending", explain=True))
    explanation = page.items[0].explanation
    assert explanation is not None
    assert explanation["trending"].value == pytest.approx(1.5)
    decayed = explanation["decayed_attention"]
    assert decayed.value == pytest.approx((2 * 0.5 + 0.5 * 1) / (1 + 0.5 + 1) / 2)
    assert (decayed.weight, decayed.contribution) == (0, 0)

"""Chance and caps in the feed: what is drawn is in the ledger with its odds; nothing is lost."""

import asyncio
import json
from collections import Counter
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from harken.domain.exploration import propensities, sample
from harken.domain.feeds import Feed, FeedRanking
from harken.domain.kblock import KBlock
from harken.domain.slates import FeedPage
from harken.errors import InvalidInput
from harken.services.feed.request import FeedRequest
from harken.services.feed.service import FeedService
from harken.services.personal.impressions import Impressions
from harken.services.record.persistence import FeedFeedbackPersistence
from tests.contract.conftest import NOW

COUNT = 30


@pytest.fixture
async def service(session_factory, clock):
    opened = FeedService(
        session_factory, record=FeedFeedbackPersistence(session_factory, clock=clock), clock=clock
    )
    yield opened
    await opened.close()


async def put(service: FeedService, count: int = COUNT) -> list[str]:
    """Put K-Blocks; return their ids, best first."""
    await service.kblocks.put(
        [
            KBlock.parse(
                {
                    "id": f"k{i:02}", "title": f"K {i}", "galois_loss": 0.2 * i / count,
                    "created_at": NOW - timedelta(hours=i), "author": author(f"k{i}"),
                    "tags": ["even"] if i % 2 == 0 else ["odd", f"t{i % 5}"],
                }
            )
            for i in range(count)
        ]
    )  # fmt: skip
    return [f"k{i:02}" for i in range(count)]


def author(kblock_id: str) -> str | None:
    place = int(kblock_id[1:]) % 4
    return "abc"[place] if place < 3 else None


async def whole(service: FeedService, feed: str = "coherent", **request) -> list[FeedPage]:
    """Read a feed to its end; only the first page is asked for by anything but its cursor."""
    pages = [await service.page(FeedRequest(feed, **request))]
    while pages[-1].next_cursor:
        again = {"cursor": pages[-1].next_cursor, "limit": request.get("limit", 20)}
        pages.append(await service.page(FeedRequest(feed, **again)))
    return pages


def ids(pages: list[FeedPage]) -> list[str]:
    return [item.id for page in pages for item in page.items]


def likely(pages: list[FeedPage]) -> list[float | None]:
    return [item.propensity for page in pages for item in page.items]


async def test_a_drawn_order_is_found_again_from_its_slates(service):
    ranked = await put(service)
    pages = await whole(service, temperature=0.02, limit=7)
    slates = [await service.ledger.slate(page.request_id) for page in pages]
    assert ids(pages) != ranked
    assert sorted(ids(pages)) == ranked
    settings = slates[0]["settings"]
    assert settings["temperature"] == 0.02
    assert all(slate["settings"] == settings for slate in slates)
    assert [each for slate in slates for each in slate["items"]] == ids(pages)
    assert [each for slate in slates for each in slate["propensities"]] == likely(pages)
    # The scores: 1 − loss, as the ranking has it.
    scores = np.array([1 - 0.2 * i / COUNT for i in range(COUNT)])
    order, found = sample(scores, settings["temperature"], settings["seed"])
    assert [ranked[place] for place in order] == ids(pages)
    assert found.tolist() == pytest.approx(likely(pages), rel=1e-9)
    assert propensities(scores[order], 0.02).tolist() == pytest.approx(likely(pages), rel=1e-9)


async def test_a_seed_gives_the_same_order_and_none_gives_another(service):
    await put(service)
    first, again = [await whole(service, temperature=0.1, seed=7, limit=8) for _ in range(2)]
    assert ids(first) == ids(again)
    assert likely(first) == likely(again)
    drawn = {tuple(ids(await whole(service, temperature=0.1))) for _ in range(4)}
    assert len(drawn) == 4
    by_offset = [
        await service.page(FeedRequest("coherent", temperature=0.1, seed=7, offset=offset, limit=8))
        for offset in range(0, COUNT, 8)
    ]
    assert (ids(by_offset), likely(by_offset)) == (ids(first), likely(first))


async def test_without_a_temperature_nothing_is_drawn(service):
    ranked = await put(service)
    requests: list[dict[str, Any]] = [{}, {"temperature": 0.0}, {"temperature": 0}]
    for request in requests:
        pages = await whole(service, limit=11, **request)
        assert ids(pages) == ranked
        assert set(likely(pages)) == {None}
        slate = await service.ledger.slate(pages[0].request_id)
        assert slate["propensities"] is None
        assert set(slate["settings"]) == {"weights"}


async def test_what_is_dismissed_or_deleted_meanwhile_leaves_the_odds_of_the_others(service):
    await put(service)
    expected = await whole(service, temperature=0.1, seed=3, limit=5, user_id="ada")
    odds = dict(zip(ids(expected), likely(expected), strict=True))
    first = await service.page(
        FeedRequest("coherent", temperature=0.1, seed=3, limit=5, user_id="ada")
    )
    gone, hidden = ids(expected)[6], ids(expected)[8]
    await service.kblocks.delete([gone])
    await service.record.record_interaction("ada", hidden, "dismiss")
    second = await service.page(FeedRequest("coherent", cursor=first.next_cursor, limit=5))
    shown = [each for each in ids(expected)[5:12] if each not in (gone, hidden)]
    assert [item.id for item in second.items] == shown
    assert [item.propensity for item in second.items] == [odds[each] for each in shown]
    assert [item.position for item in second.items] == list(range(5, 10))


async def test_beyond_what_is_drawn_everything_is_certain(service, monkeypatch):
    monkeypatch.setattr("harken.services.feed.pagination.FROZEN", 6)
    ranked = await put(service)
    pages = await whole(service, temperature=0.1, limit=4)
    assert sorted(ids(pages)[:6]) == ranked[:6]
    assert ids(pages)[6:] == ranked[6:]  # which is newest first, too
    assert likely(pages)[5:] == [1.0] * 25
    assert all(each is not None and each < 1 for each in likely(pages)[:5])


@pytest.mark.parametrize("frozen", [11, 1_000], ids=["some by time", "all in one order"])
@pytest.mark.parametrize("ranking", ["chronological", "coherence", "drawn"])
async def test_no_page_has_more_than_its_caps_and_nothing_is_lost(
    service, frozen, ranking, monkeypatch
):
    monkeypatch.setattr("harken.services.feed.pagination.FROZEN", frozen)
    ranked = await put(service)
    request = (
        {"ranking": "coherence", "temperature": 0.1} if ranking == "drawn" else {"ranking": ranking}
    )
    pages = await whole(service, most_per_author=1, limit=3, **request)
    assert sorted(ids(pages)) == ranked
    assert len(ids(pages)) == COUNT
    for page in pages[:3]:
        authors = Counter(author(item.id) for item in page.items if author(item.id))
        assert max(authors.values()) == 1
    if ranking != "drawn":
        for each in "abc":
            kept = [kblock_id for kblock_id in ids(pages)[:frozen] if author(kblock_id) == each]
            assert kept == sorted(kept)
    slate = await service.ledger.slate(pages[-1].request_id)
    assert slate["settings"]["most_per_author"] == 1
    assert slate["settings"]["window"] == 3
    assert ("propensities" in slate and slate["propensities"] is not None) == (ranking == "drawn")


async def test_a_cap_on_tags(service):
    await put(service)
    pages = await whole(service, "cosmos", most_per_tag=2, limit=4)
    for page in pages:
        assert Counter(int(item.id[1:]) % 2 for item in page.items)[0] <= 2
    assert len(set(ids(pages))) == COUNT


async def test_a_feed_of_one_author_is_as_it_was(service):
    blocks = [{"id": f"k{i}", "title": "K", "author": "a", "created_at": NOW} for i in range(9)]
    await service.kblocks.put([KBlock.parse(each) for each in blocks])
    plain = ids(await whole(service, "cosmos", limit=4))
    assert ids(await whole(service, "cosmos", most_per_author=1, limit=4)) == plain


async def test_what_the_first_page_settled_holds(service):
    await put(service)
    first = await service.page(
        FeedRequest("coherent", temperature=0.1, seed=5, most_per_author=2, limit=4)
    )
    same: dict[str, Any] = {"temperature": 0.1, "seed": 5, "most_per_author": 2}
    assert (await service.page(FeedRequest("coherent", cursor=first.next_cursor, **same))).items
    wrongs: list[dict[str, Any]] = [
        {"temperature": 0.2}, {"temperature": 0.0}, {"seed": 6}, {"most_per_author": 3},
        {"most_per_tag": 1},
    ]  # fmt: skip
    for wrong in wrongs:
        [name] = wrong
        with pytest.raises(InvalidInput, match=f"{name}: is .* not what the cursor is for"):
            await service.page(FeedRequest("coherent", cursor=first.next_cursor, **wrong))


async def test_what_makes_no_sense_is_said(service):
    wrongs: list[tuple[dict[str, Any], str]] = [
        ({"temperature": 0.1}, "temperature: needs a ranking by score; a chronological ranking"),
        ({"temperature": -1.0}, "temperature: must be 0, or from 0.001 to 1000000"),
        ({"seed": 1}, "seed: needs a temperature above 0"),
        ({"most_per_author": 0}, "most_per_author: must be from 1 to 100"),
        ({"most_per_tag": 101}, "most_per_tag: must be from 1 to 100"),
        ({"explore": "thompson"}, "explore: needs a ranking by score; a chronological ranking"),
        ({"ranking": "weighted", "explore": "greedy"}, "explore: must be thompson"),
        (
            {"ranking": "weighted", "explore": "thompson", "temperature": 0.1},
            "explore: cannot be combined with a temperature",
        ),
        (
            {"ranking": "weighted", "explore": "thompson", "most_per_tag": 1},
            "explore: cannot be combined with most_per_author, most_per_tag and ",
        ),
    ]
    for request, message in wrongs:
        with pytest.raises(InvalidInput, match=message):
            await service.page(FeedRequest("cosmos", **request))
    other: list[dict[str, Any]] = [{"ranking": "chronological", "temperature": 0.1}, {"seed": 3}]
    for wrong in other:
        with pytest.raises(InvalidInput, match="needs a"):
            await service.rank(["a", "b"], **wrong)


async def test_candidates_of_the_caller_are_drawn_too(service):
    await put(service)
    candidates = [f"k{i:02}" for i in range(12)]
    plain = await service.rank(candidates, ranking="coherence")
    assert (plain.kblock_ids, plain.propensities) == (candidates, None)
    drawn = await service.rank(candidates, ranking="coherence", temperature=0.05, seed=9)
    again = await service.rank(candidates, ranking="coherence", temperature=0.05, seed=9)
    assert drawn.kblock_ids == again.kblock_ids != candidates
    scores = np.array([1 - 0.2 * i / COUNT for i in range(12)])
    order, found = sample(scores, 0.05, 9)
    assert drawn.kblock_ids == [candidates[place] for place in order]
    assert drawn.propensities == pytest.approx(found.tolist())
    assert [
        sum(part.contribution for part in parts.values()) for parts in drawn.explained
    ] == pytest.approx(scores[order].tolist())
    slate = await service.ledger.slate(drawn.request_id)
    assert slate["propensities"] == drawn.propensities
    assert (slate["settings"]["temperature"], slate["settings"]["seed"]) == (0.05, 9)
    assert json.dumps(slate["settings"])


@pytest.mark.parametrize("feed", ["coherent", "personal"])
async def test_exploring_settles_an_order_with_its_odds(service, feed):
    ranked = await put(service)
    service.impressions = Impressions(service.ledger, max_age=3_600)  # else these pages count, too
    pages = await whole(service, feed, explore="thompson", seed=4, limit=7, user_id="ada")
    again = await whole(service, feed, explore="thompson", seed=4, limit=7, user_id="ada")
    assert ids(pages) == ids(again)
    assert sorted(ids(pages)) == ranked
    assert all(each is not None and 0 < each <= 1 for each in likely(pages))
    assert likely(pages)[0] != 1
    slates = [await service.ledger.slate(page.request_id) for page in pages]
    assert [each for slate in slates for each in slate["propensities"]] == likely(pages)
    settings = slates[0]["settings"]
    assert (settings["explore"], settings["seed"]) == ("thompson", 4)
    assert "temperature" not in settings
    orders = {
        tuple(ids(await whole(service, feed, explore="thompson", user_id="ada"))) for _ in range(4)
    }
    assert len(orders) == 4


async def test_what_exploring_settled_holds_for_later_pages(service):
    await put(service)
    first = await service.page(FeedRequest("coherent", explore="thompson", seed=5, limit=4))
    later = FeedRequest("coherent", cursor=first.next_cursor, explore="thompson", seed=5)
    assert (await service.page(later)).items
    plain = await service.page(FeedRequest("coherent", limit=4))
    for cursor, wrong in (
        (first.next_cursor, {"temperature": 0.2}), (plain.next_cursor, {"explore": "thompson"}),
    ):  # fmt: skip
        with pytest.raises(InvalidInput, match="not what the cursor is for"):
            await service.page(FeedRequest("coherent", cursor=cursor, **wrong))


async def test_pages_of_all_processes_count_as_shown(service, session_factory, clock):
    await put(service)
    other = FeedService(
        session_factory, record=FeedFeedbackPersistence(session_factory, clock=clock), clock=clock
    )
    mine, theirs = [Impressions(each.ledger, max_age=-1.0) for each in (service, other)]
    assert await mine.of_ids(["k00", "nothing"]) == {"k00": 0.0, "nothing": 0.0}
    first = await service.page(FeedRequest("coherent", limit=3))
    await other.page(FeedRequest("coherent", cursor=first.next_cursor, limit=3))
    await other.rank(["k00", "never stored"])
    for impressions in (mine, theirs, mine):  # no page counts twice
        found = await impressions.of_ids(["k00", "k01", "k03", "k09", "never stored"])
        assert found == pytest.approx(
            {"k00": 2.0, "k01": 1 / 2, "k03": 1 / 4, "k09": 0.0, "never stored": 1 / 2}
        )
    await service.record.record_interaction("ada", "k09", "view")
    index = await service.catalogue.fresh()
    rows = index.newest(index.is_open, 30)
    shown = await mine.of_rows(index, index.number[rows])
    assert shown.tolist()[:4] == pytest.approx([2.0, 1 / 2, 1 / 3, 1 / 4])
    assert shown.tolist()[9] == 1.0  # it was touched, so it was shown somewhere
    await other.close()


async def test_candidates_of_the_caller_are_explored_too(service):
    await put(service)
    candidates = [f"k{i:02}" for i in range(12)]
    service.impressions = Impressions(service.ledger, max_age=3_600)
    found = [
        await service.rank(candidates, ranking="coherence", explore="thompson", seed=9)
        for _ in range(2)
    ]
    assert found[0].kblock_ids == found[1].kblock_ids != candidates
    assert sorted(found[0].kblock_ids) == candidates
    assert all(0 < each <= 1 for each in found[0].propensities)
    slate = await service.ledger.slate(found[0].request_id)
    assert slate["propensities"] == found[0].propensities
    assert slate["settings"]["explore"] == "thompson"


async def test_an_empty_feed_can_be_explored(service):
    page = await service.page(FeedRequest("coherent", explore="thompson"))
    assert (page.items, page.has_more) == ([], False)


async def test_an_empty_feed_can_be_drawn(service):
    page = await service.page(
        FeedRequest("coherent", temperature=0.1, most_per_author=1, most_per_tag=1)
    )
    assert (page.items, page.has_more) == ([], False)
    assert (await service.ledger.slate(page.request_id))["propensities"] == []


async def test_scores_that_a_function_gives_are_drawn_by(service):
    await put(service)
    feed = Feed("own", "by loss", ranking=FeedRanking("lossy", "most loss first", {}, lossy))
    service.register(feed)
    pages = await whole(service, "own", temperature=0.05, seed=6, limit=9)
    best_first = [f"k{i:02}" for i in reversed(range(COUNT))]
    order, found = sample(np.array([0.2 * i / COUNT for i in reversed(range(COUNT))]), 0.05, 6)
    assert ids(pages) == [best_first[place] for place in order]
    assert likely(pages) == pytest.approx(found.tolist())


def lossy(columns: Any) -> Any:
    return columns.loss


@pytest.mark.parametrize("frozen", [5, 1_000], ids=["mostly by time", "all in one order"])
async def test_readers_miss_nothing_while_writers_write(service, frozen, monkeypatch):
    """The labels that caps are about are read while the index goes on."""
    monkeypatch.setattr("harken.services.feed.pagination.FROZEN", frozen)
    there = set(await put(service))
    reading = 0

    async def reader(number: int) -> None:
        nonlocal reading
        reading += 1
        request: dict[str, Any] = {"most_per_author": 1 + number % 2, "most_per_tag": 2}
        if number % 3:
            request |= {"ranking": "weighted", "temperature": 0.1}
        pages = await whole(service, "cosmos", limit=3, **request)
        reading -= 1
        assert len(ids(pages)) == len(set(ids(pages)))
        assert there <= set(ids(pages))

    async def writer(number: int) -> None:
        turn = 0
        while reading:
            turn += 1
            at = NOW - timedelta(hours=turn)
            moved = {"id": f"k{(turn * 7 + number) % COUNT:02}", "title": "Moved", "created_at": at}
            added = {"id": f"new-{number}-{turn}", "title": "New", "author": "a"}
            await service.kblocks.put([KBlock.parse(moved), KBlock.parse(added)])
            await asyncio.sleep(0.01)  # so that the readers get a turn at SQLite's lock

    async with asyncio.timeout(240):
        await asyncio.gather(*(reader(n) for n in range(6)), *(writer(n) for n in range(2)))

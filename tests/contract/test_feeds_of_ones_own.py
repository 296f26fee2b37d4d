"""Feeds beyond Harken's own: stored ones, and those that a program registers."""

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from harken.domain.declarations import declaration
from harken.domain.feeds import ADDED, Feed, FeedFilter, FeedRanking, Field, Operator
from harken.domain.preferences import Preferences
from harken.errors import CursorExpired, InvalidInput, NotFound, UnknownFeed
from harken.services.feed import pagination
from harken.services.feed.request import FeedRequest
from harken.services.feed.service import FeedService
from harken.services.kblocks.store import Change
from tests.contract.conftest import NOW
from tests.contract.test_feed_service import ids, kblock, put, service

__all__ = ["service"]

TAGGED: dict[str, Any] = {
    "description": "What is tagged",
    "sources": [{"kind": "tag", "value": "x"}, {"kind": "layer", "value": 1}],
    "filters": [{"field": "loss", "operator": "lt", "value": 0.5}],
}


async def some(service: FeedService, count: int = 6) -> None:
    await service.kblocks.put(
        [
            kblock(
                f"k{i}",
                created_at=NOW - timedelta(days=i),
                tags=["x"] if i % 2 else [],
                layer=1 if i == 2 else None,
                galois_loss=i / 10,
            )
            for i in range(count)
        ]
    )


async def walk(feeds: list[FeedService], page: Any, limit: int = 1) -> list[str]:
    """Follow a page to the end, in one process after the other."""
    served = [item.id for item in page.items]
    while page.next_cursor:
        feeds = [*feeds[1:], feeds[0]]
        feed = "own"
        page = await feeds[0].page(FeedRequest(feed, cursor=page.next_cursor, limit=limit))
        served += [item.id for item in page.items]
    return served


async def test_a_stored_feed_holds_at_once_everywhere(service, other_process):
    await some(service)
    assert await service.feeds.put("own", TAGGED) is Change.ADDED
    assert await service.feeds.put("own", TAGGED) is Change.UNCHANGED
    for feeds in (service, other_process):
        assert await ids(feeds, "own") == ["k1", "k2", "k3"]
        assert await ids(feeds, "own", max_loss=0.2) == ["k1", "k2"]
        assert await ids(feeds, "own", ranking="coherence", offset=1, limit=1) == ["k2"]
    assert await other_process.feeds.put("own", {"ranking": "incoherence"}) is Change.UPDATED
    for feeds in (service, other_process):
        assert await ids(feeds, "own", limit=2) == ["k5", "k4"]
        listed = await feeds.feeds.listed()
        assert [each.feed.name for each in listed][-2:] == ["personal", "own"]
        assert (listed[-1].origin, listed[-1].feed.ranking.name) == ("stored", "incoherence")
        assert await feeds.feeds.get("own") == listed[-1]
    await service.feeds.delete("own")
    for feeds in (service, other_process):
        with pytest.raises(UnknownFeed, match="feed: 'own' is unknown; known are cosmos"):
            await feeds.page(FeedRequest("own"))
        with pytest.raises(NotFound, match="there is no stored feed 'own'"):
            await feeds.feeds.delete("own")
        with pytest.raises(UnknownFeed):
            await feeds.feeds.get("own")


@pytest.mark.parametrize("frozen", [2, 1_000], ids=["mostly by time", "all by score"])
@pytest.mark.parametrize("ranking", ["chronological", "incoherence"])
@pytest.mark.parametrize("change", [None, {"sources": [{"kind": "layer", "value": 7}]}])
async def test_pages_go_on_with_what_the_first_had(
    service, other_process, frozen, ranking, change, monkeypatch
):
    monkeypatch.setattr(pagination, "FROZEN", frozen)
    await some(service)
    await service.feeds.put("own", TAGGED | {"ranking": ranking})
    page = await service.page(FeedRequest("own", limit=1))
    if change:
        await service.feeds.put("own", change)
        assert await ids(other_process, "own") == []
    else:
        await service.feeds.delete("own")
    served = await walk([service, other_process], page)
    expected = ["k1", "k2", "k3"] if ranking == "chronological" else ["k3", "k2", "k1"]
    assert len(served) == len(set(served))
    assert served == expected if frozen > 2 else set(served) == set(expected)


async def test_the_ledger_says_what_a_feed_was(service):
    await some(service)
    await service.feeds.put("own", TAGGED)
    page = await service.page(FeedRequest("own", limit=1))
    slate = await service.ledger.slate(page.request_id)
    assert (slate["feed"], slate["items"]) == ("own", ["k1"])
    assert slate["settings"]["declaration"] == declaration((await service.feeds.get("own")).feed)
    second = await service.page(FeedRequest("own", cursor=page.next_cursor, limit=1))
    assert "declaration" not in (await service.ledger.slate(second.request_id))["settings"]
    later = NOW + timedelta(days=36_500)
    await service.ledger.forget(slates_before=later, orders_before=later)
    with pytest.raises(CursorExpired):
        await service.page(FeedRequest("own", cursor=page.next_cursor))
    with pytest.raises(InvalidInput, match="not what the cursor is for"):
        await service.page(FeedRequest("cosmos", cursor=page.next_cursor))


async def test_harkens_own_feeds_ask_nothing(service, monkeypatch):
    await some(service)

    async def read(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(service.feeds, "_database", None)
    monkeypatch.setattr(service.ledger, "settings", read)
    page = await service.page(FeedRequest("cosmos", limit=1))
    assert await ids(service, cursor=page.next_cursor, limit=1) == ["k1"]


async def test_spans_end_at_the_first_page(service, clock):
    await some(service, 10)
    lately = {"filters": [{"field": "time", "operator": "gt", "value": "3d"}]}
    await service.feeds.put("own", lately)
    clock.now = NOW + timedelta(minutes=1)
    page = await service.page(FeedRequest("own", limit=1))
    clock.now += timedelta(minutes=58)
    assert await walk([service], page) == ["k0", "k1", "k2"]
    clock.now = NOW + timedelta(days=1)
    assert await ids(service, "own", ranking="weighted") == ["k0", "k1"]
    clock.now = NOW - timedelta(days=1)
    assert await ids(service, "own", ranking="weighted") == ["k0", "k1", "k2", "k3"]


async def test_weights_of_a_feed_go_before_the_readers(service):
    await some(service)
    await service.record.record_interaction("bob", "k5", "engage")
    only: dict[str, float] = dict.fromkeys(ADDED, 0.0)
    await service.feeds.put("own", {"ranking": "weighted", "weights": only | {"recency": 1}})
    await service.feeds.put("plain", {"ranking": "weighted"})
    await service.readers.prefer("ada", Preferences(weights=only | {"attention": 1}))
    assert (await ids(service, "own", user_id="ada"))[0] == "k0"
    assert (await ids(service, "plain", user_id="ada"))[0] == "k5"
    assert (await ids(service, "own", user_id="ada", weights=only | {"attention": 1.0}))[0] == "k5"
    page = await service.page(FeedRequest("own", user_id="ada", limit=1))
    assert await walk([service], page) == ["k0", "k1", "k2", "k3", "k4", "k5"]


async def test_filters_that_are_functions(service, other_process):
    await some(service)
    feeds = [
        Feed("own", "loss below 0.3", filters=(lambda columns: columns.loss < 0.3,)),
        Feed("rest", "the others", filters=(lambda columns: ~(columns.loss < 0.3),)),
        Feed(
            "both", "and of now",
            filters=(
                FeedFilter(Field.TAG, Operator.CONTAINS, "x"),
                lambda columns: (columns.attention > 0) & columns.has("tag", "x"),
                lambda columns: columns.created < columns.created.max(),
            ),
        ),
    ]  # fmt: skip
    for feed in feeds:
        service.register(feed)
        service.register(feed)
        other_process.register(feed)
    assert await ids(service, "own", max_loss=0.1) == ["k0", "k1"]
    for _ in range(2):
        assert await ids(service, "own") == ["k0", "k1", "k2"]
        assert await ids(service, "rest", ranking="weighted") == ["k3", "k4", "k5"]
    assert await ids(service, "both") == []
    for each in ("k3", "k4"):
        await service.record.record_interaction("ada", each, "engage")
    for ranking in (None, "attention", "weighted"):  # statistics count at once
        assert await ids(service, "both", ranking=ranking) == ["k3"]
    await service.kblocks.put([kblock("k9", created_at=NOW, galois_loss=0.0)])
    page = await service.page(FeedRequest("own", ranking="coherence", limit=2))
    await service.kblocks.put([kblock("k8", created_at=NOW, galois_loss=0.0)])
    await service.kblocks.put([kblock("k1", created_at=NOW, galois_loss=0.9)])
    assert await walk([service, other_process], page) == ["k9", "k0", "k1", "k2"]


async def test_scores_that_are_functions(service, other_process):
    await some(service)
    await service.kblocks.put([kblock("none", created_at=NOW)])

    def far_from_a_quarter(columns: Any) -> Any:
        return np.round(np.abs(columns.loss - 0.25), 9)

    own = Feed("own", "by my own", ranking=FeedRanking("far", "far first", {}, far_from_a_quarter))
    for feeds in (service, other_process):
        feeds.register(own)
    page = await service.page(FeedRequest("own", limit=1, explain=True))
    [item] = page.items
    assert (item.id, item.score) == ("k0", 0.25)
    assert item.explanation["score"] == (0.25, 1.0, 0.25)
    slate = await service.ledger.slate(page.request_id)
    assert (slate["ranking"], slate["settings"]) == ("far", {"weights": {}})
    # Of equals the newest comes first; what has no score comes last.
    expected = ["k0", "k5", "k1", "k4", "k2", "k3", "none"]
    assert await walk([service, other_process], page) == expected
    assert await ids(service, "own", ranking="far") == expected
    assert (await ids(service, "own", ranking="chronological"))[:2] == ["none", "k0"]
    sampled = await service.page(FeedRequest("own", temperature=0.1, seed=1))
    assert {item.id for item in sampled.items} == set(expected)
    with pytest.raises(InvalidInput, match="ranking: 'far' is unknown"):
        await ids(service, "cosmos", ranking="far")


@pytest.mark.parametrize(
    ("feed", "message"),
    [
        (Feed("own", "", filters=(lambda columns: columns.loss,)), "a boolean for each of 6 rows"),
        (Feed("own", "", filters=(lambda _: np.ones(2, np.bool_),)), r"not bool of shape \(2,\)"),
        (
            Feed("own", "", ranking=FeedRanking("r", "", {}, lambda _: np.array(["x"] * 6))),
            "the score <lambda> must return a number for each of 6 rows",
        ),
    ],
)
async def test_a_function_gives_what_it_has_to(service, feed, message):
    await some(service)
    service.register(feed)
    with pytest.raises(TypeError, match=message):
        await service.page(FeedRequest("own"))


async def test_a_function_cannot_write(service):
    await put(service)

    def careless(columns: Any) -> Any:
        columns.loss[:] = 0
        return columns.loss == 0

    service.register(Feed("own", "", filters=(careless,)))
    with pytest.raises(ValueError, match="read-only"):
        await service.page(FeedRequest("own"))


async def test_names_that_are_taken(session_factory, service):
    own = Feed("own", "")
    service.register(own)
    for wrong, message in (
        (Feed("own", ""), "'own' is a feed of this program"),
        (Feed("cosmos", ""), "'cosmos' is a default feed of Harken"),
        (Feed("rank", ""), "'rank' is reserved"),
        (Feed("a/b", ""), "must be 1 to 64 letters"),
    ):
        with pytest.raises(InvalidInput, match=f"id: {message}"):
            service.register(wrong)
        with pytest.raises(InvalidInput, match=f"id: {message}"):
            await service.feeds.put(wrong.name, {})
    # What was stored before gives way.
    elsewhere = FeedService(session_factory, feeds=[own])
    assert [each.origin for each in await elsewhere.feeds.listed()][-1] == "registered"
    other = FeedService(session_factory)
    await other.feeds.put("own", {})
    assert (await elsewhere.feeds.get("own")).origin == "registered"
    assert [each.feed.name for each in await elsewhere.feeds.listed()].count("own") == 1

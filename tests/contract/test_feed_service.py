"""The loop: K-Blocks in, a feed out, feedback changes what comes next."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from harken.domain.kblock import KBlock
from harken.errors import CursorExpired, InvalidInput
from harken.services.feed.request import FeedRequest
from harken.services.feed.service import FeedService
from harken.services.kblocks.store import Change
from harken.services.record.persistence import FeedFeedbackPersistence
from tests.contract.conftest import NOW


@pytest.fixture
async def service(session_factory, clock):
    opened = FeedService(
        session_factory, record=FeedFeedbackPersistence(session_factory, clock=clock), clock=clock
    )
    yield opened
    await opened.close()


def kblock(kblock_id: str, **fields) -> KBlock:
    return KBlock.parse({"id": kblock_id, "title": kblock_id.upper(), **fields})


async def put(service: FeedService, count: int = 5, **fields) -> None:
    await service.kblocks.put(
        [kblock(f"k{i}", created_at=NOW - timedelta(days=i), **fields) for i in range(count)]
    )


async def ids(service: FeedService, feed: str = "cosmos", **request) -> list[str]:
    return [item.id for item in (await service.page(FeedRequest(feed, **request))).items]


async def soon(condition) -> None:
    """Wait for something that another process did; how soon it comes is no matter of tests."""
    async with asyncio.timeout(30):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.02)


async def test_feedback_moves_the_next_request(service, other_process):
    await put(service)
    assert await ids(service, ranking="attention") == ["k0", "k1", "k2", "k3", "k4"]
    assert await ids(other_process, ranking="attention") == ["k0", "k1", "k2", "k3", "k4"]
    await service.record.record_interaction("ada", "k3", "engage")
    assert (await ids(service, ranking="attention"))[0] == "k3"
    assert (await ids(service, ranking="weighted"))[0] == "k3"
    assert (await ids(service, ranking="popularity"))[0] == "k3"

    async def seen_elsewhere() -> bool:
        return (await ids(other_process, ranking="attention"))[0] == "k3"

    await soon(seen_elsewhere)


async def test_kblocks_are_there_at_once_and_elsewhere_soon(service, other_process):
    await put(service, 2)
    assert await ids(service) == ["k0", "k1"]
    assert await ids(other_process) == ["k0", "k1"]
    await service.kblocks.put([kblock("new", created_at=NOW)])
    await service.kblocks.delete(["k1"])
    assert await ids(service) == ["new", "k0"]

    async def seen_elsewhere() -> bool:
        return await ids(other_process) == ["new", "k0"]

    await soon(seen_elsewhere)


async def test_a_dismissal_hides_from_its_reader_at_once_everywhere(service, other_process):
    await put(service)
    assert len(await ids(other_process, user_id="ada")) == 5
    await service.record.record_interaction("ada", "k1", "dismiss")
    for feeds in (service, other_process):
        assert "k1" not in await ids(feeds, user_id="ada")
        assert "k1" in await ids(feeds, user_id="bob")
        assert "k1" in await ids(feeds)
    assert [each for each, _ in await service.readers.dismissals("ada")] == ["k1"]
    assert await other_process.readers.undo_dismissal("ada", "k1")
    assert not await other_process.readers.undo_dismissal("ada", "k1")
    for feeds in (service, other_process):
        assert "k1" in await ids(feeds, user_id="ada")


async def test_what_a_guest_dismisses_stays(service):
    await put(service)
    await service.record.record_interaction("guest", "k1", "dismiss")
    assert "k1" in await ids(service)
    assert await service.readers.dismissals("guest") == []
    assert (await service.record.verify()).differences == 0


async def test_a_repeated_event_hides_nothing_anew(service):
    await put(service)
    event = {"interaction_id": "e", "user_id": "ada", "kblock_id": "k1", "action": "dismiss"}
    await service.record.record_batch([event])
    await service.readers.undo_dismissal("ada", "k1")
    await service.record.record_batch([event])
    assert "k1" in await ids(service, user_id="ada")


async def test_a_dismissal_that_comes_between_pages_is_passed_over(service):
    await put(service)
    first = await service.page(FeedRequest("cosmos", user_id="ada", limit=2))
    await service.record.record_interaction("ada", "k2", "dismiss")
    rest = await ids(service, cursor=first.next_cursor)
    assert rest == ["k3", "k4"]


async def test_declared_principles_move_the_order(service):
    await put(service)
    await service.kblocks.put(
        [kblock("k4", created_at=NOW - timedelta(days=4), principles=["frugal"])]
    )
    await service.readers.declare("ada", ["frugal", "honest"])
    assert await service.readers.principles("ada") == ["frugal", "honest"]
    assert (await ids(service, user_id="ada", ranking="principles"))[0] == "k4"
    assert (await ids(service, user_id="bob", ranking="principles"))[0] == "k0"
    page = await service.page(
        FeedRequest("cosmos", user_id="ada", ranking="principles", explain=True)
    )
    assert page.items[0].explanation["principles"].value == 0.5


async def test_contradictions_are_those_declared_and_those_reported(service, other_process):
    await service.kblocks.put(
        [
            kblock("a", galois_loss=0.2, edges=[{"target": "b", "kind": "contradicts"}]),
            kblock("b", galois_loss=0.9),
            kblock("c", galois_loss=1.5),
            kblock("d", galois_loss=1.2, edges=[{"target": "gone", "kind": "contradicts"}]),
        ]
    )
    assert await ids(service, "contradictions") == ["b", "a"]
    assert await ids(other_process, "contradictions") == ["b", "a"]
    await service.record.record_interaction("ada", "d", "contradict", metadata={"contradicts": "c"})
    page = await service.page(FeedRequest("contradictions"))
    assert {item.id: item.contradicts for item in page.items} == {
        "a": ["b"], "b": ["a"], "c": ["d"], "d": ["c"],
    }  # fmt: skip
    assert [item.id for item in page.items] == ["c", "d", "b", "a"]  # most loss first, beyond 1 too

    async def seen_elsewhere() -> bool:
        return len(await ids(other_process, "contradictions")) == 4

    await soon(seen_elsewhere)
    # What no longer says so, or contradicts what is gone, is in conflict no more.
    await service.kblocks.put([kblock("a", galois_loss=0.2)])
    assert await ids(service, "contradictions") == ["c", "d"]
    await service.kblocks.delete(["c"])
    assert await ids(service, "contradictions") == []
    await service.kblocks.put([kblock("gone", galois_loss=0.0)])
    assert await ids(service, "contradictions") == ["d", "gone"]


async def test_a_contradiction_names_another_kblock(service):
    wrong: list[dict[str, Any]] = [{"contradicts": each} for each in (7, "k", "x" * 65)]
    for metadata in wrong:
        with pytest.raises(
            InvalidInput, match=r"metadata\.contradicts: (must be|String should have at most)"
        ):
            await service.record.record_interaction("u", "k", "contradict", metadata=metadata)
    for right in (None, {}, {"contradicts": None}, {"why": "because"}):
        await service.record.record_interaction("u", "k", "contradict", metadata=right)
    assert (await service.record.verify()).differences == 0


async def test_a_slate_is_in_the_ledger_and_joins_with_what_follows(service, session_factory):
    await put(service)
    await service.readers.declare("ada", ["p"])
    page = await service.page(
        FeedRequest("cosmos", user_id="ada", ranking="weighted", weights={"recency": 1}, limit=2)
    )
    slate = await service.ledger.slate(page.request_id)
    assert slate["items"] == [item.id for item in page.items]
    assert (slate["user_id"], slate["feed"], slate["ranking"]) == ("ada", "cosmos", "weighted")
    assert slate["settings"] == {
        "weights": {"attention": 0.4, "principles": 0.3, "recency": 1.0, "coherence": 0.1}
    }
    assert (slate["position"], slate["first_request_id"]) == (0, page.request_id)
    second = await service.page(FeedRequest("cosmos", cursor=page.next_cursor, limit=2))
    slate = await service.ledger.slate(second.request_id)
    assert (slate["position"], slate["first_request_id"]) == (2, page.request_id)
    item = second.items[1]
    await service.record.record_interaction(
        "ada", item.id, "view", request_id=second.request_id, position=item.position
    )
    [entries] = [page async for page in service.record.entries()]
    joined = await service.ledger.slate(entries[0].request_id)
    assert joined["items"][entries[0].position - joined["position"]] == item.id


async def test_offset_and_cursor_give_the_same_list(service):
    await put(service, 12, galois_loss=0.1)
    for ranking in ("chronological", "weighted"):
        whole = await ids(service, ranking=ranking, limit=100)
        by_offset = [
            each
            for offset in range(0, 12, 5)
            for each in await ids(service, ranking=ranking, offset=offset, limit=5)
        ]
        assert by_offset == whole
    page = await service.page(FeedRequest("cosmos", offset=5, limit=3))
    assert (page.offset, page.limit, page.total, page.items[0].position) == (5, 3, 12, 5)
    assert await ids(service, cursor=page.next_cursor) == whole[8:]
    assert (await service.page(FeedRequest("cosmos", offset=50))).items == []


async def test_cursors_of_others_and_old_ones_are_refused(service, clock):
    await put(service)
    page = await service.page(
        FeedRequest("coherent", user_id="ada", ranking="weighted", max_loss=1, limit=1)
    )
    assert page.next_cursor is None
    await put(service, galois_loss=0.1)
    page = await service.page(FeedRequest("coherent", user_id="ada", limit=1))
    for wrong in (
        {"feed": "cosmos"}, {"user_id": "bob"}, {"ranking": "attention"}, {"max_loss": 0.5},
    ):  # fmt: skip
        request = {"feed": "coherent", "cursor": page.next_cursor} | wrong
        with pytest.raises(InvalidInput, match="not what the cursor is for"):
            await service.page(FeedRequest(**request))
    middle = len(page.next_cursor) // 2
    for tampered in (page.next_cursor[:-1], page.next_cursor[:middle] + "A", "", "x.y"):
        with pytest.raises(InvalidInput, match="cursor: was not made by this service"):
            await service.page(FeedRequest("coherent", cursor=tampered))
    clock.now += timedelta(minutes=59)
    assert len(await ids(service, "coherent", cursor=page.next_cursor)) == 4
    clock.now += timedelta(minutes=2)
    with pytest.raises(CursorExpired, match="start again"):
        await service.page(FeedRequest("coherent", cursor=page.next_cursor))


async def test_a_cursor_works_in_every_process(service, other_process):
    await put(service, 6)
    page = await service.page(FeedRequest("cosmos", ranking="weighted", limit=2))
    await service.kblocks.put([kblock("k5", created_at=NOW)])  # moved to the front meanwhile
    assert await ids(other_process, cursor=page.next_cursor) == ["k2", "k3", "k4", "k5"]


async def test_old_slates_and_orders_are_forgotten(service, clock):
    await put(service)
    page = await service.page(FeedRequest("cosmos", ranking="weighted", limit=2))
    assert await service.ledger.order(page.request_id) is not None
    later = datetime.now(UTC) + timedelta(minutes=1)
    await service.ledger.forget(slates_before=NOW, orders_before=later)
    assert await service.ledger.order(page.request_id) is None
    assert await service.ledger.slate(page.request_id) is not None
    with pytest.raises(CursorExpired):
        await service.page(FeedRequest("cosmos", cursor=page.next_cursor))
    await service.ledger.forget(slates_before=later, orders_before=later)
    assert await service.ledger.slate(page.request_id) is None


async def test_candidates_of_the_caller_are_ranked(service):
    await put(service)
    await service.record.record_interaction("ada", "k4", "engage")
    await service.record.record_interaction("ada", "elsewhere", "engage")
    await service.record.record_interaction("bob", "elsewhere", "dismiss")
    await service.record.record_interaction("ada", "k1", "dismiss")
    ranked = await service.rank(["nobody", "k0", "k1", "elsewhere", "k4", "k4"], "ada", "attention")
    assert ranked.kblock_ids == ["k4", "elsewhere", "k0", "nobody"]
    assert ranked.unknown == ["nobody"]
    assert ranked.dismissed == ["k1"]
    slate = await service.ledger.slate(ranked.request_id)
    assert (slate["feed"], slate["items"]) == ("rank", ranked.kblock_ids)
    same = await service.rank(["c", "a", "b"])
    assert same.kblock_ids == ["c", "a", "b"]
    for wrong in ([], ["k"] * 1001):
        with pytest.raises(InvalidInput, match="kblock_ids: must be 1 to 1000 ids"):
            await service.rank(wrong)


async def test_what_is_wrong_with_a_request_is_said(service):
    for request, message in (
        ({"feed": "cosmo"}, "did you mean cosmos"),
        ({"ranking": "best"}, "known are chronological, popularity"),
        ({"user_id": "u" * 65}, "user_id: String should have at most 64"),
        ({"user_id": "u\x00"}, "user_id: must not contain"),
        ({"user_id": "u\ud800"}, "user_id: must not contain lone surrogates"),
        ({"limit": 0}, "limit: must be from 1 to 100"),
        ({"limit": 101}, "limit: must be from 1 to 100"),
        ({"offset": -1}, "offset: must be from 0 to 2147483647"),
        ({"offset": 2**31}, "offset: must be from 0 to 2147483647"),
        ({"max_loss": 1.5}, "max_loss: must be a number from 0 to 1"),
        ({"max_loss": float("nan")}, "max_loss: must be a number from 0 to 1"),
        ({"weights": {"recency": 1.0}}, "go with ranking=weighted only"),
        ({"ranking": "weighted", "weights": {"recency": float("inf")}}, "must be a number from"),
        ({"ranking": "weighted", "weights": {"beauty": 1.0}}, "'beauty' is unknown"),
        ({"cursor": "x", "offset": 3}, "offset: cannot be combined with a cursor"),
    ):
        with pytest.raises(InvalidInput, match=message):
            await service.page(FeedRequest(**{"feed": "cosmos"} | request))


async def test_concurrent_first_requests_share_one_load(service):
    await put(service, 30)
    pages = await asyncio.gather(*(ids(service, limit=30) for _ in range(20)))
    assert all(page == pages[0] for page in pages)
    assert service.catalogue.size == 30


async def test_an_index_worn_by_changes_is_made_anew(service, monkeypatch):
    monkeypatch.setattr("harken.services.index.index.MOST_CLOSED", 3)
    for day in range(8):
        await service.kblocks.put([kblock("k", created_at=NOW - timedelta(days=day))])
        assert await ids(service) == ["k"]
    assert service.catalogue.size <= 8
    index = await service.catalogue.fresh()
    assert np.count_nonzero(index.visible(index.revision)) == 1


async def test_store_says_what_it_did(service):
    blocks = [kblock("a", tags=["x"]), kblock("b", content="text")]
    assert await service.kblocks.put(blocks) == [Change.ADDED, Change.ADDED]
    assert await service.kblocks.put(blocks) == [Change.UNCHANGED, Change.UNCHANGED]
    changed = [kblock("a", tags=["x"]), kblock("b", content="other")]
    assert await service.kblocks.put(changed) == [Change.UNCHANGED, Change.UPDATED]
    stored = await service.kblocks.get("b")
    assert (stored.kblock.content, stored.preview) == ("other", "other")
    assert await service.kblocks.delete(["a", "zz"]) == ["a"]
    assert await service.kblocks.get("a") is None
    assert await service.kblocks.delete(["a"]) == []
    assert await service.kblocks.put([kblock("a", tags=["x"])]) == [Change.ADDED]
    assert (await service.kblocks.get("a")).kblock.tags == ("x",)


async def test_a_kblock_without_a_time_keeps_the_one_it_has(service):
    await service.kblocks.put([kblock("a", created_at=NOW - timedelta(days=9))])
    await service.kblocks.put([kblock("a", content="new")])
    assert (await service.kblocks.get("a")).kblock.created_at == NOW - timedelta(days=9)


@pytest.mark.slow
@pytest.mark.parametrize("frozen", [5, 1_000], ids=["mostly by time", "all by score"])
async def test_readers_at_once_miss_nothing_while_writers_write(
    service, other_process, frozen, monkeypatch
):
    monkeypatch.setattr("harken.services.feed.pagination.FROZEN", frozen)
    await put(service, 40)
    there = {f"k{i}" for i in range(40)}
    reading = 0

    async def reader(number: int) -> None:
        nonlocal reading
        reading += 1
        ranking = ("chronological", "weighted", "attention")[number % 3]
        page = await service.page(FeedRequest("cosmos", ranking=ranking, limit=3))
        served = [item.id for item in page.items]
        while page.next_cursor:
            feeds = (service, other_process)[len(served) % 2]
            page = await feeds.page(FeedRequest("cosmos", cursor=page.next_cursor, limit=3))
            served += [item.id for item in page.items]
        reading -= 1
        assert len(served) == len(set(served))
        assert there <= set(served)

    async def writer(number: int) -> None:
        turn = 0
        while reading:
            turn += 1
            moved = kblock(f"k{(turn * 7 + number) % 40}", created_at=NOW - timedelta(hours=turn))
            await service.kblocks.put([moved, kblock(f"new-{number}-{turn}", created_at=NOW)])
            await service.record.record_interaction("bob", f"k{turn % 40}", "engage")

    async with asyncio.timeout(240):
        await asyncio.gather(*(reader(n) for n in range(6)), *(writer(n) for n in range(2)))

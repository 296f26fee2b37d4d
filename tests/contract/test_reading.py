"""What a reader has read and saved: it changes their feeds alone, and no count of anybody."""

import json
import random
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from harken.database import Kind
from harken.domain.feeds import DEFAULT_FEEDS
from harken.domain.preferences import Preferences
from harken.errors import Erased, InvalidInput, UnknownFeed
from harken.models import FeedSave
from harken.models.types import table
from harken.services.feed import pagination
from harken.services.feed.request import FeedRequest
from harken.services.integrity.erasure import Erasure
from harken.services.integrity.export import PersonalData
from harken.services.record.admission.subjects import Subject
from harken.services.record.reading import store
from tests.contract.conftest import NOW, log
from tests.contract.test_feed_service import ids, kblock, put, service

__all__ = ["service"]


async def mark(service, *kblock_ids: str, user_id: str = "ada") -> Any:
    return await service.reading.store.mark_read(user_id, kblock_ids)


async def save(service, kblock_id: str, user_id: str = "ada", after: int = 0, **fields) -> None:
    at = (NOW - timedelta(hours=1) + timedelta(seconds=after)).isoformat()
    await service.record.record_batch(
        [
            {
                "user_id": user_id, "kblock_id": kblock_id, "action": "engage",
                "interaction_type": "save", "occurred_at": at, **fields,
            }
        ]
    )  # fmt: skip


async def hide_read(service, user_id: str = "ada") -> None:
    await service.readers.prefer(user_id, Preferences(hide_read=True))


# Marks


async def test_a_mark_is_no_event_and_tells_what_it_changed(service, database):
    await put(service)
    await service.record.record_interaction("ada", "k1", "view")
    assert await mark(service, "k2", "k1", "nothing") == ["k1", "k2"]
    assert await mark(service, "k3", "k1") == ["k3"]
    assert len(await log(database)) == 1
    assert (await service.record.verify()).differences == 0
    reading = service.reading
    assert (await reading.states("ada", ["k0", "k1", "k2"])).read == {"k1", "k2"}
    assert await reading.store.mark_unread("ada", ["k1", "k0", "nothing"]) == ["k1"]
    assert await reading.store.mark_unread("bob", ["k2"]) == []
    assert (await reading.states("ada", ["k0", "k1", "k2"])).read == {"k2"}
    assert (await reading.states("bob", ["k2"])).read == set()
    assert (await reading.states("guest", ["k2"])).read == set()


async def test_guests_have_no_state(service, database):
    await put(service)
    await save(service, "k1", "guest")
    with pytest.raises(InvalidInput, match="guest stands for all unknown readers"):
        await mark(service, "k1", user_id="guest")
    with pytest.raises(InvalidInput, match="guest stands for all unknown readers"):
        await service.reading.counts("guest")
    assert await ids(service, "saved") == await ids(service, "history") == []
    async with database.reading() as connection:
        assert (await connection.execute(select(table(FeedSave)))).all() == []


# Feeds that hide what was read


@pytest.mark.parametrize("ranking", ["chronological", "weighted", "personal"])
async def test_what_is_read_is_hidden_where_its_reader_wants_it(service, other_process, ranking):
    await put(service)
    await mark(service, "k0", "k3")
    everything = ["k0", "k1", "k2", "k3", "k4"]
    assert sorted(await ids(service, user_id="ada", ranking=ranking)) == everything
    await hide_read(service)
    for each in (service, other_process):
        assert sorted(await ids(each, user_id="ada", ranking=ranking)) == ["k1", "k2", "k4"]
        assert sorted(await ids(each, user_id="bob", ranking=ranking)) == everything
    ranked = await service.rank(["k0", "k1"], "ada")
    assert sorted(ranked.kblock_ids) == ["k0", "k1"]  # these were asked for by name
    await service.reading.store.mark_unread("ada", ["k0"])
    for each in (service, other_process):
        assert sorted(await ids(each, user_id="ada", ranking=ranking)) == ["k0", "k1", "k2", "k4"]


@pytest.mark.parametrize("frozen", [3, 1_000], ids=["mostly by time", "all by score"])
@pytest.mark.parametrize("ranking", ["chronological", "weighted", "personal"])
async def test_what_is_read_between_pages_neither_repeats_nor_loses_others(
    service, frozen, ranking, monkeypatch
):
    monkeypatch.setattr(pagination, "FROZEN", frozen)
    draw = random.Random(f"{ranking} {frozen}")
    everything = [f"k{i}" for i in range(16)]
    await put(service, 16)
    await hide_read(service)
    asked: dict[str, Any] = {"user_id": "ada", "ranking": ranking}
    shown: list[str] = []
    read: set[str] = set()
    passed_over: set[str] = set()
    while True:
        page = await service.page(FeedRequest("cosmos", limit=draw.randint(1, 4), **asked))
        here = [item.id for item in page.items]
        assert read.isdisjoint(here)
        shown += here
        if page.next_cursor is None:
            break
        new = set(draw.sample(everything, draw.randint(1, 3)))
        await mark(service, *new)
        read |= new
        passed_over |= new - set(shown)
        asked = {"cursor": page.next_cursor}
    assert len(shown) == len(set(shown))
    assert set(shown) == set(everything) - passed_over
    assert passed_over
    assert not read.isdisjoint(set(everything) - passed_over)


# Saved and history


async def test_a_save_is_an_event_and_what_was_saved_last_comes_first(service, other_process):
    await put(service)
    for place, each in enumerate(("k1", "k4", "k2")):
        await save(service, each, after=place, interaction_id=f"save-{each}")
    await save(service, "k0", "bob")
    await service.record.record_interaction("ada", "k3", "engage", interaction_type="open")
    for each in (service, other_process):
        assert await ids(each, "saved", user_id="ada") == ["k2", "k4", "k1"]
    assert await service.reading.store.unsave("ada", "k4")
    assert not await service.reading.store.unsave("ada", "k4")
    assert await ids(service, "saved", user_id="ada") == ["k2", "k1"]
    # The event again, as of a client that had no answer, does not save it again.
    await save(service, "k4", after=1, interaction_id="save-k4")
    assert await ids(service, "saved", user_id="ada") == ["k2", "k1"]
    await save(service, "k4", after=9)
    assert await ids(service, "saved", user_id="ada") == ["k4", "k2", "k1"]
    assert (await service.reading.states("ada", ["k4", "k3"])).saved == {"k4"}
    assert (await service.record.verify()).differences == 0
    engaged = await service.record.get_interaction_stats("ada", "k4")
    assert engaged["engagements"] == 2


async def test_pages_of_what_is_saved_go_on_while_it_changes(service):
    await put(service, 8)
    for place in range(6):
        await save(service, f"k{place}", after=place)
    first = await service.page(FeedRequest("saved", user_id="ada", limit=2, explain=True))
    assert [item.id for item in first.items] == ["k5", "k4"]
    assert (first.total, first.has_more) == (6, True)
    await service.reading.store.unsave("ada", "k5")
    await service.reading.store.unsave("ada", "k3")
    second = await service.page(FeedRequest("saved", cursor=first.next_cursor, limit=2))
    assert [item.id for item in second.items] == ["k3", "k2"]
    await service.record.record_interaction("ada", "k1", "dismiss")
    assert await ids(service, "saved", cursor=second.next_cursor) == ["k0"]
    assert await ids(service, "saved", user_id="ada") == ["k4", "k2", "k0"]


async def test_neither_mutes_nor_marks_hide_what_a_reader_chose(service):
    await service.kblocks.put([kblock("a", tags=["loud"]), kblock("b", author="mira")])
    await save(service, "a", after=0)
    await save(service, "b", after=1)
    await mark(service, "a")
    await service.readers.prefer(
        "ada", Preferences(hide_read=True, muted_tags=("loud",), muted_authors=("mira",))
    )
    assert await ids(service, user_id="ada") == []
    assert await ids(service, "saved", user_id="ada") == ["b", "a"]
    assert await ids(service, "history", user_id="ada") == ["a"]
    assert await ids(service, "personal", user_id="ada", base_feed="saved") == []


async def test_history_has_what_was_read_last_first(service, database):
    await put(service)
    await mark(service, "k3")
    await mark(service, "k1", "k4")
    async with database.transaction(Kind.WRITE) as connection:
        reads = store.READS
        for place, each in enumerate(("k3", "k1", "k4")):
            at = NOW - timedelta(minutes=9 - place)
            own = update(reads).where(reads.c.kblock_id == each)
            await connection.execute(own.values(read_at=at))
    assert await ids(service, "history", user_id="ada") == ["k4", "k1", "k3"]
    await mark(service, "k1")
    assert await ids(service, "history", user_id="ada") == ["k4", "k1", "k3"]
    assert await service.reading.store.mark_read("ada", ["k3"], again=True) == ["k3"]
    assert await ids(service, "history", user_id="ada") == ["k3", "k4", "k1"]
    await service.kblocks.delete(["k4"])
    assert await ids(service, "history", user_id="ada") == ["k3", "k1"]


# Counts


async def test_counts_are_those_of_the_feeds(service):
    await service.kblocks.put(
        [
            kblock(f"k{i}", layer=i % 4, galois_loss=i / 20, tags=["odd"] if i % 2 else ["even"])
            for i in range(20)
        ]
    )
    await mark(service, "k1", "k2", "k3")
    await service.record.record_interaction("ada", "k4", "dismiss")
    await save(service, "k3")
    await save(service, "k5")
    await save(service, "k4")
    await service.readers.prefer("ada", Preferences(hide_read=True, muted_tags=("odd",)))
    names = [name for name in DEFAULT_FEEDS if name != "personal"]
    counts = await service.reading.counts("ada", [*names, "tag:even"])
    for name in [*names, "tag:even"]:
        page = await service.page(FeedRequest(name, user_id="ada", limit=100))
        assert counts.unread[name] == page.total == len(page.items), name
    assert counts.unread["cosmos"] == 8
    assert counts.saved == len(await ids(service, "saved", user_id="ada")) == 2
    with pytest.raises(UnknownFeed):
        await service.reading.counts("ada", ["nowhere"])
    await save(service, "k6")
    held = await service.reading.counts("ada", ["saved", "history"])
    assert held.unread == {"saved": 1, "history": 0}


# Labels


async def test_every_tag_and_author_has_a_feed(service):
    await service.kblocks.put(
        [
            kblock("a", tags=["x: y", "z"], author="Ada B.", created_at=NOW),
            kblock("b", tags=["z"], created_at=NOW - timedelta(days=1)),
            kblock("c", author="Ada B.", created_at=NOW - timedelta(days=2)),
        ]
    )
    assert await ids(service, "tag:x: y") == ["a"]
    assert await ids(service, "author:Ada B.") == ["a", "c"]
    assert await ids(service, "tag:nothing") == []
    first = await service.page(FeedRequest("tag:z", limit=1))
    assert await ids(service, "tag:z", cursor=first.next_cursor) == ["b"]
    for wrong in ("tag:", "tag: ", "layer:1", "tag", f"tag:{'x' * 61}"):
        with pytest.raises(UnknownFeed):
            await ids(service, wrong)
    with pytest.raises(InvalidInput):
        await service.feeds.put("saved", {})


# Erasure and export


async def test_what_was_read_and_saved_goes_with_its_reader(service, session_factory):
    await put(service)
    erasure = Erasure(session_factory)
    for user in ("ada", "bob"):
        await mark(service, "k1", "k2", user_id=user)
        await save(service, "k2", user)
    pieces = [piece async for piece in PersonalData(session_factory).export("ada")]
    found = json.loads(b"".join(pieces))
    assert [each["kblock_id"] for each in found["reads"]] == ["k1", "k2"]
    assert [each["kblock_id"] for each in found["saves"]] == ["k2"]
    receipt = await erasure.erase(Subject.READER, "ada")
    assert (receipt.counts["reads"], receipt.counts["saves"]) == (2, 1)
    with pytest.raises(Erased):
        await mark(service, "k3")
    assert await ids(service, "saved", user_id="bob") == ["k2"]
    await erasure.erase(Subject.KBLOCK, "k2")
    assert await mark(service, "k2", "k3", user_id="bob") == ["k3"]
    assert await ids(service, "saved", user_id="bob") == []
    states = await service.reading.states("bob", ["k1", "k2", "k3"])
    assert states.read == {"k1", "k3"}

"""Neighbours of K-Blocks, and readers of the same taste, on both databases."""

from datetime import timedelta

import pytest

from harken.domain.kblock import KBlock
from harken.domain.preferences import Preferences
from harken.errors import InvalidInput, NotFound
from harken.services.feed.request import FeedRequest
from harken.services.feed.service import FeedService
from tests.contract.conftest import NOW

HOUR = timedelta(hours=1)
TEXTS = {
    "git": "Rebase a branch onto another, and squash the commits before review.",
    "bread": "Knead the dough, let it rise, and bake the loaf in a hot oven.",
}


def kblock(kblock_id: str, topic: str, hours: int, **fields) -> KBlock:
    return KBlock.parse(
        {
            "id": kblock_id,
            "title": f"About {topic}",
            "content": TEXTS[topic],
            "created_at": NOW - hours * HOUR,
            **fields,
        }
    )


@pytest.fixture
async def feeds(session_factory, record, clock):
    service = FeedService(session_factory, record=record, clock=clock)
    await service.kblocks.put(
        [
            kblock(f"{topic}{n}", topic, n, tags=[topic], author=f"{topic} writer")
            for n in range(8)
            for topic in TEXTS
        ]
    )
    yield service
    await service.close()


async def ids(feeds, kblock_id: str, **options) -> list[str]:
    return [item.id for item in (await feeds.similar(kblock_id, **options)).items]


async def touch(feeds, *kblock_ids: str, readers: range = range(6)) -> None:
    for reader in readers:
        for kblock_id in kblock_ids:
            await feeds.record.record_interaction(f"u{reader}", kblock_id, "engage", None, "like")


async def test_what_is_new_has_neighbours_and_is_one_on_day_one(feeds):
    await feeds.kblocks.put([kblock("new", "git", 0, tags=["git"])])
    found = await feeds.similar("new", limit=5)
    assert all(item.id.startswith("git") for item in found.items)
    assert [item.position for item in found.items] == [0, 1, 2, 3, 4]
    for item in found.items:
        assert item.explanation is not None
        assert item.explanation["behaviour"] == (0.0, 0.0, 0.0)
        assert item.explanation["content"].weight == 1.0
        assert item.score == pytest.approx(sum(e.contribution for e in item.explanation.values()))
    assert "new" in await ids(feeds, "git3", limit=8)


async def test_text_alone_is_enough(feeds):
    await feeds.kblocks.put([kblock("new", "bread", 0)])
    assert all(each.startswith("bread") for each in await ids(feeds, "new", limit=5))


async def test_what_the_same_readers_touch_is_alike_whatever_it_is(feeds):
    odd = KBlock(id="odd", title="Rain", content="It rains on the roof.", created_at=NOW)
    await feeds.kblocks.put([odd])
    await touch(feeds, "odd", "bread5")
    found = await feeds.similar("odd", limit=3)
    assert found.items[0].id == "bread5"
    because = found.items[0].explanation
    assert because is not None
    assert because["behaviour"].value == pytest.approx(6 / 7)
    assert because["behaviour"].weight == pytest.approx(6 / 11)
    assert because["content"].value < 0.2
    back = await feeds.similar("bread5", limit=30)
    assert "odd" in [item.id for item in back.items]


async def test_what_a_reader_dismissed_or_muted_is_left_out(feeds):
    await touch(feeds, "git1", "bread5", "bread6")
    await feeds.record.record_interaction("ada", "bread5", "dismiss")
    await feeds.readers.prefer("ada", Preferences(muted_authors=("git writer",)))
    found = await ids(feeds, "git1", user_id="ada", limit=20)
    assert found[0] == "bread6"
    assert "bread5" not in found
    assert not any(each.startswith("git") for each in found)
    assert "bread5" in await ids(feeds, "git1", user_id="bob", limit=20)
    assert "git1" not in await ids(feeds, "git1", limit=20)


async def test_deleted_ones_and_those_without_text_are_no_neighbours(feeds):
    await touch(feeds, "git1", "bread5", "elsewhere")
    await feeds.kblocks.delete(["bread5"])
    found = await ids(feeds, "git1", limit=30)
    assert "bread5" not in found
    assert "elsewhere" not in found
    for absent in ("bread5", "elsewhere", "never"):
        with pytest.raises(NotFound, match=f"there is no K-Block '{absent}'"):
            await feeds.similar(absent)


async def test_neighbours_are_in_the_ledger(feeds):
    found = await feeds.similar("git1", "ada", 3)
    slate = await feeds.ledger.slate(found.request_id)
    assert (slate["feed"], slate["user_id"]) == ("similar", "ada")
    assert slate["items"] == [item.id for item in found.items]
    assert slate["settings"] == {"kblock_id": "git1"}


@pytest.mark.parametrize("limit", [0, 101])
async def test_limits_are_checked(feeds, limit):
    with pytest.raises(InvalidInput, match="limit: must be 1 to 100"):
        await feeds.similar("git1", limit=limit)


async def test_the_only_kblock_has_no_neighbours(session_factory, record, clock):
    service = FeedService(session_factory, record=record, clock=clock)
    await service.kblocks.put([kblock("alone", "git", 0)])
    assert await ids(service, "alone") == []


async def position(feeds, kblock_id: str, **request) -> int:
    """Return a K-Block's position in a personal feed, read to its end."""
    page = await feeds.page(FeedRequest("personal", limit=100, **request))
    found: list[int] = []
    while not (found := [item.position for item in page.items if item.id == kblock_id]):
        page = await feeds.page(FeedRequest("personal", limit=100, cursor=page.next_cursor))
    return found[0]


async def test_what_readers_of_the_same_taste_liked_is_looked_at(feeds, clock):
    # So old, and by now of so few, that neither time nor trends nor labels lead there.
    await feeds.kblocks.put([kblock("treasure", "bread", 5_000)])
    await feeds.kblocks.put([kblock(f"flood{n}", "git", 2) for n in range(600)])
    shared = [f"git{n}" for n in range(6)]
    await touch(feeds, *shared, "treasure", readers=range(3))
    clock.now += timedelta(days=2)
    await feeds.record.record_batch(
        [{"user_id": "crowd", "kblock_id": f"flood{n}", "action": "engage"} for n in range(300)]
    )
    last = 16 + 600
    assert await position(feeds, "treasure", user_id="ada") == last
    await touch(feeds, *shared, readers=range(3, 4))
    assert await position(feeds, "treasure", user_id="u3") < 420  # among the candidates

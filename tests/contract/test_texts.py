"""The taste of a reader alone with texts: in the personal order, and in its explanation."""

import asyncio

import numpy as np
import pytest

from harken.domain.kblock import KBlock
from harken.services.feed.caches import texts
from harken.services.feed.request import FeedRequest
from harken.services.feed.service import FeedService
from tests.support.waiting import until

TOPICS = {
    "git": "commit branch merge rebase stash remote push checkout index tree",
    "bread": "flour yeast oven dough crust proof knead salt water loaf",
    "sky": "star planet orbit comet telescope galaxy moon eclipse nova dust",
}


@pytest.fixture
async def feeds(session_factory, record, clock):
    service = FeedService(session_factory, record=record, clock=clock)
    yield service
    await service.close()


def note(topic: str, number: int, chance: np.random.Generator) -> KBlock:
    some = chance.choice(TOPICS[topic].split(), 5, replace=False)
    filler = chance.choice([f"word{each}" for each in range(60)], 20)
    return KBlock.parse(
        {
            "id": f"{topic}{number}", "title": f"About {some[0]} {some[1]}",
            "content": " ".join([*some, *filler]),
        }
    )  # fmt: skip


async def shelf(feeds, count=30):
    chance = np.random.default_rng(5)
    await feeds.kblocks.put([note(topic, n, chance) for n in range(count) for topic in TOPICS])


async def react(feeds, action, *kblocks, user="ada"):
    events = [{"user_id": user, "kblock_id": each, "action": action} for each in kblocks]
    assert not (await feeds.record.record_batch(events)).rejected


async def first(feeds, count=10, **settings):
    page = await feeds.page(FeedRequest("personal", "ada", limit=count, **settings))
    return page.items


def share(items, topic):
    return sum(item.id.startswith(topic) for item in items) / len(items)


async def test_a_reader_alone_gets_what_is_like_the_notes_they_liked(feeds):
    await shelf(feeds)
    await react(feeds, "engage", *(f"git{n}" for n in range(5)))
    assert share(await first(feeds), "git") >= 0.8


async def test_what_was_dismissed_counts_against_what_is_like_it(feeds):
    await shelf(feeds)
    await react(feeds, "engage", "sky1", "sky2")
    await react(feeds, "dismiss", *(f"bread{n}" for n in range(6)))
    items = await first(feeds, 80)
    assert share(items[:20], "sky") > share(items[:20], "bread")
    assert share(items[-20:], "bread") > share(items[:20], "bread")


async def test_two_others_do_not_outweigh_what_is_liked(feeds):
    await shelf(feeds)
    await react(feeds, "engage", *(f"git{n}" for n in range(8)))
    for other in ("bob", "eve"):
        await react(feeds, "engage", *(f"bread{n}" for n in range(20)), user=other)
    assert share(await first(feeds), "git") >= 0.7


async def test_the_explanation_names_the_closest_note_that_was_liked(feeds):
    await shelf(feeds)
    await react(feeds, "engage", *(f"git{n}" for n in range(6)))
    liked = {f"git{n}" for n in range(6)}
    items = [item for item in await first(feeds, explain=True) if item.id not in liked]
    named = [item.close_to for item in items if item.close_to is not None]
    assert named
    assert {each.id for each in named} <= liked
    assert items[0].explanation["text"].contribution > 0
    assert all(item.close_to is None for item in await first(feeds))


async def test_texts_follow_changes(feeds):
    await shelf(feeds)
    await react(feeds, "engage", *(f"git{n}" for n in range(6)))
    assert "bread20" not in {item.id for item in await first(feeds, 26)}
    changed = KBlock.parse({"id": "bread20", "title": "Merge and rebase", "content": TOPICS["git"]})
    await feeds.kblocks.put([changed])
    assert "bread20" in {item.id for item in await first(feeds, 26)}
    await feeds.kblocks.delete(["bread20"])
    assert "bread20" not in {item.id for item in await first(feeds)}
    assert len(feeds.profiles.texts.vectors) == 3 * 30 - 1


async def test_a_large_collection_does_not_keep_a_page_waiting(feeds, monkeypatch):
    await shelf(feeds)
    await react(feeds, "engage", *(f"git{n}" for n in range(6)))
    monkeypatch.setattr(texts, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(texts, "PAGE", 10)
    texts._page.cache_clear()
    assert len(await first(feeds)) == 10
    monkeypatch.setattr(texts, "PATIENCE_SECONDS", 60.0)
    await first(feeds)
    texts._page.cache_clear()
    assert len(feeds.profiles.texts.vectors) == 90


async def test_a_reading_that_goes_on_for_long_keeps_nobody_waiting(feeds, monkeypatch):
    await shelf(feeds)
    kept, over = feeds.profiles.texts, asyncio.Event()
    monkeypatch.setattr(texts, "PATIENCE_SECONDS", 3_600.0)
    monkeypatch.setattr(kept, "_read_all", over.wait)
    now = (await feeds.catalogue.fresh()).revision
    first = asyncio.create_task(kept.fresh(now))
    await until(lambda: kept._reading.is_running)
    kept._began -= 3_600
    await asyncio.wait_for(kept.fresh(now), 30)  # the reading goes on
    assert not first.done()
    over.set()
    await first


async def test_two_who_wait_for_one_reading_need_not_agree_on_the_next(feeds):
    await shelf(feeds)
    await react(feeds, "engage", "git1")
    await first(feeds)
    kept = feeds.profiles.texts
    now = (await feeds.profiles._catalogue.fresh()).revision

    async def twice():
        await kept.fresh(now + 1)
        await kept.fresh(now + 2)  # begins before the other goes on

    await asyncio.gather(twice(), *(kept.fresh(now + 1) for _ in range(3)))


@pytest.mark.parametrize("content", ["", "\u0001", "a", "—" * 5_000, "字" * 5_000, "0" * 5_000])
async def test_a_text_without_words_breaks_nothing(feeds, content):
    await shelf(feeds)
    await feeds.kblocks.put([KBlock.parse({"id": "odd", "title": "?", "content": content})])
    await react(feeds, "engage", "odd", *(f"git{n}" for n in range(6)))
    assert share(await first(feeds), "git") >= 0.8

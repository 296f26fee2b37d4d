"""A reader alone, from the first page on: who they are, what they did, and what comes of it."""

import re

import pytest

RECORD = "/api/feed/feedback/record"
TOPICS = {
    "birds": "gulls tits rooks fieldfares plumage nests",
    "bread": "sourdough rye crust yeast oven dough",
    "cycling": "wheels kerbs lanes gloves lights brakes",
    "design": "type margins hyphens contrast paper grid",
}
KBLOCKS = [
    {
        "id": f"{topic}-{number}", "title": f"{topic.title()} {number}", "tags": [topic],
        "content": f"About {words} and number {number}.",
        "created_at": f"2026-10-{1 + 7 * number + at:02}T12:00:00Z",
    }
    for at, (topic, words) in enumerate(TOPICS.items())
    for number in range(4)
]  # fmt: skip


@pytest.fixture
async def alone(client):
    added = await client.post("/api/kblocks/batch", json={"kblocks": KBLOCKS})
    added.raise_for_status()
    return client


def ids(page):
    return re.findall(r'<article class="card"[^>]* data-id="([^"]+)"', page.text)


async def do(client, kblock_id, action, **more):
    event = {"user_id": "ines", "kblock_id": kblock_id, "action": action} | more
    (await client.post(RECORD, json=event)).raise_for_status()


async def test_the_second_visit_shows_what_the_reader_liked(alone):
    first = await alone.get("/", params={"feed": "personal", "user": "ines"})
    assert "birds" not in ids(first)[0]
    for kblock_id in ("birds-0", "birds-1", "bread-0"):
        await do(alone, kblock_id, "engage", interaction_type="open")
    await do(alone, "birds-0", "engage", interaction_type="save")
    await do(alone, "cycling-0", "dismiss")
    second = await alone.get("/", params={"feed": "personal", "user": "ines"})
    assert set(ids(second)[:2]) == {"birds-2", "birds-3"}
    assert "cycling-0" not in ids(second)
    assert "You like its tag birds." in second.text
    saved = await alone.get("/", params={"feed": "saved", "user": "ines"})
    assert ids(saved) == ["birds-0"]


async def test_a_guest_is_told_on_every_feed_that_nothing_is_kept_for_them(alone):
    for feed in ("cosmos", "personal"):
        page = await alone.get("/", params={"feed": feed})
        assert page.text.count("Choose a name") == 1, feed
        named = await alone.get("/", params={"feed": feed, "user": "ines"})
        assert "Choose a name" not in named.text


async def test_a_feed_of_which_all_is_read_says_why_it_is_empty(alone):
    read = {"user_id": "ines", "kblock_ids": [each["id"] for each in KBLOCKS]}
    (await alone.post("/api/feed/reads", json=read)).raise_for_status()
    preferences = {"hide_read": True}
    (await alone.put("/api/users/ines/preferences", json=preferences)).raise_for_status()
    page = await alone.get("/", params={"user": "ines"})
    assert ids(page) == []
    assert "<em>Hide read</em> is on" in page.text

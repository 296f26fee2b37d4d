"""Invalid requests get a problem that says what would be valid, never a server error."""

import asyncio
import random

import pytest

PERSONAL = "/api/feed/personal"
COSMOS = "/api/feed/cosmos"


@pytest.fixture
async def filled(client):
    kblocks = [
        {"id": f"k{i}", "title": f"Note {i}", "layer": i % 4, "tags": ["ab"[i % 2]], "author": "x"}
        for i in range(40)
    ]
    assert (await client.post("/api/kblocks/batch", json={"kblocks": kblocks})).status_code == 200
    actions = ["view", "engage", "dismiss", "contradict"]
    events = [
        {"user_id": f"u{i % 7}", "kblock_id": f"k{i % 40}", "action": actions[i % 4]}
        for i in range(200)
    ]
    recorded = await client.post("/api/feed/feedback/batch", json={"events": events})
    assert recorded.json()["accepted"] == 200
    return client


@pytest.mark.parametrize("kblock_id", [".", ".."])
async def test_a_kblock_that_no_address_could_name(client, kblock_id):
    """Events may have such an id, because K-Blocks of events need not be stored."""
    kblocks = [{"id": each, "title": "A note"} for each in (kblock_id, "...", f"a/{kblock_id}")]
    answer = await client.post("/api/kblocks/batch", json={"kblocks": kblocks})
    assert answer.json()["added"] == 2
    [rejected] = answer.json()["rejected"]
    problem = "id: must not be . or .., which cannot be part of a URL"
    assert rejected == {"index": 0, "error": problem}
    escaped = await client.put("/api/kblocks/" + kblock_id.replace(".", "%2E"), json=kblocks[0])
    assert escaped.status_code == 422
    event = {"user_id": "ada", "kblock_id": kblock_id, "action": "view"}
    assert (await client.post("/api/feed/feedback/record", json=event)).status_code == 200


HALF_LIVES = [
    "2d",
    "0h",
    "-1h",
    "1e3h",
    "NaN",
    "inf",
    "9999999w",
    "",
    "6 h",
    "6H",
    "6h\0",
    "\U0001f600",
]


@pytest.mark.parametrize("half_life", HALF_LIVES)
async def test_half_lives(filled, half_life):
    resolved = {"ranking": "trending", "half_life": half_life}
    of_feed = await filled.get(COSMOS, params=resolved)
    of_rank = await filled.post("/api/feed/rank", json={"kblock_ids": ["k1"], **resolved})
    for answer in (of_feed, of_rank):
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "half_life"


@pytest.mark.parametrize(
    "base", ["personal", "nope", "", "\0", "a\0b", "\U0001f600", "x" * 300, "rank"]
)
async def test_feeds_under_a_personal_one(filled, base):
    answer = await filled.get(PERSONAL, params={"base_feed": base})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "base_feed"


@pytest.mark.parametrize("user_id", ["%00", "x" * 65, "", "%20"])
async def test_readers(filled, user_id):
    for answer in (
        await filled.get(f"{PERSONAL}?user_id={user_id}"),
        await filled.get(f"/api/users/{user_id}/profile"),
        await filled.delete(f"/api/users/{user_id}/profile"),
        await filled.get(f"/api/users/{user_id}/preferences"),
    ):
        assert answer.status_code == 422
        assert "user_id" in answer.json()["detail"]
    assert (await filled.get("/api/users/guest/profile")).status_code == 422


async def test_cursors_that_are_used_for_something_else(filled):
    resolved = [
        f"{PERSONAL}?user_id=u1",
        f"{PERSONAL}?user_id=u1&base_feed=axioms",
        f"{PERSONAL}?temperature=0.5&most_per_tag=2",
        f"{COSMOS}?ranking=trending&half_life=1d",
        f"{COSMOS}?ranking=weighted",
        COSMOS,
    ]
    others = [
        "user_id=u2", "ranking=coherence", "half_life=7d", "half_life=bad", "base_feed=handwavy",
        "weights=attention:1", "temperature=1", "seed=4", "most_per_author=3", "offset=3",
        "max_loss=0.5",
    ]  # fmt: skip
    for url in resolved:
        first = await filled.get(url, params={"limit": 3})
        path, cursor = url.partition("?")[0], first.json()["next_cursor"]
        rest = await filled.get(path, params={"cursor": cursor, "limit": 100, "explain": True})
        both = [item["id"] for page in (first, rest) for item in page.json()["items"]]
        assert len(both) == len(set(both)) == first.json()["total"]
        for other in others:
            answer = await filled.get(f"{path}?cursor={cursor}&{other}")
            assert answer.status_code == 422, (url, other)
            assert "<" not in answer.json()["detail"]
        for feed in {PERSONAL, COSMOS, "/api/feed/feeds/axioms"} - {path}:
            assert (await filled.get(feed, params={"cursor": cursor})).status_code == 422


async def test_pages_with_nothing_on_them(filled):
    far = await filled.get(f"{PERSONAL}?user_id=u1&offset=5000&explain=true")
    assert (far.status_code, far.json()["items"]) == (200, [])
    muted = {"muted_authors": ["x"], "muted_tags": [f"t{i}" for i in range(200)]}
    assert (await filled.put("/api/users/u1/preferences", json=muted)).status_code == 200
    for query in ("", "&explain=true", "&temperature=1", "&most_per_tag=1"):
        page = await filled.get(f"{PERSONAL}?user_id=u1{query}")
        assert (page.status_code, page.json()["items"], page.json()["total"]) == (200, [], 0)
    for ranking in ("personal", "trending"):
        resolved = {"kblock_ids": ["k1"], "user_id": "u1", "ranking": ranking, "explain": True}
        ranked = await filled.post("/api/feed/rank", json=resolved)
        assert (ranked.status_code, ranked.json()["items"]) == (200, [])


async def test_readers_are_reset_and_k_blocks_deleted_while_pages_are_made(filled):
    async def work(seed: int) -> set[int]:
        chance = random.Random(seed)
        codes = set()
        for _ in range(20):
            kblock = f"/api/kblocks/k{chance.randrange(40)}"
            match chance.randrange(6):
                case 0:
                    answer = await filled.delete("/api/users/u1/profile")
                case 1:
                    answer = await filled.get(f"{PERSONAL}?user_id=u1&explain=true&limit=7")
                case 2:
                    event = {"user_id": "u1", "kblock_id": f"k{seed}", "action": "engage"}
                    answer = await filled.post("/api/feed/feedback/record", json=event)
                case 3:
                    answer = await filled.delete(kblock)
                case 4:
                    answer = await filled.put(kblock, json={"title": "Again", "tags": ["c"]})
                case _:
                    resolved = {"kblock_ids": [f"k{i}" for i in range(9)], "user_id": "u1"}
                    ranking = chance.choice(["personal", "trending"])
                    body = {**resolved, "ranking": ranking, "explain": True}
                    answer = await filled.post("/api/feed/rank", json=body)
            codes.add(int(answer.status_code))
        return codes

    found = await asyncio.gather(*(work(seed) for seed in range(6)))
    assert set().union(*found) <= {200, 201, 204, 404}

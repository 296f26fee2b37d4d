"""Random exploration and caps, over REST."""

import pytest

from tests.api.test_feed import assert_problem
from tests.api.test_feeds import COSMOS, ITEM

COHERENT = "/api/feed/coherent"
RANK = "/api/feed/rank"


async def fill(client) -> None:
    kblocks = [
        {
            "id": f"k{i}", "title": "K", "author": "ab"[i % 2], "galois_loss": 0.02 * i,
            "created_at": f"2026-01-0{9 - i}T00:00:00Z",
        }
        for i in range(6)
    ]  # fmt: skip
    answer = await client.post("/api/kblocks/batch", json={"kblocks": kblocks})
    assert answer.json()["added"] == 6


async def test_what_is_drawn_says_how_likely_it_was(client):
    await fill(client)
    query = {"temperature": 0.1, "seed": 4, "limit": 4}
    page = (await client.get(COHERENT, params=query)).json()
    assert set(page["items"][0]) == ITEM | {"propensity"}
    assert all(0 < item["propensity"] < 1 for item in page["items"])
    rest = (await client.get(COHERENT, params={"cursor": page["next_cursor"]})).json()
    assert rest["items"][-1]["propensity"] == 1
    assert {item["id"] for item in page["items"] + rest["items"]} == {f"k{i}" for i in range(6)}
    assert (await client.get(COHERENT, params=query)).json()["items"] == page["items"]
    plain = (await client.get(COHERENT, params={"temperature": 0})).json()
    assert set(plain["items"][0]) == ITEM


async def test_caps_hold_on_a_page_in_the_order_of_time_too(client):
    await client.put("/api/kblocks/x", json={"title": "X", "author": "a", "tags": ["t"]})
    await client.put("/api/kblocks/y", json={"title": "Y", "author": "a", "tags": ["t"]})
    await client.put("/api/kblocks/z", json={"title": "Z", "author": "b"})
    for cap in ("most_per_author", "most_per_tag"):
        page = (await client.get(COSMOS, params={"limit": 2, cap: 1})).json()
        assert [item["id"] for item in page["items"]] == ["z", "y"]
        rest = (await client.get(COSMOS, params={"cursor": page["next_cursor"]})).json()
        assert [item["id"] for item in rest["items"]] == ["x"]
    page = (await client.get(COSMOS, params={"most_per_author": 1})).json()
    assert [item["id"] for item in page["items"]] == ["z", "y", "x"]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"temperature": "0.1"}, "temperature: needs a ranking by score"),
        ({"ranking": "weighted", "temperature": "-1"}, "temperature: "),
        ({"ranking": "weighted", "temperature": "nan"}, "temperature: "),
        ({"ranking": "weighted", "temperature": "0.0001"}, "temperature: must be 0, or from"),
        ({"ranking": "weighted", "temperature": "hot"}, "temperature: "),
        ({"seed": "1"}, "seed: needs a temperature above 0"),
        ({"ranking": "weighted", "temperature": "1", "seed": str(2**53)}, "seed: "),
        ({"ranking": "weighted", "temperature": "1", "seed": "-1"}, "seed: "),
        ({"most_per_author": "0"}, "most_per_author: "),
        ({"most_per_tag": "101"}, "most_per_tag: "),
        ({"most_per_tag": "1.5"}, "most_per_tag: "),
    ],
)
async def test_what_makes_no_sense_is_refused(client, query, message):
    field = message.partition(":")[0]
    assert message in assert_problem(await client.get(COSMOS, params=query), 422, field)["detail"]


async def test_a_cursor_settles_chance_and_caps(client):
    await fill(client)
    query = {"temperature": 0.1, "seed": 4, "most_per_author": 1, "limit": 2}
    cursor = (await client.get(COHERENT, params=query)).json()["next_cursor"]
    assert (await client.get(COHERENT, params=query | {"cursor": cursor})).status_code == 200
    for wrong in ({"temperature": 0.2}, {"seed": 5}, {"most_per_author": 2}, {"most_per_tag": 1}):
        answer = await client.get(COHERENT, params={"cursor": cursor, **wrong})
        assert "not what the cursor is for" in assert_problem(answer, 422, *wrong)["detail"]


async def test_candidates_can_be_drawn(client):
    await fill(client)
    body = {
        "kblock_ids": [f"k{i}" for i in range(6)], "ranking": "coherence", "temperature": 0.1,
        "seed": 4,
    }  # fmt: skip
    drawn = (await client.post(RANK, json=body)).json()
    assert drawn["items"] == (await client.post(RANK, json=body)).json()["items"]
    assert all(0 < item["propensity"] <= 1 for item in drawn["items"])
    assert drawn["items"][-1]["propensity"] == 1
    certain = body | {"temperature": 0, "seed": None}
    answer = await client.post(RANK, json=certain)
    assert not any("propensity" in item for item in answer.json()["items"])
    for wrong, field in (
        ({"temperature": "0.1"}, "temperature"),
        ({"temperature": -1}, "temperature"),
        ({"temperature": 0}, "seed"),
        ({"seed": 1.5}, "seed"),
        ({"ranking": "chronological"}, "temperature"),
        ({"most_per_author": 1}, "most_per_author"),
    ):
        assert_problem(await client.post(RANK, json=body | wrong), 422, field)


async def test_a_feed_and_candidates_can_be_explored(client):
    await fill(client)
    query = {"explore": "thompson", "seed": 4, "limit": 4}
    page = (await client.get(COHERENT, params=query)).json()
    assert set(page["items"][0]) == ITEM | {"propensity"}
    rest = (await client.get(COHERENT, params={"cursor": page["next_cursor"]})).json()
    assert {item["id"] for item in page["items"] + rest["items"]} == {f"k{i}" for i in range(6)}
    body = {"kblock_ids": ["k0", "k1", "k2"], "ranking": "coherence", "explore": "thompson"}
    ranked = (await client.post(RANK, json=body)).json()
    assert all(0 < item["propensity"] <= 1 for item in ranked["items"])
    for wrong, field in (
        ({"explore": "greedy"}, "explore"), ({"temperature": 0.1}, "explore"),
        ({"ranking": "chronological"}, "explore"), ({"explore": 1}, "explore"),
    ):  # fmt: skip
        assert_problem(await client.post(RANK, json=body | wrong), 422, field)
    cosmos = await client.get(COSMOS, params={"explore": "thompson"})
    assert "needs a ranking by score" in assert_problem(cosmos, 422, "explore")["detail"]


async def test_the_configuration_says_what_may_be_asked(client):
    limits = (await client.get("/api/feed/config")).json()["limits"]
    assert limits["temperature"] == {"least": 0.001, "most": 1_000_000}
    assert limits["explore"] == ["thompson"]
    assert (limits["most_per_author"], limits["most_per_tag"]) == (100, 100)

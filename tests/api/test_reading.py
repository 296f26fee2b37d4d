"""REST of what readers have read and saved."""

from typing import Any

from harken.domain.feeds import DEFAULT_FEEDS
from harken.services.integrity.quarantine.acts import Quarantine
from harken.services.providers import get_feed_feedback_persistence, get_session_factory


async def fill(client, count: int = 4) -> None:
    made = [{"id": f"k/{i}", "title": f"K {i}", "layer": i, "tags": ["x"]} for i in range(count)]
    (await client.post("/api/kblocks/batch", json={"kblocks": made})).raise_for_status()


async def record(client, kblock_id: str, user_id: str = "ada", **fields) -> str:
    event = {"user_id": user_id, "kblock_id": kblock_id, "action": "engage", **fields}
    answer = await client.post("/api/feed/feedback/record", json=event)
    answer.raise_for_status()
    return str(answer.json()["interaction_id"])


async def items(client, feed: str, **asked) -> list[dict]:
    answer = await client.get(f"/api/feed/{feed}", params={"user_id": "ada", **asked})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


async def mark(client, *kblock_ids: str, **fields):
    body = {"user_id": "ada", "kblock_ids": kblock_ids, **fields}
    return await client.post("/api/feed/reads", json=body)


async def test_marks_are_told_with_items_where_they_are_asked_for(client):
    await fill(client)
    assert (await mark(client, "k/1", "k/2", "nothing")).json() == {"changed": ["k/1", "k/2"]}
    assert (await mark(client, "k/2", is_read=False)).json() == {"changed": ["k/2"]}
    await record(client, "k/3", interaction_type="save")
    found = {item["id"]: item for item in await items(client, "cosmos", state=True)}
    states = {each: (item["is_read"], item["is_saved"]) for each, item in found.items()}
    assert states == {
        "k/0": (False, False), "k/1": (True, False), "k/2": (False, False), "k/3": (False, True),
    }  # fmt: skip
    assert all("is_read" not in item for item in await items(client, "cosmos"))
    guests = (await client.get("/api/feed/cosmos", params={"state": True})).json()["items"]
    assert not any(item["is_read"] or item["is_saved"] for item in guests)


async def test_saved_and_history_are_feeds(client):
    await fill(client)
    for each in ("k/2", "k/0"):
        await record(client, each, interaction_type="save")
    await mark(client, "k/1")
    assert [item["id"] for item in await items(client, "saved", limit=1)] == ["k/0"]
    assert [item["id"] for item in await items(client, "feeds/saved")] == ["k/0", "k/2"]
    assert [item["id"] for item in await items(client, "history")] == ["k/1"]
    assert [item["id"] for item in await items(client, "feeds/tag:x", ranking="popularity")][:2]
    asked = {"user_id": "ada"}
    for status in (200, 404):
        answer = await client.delete("/api/feed/saved/k%2F0", params=asked)
        assert answer.status_code == status
    assert [item["id"] for item in await items(client, "saved")] == ["k/2"]
    assert (await client.get("/api/feed/saved")).json()["items"] == []
    declared = (await client.get("/api/feed/feeds/saved/declaration")).json()
    assert declared["ranking"] == "saved"
    assert (await client.put("/api/feed/feeds/saved", json={})).status_code == 422


async def test_counts_and_hidden_feeds_agree(client):
    await fill(client)
    await mark(client, "k/1")
    await record(client, "k/1", interaction_type="save")
    (await client.put("/api/users/ada/preferences", json={"hide_read": True})).raise_for_status()
    counts = (await client.get("/api/feed/unread", params={"user_id": "ada"})).json()
    assert counts["saved"] == 1
    assert set(counts["unread"]) == set(DEFAULT_FEEDS) - {"personal"}
    for feed, unread in counts["unread"].items():
        assert len(await items(client, feed)) == unread
    some = {"user_id": "ada", "feed": ["tag:x", "axioms"]}
    assert (await client.get("/api/feed/unread", params=some)).json()["unread"] == {
        "tag:x": 3, "axioms": 1,
    }  # fmt: skip


async def test_what_is_wrong_is_refused(client):
    await fill(client, 1)
    for body, status in (
        ({"user_id": "guest", "kblock_ids": ["k/0"]}, 422),
        ({"kblock_ids": ["k/0"]}, 422),
        ({"user_id": "ada", "kblock_ids": []}, 422),
        ({"user_id": "ada", "kblock_ids": ["k"] * 1_001}, 422),
        ({"user_id": "ada", "kblock_ids": ["k/0"], "read": True}, 422),
    ):
        assert (await client.post("/api/feed/reads", json=body)).status_code == status, body
    for asked, status in (
        ({"user_id": "guest"}, 422),
        ({"user_id": "ada", "feed": "nowhere"}, 404),
        ({"user_id": "ada", "feed": ["cosmos"] * 33}, 422),
        ({}, 422),
    ):
        answer = await client.get("/api/feed/unread", params=asked)
        assert answer.status_code == status, asked


async def test_a_contradiction_is_taken_back_by_who_said_it_alone(client):
    await fill(client)
    said: dict[str, Any] = {"action": "contradict", "metadata": {"contradicts": "k/1"}}
    event = await record(client, "k/0", **said)
    liked = await record(client, "k/0")
    assert len(await items(client, "contradictions")) == 2
    path = "/api/feed/contradictions"
    for user, each, status in (
        ("bob", event, 404), ("ada", liked, 404), ("guest", event, 422), ("ada", event, 200),
        ("ada", event, 200),
    ):  # fmt: skip
        answer = await client.delete(f"{path}/{each}", params={"user_id": user})
        assert answer.status_code == status, answer.text
    assert await items(client, "contradictions") == []
    persistence = await get_feed_feedback_persistence()
    assert (await persistence.verify()).differences == 0
    [act] = await Quarantine(await get_session_factory()).audit.acts()
    assert (act.by, act.id, act.events) == ("its reader", event, 1)

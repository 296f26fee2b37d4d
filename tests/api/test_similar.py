"""Similar K-Blocks, over REST."""

import pytest

from tests.api.test_feed import assert_problem

KBLOCKS = [
    {"id": f"notes/{name}", "title": f"On {name}", "tags": ["git"], "content": f"About {name}."}
    for name in ("rebase", "merge", "squash")
]


@pytest.fixture
async def filled(client):
    response = await client.post("/api/kblocks/batch", json={"kblocks": KBLOCKS})
    assert response.json()["added"] == 3
    return client


async def test_neighbours_come_with_their_reasons(filled):
    answer = (await filled.get("/api/kblocks/notes/rebase/similar?limit=1")).json()
    assert set(answer) == {"kblock_id", "items", "request_id"}
    assert answer["kblock_id"] == "notes/rebase"
    [item] = answer["items"]
    assert item["id"] in {"notes/merge", "notes/squash"}
    assert set(item["explanation"]) == {"behaviour", "content"}
    parts = item["explanation"].values()
    assert item["score"] == pytest.approx(sum(part["contribution"] for part in parts))
    assert set(item["explanation"]["content"]) == {"value", "weight", "contribution"}


async def test_what_a_reader_dismissed_is_left_out(filled):
    event = {"user_id": "ada", "kblock_id": "notes/merge", "action": "dismiss"}
    assert (await filled.post("/api/feed/feedback/record", json=event)).status_code == 200
    answer = (await filled.get("/api/kblocks/notes/rebase/similar?user_id=ada")).json()
    assert [item["id"] for item in answer["items"]] == ["notes/squash"]


async def test_what_was_served_can_be_named_by_an_event(filled):
    answer = (await filled.get("/api/kblocks/notes/rebase/similar")).json()
    event = {
        "user_id": "ada", "kblock_id": answer["items"][0]["id"], "action": "view",
        "request_id": answer["request_id"], "position": 0,
    }  # fmt: skip
    assert (await filled.post("/api/feed/feedback/record", json=event)).json()["success"]


async def test_the_kblock_itself_is_still_there(filled):
    answer = (await filled.get("/api/kblocks/notes/rebase")).json()
    assert answer["title"] == "On rebase"


async def test_an_unknown_id_and_wrong_parameters_are_problems(filled):
    assert_problem(await filled.get("/api/kblocks/never/similar"), 404)
    path = "/api/kblocks/notes/rebase/similar"
    assert_problem(await filled.get(path, params={"limit": 0}), 422, "limit")
    assert_problem(await filled.get(path, params={"limit": 101}), 422, "limit")
    assert_problem(await filled.get(path, params={"user_id": ""}), 422, "user_id")
    assert_problem(await filled.get(path, params={"users": "ada"}), 422, "users")

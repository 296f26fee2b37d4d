"""The routes that show and erase what is held on a reader."""

import asyncio

import pytest

from harken.services.access.key_store import KeyStore
from harken.services.access.rights import Scope
from tests.support.access import as_key, service

POLL_SECONDS = 0.05
VIEW = {"user_id": "ada-4711", "kblock_id": "k1", "action": "view", "interaction_id": "e1"}


@pytest.fixture
async def client(database_url, session_factory, monkeypatch):
    key = await KeyStore(session_factory).create("all", scopes=list(Scope))
    async with service(database_url, monkeypatch) as opened:
        opened.headers.update(as_key(key.text))
        yield opened


async def test_a_reader_is_exported_erased_and_readmitted(client):
    await client.post("/api/feed/feedback/record", json=VIEW)
    await client.put("/api/kblocks/k1", json={"title": "One"})
    await client.get("/api/feed/cosmos", params={"user_id": "ada-4711"})
    exported = await client.get("/api/users/ada-4711/export")
    assert exported.status_code == 200
    assert exported.headers["cache-control"] == "private, no-store"
    found = exported.json()
    assert [each["id"] for each in found["events"]] == ["e1"]
    assert [each["items"] for each in found["slates"]] == [["k1"]]
    assert found["interests"]["interactions"] == 1

    preview = (await client.post("/api/users/ada-4711/erasure?dry_run=true")).json()
    assert preview["removed"]["slates"] == 1
    assert preview["receipt_id"] is None
    receipt = await client.post("/api/users/ada-4711/erasure")
    assert receipt.status_code == 200
    assert receipt.json()["removed"] == {"events": 1, "slates": 1}
    assert "ada-4711" not in receipt.text
    for again in (VIEW, VIEW | {"interaction_id": "e2"}):
        refused = await client.post("/api/feed/feedback/record", json=again)
        assert refused.status_code == 410
        assert "erased" in refused.json()["detail"]
    batch = {"events": [VIEW, VIEW | {"user_id": "bob", "interaction_id": "e3"}]}
    answer = (await client.post("/api/feed/feedback/batch", json=batch)).json()
    assert answer["accepted"] == 1
    assert [each["index"] for each in answer["rejected"]] == [0]
    page = await client.get("/api/feed/cosmos", params={"user_id": "ada-4711"})
    assert page.status_code == 410
    assert (await client.put("/api/users/ada-4711", json={"principles": []})).status_code == 410

    assert (await client.delete("/api/users/ada-4711/erasure")).json() == {"success": True}
    assert (await client.post("/api/feed/feedback/record", json=VIEW)).json()["success"]
    assert (await client.delete("/api/users/ada-4711/erasure")).status_code == 404


async def test_the_log_of_a_kblock_is_erased_and_its_page_goes_on(client):
    await client.put("/api/kblocks/k1", json={"title": "One"})
    await client.post("/api/feed/feedback/record", json=VIEW)
    receipt = await client.post("/api/kblocks/k1/erasure")
    assert receipt.json()["removed"]["events"] == 1
    assert (await client.post("/api/feed/feedback/record", json=VIEW)).status_code == 410
    assert (await client.get("/api/kblocks/k1")).status_code == 200
    assert (await client.delete("/api/kblocks/k1/erasure")).status_code == 200


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/users/guest/export", 422),
        ("POST", "/api/users/guest/erasure", 422),
        ("DELETE", "/api/users/guest/erasure", 422),
        ("POST", "/api/users/nobody/erasure", 404),
        ("DELETE", "/api/users/nobody/erasure", 404),
        ("POST", "/api/kblocks/nothing/erasure", 404),
        ("POST", "/api/users/ada/erasure?dry_run=perhaps", 422),
        ("GET", f"/api/users/{'x' * 65}/export", 422),
    ],
)
async def test_what_cannot_be_done_is_said(client, method, path, status):
    answer = await client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_vanished_count_leaves_the_index_and_the_profile(client):
    for name in ("k1", "k2"):
        await client.put(f"/api/kblocks/{name}", json={"title": name, "tags": [name]})
    for i in range(12):
        event = VIEW | {"action": "engage", "interaction_id": f"e{i}"}
        await client.post("/api/feed/feedback/record", json=event)
    by_attention = {"ranking": "attention", "explain": "true"}
    before = (await client.get("/api/feed/cosmos", params=by_attention)).json()["items"]
    assert [each["id"] for each in before] == ["k1", "k2"]
    assert before[0]["attention_score"] > 0
    profile = (await client.get("/api/users/ada-4711/profile")).json()
    assert profile["interactions"] == 12
    await client.post("/api/users/ada-4711/erasure")
    async with asyncio.timeout(60):
        while True:
            after = (await client.get("/api/feed/cosmos", params=by_attention)).json()["items"]
            if [each["attention_score"] for each in after] == [0.0, 0.0]:
                break
            await asyncio.sleep(POLL_SECONDS)
    profile = (await client.get("/api/users/ada-4711/profile")).json()
    assert profile["interactions"] == 0

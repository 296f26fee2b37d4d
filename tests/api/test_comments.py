"""Comments over REST and in pages: anybody who reads sees them, who wrote them changes them."""

import re
from html import unescape
from typing import Any

import pytest
from fastapi import FastAPI

from harken.protocols.api.feed import create_feed_router
from tests.api.conftest import client_of
from tests.api.test_bound_readers import reader_of
from tests.api.test_reader import NASTY, is_harmless, put
from tests.support.access import as_key, as_page, make_keys, service

RECORD = "/api/feed/feedback/record"
LIST = "/api/kblocks/k%2F1/comments"


async def say(client, text: str, kblock_id: str = "k/1", user_id: str = "ada", **sent) -> str:
    event = {
        "user_id": user_id, "kblock_id": kblock_id, "action": "engage",
        "interaction_type": "comment", "metadata": {"text": text},
    }  # fmt: skip
    answer = await client.post(RECORD, json=event, **sent)
    answer.raise_for_status()
    return str(answer.json()["interaction_id"])


async def listed(client, path: str = LIST, **sent) -> list[dict[str, Any]]:
    answer = await client.get(path, **sent)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["comments"]
    return found


async def test_comments_are_listed_edited_and_removed(client):
    first = await say(client, "First.")
    await say(client, "Second.", user_id="bob")
    await say(client, "Of a guest.", user_id="guest")
    await say(client, "Elsewhere.", "k/2")
    both = await listed(client)
    assert [(each["user_id"], each["text"]) for each in both] == [
        ("ada", "First."), ("bob", "Second."),
    ]  # fmt: skip
    assert both[0]["comment_id"] == first
    page = (await client.get(LIST, params={"limit": 1})).json()
    assert (page["total"], page["next_offset"]) == (2, 1)
    page = (await client.get(LIST, params={"limit": 1, "offset": 1})).json()
    assert (page["comments"][0]["text"], page["next_offset"]) == ("Second.", None)
    path = f"/api/comments/{first}"
    edited = await client.patch(path, json={"user_id": "ada", "text": " Better.\n"})
    assert edited.status_code == 200
    assert edited.json() == {
        **both[0], "text": "Better.", "edited_at": edited.json()["edited_at"],
    }  # fmt: skip
    assert edited.json()["edited_at"] is not None
    assert (await listed(client))[0] == edited.json()
    # The item that is named so has no list of its own.
    await client.put("/api/kblocks/k%2Fcomments", json={"title": "Named so"})
    assert (await client.get("/api/kblocks/k%2Fcomments")).json()["title"] == "Named so"
    for status in (200, 404):
        answer = await client.delete(path, params={"user_id": "ada"})
        assert answer.status_code == status
    assert [each["text"] for each in await listed(client)] == ["Second."]
    stats = (await client.get("/api/feed/analytics", params={"min_interactions": 0})).json()
    assert "k/1" in str(stats)
    assert await listed(client, "/api/kblocks/nowhere/comments") == []


async def test_what_is_wrong_is_refused(client):
    comment = await say(client, "Mine.")
    path = f"/api/comments/{comment}"
    ada = {"user_id": "ada"}
    for body, status in (
        (ada | {"text": ""}, 422), (ada | {"text": " \n"}, 422), (ada | {"text": 7}, 422),
        (ada | {"text": "x" * 16_001}, 422), (ada | {"text": "a\u0000b"}, 422), (ada, 422),
        (ada | {"text": "x", "more": 1}, 422), ({"text": "x"}, 422),
        ({"user_id": "guest", "text": "x"}, 422), ({"user_id": "bob", "text": "x"}, 404),
    ):  # fmt: skip
        assert (await client.patch(path, json=body)).status_code == status, body
    for asked, status in (({}, 422), ({"user_id": "guest"}, 422), ({"user_id": "bob"}, 404)):
        assert (await client.delete(path, params=asked)).status_code == status, asked
    for page in ({"limit": 0}, {"limit": 101}, {"offset": -1}, {"offset": 2**31}, {"x": 1}):
        assert (await client.get(LIST, params=page)).status_code == 422, page
    [still] = await listed(client)
    assert (still["text"], still["edited_at"]) == ("Mine.", None)


async def test_a_token_edits_as_its_reader_alone(database_url, session_factory, monkeypatch):
    """By every kind of credential: each acts for the reader it is bound to, or is refused."""
    keys = await make_keys(session_factory)
    async with service(database_url, monkeypatch) as client:
        both = {user: as_page(keys["publishable"], user) for user in ("ada", "bob")}
        comment = await say(client, "Mine.", headers=both["ada"])
        path, change = f"/api/comments/{comment}", {"text": "Theirs."}
        tried = {
            "another reader's token": (both["bob"], change, {404}),
            "another reader's token in her name": (
                both["bob"], change | {"user_id": "ada"}, {403},
            ),
            "a page without a token": (
                as_page(keys["publishable"]), change | {"user_id": "ada"}, {403},
            ),
            "a key that reads": (as_key(keys["read"]), change | {"user_id": "ada"}, {403}),
            "a key that writes": (as_key(keys["ingest"]), change | {"user_id": "bob"}, {404}),
            "a key that writes, for nobody": (as_key(keys["ingest"]), change, {422}),
            "no key": ({}, change | {"user_id": "ada"}, {401}),
        }  # fmt: skip
        for name, (sent, body, statuses) in tried.items():
            answer = await client.patch(path, json=body, headers=sent)
            assert answer.status_code in statuses, (name, answer.text)
            asked = {key: value for key, value in body.items() if key == "user_id"}
            answer = await client.delete(path, params=asked, headers=sent)
            assert answer.status_code in statuses, (name, answer.text)
        [still] = await listed(client, headers=both["bob"])
        assert (still["text"], still["edited_at"]) == ("Mine.", None)
        answer = await client.patch(path, json={"text": "Still mine."}, headers=both["ada"])
        assert answer.json()["text"] == "Still mine."
        assert (await client.delete(path, headers=both["ada"])).status_code == 200


async def test_the_pages_show_comments_and_let_their_writer_change_them(client):
    await put(client, "a", content="See [B](b).", author="Mira", tags=["x"],
              edges=[{"target": "b"}])  # fmt: skip
    await put(client, "b")
    await say(client, NASTY, "a")
    await say(client, "Of Bob.", "a", "bob")
    own = await client.get("/kblock", params={"id": "a", "user": "ada"})
    assert own.status_code == 200, own.text
    assert is_harmless(own.text)
    assert NASTY in unescape(own.text)
    assert own.text.count('data-act="edit"') == own.text.count('data-act="remove"') == 1
    assert "amp;49" not in own.text
    part = (await client.get("/reader/comments", params={"id": "a", "user": "bob"})).text
    assert part.count('data-act="edit"') == 1
    guests = (await client.get("/kblock", params={"id": "a"})).text
    assert "Of Bob." in guests
    assert 'data-act="edit"' not in guests
    for offered in ("comment", "contradict", "more-like", "mute"):
        assert f'data-do="{offered}"' not in guests, offered
        assert f'data-do="{offered}"' in own.text, offered
    for path, asked in (("/", {}), ("/search", {"q": "a"})):
        cards = (await client.get(path, params=asked | {"user": "ada"})).text
        counts = re.findall(r'data-do="comments"[^>]*?(hidden)?[^>]*><b[^>]*>(\d+)', cards)
        assert max(count for _hidden, count in counts) == "2", path
        assert 'data-do="comment"' in cards
        assert 'data-do="comment"' not in (await client.get(path, params=asked)).text


async def test_the_page_of_a_note_leads_on(client):
    await put(client, "a", content="See B.", tags=["x"], edges=[{"target": "b"}])
    await put(client, "b", tags=["x"])
    await put(client, "c", tags=["x"], edges=[{"target": "a"}])
    page = (await client.get("/kblock", params={"id": "a", "user": "ada"})).text
    _, _, after = page.partition('aria-label="Links to"')
    to, _, linked = after.partition('aria-label="Linked from"')
    assert "/kblock?id=b&amp;user=ada" in to
    assert "/kblock?id=c&amp;user=ada" in linked
    similar = (await client.get("/reader/similar", params={"id": "a", "user": "ada"})).text
    assert set(re.findall(r'data-id="([^"]+)"', similar)) == {"b", "c"}
    assert "feed=tag%3Ax" in similar
    why = (await client.get("/reader/why", params={"id": "a", "user": "ada"})).text
    assert "the tag x: no interest" in why
    for path in ("comments", "similar", "why"):
        missing = await client.get(f"/reader/{path}", params={"id": "none", "user": "ada"})
        assert missing.status_code == (200 if path == "comments" else 404), path


@pytest.mark.parametrize("path", ["/?feed=contradictions", "/kblock?id=a"])
async def test_who_said_a_contradiction_is_offered_to_take_it_back(client, path):
    for each in ("a", "b"):
        await put(client, each)
    said = {"user_id": "ada", "kblock_id": "b", "action": "contradict",
            "metadata": {"contradicts": "a"}}  # fmt: skip
    events = []
    for user in ("ada", "bob"):
        answer = await client.post(RECORD, json=said | {"user_id": user})
        events.append(answer.json()["interaction_id"])

    async def offered(user: str) -> list[str]:
        page = (await client.get(path, params=_of(path) | {"user": user})).text
        return re.findall(r'data-events="([^"]*)"', page)

    for user, event in zip(("ada", "bob"), events, strict=True):
        found = await offered(user)
        assert set(map(unescape, found)) == {f'["{event}"]'}
    assert await offered("carl") == []
    taken = await client.delete(f"/api/feed/contradictions/{events[0]}", params={"user_id": "ada"})
    assert taken.status_code == 200
    assert await offered("ada") == []
    # Bob's is still there, so the notes still contradict each other.
    assert (await client.get("/api/kblocks/a")).json()["contradicts"] == ["b"]
    assert len(await offered("bob")) == (1 if "id=a" in path else 2)


def _of(path: str) -> dict[str, str]:
    return dict(each.split("=") for each in path.partition("?")[2].split("&") if each)


async def test_a_mounted_router_has_comments_only_where_they_are_named(session_factory):
    for groups, status in ((["record"], 404), (["record", "comments"], 200)):
        app = FastAPI()
        app.include_router(create_feed_router(session_factory, user=reader_of, include=groups))
        async with client_of(app) as client:
            comment = await say(client, "Mine.", user_id="ada", headers={"X-Reader": "ada"})
            found = await client.get(LIST, headers={"X-Reader": "bob"})
            assert found.status_code == status
            if status == 404:
                continue
            path = f"/api/comments/{comment}"
            for user, expected in ((None, 422), ("bob", 404), ("stranger", 401), ("ada", 200)):
                sent = {} if user is None else {"X-Reader": user}
                edited = await client.patch(path, json={"text": "Edited."}, headers=sent)
                assert edited.status_code == expected, user
            other = await client.delete(
                path, params={"user_id": "ada"}, headers={"X-Reader": "bob"}
            )
            assert other.status_code == 403
            texts = {
                each["comment_id"]: each["text"]
                for each in await listed(client, headers={"X-Reader": "ada"})
            }
            assert texts[comment] == "Edited."

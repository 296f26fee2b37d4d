"""Bluesky's interactions are recorded as events, each once."""

import hashlib
from typing import Any

import pytest

from harken.protocols.api.bluesky.mapping import DEFINITIONS, EVENTS, kblock_id_of
from tests.support.access import as_key, as_page, as_reader, make_keys, service

PATH = "/xrpc/app.bsky.feed.sendInteractions"
URI = "at://did:plc:z72i7hdynmk6r22z27h6tvur/app.bsky.feed.post/3l6oveex3ii2l"


def seen(event="interactionSeen", item=URI, **more):
    return {"item": item, "event": f"{DEFINITIONS}{event}", **more}


async def send(client, *interactions, **sent):
    return await client.post(PATH, json={"interactions": interactions}, **sent)


@pytest.fixture
async def keys(session_factory):
    """Make keys before the server starts, which then knows them from the first request on."""
    return await make_keys(session_factory)


@pytest.fixture
async def client(database_url, monkeypatch):
    async with service(database_url, monkeypatch, HARKEN_BLUESKY="true") as opened:
        yield opened


@pytest.fixture
def log(persistence):
    async def entries():
        return [each async for page in persistence.entries() for each in page]

    return entries


async def test_every_event_of_the_lexicon_has_an_action(client, log):
    sent = [seen(each, reqId="r-1") for each in EVENTS]
    answer = await send(client, *sent, params={"user_id": "did:plc:ada"})
    assert answer.json() == {"accepted": len(EVENTS), "duplicates": 0, "rejected": []}
    rows = await log()
    assert {(row.action, row.interaction_type) for row in rows} == set(EVENTS.values())
    for row in rows:
        assert (row.user_id, row.request_id) == ("did:plc:ada", "r-1")
        assert row.kblock_id == hashlib.sha256(URI.encode()).hexdigest()
        assert URI in row.interaction_metadata


async def test_what_is_refused_is_listed_and_the_rest_recorded(client, log):
    answer = await send(
        client, seen("applaud"), seen(), "seen", {"item": "https://x", "event": "x"},
        {"event": f"{DEFINITIONS}interactionSeen"}, seen(feedContext="\x00"), seen(reqId=5),
        seen("interactionLike", item="at://short", unknown=[1]),
    )  # fmt: skip
    assert answer.status_code == 200
    assert answer.json()["accepted"] == 2
    rejected = {each["index"]: each["error"] for each in answer.json()["rejected"]}
    assert sorted(rejected) == [0, 2, 3, 4, 5, 6]
    assert "known are interactionSeen" in rejected[0]
    assert {row.kblock_id for row in await log()} == {kblock_id_of(URI), "at://short"}
    bodies: list[dict[str, Any]] = [
        {}, {"interactions": {}}, {"interactions": [seen()] * 1_001},
    ]  # fmt: skip
    for body in bodies:
        assert (await client.post(PATH, json=body)).status_code == 422


async def test_a_repeat_is_told_by_its_request_or_its_context(client):
    for more in ({"reqId": "r"}, {"feedContext": "c"}, {"reqId": "x" * 100, "feedContext": "c"}):
        first = await send(client, seen(**more))
        again = await send(client, seen(**more), seen("interactionLike", **more))
        assert first.json()["accepted"] == 1
        assert (again.json()["accepted"], again.json()["duplicates"]) == (1, 1)
    for _ in range(2):
        assert (await send(client, seen())).json()["accepted"] == 1


async def test_the_reader_is_that_of_the_token_or_the_one_that_a_key_names(keys, client, log):
    event = seen(reqId="r")
    for headers, user_id, status in (
        (as_key(keys["ingest"]), "did:plc:ada", 200),
        (as_reader("bob"), None, 200),
        (as_reader("bob"), "did:plc:ada", 403),
        (as_key(keys["read"]), None, 403),
        ({}, None, 401),
    ):
        asked = {"params": {"user_id": user_id}} if user_id else {}
        answer = await send(client, event, headers=headers, **asked)
        assert answer.status_code == status, (headers, answer.text)
    assert sorted(row.user_id for row in await log()) == ["bob", "did:plc:ada"]
    # A publishable key alone records what guests may do.
    page = as_page(keys["publishable"])
    answer = await send(client, seen("applaud"), seen("requestLess"), seen(), headers=page)
    assert answer.json()["accepted"] == 1
    assert [each["index"] for each in answer.json()["rejected"]] == [0, 1]


async def test_it_is_off_by_default(database_url, monkeypatch):
    async with service(database_url, monkeypatch) as client:
        answer = await send(client, seen())
        assert answer.status_code == 404
        assert "HARKEN_BLUESKY=true" in answer.json()["detail"]

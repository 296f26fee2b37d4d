"""The log over REST, as who follows it reads it."""

from typing import Any

from fastapi import FastAPI

from harken.protocols.api.feed import create_feed_router
from tests.api.conftest import client_of

EVENTS = "/api/feed/feedback/events"
RECORD = "/api/feed/feedback/record"


async def pages(client, count, **parameters):
    """Return so many events, page by page, and the last answer."""
    found: list[dict[str, Any]] = []
    answer: dict[str, Any] = {"next": None}
    while len(found) < count:
        asked = {"wait": 1, **parameters}
        if answer["next"]:
            asked["after"] = answer["next"]
        got = await client.get(EVENTS, params=asked)
        assert got.status_code == 200, got.text
        answer = got.json()
        found += answer["events"]
    return found, answer


async def test_an_event_has_the_fields_in_which_it_was_recorded(client):
    event = {
        "user_id": "ada", "kblock_id": "k", "action": "view", "dwell_time_ms": 5_000,
        "interaction_type": "read", "metadata": {"from": ["menu"]}, "interaction_id": "e1",
        "occurred_at": "2026-01-01T10:00:00+02:00", "request_id": "r", "position": 3,
        "session_id": "s",
    }  # fmt: skip
    assert (await client.post(RECORD, json=event)).status_code == 200
    [followed], answer = await pages(client, 1)
    assert answer["has_more"] is False
    assert answer["next"] == followed.pop("cursor")
    assert followed.pop("recorded_at").endswith("Z")
    assert followed.pop("set_aside") is False
    assert followed == event | {"occurred_at": "2026-01-01T08:00:00Z"}
    # What is read can be recorded elsewhere, or here: then it is a repeat.
    again = await client.post(RECORD, json=followed)
    assert again.json()["duplicate"] is True


async def test_pages_follow_each_other_and_each_event_can_be_gone_on_from(client):
    ids = [f"e{number}" for number in range(7)]
    for each in ids:
        sent = {"user_id": "ada", "kblock_id": "k", "action": "view", "interaction_id": each}
        await client.post(RECORD, json=sent)
    found, _ = await pages(client, 7, limit=3)
    assert [each["interaction_id"] for each in found] == ids
    for place, each in enumerate(found[:-1]):
        got = (await client.get(EVENTS, params={"after": each["cursor"]})).json()
        assert got["events"] == found[place + 1 :]
    last = await client.get(EVENTS, params={"after": found[-1]["cursor"]})
    assert last.json() == {"events": [], "next": found[-1]["cursor"], "has_more": False}


async def test_an_empty_log_has_no_cursor(client):
    answer = await client.get(EVENTS)
    assert answer.json() == {"events": [], "next": None, "has_more": False}


async def test_what_is_set_aside_carries_a_mark(client):
    for each in ("bot", "ada"):
        await client.post(RECORD, json={"user_id": each, "kblock_id": "k", "action": "view"})
    wanted = {"target": "reader", "ids": ["bot"], "reason": "all within 2 s", "confirm": True}
    made = await client.post("/api/integrity/quarantines", json=wanted)
    assert made.status_code == 200, made.text
    found, _ = await pages(client, 2)
    assert [(each["user_id"], each["set_aside"]) for each in found] == [
        ("bot", True), ("ada", False),
    ]  # fmt: skip


async def test_wrong_cursors_are_refused(client):
    for wrong in ("x", "x" * 401, "\x00"):
        answer = await client.get(EVENTS, params={"after": wrong})
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"][0]["field"] == "after"
    await client.post(RECORD, json={"user_id": "ada", "kblock_id": "k", "action": "view"})
    ahead = "NTAwMDAwMDAwMDAwIHg"  # of transaction 5,497,558,138,880
    answer = await client.get(EVENTS, params={"after": ahead})
    assert answer.status_code == 410
    assert "restored from an earlier state" in answer.json()["detail"]


async def test_a_mounted_router_has_it_where_it_is_named(session_factory):
    for include, status in (((), 404), (("events",), 200)):
        app = FastAPI()
        app.include_router(create_feed_router(session_factory, include=("record", *include)))
        async with client_of(app) as client:
            assert (await client.get(EVENTS)).status_code == status


async def test_who_is_bound_to_a_reader_does_not_follow_the_others(session_factory):
    app = FastAPI()
    app.include_router(
        create_feed_router(session_factory, user=lambda: "ada", include=("record", "events"))
    )
    async with client_of(app) as client:
        assert (await client.get(EVENTS)).status_code == 403

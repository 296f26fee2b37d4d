"""Pages and rankings that wait for an event."""

import pytest

from harken.services.feed.caches import known_events
from tests.api.test_feed import assert_problem

RECORD = "/api/feed/feedback/record"
EVENT = {"interaction_id": "last", "user_id": "ada", "kblock_id": "k", "action": "view"}
RANK = {"kblock_ids": ["k"]}


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setattr(known_events.KnownEvents.include, "__defaults__", ((0.001,),))


@pytest.mark.parametrize("path", ["cosmos", "personal", "feeds/cosmos"])
async def test_a_page_says_whether_it_includes_the_event(client, path):
    assert (await client.post(RECORD, json=EVENT)).status_code == 200
    for event_id, coverage in (("last", "included"), ("never", "missing")):
        answer = await client.get(f"/api/feed/{path}", params={"after_event": event_id})
        assert (answer.status_code, answer.json()["after_event"]) == (200, coverage)
    assert "after_event" not in (await client.get(f"/api/feed/{path}")).json()


async def test_a_ranking_says_so_too(client):
    assert (await client.post(RECORD, json=EVENT)).status_code == 200
    for event_id, coverage in (("last", "included"), ("never", "missing")):
        answer = await client.post("/api/feed/rank", json=RANK | {"after_event": event_id})
        assert (answer.status_code, answer.json()["after_event"]) == (200, coverage)


@pytest.mark.parametrize("event_id", ["a\0b", "", " ", "x" * 65, "a\nb"])
async def test_an_id_that_cannot_be_one_is_refused(client, event_id):
    answer = await client.get("/api/feed/cosmos", params={"after_event": event_id})
    assert_problem(answer, 422, "after_event")
    answer = await client.post("/api/feed/rank", json=RANK | {"after_event": event_id})
    assert_problem(answer, 422, "after_event")

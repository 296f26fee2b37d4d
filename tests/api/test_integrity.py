"""The routes of alerts and quarantines."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from harken.database import Database
from harken.services.access.key_store import KeyStore
from harken.services.access.rights import Scope
from harken.services.integrity.alerts.alert_store import AlertStore
from harken.services.integrity.detectors import Alert, Evidence, Kind
from tests.support.access import as_key, service

UNKNOWN_ALERT = {"target": "reader", "ids": ["r1"], "alert_id": "x"}
RING = ("r1", "r2", "r3")
AT = int(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp() * 1e6)
FOUND = Alert(
    "lockstep", Kind.READER, "r1", RING, 60.0, AT, AT + 60_000_000,
    Evidence("3 readers acted on the same 9 K-Blocks within 2 s.", {"kblocks": 9}),
)  # fmt: skip


@pytest.fixture
async def key(session_factory):
    return await KeyStore(session_factory).create("all", scopes=list(Scope))


@pytest.fixture
async def client(database_url, key, monkeypatch):
    async with service(database_url, monkeypatch) as opened:
        opened.headers.update(as_key(key.text))
        yield opened


@pytest.fixture
async def alert(client, session_factory):
    """An alert on a ring of three, in a log with six more readers; returns its id."""
    events = [
        {"user_id": user, "kblock_id": f"k{n}", "action": "view"}
        for user in [*RING, *(f"p{n}" for n in range(30))]
        for n in range(3)
    ]
    answer = await client.post("/api/feed/feedback/batch", json={"events": events})
    assert answer.json()["accepted"] == len(events)
    [alert_id], known = await AlertStore(Database(session_factory)).put([FOUND])
    assert known == 0
    return alert_id


async def test_an_alert_leads_to_a_quarantine_and_back(client, key, alert):
    listed = (await client.get("/api/integrity/alerts?state=open")).json()
    assert (listed["total"], listed["alerts"][0]["alert_id"]) == (1, alert)
    detail = (await client.get(f"/api/integrity/alerts/{alert}")).json()
    assert detail["members"] == list(RING)
    assert detail["figures"] == {"kblocks": 9}
    wanted = {"target": "reader", "ids": list(RING), "reason": "a ring", "alert_id": alert}
    done = await client.post("/api/integrity/quarantines", json=wanted)
    assert done.status_code == 200, done.text
    assert (done.json()["events"], done.json()["readers"]) == (9, 3)
    again = (await client.post("/api/integrity/quarantines", json=wanted)).json()
    assert (again["act_id"], sorted(again["already"])) == (None, list(RING))
    detail = (await client.get(f"/api/integrity/alerts/{alert}")).json()
    assert (detail["state"], detail["decided_by"]) == ("quarantined", key.stored.id)
    totals = (await client.get("/api/feed/analytics")).json()["totals"]
    assert totals["views"] == 90
    rows = (await client.get("/api/integrity/quarantines")).json()["quarantines"]
    assert {(each["id"], each["events"], each["by"]) for each in rows} == {
        (name, 3, key.stored.id) for name in RING
    }
    released = await client.post(
        "/api/integrity/quarantines/release", json={"target": "reader", "ids": list(RING)}
    )
    assert released.json()["events"] == 9
    assert (await client.get("/api/feed/analytics")).json()["totals"]["views"] == 99
    acts = (await client.get("/api/integrity/quarantines/audit")).json()["acts"]
    assert [each["act"] for each in acts] == ["release"] * 3 + ["quarantine"] * 3
    assert (await client.get("/api/integrity/quarantines")).json() == {"quarantines": []}


async def test_what_was_dismissed_opens_again_with_later_evidence(client, alert, session_factory):
    path = f"/api/integrity/alerts/{alert}"
    dismissed = await client.post(f"{path}/dismissal", json={"note": "a class of mine"})
    assert (dismissed.json()["state"], dismissed.json()["note"]) == ("dismissed", "a class of mine")
    store = AlertStore(Database(session_factory))
    assert await store.put([FOUND]) == ([], 1)
    assert (await client.get(path)).json()["state"] == "dismissed"
    now = int(datetime.now(UTC).timestamp() * 1e6)
    later = replace(FOUND, start=now + 1_000_000, end=now + 2_000_000)
    assert await store.put([later]) == ([alert], 0)
    assert (await client.get(path)).json()["state"] == "open"


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize(
    ("method", "path", "body", "status", "said"),
    [
        ("GET", "/alerts/nothing", None, 404, "there is no alert"),
        ("POST", "/alerts/nothing/dismissal", {}, 404, "there is no alert"),
        ("GET", "/alerts?state=closed", None, 422, "open"),
        ("GET", "/alerts?limit=0", None, 422, "limit"),
        ("POST", "/quarantines", {"target": "reader", "ids": []}, 422, "ids"),
        ("POST", "/quarantines", {"target": "person", "ids": ["a"]}, 422, "target"),
        ("POST", "/quarantines", {"target": "reader", "ids": ["nobody"]}, 404, "not in the log"),
        ("POST", "/quarantines", {"target": "reader", "ids": ["guest"]}, 422, "sessions"),
        ("POST", "/quarantines", UNKNOWN_ALERT, 404, "alert"),
        ("POST", "/quarantines/release", {"target": "reader", "ids": ["r1"]}, 404, "not set aside"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_said(client, alert, method, path, body, status, said):
    sent = {} if body is None else {"json": body}
    answer = await client.request(method, f"/api/integrity{path}", **sent)
    assert answer.status_code == status
    assert said in answer.text
    assert (await client.get("/api/integrity/quarantines")).json() == {"quarantines": []}


@pytest.mark.parametrize("database_kind", ["sqlite"])
async def test_most_of_the_log_needs_a_confirmation(client, alert):
    wanted = {"target": "reader", "ids": [f"p{n}" for n in range(30)]}
    refused = await client.post("/api/integrity/quarantines", json=wanted)
    assert refused.status_code == 422
    assert "90 of 99 events" in refused.text
    done = await client.post("/api/integrity/quarantines", json=wanted | {"confirm": True})
    assert done.json()["events"] == 90

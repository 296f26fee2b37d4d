"""Experiments and flags over REST."""

import pytest

from harken.services.experiments.assignment import arm_of
from tests.support.access import as_key, as_page, make_keys, service

ARMS = [{"name": "old", "ranking": "chronological"}, {"name": "new", "ranking": "attention"}]
AB = {"id": "x", "feeds": ["cosmos"], "arms": ARMS, "metric": "engagements_per_slate"}
FLAG = {
    "id": "cards", "metric": "engagements_per_view",
    "arms": [{"name": "small", "value": {"columns": 1}}, {"name": "large"}],
}  # fmt: skip
EVALUATE = "/ofrep/v1/evaluate/flags"


async def started(client, definition, **headers):
    created = await client.post("/api/experiments", json=definition, **headers)
    assert created.status_code == 201, created.text
    found = await client.post(f"/api/experiments/{definition['id']}/start", **headers)
    assert found.status_code == 200, found.text
    return found.json()


async def test_an_experiment_from_draft_to_decision(client):
    made = (await client.post("/api/experiments", json=AB)).json()
    assert (made["state"], made["version"], made["salt"]) == ("draft", 1, "x:1")
    assert made["allocation"] == {"old": 0.5, "new": 0.5}
    assert made["arms"] == ARMS
    running = (await client.post("/api/experiments/x/start")).json()
    assert running["started_at"].endswith("Z")
    listed = (await client.get("/api/experiments", params={"state": "running"})).json()
    assert [each["id"] for each in listed["experiments"]] == ["x"]
    page = (await client.get("/api/feed/cosmos", params={"user_id": "ada"})).json()
    arm = arm_of("x:1", "ada", running["allocation"])
    assert page["experiment"] == {"id": "x", "version": 1, "arm": arm}
    results = (await client.get("/api/experiments/x/results")).json()
    assert (results["id"], results["state"], results["readers"]["exposed"]) == ("x", "running", 1)
    assert results["joined"] == {"by_request": 0, "by_reader": 0, "elsewhere": 0}
    assert results["verdicts"]["new"]["outcome"] == "not_yet"
    stopped = await client.post("/api/experiments/x/stop", json={"reason": "enough"})
    assert stopped.json()["stop_reason"] == "enough"
    again = await client.post("/api/experiments/x/start")
    assert again.status_code == 422
    assert "was stopped, and is not started again" in again.json()["detail"]
    decided = await client.post("/api/experiments/x/decide", json={"arm": "new"})
    assert decided.json()["decision"] == {"arm": "new", "note": None}
    assert (await client.get("/api/experiments/x", params={"version": 1})).json()[
        "state"
    ] == "decided"
    assert (await client.get("/api/experiments/y")).status_code == 404
    assert "experiment" not in (await client.get("/api/feed/cosmos?user_id=ada")).json()


async def test_a_refusal_names_the_field(client):
    wrong = AB | {"allocation": {"old": 0.5, "new": 0.4}, "feeds": ["nowhere"]}
    refused = await client.post("/api/experiments", json=wrong)
    assert refused.status_code == 422
    [error] = refused.json()["errors"]
    assert error["field"] == "allocation"
    refused = await client.post("/api/experiments", json=AB | {"feeds": ["nowhere"]})
    assert [each["field"] for each in refused.json()["errors"]] == ["feeds"]
    assert (await client.post("/api/experiments", json=[1])).status_code == 422


async def test_flags_are_evaluated_one_by_one_and_all_at_once(client):
    experiment = await started(client, FLAG)
    await started(client, AB | {"eligibility": {"readers": "named"}})
    values = {"small": {"columns": 1}, "large": "large"}
    for unit in ("ada", "ben", "\N{GRINNING FACE}", "zoe\u0308"):
        arm = arm_of(experiment["salt"], unit, experiment["allocation"])
        context = {"context": {"targetingKey": unit}}
        found = await client.post(f"{EVALUATE}/cards", json=context)
        assert found.json() == {
            "key": "cards", "value": values[arm], "reason": "SPLIT", "variant": arm,
            "metadata": {"version": 1, "propensity": 0.5},
        }  # fmt: skip
        bulk = await client.post(EVALUATE, json=context)
        assert found.json() in bulk.json()["flags"]
        assert {each["key"] for each in bulk.json()["flags"]} == {"cards", "x"}
        same = await client.post(
            EVALUATE, json=context, headers={"If-None-Match": bulk.headers["etag"]}
        )
        assert (same.status_code, same.content) == (304, b"")
        assert same.headers["etag"] == bulk.headers["etag"]
    guest = {"context": {"targetingKey": "s1", "guest": True}}
    outside = (await client.post(f"{EVALUATE}/x", json=guest)).json()
    assert (outside["value"], outside["reason"], "variant" in outside) == ("old", "DEFAULT", False)


@pytest.mark.parametrize(
    ("key", "sent", "status", "code"),
    [
        ("cards", {"json": {"context": {}}}, 400, "TARGETING_KEY_MISSING"),
        ("cards", {"json": {}}, 400, "INVALID_CONTEXT"),
        ("cards", {"json": {"context": {"targetingKey": 5}}}, 400, "INVALID_CONTEXT"),
        ("cards", {"json": {"context": {"targetingKey": "x" * 65}}}, 400, "INVALID_CONTEXT"),
        ("cards", {"json": {"context": {"targetingKey": "a", "guest": 1}}}, 400, "INVALID_CONTEXT"),
        ("cards", {"content": b"{"}, 400, "PARSE_ERROR"),
        ("card", {"json": {"context": {"targetingKey": "ada"}}}, 404, "FLAG_NOT_FOUND"),
    ],
)
async def test_problems_of_flags_are_those_of_the_protocol(client, key, sent, status, code):
    await started(client, FLAG)
    found = await client.post(f"{EVALUATE}/{key}", **sent)
    assert (found.status_code, found.json()["errorCode"]) == (status, code)
    assert found.json()["key"] == key
    assert found.json()["errorDetails"]
    if status == 400:
        bulk = await client.post(EVALUATE, **sent)
        assert (bulk.status_code, bulk.json()["errorCode"]) == (400, code)


async def test_exposures_to_flags_are_recorded_once(client):
    experiment = await started(client, FLAG | {"slots": [0, 999]})
    arm = arm_of(experiment["salt"], "ada", experiment["allocation"])
    other = "small" if arm == "large" else "large"
    body = {"experiment": "cards", "user_id": "ada"}
    for sent in (body, body | {"arm": arm}):
        found = await client.post("/api/experiments/exposures", json=sent)
        assert found.json() == {"success": True, "experiment": "cards", "version": 1, "arm": arm}
    for sent, problem in (
        (body | {"arm": other}, f"arm: is '{arm}' for this unit, not '{other}'"),
        ({"experiment": "cards"}, "session_id: is required for a guest"),
    ):
        refused = await client.post("/api/experiments/exposures", json=sent)
        assert (refused.status_code, refused.json()["detail"]) == (422, problem)
    unknown = await client.post("/api/experiments/exposures", json=body | {"experiment": "x"})
    assert unknown.status_code == 404
    await started(client, AB)
    refused = await client.post("/api/experiments/exposures", json=body | {"experiment": "x"})
    assert "whose pages record who saw them" in refused.json()["detail"]


async def test_testers_of_flags_are_marked_and_left_out(client):
    await started(client, FLAG)
    await started(client, AB)
    for arm, value in (("small", {"columns": 1}), ("large", "large")):
        context = {"context": {"targetingKey": "ada", "arm": f"cards:{arm}"}}
        found = (await client.post(f"{EVALUATE}/cards", json=context)).json()
        assert found == {
            "key": "cards", "value": value, "reason": "TARGETING_MATCH", "variant": arm,
            "metadata": {"version": 1, "forced": True},
        }  # fmt: skip
        flags = (await client.post(EVALUATE, json=context)).json()["flags"]
        assert found in flags
        [other] = [each for each in flags if each["key"] == "x"]
        assert other["reason"] == "SPLIT"
    body = {"experiment": "cards", "user_id": "ada"}
    assert (await client.post("/api/experiments/exposures", json=body)).status_code == 200
    local = body | {"user_id": "ben", "arm": "large", "forced": True}
    assert (await client.post("/api/experiments/exposures", json=local)).json()["arm"] == "large"
    results = (await client.get("/api/experiments/cards/results")).json()
    assert (results["testers"], results["readers"]["exposed"]) == (2, 0)
    for wrong, problem in (
        ("cards:new", "context.arm: 'new' is no arm of cards; arms are small, large"),
        ("small", "context.arm: must be the id of an experiment, a colon and an arm"),
        (5, "context.arm: must be text"),
    ):
        bad = {"context": {"targetingKey": "ada", "arm": wrong}}
        for path in (f"{EVALUATE}/cards", EVALUATE):
            refused = await client.post(path, json=bad)
            assert refused.status_code == 400
            assert refused.json()["errorCode"] == "INVALID_CONTEXT"
            assert refused.json()["errorDetails"] == problem
    nameless = await client.post("/api/experiments/exposures", json=body | {"forced": True})
    assert "arm: is required with forced" in nameless.json()["detail"]


async def test_an_adaptive_flag_over_rest(client):
    made = await started(client, FLAG | {"adaptive": True})
    assert made["adaptive"] is True
    [first] = made["allocations"]
    assert (first["version"], first["computed_by"]) == (1, "the definition")
    assert first["shares"] == {"small": 0.5, "large": 0.5}
    arm = arm_of(made["salt"], "ada", made["allocation"])
    context = {"context": {"targetingKey": "ada"}}
    found = (await client.post(f"{EVALUATE}/cards", json=context)).json()
    assert found["variant"] == arm
    assert found["metadata"] == {"version": 1, "propensity": 0.5, "allocation": 1}
    body = {"experiment": "cards", "user_id": "ada", "arm": arm, "allocation": 1}
    exposed = await client.post("/api/experiments/exposures", json=body)
    assert exposed.json()["arm"] == arm
    wrong = await client.post("/api/experiments/exposures", json=body | {"allocation": 2})
    assert wrong.status_code == 422
    assert "allocation: 2 is no version of the allocation of cards" in wrong.json()["detail"]
    results = (await client.get("/api/experiments/cards/results")).json()
    assert results["allocations"] == made["allocations"]
    assert results["arms"][0]["planned_share"] == 0.5


async def test_what_pages_may_do(database_url, session_factory, monkeypatch):
    keys = await make_keys(session_factory)
    public = keys["publishable"]
    async with service(database_url, monkeypatch) as client:
        admin = {"headers": as_key(keys["admin"])}
        await started(client, FLAG, **admin)
        await started(client, AB, **admin)
        refused = await client.post("/api/experiments", json=AB, headers=as_key(keys["read"]))
        assert refused.status_code == 403
        mine = {"context": {"targetingKey": "ada"}}
        for headers, status in (
            (as_page(public, "ada"), 200), (as_page(public, "ben"), 403), (as_page(public), 200),
        ):  # fmt: skip
            found = await client.post(f"{EVALUATE}/cards", json=mine, headers=headers)
            assert found.status_code == status
        body = {"experiment": "cards", "session_id": "s1"}
        exposed = await client.post(
            "/api/experiments/exposures", json=body, headers=as_page(public)
        )
        assert exposed.json()["success"]
        other = body | {"user_id": "ada"}
        refused = await client.post(
            "/api/experiments/exposures", json=other, headers=as_page(public, "ben")
        )
        assert refused.status_code == 403
        tester = {"context": {"targetingKey": "ada", "arm": "cards:small"}}
        refused = await client.post(
            f"{EVALUATE}/cards", json=tester, headers=as_page(public, "ada")
        )
        assert "arm: is for testers" in refused.json()["detail"]
        marked = body | {"arm": "small", "forced": True}
        refused = await client.post(
            "/api/experiments/exposures", json=marked, headers=as_page(public)
        )
        assert "forced: is for testers" in refused.json()["detail"]
        forced = {"params": {"arm": "x:new"}, "headers": as_page(public, "ada")}
        refused = await client.get("/api/feed/cosmos", **forced)
        assert "arm: is for testers" in refused.json()["detail"]

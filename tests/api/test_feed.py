"""The routes of feeds."""

import json

import pytest

RECORD = "/api/feed/feedback/record"
BATCH = "/api/feed/feedback/batch"
ANALYTICS = "/api/feed/analytics"
GOOD = {"user_id": "user_123", "kblock_id": "kb_abc", "action": "view"}
JSON = {"Content-Type": "application/json"}


def assert_problem(response, status: int, *fields: str) -> dict:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: dict = response.json()
    assert document["status"] == status
    assert document["title"]
    assert document["detail"]
    assert [each["field"] for each in document.get("errors", [])] == list(fields)
    return document


async def test_the_seeds_requests_are_answered_as_it_says(client):
    view = GOOD | {"dwell_time_ms": 5000}
    edit = GOOD | {"action": "engage", "interaction_type": "edit", "metadata": {}}
    for body in (view, edit):
        response = await client.post(RECORD, json=body)
        assert response.status_code == 200
        answer = response.json()
        assert set(answer) == {"success", "interaction_id"}
        assert answer["success"] is True
    found = (await client.get(ANALYTICS, params={"limit": 50, "min_interactions": 1})).json()
    [row] = found["most_engaged_kblocks"]
    assert set(row) == {
        "kblock_id", "attention_score", "view_count", "engage_count", "dismiss_count",
        "last_engaged_at",
    }  # fmt: skip
    assert row["last_engaged_at"].endswith("Z")
    assert found["totals"] == {
        "views": 1, "engagements": 1, "dismissals": 0, "avg_dwell_time_sec": 5.0,
    }  # fmt: skip
    assert found["recent_activity"] == {"interactions_24h": 2}


async def test_a_repeated_event_is_a_duplicate(client):
    event = GOOD | {"interaction_id": "e1"}
    assert (await client.post(RECORD, json=event)).json() == {
        "success": True, "interaction_id": "e1",
    }  # fmt: skip
    assert (await client.post(RECORD, json=event)).json() == {
        "success": True, "interaction_id": "e1", "duplicate": True,
    }  # fmt: skip
    conflict = await client.post(RECORD, json=event | {"action": "engage"})
    assert "'e1' was already recorded" in assert_problem(conflict, 409)["detail"]


async def test_a_batch_answers_for_each_event(client):
    event = GOOD | {"interaction_id": "e1"}
    await client.post(RECORD, json=event)
    response = await client.post(
        BATCH,
        json={"events": [event, GOOD, GOOD | {"action": "like"}, 7, event | {"user_id": "x"}]},
    )
    answer = response.json()
    assert (answer["accepted"], answer["duplicates"]) == (1, 1)
    assert [each["index"] for each in answer["rejected"]] == [2, 3, 4]
    assert answer["rejected"][0]["error"].startswith("action: Input should be 'view'")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"user_id": ""}, "user_id"),
        ({"kblock_id": "k" * 65}, "kblock_id"),
        ({"action": "like"}, "action"),
        ({"dwell_time_ms": -5}, "dwell_time_ms"),
        ({"metadata": "text"}, "metadata"),
        ({"metadata": {"a": "x" * 20_000}}, "metadata"),
        ({"user_id": "a\u0000"}, "user_id"),
        ({"occurred_at": "2999-01-01T00:00:00Z"}, "occurred_at"),
        ({"extra": 1}, "extra"),
    ],
)
async def test_a_wrong_field_is_a_422_that_names_it(client, change, field):
    assert_problem(await client.post(RECORD, json=GOOD | change), 422, field)
    answer = (await client.post(BATCH, json={"events": [GOOD | change, GOOD]})).json()
    assert answer["accepted"] == 1
    assert answer["rejected"][0]["error"].startswith(f"{field}: ")


async def test_a_lone_surrogate_is_refused_and_its_neighbours_recorded(client):
    bad = json.dumps(GOOD | {"user_id": "\ud800"})
    assert_problem(await client.post(RECORD, content=bad, headers=JSON), 422, "user_id")
    both = f'{{"events": [{bad}, {json.dumps(GOOD)}]}}'
    answer = (await client.post(BATCH, content=both, headers=JSON)).json()
    assert (answer["accepted"], len(answer["rejected"])) == (1, 1)


@pytest.mark.parametrize("body", ["", "{", "[1,", '{"user_id": NaN', "\xff"])
async def test_what_is_no_json_is_refused(client, body):
    response = await client.post(RECORD, content=body.encode("latin-1"), headers=JSON)
    assert response.status_code in {400, 422}
    assert response.headers["content-type"] == "application/problem+json"


async def test_json_that_is_nested_without_end_is_refused(client):
    assert_problem(await client.post(RECORD, content="[" * 60_000, headers=JSON), 400)


async def test_bodies_are_limited(client):
    event = json.dumps(GOOD)
    large = event[:-1] + " " * 70_000 + "}"
    assert_problem(await client.post(RECORD, content=large, headers=JSON), 413)
    fits = f'{{"events": [{event}]' + " " * 70_000 + "}"
    assert (await client.post(BATCH, content=fits, headers=JSON)).json()["accepted"] == 1
    huge = f'{{"events": [{event}]' + " " * (8 * 1024 * 1024) + "}"
    assert_problem(await client.post(BATCH, content=huge, headers=JSON), 413)
    many = json.dumps({"events": [GOOD] * 1_001})
    assert_problem(await client.post(BATCH, content=many, headers=JSON), 422, "events")


async def test_a_body_of_another_type_is_refused(client):
    """This also keeps pages of other origins from posting without a preflight request."""
    plain = await client.post(
        RECORD, content=json.dumps(GOOD), headers={"Content-Type": "text/plain"}
    )
    assert plain.status_code == 422
    assert (await client.get(ANALYTICS)).json()["totals"]["views"] == 0


@pytest.mark.parametrize("limit", ["0", "101", "x", ""])
async def test_a_limit_out_of_range_is_a_422(client, limit):
    assert_problem(await client.get(ANALYTICS, params={"limit": limit}), 422, "limit")


async def test_timeseries(client):
    await client.post(RECORD, json=GOOD)
    found = (await client.get(f"{ANALYTICS}/timeseries", params={"bucket": "day"})).json()
    assert found["bucket"] == "day"
    assert [point["views"] for point in found["points"]] == [0, 1]
    bad = await client.get(f"{ANALYTICS}/timeseries", params={"bucket": "week"})
    assert "minute" in assert_problem(bad, 422, "bucket")["detail"]
    assert_problem(
        await client.get(f"{ANALYTICS}/timeseries", params={"since": "2026-01-01"}), 422, "since"
    )
    assert_problem(
        await client.get(
            f"{ANALYTICS}/timeseries",
            params={"bucket": "minute", "since": "2020-01-01T00:00:00Z"},
        ),
        422,
        "bucket",
    )


async def test_the_schema_describes_what_a_batch_takes(client):
    document = (await client.get("/openapi.json")).json()
    events = document["components"]["schemas"]["Batch"]["properties"]["events"]
    assert events["items"]["anyOf"][0] == {"$ref": "#/components/schemas/Interaction"}
    assert "dwell_time_ms" in document["components"]["schemas"]["Interaction"]["properties"]
    assert {
        RECORD, BATCH, ANALYTICS, f"{ANALYTICS}/timeseries", "/healthz", "/readyz",
    } <= set(document["paths"])  # fmt: skip

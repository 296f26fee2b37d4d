"""Analytics of a window of the log, over REST."""

import pytest

from tests.api.test_feed import assert_problem

PATH = "/api/feed/analytics"
WINDOW = {"since": "2026-02-01T00:00:00Z", "until": "2026-02-11T02:00:00+02:00"}


@pytest.fixture
async def some(client):
    """Store a K-Block with events; record events of an id without a K-Block."""
    await client.put("/api/kblocks/known", json={"title": "=SUM(A1)"})
    events = [
        {"user_id": "ada", "kblock_id": kblock_id, "action": action, "dwell_time_ms": dwell,
         "occurred_at": f"2026-02-0{day}T12:00:00Z"}
        for kblock_id, action, dwell, day in [
            ("known", "view", 1_500, 2), ("known", "engage", None, 3), ("other", "view", None, 9),
        ]
    ]  # fmt: skip
    answer = await client.post("/api/feed/feedback/batch", json={"events": events})
    assert answer.json()["accepted"] == 3


async def test_how_far_the_log_reaches(client):
    assert (await client.get(f"{PATH}/extent")).json() == {"first": None, "last": None}


async def test_how_far_a_log_with_events_reaches(client, some):
    assert (await client.get(f"{PATH}/extent")).json() == {
        "first": "2026-02-02T12:00:00Z", "last": "2026-02-09T12:00:00Z",
    }  # fmt: skip


async def test_dwell_times(client, some):
    found = (await client.get(f"{PATH}/dwell", params=WINDOW)).json()
    buckets = found.pop("buckets")
    assert found == {
        "since": "2026-02-01T00:00:00Z", "until": "2026-02-11T00:00:00Z", "is_shortened": False,
        "views": 2, "timed": 1, "mean_ms": 1_500.0, "median_ms": 1_500,
    }  # fmt: skip
    assert [each for each in buckets if each["views"]] == [
        {"from_ms": 1_000, "to_ms": 2_000, "views": 1}
    ]
    assert buckets[-1]["to_ms"] is None


async def test_leaders(client, some):
    query = WINDOW | {"by": "views", "points": 10}
    found = (await client.get(f"{PATH}/kblocks", params=query)).json()
    assert (found["by"], found["part_seconds"]) == ("views", 86_400.0)
    known, other = found["kblocks"]
    assert known == {
        "kblock_id": "known", "title": "=SUM(A1)", "attention_score": pytest.approx(2.5 / 3 / 2),
        "views": 1, "engagements": 1, "dismissals": 0, "unique_viewers": 1,
        "avg_dwell_time_sec": 1.5, "last_engaged_at": "2026-02-03T12:00:00Z",
        "trend": {
            "views": [0, 1] + [0] * 8, "engagements": [0, 0, 1] + [0] * 7, "dismissals": [0] * 10,
        },
    }  # fmt: skip
    assert (other["kblock_id"], other["title"]) == ("other", None)


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        ("dwell", {"since": "yesterday"}, "since"),
        ("dwell", {"since": "2026-02-01T00:00:00"}, "since"),
        ("dwell", {"since": WINDOW["until"], "until": WINDOW["since"]}, "since"),
        ("kblocks", {"by": "luck"}, "by"),
        ("kblocks", {"limit": 101}, "limit"),
        ("kblocks", {"points": 0}, "points"),
    ],
)
async def test_what_is_refused(client, path, query, field):
    assert_problem(await client.get(f"{PATH}/{path}", params=query), 422, field)

"""Figures of periods, of served pages, and of one K-Block or reader, over REST."""

import pytest

from tests.api.test_feed import assert_problem

PATH = "/api/feed/analytics"
DAY = "2026-02-01T00:00:00Z"


@pytest.fixture
async def pages(client):
    """Serve 30 pages of two K-Blocks, each to another reader; the first one is clicked on ten."""
    for name in ("one", "two"):
        await client.put(f"/api/kblocks/{name}", json={"title": f"Note {name}"})
    events = []
    for n in range(30):
        page = await client.get("/api/feed/cosmos", params={"user_id": f"u{n}"})
        items = page.json()["items"]
        if n < 10:
            events.append(
                {"user_id": f"u{n}", "kblock_id": items[0]["id"], "action": "view",
                 "dwell_time_ms": 1_500, "request_id": page.json()["request_id"]}
            )  # fmt: skip
    await client.post("/api/feed/feedback/batch", json={"events": events})
    return [item["id"] for item in items]


async def test_impressions_with_enough_behind_them(client, pages):
    found = (await client.get(f"{PATH}/impressions")).json()
    counts = {"impressions": 60, "clicks": 10, "engagements": 0, "dismissals": 0}
    rates = {"click_through": 10 / 60, "engagement_rate": 0.0, "dismissal_rate": 0.0}
    assert found["total"] == counts | rates
    assert found["groups"] == [counts | rates | {"key": "cosmos", "title": None}]
    assert (found["by"], found["least_sample"], found["is_shortened"]) == ("feed", 50, False)
    assert (found["feeds"], found["rankings"]) == (["cosmos"], ["chronological"])


async def test_too_few_impressions_have_no_ratio(client, pages):
    found = (await client.get(f"{PATH}/impressions", params={"by": "kblock"})).json()
    assert [each["title"] for each in found["groups"]] == ["Note one", "Note two"]
    assert {each["click_through"] for each in found["groups"]} == {None}
    found = (await client.get(f"{PATH}/impressions", params={"by": "position"})).json()
    assert [(each["key"], each["clicks"]) for each in found["groups"]] == [(0, 10), (1, 0)]
    none = {"by": "position", "feed": "personal"}
    found = (await client.get(f"{PATH}/impressions", params=none)).json()
    assert (found["groups"], found["total"]["click_through"]) == ([], None)


async def test_the_totals_of_a_period_and_of_all_time(client, pages):
    whole = (await client.get(f"{PATH}/totals")).json()
    assert (whole["since"], whole["before"], whole["views"]) == (None, None, 10)
    assert (whole["avg_dwell_time_sec"], whole["engagements_per_view"]) == (1.5, None)
    old = {"user_id": "u", "kblock_id": "one", "action": "dismiss"}
    await client.post(
        "/api/feed/feedback/record", json=old | {"occurred_at": "2026-01-01T00:00:00Z"}
    )
    window = {"since": "2026-01-02T00:00:00Z", "until": "2026-01-03T00:00:00Z"}
    found = (await client.get(f"{PATH}/totals", params=window)).json()
    assert found["views"] == 0
    assert (found["before"]["since"], found["before"]["dismissals"]) == ("2026-01-01T00:00:00Z", 1)


async def test_position_says_that_it_is_not_known(client, pages):
    found = (await client.get(f"{PATH}/position", params={"feed": "cosmos"})).json()
    assert (found["basis"], found["share"]) == ("not_known", None)
    assert found["text"].startswith("Not known")


async def test_one_kblock(client, pages):
    first = pages[0]
    found = (await client.get(f"{PATH}/kblocks/{first}")).json()
    assert found["title"] == f"Note {first}"
    assert (found["counts"]["views"], found["readers"]) == (10, 10)
    assert found["kblock"]["views"] == sum(found["kblock"]["trend"]["views"]) == 10
    assert found["impressions"]["impressions"] == 30
    assert [(each["key"], each["clicks"]) for each in found["by_position"]] == [(0, 10)]
    unknown = (await client.get(f"{PATH}/kblocks/what%2Fever")).json()
    assert (unknown["kblock"], unknown["title"], unknown["by_feed"]) == (None, None, [])


async def test_one_reader(client, pages):
    found = (await client.get(f"{PATH}/readers/u3")).json()
    assert (found["user_id"], found["kblocks"], found["counts"]["views"]) == ("u3", 1, 1)
    [act] = found["latest"]
    assert (act["action"], act["title"]) == ("view", f"Note {pages[0]}")
    assert found["impressions"]["impressions"] == 2
    assert [each["key"] for each in found["by_ranking"]] == ["chronological"]


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        ("impressions", {"by": "reader"}, "by"),
        ("impressions", {"limit": "101"}, "limit"),
        (
            "impressions",
            {"since": "2026-02-01T00:00:00Z", "until": "2026-01-01T00:00:00Z"},
            "since",
        ),
        ("totals", {"until": "2026-01-01T00:00:00Z"}, "until"),
        ("position", {"since": "yesterday"}, "since"),
    ],
)
async def test_what_is_refused(client, path, query, field):
    assert_problem(await client.get(f"{PATH}/{path}", params=query), 422, field)

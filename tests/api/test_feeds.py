"""Feeds, K-Blocks and users over REST."""

import asyncio

import pytest

from tests.api.test_feed import GOOD, JSON, RECORD, assert_problem

COSMOS = "/api/feed/cosmos"
ITEM = {
    "source",
    "id", "title", "path", "preview", "layer", "kind", "author", "tags", "galois_loss",
    "attention_score", "score", "position", "created_at",
}  # fmt: skip


async def put(client, kblock_id: str, **fields):
    answer = await client.put(f"/api/kblocks/{kblock_id}", json={"title": kblock_id, **fields})
    assert answer.status_code in {200, 201}, answer.text
    return answer


async def some(client, count: int = 5) -> None:
    answer = await client.post(
        "/api/kblocks/batch",
        json={
            "kblocks": [
                {"id": f"k{i}", "title": f"Title {i}", "created_at": f"2026-01-0{9 - i}T00:00:00Z"}
                for i in range(count)
            ]
        },
    )
    assert answer.json() == {"added": count, "updated": 0, "unchanged": 0, "rejected": []}


async def test_a_page_has_the_shape_of_the_contract(client):
    await some(client)
    page = (await client.get(COSMOS, params={"limit": 2})).json()
    assert set(page) == {
        "items", "total", "has_more", "offset", "limit", "next_cursor", "request_id",
    }  # fmt: skip
    assert set(page["items"][0]) == ITEM
    assert [item["id"] for item in page["items"]] == ["k0", "k1"]
    assert (page["total"], page["has_more"], page["offset"], page["limit"]) == (5, True, 0, 2)
    assert page["items"][0]["created_at"] == "2026-01-09T00:00:00Z"
    rest = (await client.get(COSMOS, params={"cursor": page["next_cursor"]})).json()
    assert [item["id"] for item in rest["items"]] == ["k2", "k3", "k4"]
    assert (rest["has_more"], rest["next_cursor"], rest["offset"]) == (False, None, 2)
    by_offset = (await client.get(COSMOS, params={"offset": 2, "limit": 3})).json()
    assert [item["id"] for item in by_offset["items"]] == ["k2", "k3", "k4"]


async def test_feedback_moves_the_next_page_and_explain_says_why(client):
    await some(client)
    body = GOOD | {"kblock_id": "k4", "action": "engage"}
    assert (await client.post(RECORD, json=body)).status_code == 200
    query = {"ranking": "weighted", "explain": "true", "weights": "recency:0"}
    first = (await client.get(COSMOS, params=query)).json()["items"][0]
    assert (first["id"], first["attention_score"]) == ("k4", 0.5)
    parts = first["explanation"]
    assert parts["attention"] == {"value": 0.5, "weight": 0.4, "contribution": 0.2}
    assert sum(part["contribution"] for part in parts.values()) == pytest.approx(first["score"])


async def test_a_dismissal_and_its_undoing(client):
    await some(client)
    await client.post(RECORD, json=GOOD | {"kblock_id": "k1", "action": "dismiss"})
    query = {"user_id": GOOD["user_id"]}
    assert (await client.get(COSMOS, params=query)).json()["total"] == 4
    listed = (await client.get("/api/feed/dismissals", params=query)).json()["dismissals"]
    assert [each["kblock_id"] for each in listed] == ["k1"]
    undone = await client.delete("/api/feed/dismissals/k1", params=query)
    assert undone.json() == {"success": True}
    assert (await client.get(COSMOS, params=query)).json()["total"] == 5
    again = await client.delete("/api/feed/dismissals/k1", params=query)
    assert "user_123 has not dismissed k1" in assert_problem(again, 404)["detail"]
    assert_problem(await client.delete("/api/feed/dismissals/k1"), 422, "user_id")


async def test_the_other_feeds(client):
    await put(client, "low", galois_loss=0.1, layer=1)
    await put(client, "high", galois_loss=0.9, layer=3,
              edges=[{"target": "low", "kind": "contradicts"}])  # fmt: skip
    shown = {}
    for feed in ("cosmos", "coherent", "contradictions", "axioms", "handwavy"):
        items = (await client.get(f"/api/feed/{feed}")).json()["items"]
        shown[feed] = [item["id"] for item in items]
    assert shown == {
        "cosmos": ["high", "low"], "coherent": ["low"], "contradictions": ["high", "low"],
        "axioms": ["low"], "handwavy": ["high"],
    }  # fmt: skip
    assert items[0].keys() == ITEM
    [high, low] = (await client.get("/api/feed/contradictions")).json()["items"]
    assert (high["contradicts"], low["contradicts"]) == (["low"], ["high"])
    wide = (await client.get("/api/feed/coherent", params={"max_loss": 1})).json()
    assert [item["id"] for item in wide["items"]] == ["low", "high"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": "101"}, "limit"),
        ({"limit": "0"}, "limit"),
        ({"offset": "-1"}, "offset"),
        ({"max_loss": "1.01"}, "max_loss"),
        ({"max_loss": "nan"}, "max_loss"),
        ({"ranking": "best"}, "ranking"),
        ({"ranking": ""}, "ranking"),
        ({"ranking": "weighted", "weights": "attention:1e308"}, "weights.attention"),
        ({"ranking": "weighted", "weights": "attention:nan"}, "weights.attention"),
        ({"ranking": "weighted", "weights": "attention:inf"}, "weights.attention"),
        ({"ranking": "weighted", "weights": "beauty:1"}, "weights"),
        ({"weights": "attention:1"}, "weights"),
        ({"layer": "3"}, "layer"),
        ({"user_id": ""}, "user_id"),
        ({"user_id": "u" * 65}, "user_id"),
        ({"user_id": "u\x00"}, "user_id"),
        ({"cursor": "abc"}, "cursor"),
    ],
)
async def test_what_a_feed_refuses(client, query, field):
    assert_problem(await client.get(COSMOS, params=query), 422, field)


async def test_an_unknown_feed_is_a_404_that_lists_them(client):
    problem = assert_problem(await client.get("/api/feed/cosmoss"), 404)
    assert (
        "the default feeds are cosmos, coherent, contradictions, axioms, handwavy"
        in problem["detail"]
    )


async def test_the_configuration(client):
    config = (await client.get("/api/feed/config")).json()
    assert [feed["name"] for feed in config["feeds"]] == [
        "cosmos", "coherent", "contradictions", "axioms", "handwavy", "personal",
    ]  # fmt: skip
    assert config["weights"] == {
        "attention": 0.4, "principles": 0.3, "recency": 0.2, "coherence": 0.1,
    }  # fmt: skip
    assert config["declarations"]["filters"]["tag"] == ["contains"]
    assert config["declarations"]["sources"][:2] == ["all", "layer"]
    assert {"name": "coherent", "max_loss": 0.2}.items() <= config["feeds"][1].items()
    assert config["trending"] == {
        "half_lives": ["6h", "1d", "7d"],
        "weights": {"view": 1, "engage": 1, "dismiss": -1},
    }
    assert config["personal"]["min_interactions"] == 5
    assert {"user_similarity": 1, "already_seen": 10}.items() <= config["personal"][
        "weights"
    ].items()


async def test_candidates_are_ranked(client):
    await some(client)
    await client.post(RECORD, json=GOOD | {"kblock_id": "k4", "action": "engage"})
    body = {"kblock_ids": ["k0", "k4", "zz"], "user_id": "ada", "explain": True}
    ranked = (await client.post("/api/feed/rank", json=body)).json()
    assert [item["id"] for item in ranked["items"]] == ["k4", "k0", "zz"]
    assert set(ranked) == {"items", "total", "unknown", "dismissed", "muted", "request_id"}
    assert ranked["unknown"] == ["zz"]
    assert set(ranked["items"][0]["explanation"]) == {
        "attention", "principles", "recency", "coherence",
    }  # fmt: skip
    nan = '{"kblock_ids": ["k"], "weights": {"attention": NaN}}'
    refused = await client.post("/api/feed/rank", content=nan, headers=JSON)
    assert_problem(refused, 400)
    assert_problem(await client.post("/api/feed/rank", json={"kblock_ids": []}), 422, "kblock_ids")
    many = {"kblock_ids": [f"{number:064}" for number in range(1_000)]}
    assert (await client.post("/api/feed/rank", json=many)).json()["total"] == 1_000


async def test_a_kblock_is_put_read_and_deleted(client):
    added = await put(client, "notes/a b", content="# T\n\nSome *text*.", tags=["x", "x"])
    assert (added.status_code, added.json()) == (201, {"id": "notes/a b", "status": "added"})
    again = await put(client, "notes/a b", content="# T\n\nSome *text*.", tags=["x", "x"])
    assert (again.status_code, again.json()["status"]) == (200, "unchanged")
    kblock = (await client.get("/api/kblocks/notes/a b")).json()
    assert kblock["tags"] == ["x"]
    assert kblock["preview"] == "Some text."
    assert kblock["created_at"].endswith("Z")
    assert (await client.delete("/api/kblocks/notes/a b")).status_code == 204
    for response in (
        await client.get("/api/kblocks/notes/a b"), await client.delete("/api/kblocks/notes/a b"),
    ):  # fmt: skip
        assert "there is no K-Block 'notes/a b'" in assert_problem(response, 404)["detail"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"title": ""}, "title"),
        ({"title": "x" * 501}, "title"),
        ({"title": None}, "title"),
        ({"content": "x" * (1024 * 1024 + 1)}, "content"),
        ({"layer": 8}, "layer"),
        ({"layer": "1"}, "layer"),
        ({"galois_loss": -0.1}, "galois_loss"),
        ({"galois_loss": True}, "galois_loss"),
        ({"galois_loss": 1e300}, "galois_loss"),
        ({"tags": "a,b"}, "tags"),
        ({"title": "  "}, "title"),
        ({"created_at": "2026-01-01T00:00:00"}, "created_at"),
        ({"created_at": "0001-01-01T00:00:00+14:00"}, "created_at"),
        ({"edges": [{"target": "x", "kind": "likes"}]}, "edges.0.kind"),
        ({"tags": [""]}, "tags.0"),
        ({"tags": [str(i) for i in range(65)]}, "tags"),
        ({"titel": "x"}, "titel"),
        ({"id": "other"}, "id"),
        ({"author": "a\x00"}, "author"),
    ],
)
@pytest.mark.parametrize("database_kind", ["sqlite"])
async def test_what_a_kblock_cannot_be(client, fields, field):
    response = await client.put("/api/kblocks/k", json={"title": "T"} | fields)
    assert_problem(response, 422, field)
    assert_problem(await client.get("/api/kblocks/k"), 404)


@pytest.mark.parametrize("database_kind", ["sqlite"])
async def test_a_loss_is_a_finite_number_and_a_kblock_an_object(client):
    for body, status in (
        ('{"title": "T", "galois_loss": NaN}', 400), ('{"title": "T", "galois_loss": 1e999}', 422),
        ("[]", 422), ("7", 422), ("{", 400),
    ):  # fmt: skip
        response = await client.put("/api/kblocks/k", content=body, headers=JSON)
        assert response.status_code == status, response.text


async def test_a_bad_kblock_of_a_batch_is_rejected_alone(client):
    batch = [{"id": "a", "title": "A"}, {"id": "b"}, 7, {"id": "c", "title": "C", "layer": 9}]
    answer = (await client.post("/api/kblocks/batch", json={"kblocks": batch})).json()
    assert answer["added"] == 1
    assert [each["index"] for each in answer["rejected"]] == [1, 2, 3]
    assert answer["rejected"][0]["error"] == "title: is required"
    twice = {"kblocks": [{"id": "q", "title": "Q"}, {"id": "q", "title": "R"}]}
    answer = (await client.post("/api/kblocks/batch", json=twice)).json()
    assert (answer["added"], answer["rejected"]) == (
        1, [{"index": 1, "error": "id: an earlier K-Block of the batch has the same id"}],
    )  # fmt: skip
    too_many = {"kblocks": [{"id": "a", "title": "A"}] * 1001}
    assert_problem(await client.post("/api/kblocks/batch", json=too_many), 422, "kblocks")


async def test_a_reader_declares_principles(client):
    assert (await client.get("/api/users/ada")).json() == {"id": "ada", "principles": []}
    declared = await client.put("/api/users/ada", json={"principles": ["frugal", "frugal"]})
    assert declared.json() == {"id": "ada", "principles": ["frugal"]}
    assert (await client.get("/api/users/ada")).json() == declared.json()
    assert_problem(await client.put("/api/users/guest", json={"principles": ["x"]}), 422, "id")
    assert_problem(await client.put("/api/users/ada", json={}), 422, "principles")


async def test_a_reader_prefers(client):
    path, nothing = "/api/users/ada/preferences", {
        "personalized": True, "weights": {}, "muted_tags": [], "muted_authors": [],
        "muted_sources": [], "most_per_source": None,
        "hide_read": False, "interests": {},
    }  # fmt: skip
    assert (await client.get(path)).json() == nothing
    await put(client, "loud", tags=["loud"])
    await put(client, "calm")
    await client.put("/api/users/ada", json={"principles": ["frugal"]})
    wanted = {"personalized": False, "weights": {"recency": 1}, "muted_tags": ["loud"]}
    answer = await client.put(path, json=wanted)
    assert answer.json() == nothing | wanted == (await client.get(path)).json()
    page = (await client.get(COSMOS, params={"user_id": "ada"})).json()
    assert [item["id"] for item in page["items"]] == ["calm"]
    assert (await client.get("/api/users/ada")).json()["principles"] == ["frugal"]
    body = {"kblock_ids": ["loud", "calm"], "user_id": "ada"}
    ranked = (await client.post("/api/feed/rank", json=body)).json()
    assert (ranked["total"], ranked["muted"], ranked["dismissed"]) == (1, ["loud"], [])
    reset = await client.delete("/api/users/ada/profile")
    assert (reset.status_code, reset.json()) == (200, {"success": True})
    assert (await client.put(path, json={})).json() == nothing
    for wrong, field in (
        ({"muted_tags": [7]}, "muted_tags.0"), ({"muted": []}, "muted"),
        ({"weights": {"recency": True}}, "weights.recency"),
        ({"personalized": None}, "personalized"),
    ):  # fmt: skip
        assert_problem(await client.put(path, json=wrong), 422, field)
    for refused in (
        await client.put("/api/users/guest/preferences", json={}),
        await client.delete("/api/users/guest/profile"),
    ):
        assert "give a reader's own id" in assert_problem(refused, 422, "id")["detail"]


async def test_writers_at_once_each_get_their_answer(client):
    answers = await asyncio.gather(*(put(client, f"k{i % 7}", content=str(i)) for i in range(40)))
    statuses = [answer.json()["status"] for answer in answers]
    assert statuses.count("added") == 7
    assert (await client.get(COSMOS)).json()["total"] == 7


async def test_the_document_describes_it_all(client):
    paths = (await client.get("/openapi.json")).json()["paths"]
    for path in ("/api/feed/cosmos", "/api/feed/rank", "/api/kblocks/{kblock_id}",
                 "/api/feed/feeds", "/api/feed/feeds/{feed_id}/declaration",
                 "/api/users/{user_id}", "/api/feed/dismissals/{kblock_id}"):  # fmt: skip
        assert path in paths
    names = {each["name"] for each in paths["/api/feed/cosmos"]["get"]["parameters"]}
    assert {"user_id", "offset", "limit", "ranking", "max_loss", "cursor", "explain"} <= names

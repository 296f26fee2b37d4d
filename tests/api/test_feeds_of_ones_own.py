"""Stored feeds over REST, and feeds of the application that mounts the router."""

import re

import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import async_sessionmaker

from harken.config import Settings
from harken.database import create_engine
from harken.domain.feeds import DEFAULT_FEEDS, Feed
from harken.errors import InvalidInput
from harken.protocols.api.feed import create_feed_router
from tests.api.conftest import client_of
from tests.api.test_feed import assert_problem
from tests.api.test_feeds import ITEM, put

FEEDS = "/api/feed/feeds"
CALM = {
    "description": "Calm and lately",
    "sources": [{"kind": "tag", "value": "calm"}, {"kind": "author", "value": "mira"}],
    "filters": [
        {"field": "created_at", "operator": "gt", "value": "7d"},
        {"field": "layer", "operator": "between", "value": [1, 3]},
    ],
    "max_loss": 0.5,
    "ranking": "weighted",
    "weights": {"recency": 1.0},
}


async def some(client) -> None:
    for i in range(5):
        await put(client, f"k{i}", tags=["calm"] if i else [], layer=2, galois_loss=i / 10)
    await put(client, "old", tags=["calm"], layer=2, galois_loss=0, created_at="2020-01-01T00:00Z")


async def test_a_feed_is_put_read_and_deleted(client):
    await some(client)
    added = await client.put(f"{FEEDS}/calm", json=CALM)
    assert (added.status_code, added.json()) == (201, {"id": "calm", "status": "added"})
    again = await client.put(f"{FEEDS}/calm", json=CALM)
    assert (again.status_code, again.json()["status"]) == (200, "unchanged")
    declared = (await client.get(f"{FEEDS}/calm/declaration")).json()
    assert declared.pop("created_at").endswith("Z")
    assert declared.pop("updated_at").endswith("Z")
    assert declared == {"id": "calm", "origin": "stored"} | CALM
    listed = (await client.get(FEEDS)).json()["feeds"]
    assert [each["id"] for each in listed] == [*DEFAULT_FEEDS, "calm"]
    assert {each["origin"] for each in listed[:-1]} == {"built-in"}
    first = (await client.get(f"{FEEDS}/calm", params={"limit": 1, "explain": True})).json()
    assert set(first["items"][0]) == ITEM | {"explanation", "reasons"}
    assert first["total"] == 4
    updated = await client.put(f"{FEEDS}/calm", json={})
    assert (updated.status_code, updated.json()["status"]) == (200, "updated")
    assert (await client.get(f"{FEEDS}/calm")).json()["total"] == 6
    assert (await client.delete(f"{FEEDS}/calm")).status_code == 204
    for gone in (
        await client.get(f"{FEEDS}/calm"), await client.get(f"{FEEDS}/calm/declaration"),
    ):  # fmt: skip
        assert "'calm' is unknown; known are cosmos" in assert_problem(gone, 404, "feed")["detail"]
    assert_problem(await client.delete(f"{FEEDS}/calm"), 404)
    # Following pages are those of the deleted feed.
    rest = await client.get(f"{FEEDS}/calm", params={"cursor": first["next_cursor"]})
    ids = [item["id"] for item in first["items"] + rest.json()["items"]]
    assert sorted(ids) == ["k1", "k2", "k3", "k4"]


async def test_harkens_own_feeds_are_there_too(client):
    await some(client)
    for query in ({}, {"limit": 2}, {"ranking": "coherence", "max_loss": 0.2}):
        by_name = (await client.get(f"{FEEDS}/cosmos", params=query)).json()
        as_ever = (await client.get("/api/feed/cosmos", params=query)).json()
        both = zip(by_name["items"], as_ever["items"], strict=True)
        assert all(one | {"score": 0} == other | {"score": 0} for one, other in both)
        assert by_name.keys() == as_ever.keys()
    declared = (await client.get(f"{FEEDS}/handwavy/declaration")).json()
    assert declared["filters"] == [{"field": "galois_loss", "operator": "gt", "value": 0.5}]


@pytest.mark.parametrize("database_kind", ["sqlite"])
async def test_what_is_refused(client):
    for feed_id, message in (
        ("cosmos", "is a default feed of Harken"), ("config", "is reserved"), ("-", "must be 1 to"),
        ("a%20b", "must be 1 to"), ("%C3%A9", "must be 1 to"), ("x" * 65, "must be 1 to 64"),
    ):  # fmt: skip
        problem = assert_problem(await client.put(f"{FEEDS}/{feed_id}", json={}), 422, "id")
        assert message in problem["detail"]
        assert_problem(await client.delete(f"{FEEDS}/{feed_id}"), 422, "id")
    for fields, field in (
        ([], ""), ({"filter": []}, "filter"), ({"ranking": "best"}, "ranking"),
        ({"filters": [{"field": "tag", "operator": "lt", "value": "x"}]}, "filters.0"),
        ({"sources": [{"kind": "feed"}]}, "sources.0.kind"),
    ):  # fmt: skip
        assert_problem(await client.put(f"{FEEDS}/mine", json=fields), 422, field)
    for query, field in (({"limit": 101}, "limit"), ({"cursor": "x"}, "cursor")):
        assert_problem(await client.get(f"{FEEDS}/cosmos", params=query), 422, field)
    for nowhere in ("/api/feed/mine", f"{FEEDS}/%00", f"{FEEDS}/%F0%9F%98%80"):
        assert (await client.get(nowhere)).status_code == 404
    assert "under /feed/feeds" in (await client.get("/api/feed/mine")).json()["detail"]


def test_a_router_refuses_names_that_are_taken():
    with pytest.raises(InvalidInput, match="'cosmos' is a default feed of Harken"):
        create_feed_router(feeds=[Feed("cosmos", "")])


async def test_the_document_has_all_that_it_refers_to(client):
    document = (await client.get("/openapi.json")).text
    for name in set(re.findall(r"#/components/schemas/([\w-]+)", document)):
        assert f'"{name}":{{' in document


@pytest.mark.parametrize("configured", [True, False])
async def test_an_application_brings_its_own(database_url, configured, monkeypatch):
    monkeypatch.setenv("HARKEN_DATABASE_URL", database_url)
    low = Feed("low", "low loss", filters=(lambda columns: columns.loss < 0.25,))
    engine = create_engine(Settings(database_url=database_url))
    app = FastAPI()
    if configured:
        app.include_router(create_feed_router(feeds=[low]))
    else:
        app.include_router(create_feed_router(async_sessionmaker(engine), feeds=[low]))
    async with client_of(app) as client:
        await some(client)
        for _ in range(2):
            page = (await client.get(f"{FEEDS}/low", params={"ranking": "coherence"})).json()
            assert [item["id"] for item in page["items"]] == ["k0", "old", "k1", "k2"]
        declared = (await client.get(f"{FEEDS}/low/declaration")).json()
        assert (declared["origin"], declared["filters"]) == (
            "registered", [{"function": "<lambda>"}],
        )  # fmt: skip
        refused = await client.put(f"{FEEDS}/low", json={})
        assert "a feed of this program" in assert_problem(refused, 422, "id")["detail"]
    await engine.dispose()

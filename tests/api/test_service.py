"""Health checks, access rules, and the router in another FastAPI application."""

import asyncio
import importlib.util
from pathlib import Path

import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from harken.config import Settings
from harken.database import create_engine
from harken.protocols.api.app import create_app
from harken.protocols.api.feed import create_feed_router
from tests.api.conftest import client_of
from tests.support.schema import NEWEST

EXAMPLE = Path(__file__).parents[2] / "examples" / "embedded.py"
EVENT = {"user_id": "u", "kblock_id": "k", "action": "view"}
RECORD = "/api/feed/feedback/record"


async def test_a_service_that_can_record_is_ready(client):
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    ready = await client.get("/readyz")
    assert ready.status_code == 200
    report = ready.json()
    assert 0 <= report["index"].pop("age_seconds") < 60
    assert report == {
        "status": "ready", "schema": NEWEST, "queue_depth": 0, "index": {"kblocks": 0},
    }  # fmt: skip


async def test_a_service_whose_schema_has_changed_is_not_ready(client, database_url):
    engine = create_engine(Settings(database_url=database_url))
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE harken_alembic_version SET version_num = '9999'"))
    await engine.dispose()
    ready = await client.get("/readyz")
    assert ready.status_code == 503
    assert "made by a newer one" in ready.json()["problem"]
    assert (await client.get("/healthz")).status_code == 200


async def test_every_route_has_a_summary_of_its_own(client):
    paths = (await client.get("/openapi.json")).json()["paths"]
    summaries = [each["summary"] for operations in paths.values() for each in operations.values()]
    assert len(set(summaries)) == len(summaries) > 30
    feeds = {"Cosmos", "Coherent", "Contradictions", "Axioms", "Handwavy", "Personal"}
    feeds |= {"Saved", "History"}
    assert all(" " in each for each in set(summaries) - feeds)


async def test_an_unknown_path_and_a_wrong_verb_are_problems(client):
    for response, status in (
        (await client.get("/nowhere"), 404),
        (await client.get(RECORD), 405),
    ):
        assert response.status_code == status
        assert response.headers["content-type"] == "application/problem+json"


async def test_without_keys_only_names_of_this_machine_are_answered(client):
    """DNS rebinding: a page whose host name resolves to 127.0.0.1 must not reach the API."""
    assert (await client.get("/", headers={"Host": "evil.example"})).status_code == 400
    for host in ("localhost:8000", "127.0.0.1", "[::1]:8000"):
        assert (await client.get("/healthz", headers={"Host": host})).status_code == 200, host


async def test_without_keys_pages_of_other_origins_change_nothing(client):
    """A browser sends simple POST requests of any page, with the origin of the page."""
    paths = (await client.get("/openapi.json")).json()["paths"]
    writes = [(verb, path) for path, verbs in paths.items() for verb in verbs if verb != "get"]
    assert ("post", "/api/models/rollback") in writes
    for verb, path in writes:
        for origin in ("https://evil.example", "http://127.0.0.1:9000", "null"):
            refused = await client.request(verb, path, headers={"Origin": origin})
            assert refused.status_code == 403, (verb, path, origin)
            assert refused.headers["content-type"] == "application/problem+json"
    own = {"Origin": "http://127.0.0.1:8000"}
    assert (await client.post(RECORD, json=EVENT, headers=own)).status_code == 200
    assert (await client.get("/readyz", headers={"Origin": "null"})).status_code == 200


async def test_without_keys_pages_of_the_origins_named_may_record(database_url, monkeypatch):
    monkeypatch.setenv("HARKEN_DATABASE_URL", database_url)
    monkeypatch.setenv("HARKEN_CORS_ORIGINS", "https://app.example")
    async with client_of(create_app()) as client:
        for origin, status in (("https://app.example", 200), ("https://evil.example", 403)):
            headers = {"Origin": origin}
            assert (await client.post(RECORD, json=EVENT, headers=headers)).status_code == status


@pytest.fixture
async def guarded(database_url, monkeypatch):
    monkeypatch.setenv("HARKEN_DATABASE_URL", database_url)
    monkeypatch.setenv("HARKEN_API_KEYS", "sesame,open")
    monkeypatch.setenv("HARKEN_CORS_ORIGINS", "https://app.example")
    async with client_of(create_app(), "http://harken.example") as opened:
        yield opened


async def test_with_keys_every_route_but_healthz_wants_one(guarded):
    assert (await guarded.get("/healthz")).status_code == 200
    for path in ("/readyz", "/openapi.json", "/api/feed/analytics", "/nowhere"):
        refused = await guarded.get(path)
        assert refused.status_code == 401, path
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.headers["www-authenticate"] == "Bearer"
    assert (await guarded.post(RECORD, json=EVENT)).status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"X-API-Key": "sesame"}, 200),
        ({"X-API-Key": "open"}, 200),
        ({"Authorization": "Bearer sesame"}, 200),
        ({"Authorization": "bearer open"}, 200),
        ({"Authorization": "Basic sesame"}, 401),
        ({"Authorization": "Bearer wrong", "X-API-Key": "open"}, 200),
        ({"X-API-Key": "sesam"}, 401),
        ({"X-API-Key": ""}, 401),
        ({"X-API-Key": b"\xff"}, 401),
    ],
)
async def test_a_key_is_a_header_or_a_bearer_token(guarded, headers, status):
    assert (await guarded.get("/api/feed/analytics", headers=headers)).status_code == status


async def test_pages_of_the_origins_named_may_call(guarded):
    resolved = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "X-API-Key, Content-Type",
    }
    allowed = await guarded.options(RECORD, headers={"Origin": "https://app.example", **resolved})
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == "https://app.example"
    other = await guarded.options(RECORD, headers={"Origin": "https://evil.example", **resolved})
    assert "access-control-allow-origin" not in other.headers


# In another FastAPI application


async def test_the_router_works_in_somebody_elses_application(session_factory):
    app = FastAPI()
    app.include_router(create_feed_router(session_factory))
    async with client_of(app, "http://theirs.example") as client:
        assert (await client.post(RECORD, json=EVENT)).json()["success"] is True
        refused = await client.post(RECORD, json=EVENT | {"action": "like"})
        assert refused.status_code == 422
        assert refused.headers["content-type"] == "application/problem+json"
        large = await client.post(RECORD, json=EVENT | {"metadata": {"a": "x" * 70_000}})
        assert large.status_code == 413
        assert (await client.get("/api/feed/analytics")).json()["totals"]["views"] == 1
    # An application may start again after its end, as in tests.
    async with client_of(app, "http://theirs.example") as client:
        assert (await client.post(RECORD, json=EVENT)).json()["success"] is True
        assert (await client.get("/api/feed/analytics")).json()["totals"]["views"] == 2


@pytest.mark.parametrize("database_kind", ["sqlite"])
async def test_their_engine_needs_no_settings_of_ours(database_url):
    """Also an engine whose driver begins transactions itself."""
    engine = create_async_engine(database_url)
    sessions: async_sessionmaker[AsyncSession] = async_sessionmaker(engine)
    app = FastAPI()
    app.include_router(create_feed_router(sessions, prefix="/inside"))
    async with client_of(app) as client:
        answers = await asyncio.gather(
            *(client.post("/inside/feed/feedback/record", json=EVENT) for _ in range(50))
        )
        assert {answer.status_code for answer in answers} == {200}
        assert (await client.get("/inside/feed/analytics")).json()["totals"]["views"] == 50
        put = await client.put("/inside/kblocks/k", json={"title": "K"})
        assert put.status_code == 201
        [item] = (await client.get("/inside/feed/cosmos?ranking=attention")).json()["items"]
        assert (item["id"], item["score"]) == ("k", pytest.approx(0.5 * 50 / 51 / 2))
    await engine.dispose()


async def test_the_example_of_the_docs_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("APP_DATABASE_URL", f"sqlite+aiosqlite:///{tmp_path / 'app.db'}")
    spec = importlib.util.spec_from_file_location("embedded", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    async with client_of(example.create_app()) as client:
        assert (await client.post(RECORD, json=EVENT)).status_code == 403  # a guest is not u
        assert (await client.post("/sign-in", params={"name": "u"})).status_code == 200
        assert (await client.post(RECORD, json=EVENT)).status_code == 200
        assert (await client.get("/api/users/u/profile")).json()["interactions"] == 1
        assert (await client.get("/api/users/ada/profile")).status_code == 403
        assert (await client.get("/api/models")).status_code == 404

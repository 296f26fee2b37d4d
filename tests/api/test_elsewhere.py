"""The application mounted at another path, and requests of pages of other origins."""

import asyncio
import contextlib
import socket

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from sqlalchemy import func, select

from harken.protocols.api.app import create_app
from harken.services.providers import get_feed_service
from harken.services.record.slates import SLATES
from tests.api.conftest import client_of
from tests.api.test_http import BROWSER, EVENT, PROBLEM, RECORD

KEY = {"X-API-Key": "sesame"}


@contextlib.asynccontextmanager
async def served(app, **options):
    """Serve an application on a free port of this machine."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_level="warning", **options)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        while not server.started:
            assert not serving.done(), serving
            await asyncio.sleep(0.01)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as client:
            yield client
        server.should_exit = True
        await serving


@contextlib.asynccontextmanager
async def mounted():
    """Mount the application in another one, which runs its lifespan."""
    inner = create_app()

    @contextlib.asynccontextmanager
    async def lifespan(_app):
        async with inner.router.lifespan_context(inner):
            yield

    outer = FastAPI(lifespan=lifespan)
    outer.mount("/harken", inner)
    async with served(outer) as client:
        client.base_url = client.base_url.join("/harken/")
        yield client


@contextlib.asynccontextmanager
async def under_a_root_path():
    """Serve behind a proxy that strips the prefix `/harken`."""
    async with served(create_app(), root_path="/harken") as client:
        yield client


@pytest.mark.parametrize("standing", [mounted, under_a_root_path])
async def test_with_keys_all_works_under_another_path(standing, database_url, monkeypatch):
    monkeypatch.setenv("HARKEN_DATABASE_URL", database_url)
    monkeypatch.setenv("HARKEN_API_KEYS", "sesame")
    async with standing() as client:
        assert (await client.get("healthz")).json() == {"status": "ok"}
        assert (await client.head("healthz")).status_code == 200
        assert (await client.get("readyz")).status_code == 401
        assert (await client.get("readyz", headers=KEY)).status_code == 200
        for page in ("", "dashboard", "docs", "kblock?id=x"):
            shown = await client.get(page)
            assert shown.status_code == 200, page
            assert 'data-root="/harken"' in shown.text
            assert "This server needs an API key" in shown.text
            assert "/harken/static/" in shown.text
        assert (await client.get("static/css/base.css")).status_code == 200
        missing = await client.get("nowhere", headers=BROWSER)
        assert (missing.status_code, 'href="/harken/"' in missing.text) == (404, True)
        for path in ("nowhere", "api/feed/cosmos", "reader/cards?cursor=x", "openapi.json"):
            assert (await client.get(path)).status_code == 401, path
        assert (await client.get("api/feed/cosmos", headers=BROWSER)).status_code == 401
        record = RECORD.removeprefix("/")
        assert (await client.post(record, json=EVENT)).status_code == 401
        recorded = await client.post(record, json=EVENT, headers=KEY)
        assert recorded.status_code == 200
        assert recorded.headers["cache-control"] == "private, no-store"
        wrong = await client.put(record, json=EVENT, headers=KEY)
        assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST, OPTIONS")
        counted = await client.get("api/feed/analytics", headers=KEY)
        assert counted.json()["totals"]["views"] == 1


async def test_recording_takes_the_short_way_under_another_path(database_url, monkeypatch):
    monkeypatch.setenv("HARKEN_DATABASE_URL", database_url)
    inner = create_app()
    resolved = []

    async def remember(scope, receive, send):
        resolved.append(scope["path"])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    vars(inner.front)["_recording"] = remember
    outer = FastAPI()
    outer.mount("/harken", inner)
    async with client_of(outer) as client:
        for path in (f"/harken{RECORD}", f"/harken{RECORD}?x=1", RECORD):
            await client.post(path, json=EVENT)
    assert resolved == [f"/harken{RECORD}"]


# Requests of other origins: browsers set these headers, and scripts cannot.

LINK = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
IMAGE = {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
FRAME = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}
AHEAD = LINK | {"Sec-Purpose": "prefetch;prerender"}
SCRIPT = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "Origin": "https://evil.example"}
READS = [
    "/api/feed/cosmos", "/api/feed/personal?user_id=ada", "/api/kblocks/k/similar",
    "/api/feed/analytics", "/openapi.json", "/reader/cards?cursor=x",
]  # fmt: skip


async def slates():
    """Return the number of stored slates."""
    service = await get_feed_service()
    async with service.ledger._database.reading() as connection:
        return await connection.scalar(select(func.count()).select_from(SLATES))


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_a_page_elsewhere_makes_no_slates(client, site):
    await client.put("/api/kblocks/k", json={"title": "K"})
    before = await slates()
    elsewhere = {"Sec-Fetch-Site": site}
    for how in (IMAGE, FRAME, AHEAD, SCRIPT, {}):
        for path in [*READS, "/", "/kblock?id=k", "/dashboard"]:
            refused = await client.get(path, headers=elsewhere | how)
            assert refused.status_code == 403, (how, path)
            assert refused.headers["content-type"] == PROBLEM
            assert "HARKEN_CORS_ORIGINS" in refused.json()["detail"]
    for path in READS:  # a link to a route that is not a page
        assert (await client.get(path, headers=elsewhere | LINK)).status_code == 403
    assert await slates() == before


async def test_links_elsewhere_and_people_here_are_answered(client):
    await client.put("/api/kblocks/k", json={"title": "K"})
    elsewhere = {"Sec-Fetch-Site": "cross-site"}
    for path in ("/", "/kblock?id=k", "/dashboard", "/docs"):
        assert (await client.get(path, headers=elsewhere | LINK)).status_code == 200, path
    missing = await client.get("/nowhere", headers=elsewhere | LINK | BROWSER)
    assert missing.status_code == 404
    for path in ("/healthz", "/readyz", "/static/harken-client.js"):
        assert (await client.get(path, headers=elsewhere | IMAGE)).status_code == 200, path
    for here in ({"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {}):
        for path in ("/", "/api/feed/cosmos", "/api/feed/analytics"):
            assert (await client.get(path, headers=here)).status_code == 200, (here, path)


@pytest.mark.parametrize("named", ["https://app.example", "*"])
async def test_pages_of_the_origins_named_may_read(database_url, monkeypatch, named):
    monkeypatch.setenv("HARKEN_DATABASE_URL", database_url)
    monkeypatch.setenv("HARKEN_CORS_ORIGINS", named)
    async with client_of(create_app()) as client:
        own = SCRIPT | {"Sec-Fetch-Site": "cross-site", "Origin": "https://app.example"}
        answer = await client.get("/api/feed/cosmos", headers=own)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == named
        other = await client.get(
            "/api/feed/cosmos", headers=SCRIPT | {"Sec-Fetch-Site": "cross-site"}
        )
        assert other.status_code == (200 if named == "*" else 403)

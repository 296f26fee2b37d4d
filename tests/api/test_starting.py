"""`harken serve` while its routes are made: events and pages are answered, the rest waits."""

import asyncio
import signal
import subprocess
import sys
import threading
from contextlib import asynccontextmanager

import httpx
import pytest

from harken.config import Settings
from harken.domain.kblock import KBlock
from harken.errors import DatabaseUnavailable
from harken.protocols.front.serving import Serving
from harken.services.feed.caches.profiles import Profiles
from harken.services.kblocks.store import KBlockStore
from harken.services.providers import close_providers
from tests.support.access import as_key, make_keys

EVENT = {"interaction_id": "e1", "user_id": "ada", "kblock_id": "k0", "action": "view"}


class Held(Serving):
    """A server whose routes are not made before `go` is set."""

    def __init__(self, settings):
        super().__init__(settings)
        self.go = threading.Event()

    def _create(self):
        self.go.wait()
        return super()._create()


@pytest.fixture
async def keys(database_url, session_factory, monkeypatch):
    monkeypatch.setenv("HARKEN_DATABASE_URL", database_url)
    await KBlockStore(session_factory).put([KBlock(id=f"k{n}", title="A note") for n in range(3)])
    return await make_keys(session_factory)


@asynccontextmanager
async def opened(app):
    """Run an application, and yield a client of it."""
    transport = httpx.ASGITransport(app)
    try:
        async with (
            app._running(None),
            httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client,
        ):
            yield client
    finally:
        app.go.set()


async def ask(client, keys) -> None:
    address = "/api/feed/cosmos?ranking=personal&user_id=ada"
    page = await client.get(address, headers=as_key(keys["read"]))
    assert (page.status_code, page.json()["total"]) == (200, 3)


def at_once() -> Held:
    """Return a server whose routes are made at once."""
    app = Held(Settings.load())
    app.go.set()
    return app


async def test_what_personal_pages_wait_for_is_loaded_if_they_were_asked_for(keys, monkeypatch):
    async with opened(at_once()) as client:
        await ask(client, keys)

    async def fail(_profiles) -> None:
        raise DatabaseUnavailable("away")

    async with opened(at_once()) as client:
        [warming] = (each for each in asyncio.all_tasks() if each.get_name() == "harken-warming")
        await asyncio.wait_for(warming, 60)
        monkeypatch.setattr(Profiles, "_load", fail)
        await ask(client, keys)


async def test_pages_and_events_are_answered_before_the_routes_are_made(keys):
    app = Held(Settings.load())
    async with opened(app) as client:
        page = await client.get("/api/feed/cosmos", headers=as_key(keys["read"]))
        assert (page.status_code, page.json()["total"]) == (200, 3)
        path, key = "/api/feed/feedback/record", as_key(keys["ingest"])
        sent = await client.post(path, json=EVENT, headers=key)
        assert (sent.status_code, sent.json()["success"]) == (200, True)
        assert (await client.get("/api/feed/cosmos")).status_code == 401
        missing = await client.get("/api/feed/feeds/nothing", headers=as_key(keys["read"]))
        assert missing.status_code == 404
        app.go.set()


async def test_all_other_requests_wait_for_the_routes(keys):
    app = Held(Settings.load())
    async with opened(app) as client:
        paths = (
            "/readyz",
            "/healthz",
            "/",
            "/static/css/base.css",
            "/api/feed/feeds",
            "/openapi.json",
        )
        asked = [
            asyncio.create_task(client.get(path, headers=as_key(keys["read"]))) for path in paths
        ]
        nowhere = asyncio.create_task(client.get("/api/nowhere", headers=as_key(keys["read"])))
        # A page that is asked for later comes first, so the others had the time to be answered.
        assert (await client.get("/api/feed/cosmos", headers=as_key(keys["read"]))).is_success
        assert not any(each.done() for each in [*asked, nowhere])
        app.go.set()
        statuses = {path: (await task).status_code for path, task in zip(paths, asked, strict=True)}
        assert statuses == dict.fromkeys(paths, 200)
        assert (await nowhere).status_code == 404


async def test_a_server_that_ends_at_once_waits_for_its_routes(keys):
    app = Held(Settings.load())
    async with opened(app) as client:
        assert (await client.get("/api/feed/cosmos", headers=as_key(keys["read"]))).is_success
        asyncio.get_running_loop().call_soon(app.go.set)
    assert app._making is not None
    assert app._making.done()


async def test_a_server_without_a_lifespan_makes_its_routes_at_the_first_request(keys):
    transport = httpx.ASGITransport(Serving(Settings.load()))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        answers = await asyncio.gather(
            *(client.get("/healthz", headers=as_key(keys["admin"])) for _ in range(3))
        )
    await close_providers()
    assert [each.status_code for each in answers] == [200] * 3


async def test_a_server_whose_routes_cannot_be_made_ends(keys, caplog):
    class Broken(Held):
        def _create(self):
            self.go.wait()
            raise ModuleNotFoundError("a module is missing")

    asked_to_end = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, asked_to_end.set)
    app = Broken(Settings.load())
    try:
        async with opened(app) as client:
            app.go.set()
            with pytest.raises(ModuleNotFoundError):
                await client.get("/readyz", headers=as_key(keys["admin"]))
            await asyncio.wait_for(asked_to_end.wait(), 30)
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
    assert "cannot make its routes" in caplog.text


def test_what_answers_first_imports_neither_fastapi_nor_pages():
    code = (
        "import sys, harken.protocols.front.serving, harken.services.feed.service;"
        "print([name for name in sys.modules if name.split('.')[0] in ('fastapi', 'jinja2')])"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert told.stdout == "[]\n"

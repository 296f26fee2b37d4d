"""Limits of requests, per key, reader and address."""

from typing import Any, cast

import httpx
import pytest
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from harken.config import Settings
from harken.errors import InvalidSettings
from harken.protocols.api.app import create_app
from harken.protocols.http.rate_limits import RateLimits, WindowStorage
from tests.support.access import as_key, as_page, make_keys, service

RECORD = "/api/feed/feedback/record"
EVENT = {"kblock_id": "k", "action": "view"}
FEED = "/api/feed/cosmos"


@pytest.fixture
async def keys(session_factory):
    return await make_keys(session_factory)


async def statuses(count, ask):
    return [(await ask()).status_code for _ in range(count)]


def exceeded(answer):
    assert answer.status_code == 429
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["ratelimit-limit"] == "3"
    assert answer.headers["ratelimit-remaining"] == "0"
    assert 0 < int(answer.headers["retry-after"]) <= 3601
    return "try again" in answer.json()["detail"]


async def test_each_key_has_its_limit(database_url, keys, monkeypatch):
    async with service(database_url, monkeypatch, HARKEN_RATE_LIMIT_KEY="3/hour") as client:
        read, items = as_key(keys["read"]), as_key(keys["items"])
        assert await statuses(3, lambda: client.get(FEED, headers=read)) == [200] * 3
        assert exceeded(await client.get(FEED, headers=read))
        assert (await client.delete("/api/kblocks/x", headers=items)).status_code == 404
        assert (await client.get("/healthz", headers=read)).status_code == 200


async def test_each_reader_has_a_limit_also_for_recording(database_url, keys, monkeypatch):
    async with service(database_url, monkeypatch, HARKEN_RATE_LIMIT_USER="3/hour") as client:
        ada, bob = (as_page(keys["publishable"], name) for name in ("ada", "bob"))
        asked = await statuses(3, lambda: client.post(RECORD, json=EVENT, headers=ada))
        assert asked == [200] * 3
        answer = await client.post(RECORD, json=EVENT, headers=ada)
        assert exceeded(answer)
        # A page of another origin may read why.
        assert answer.headers["access-control-allow-origin"] == ada["Origin"]
        assert (await client.post(RECORD, json=EVENT, headers=bob)).status_code == 200


async def test_an_address_that_tries_keys_is_limited(database_url, keys, monkeypatch):
    async with service(database_url, monkeypatch, HARKEN_RATE_LIMIT_ADDRESS="3/hour") as client:
        assert await statuses(3, lambda: client.get(FEED, headers=as_key("x"))) == [401] * 3
        assert exceeded(await client.get(FEED, headers=as_key("x")))
        # A valid secret key is not held up by others at its address.
        assert (await client.get(FEED, headers=as_key(keys["read"]))).status_code == 200


@pytest.mark.parametrize("database_kind", ["sqlite"])
async def test_behind_a_proxy_the_address_is_that_of_the_client(database_url, keys, monkeypatch):
    monkeypatch.setenv("HARKEN_DATABASE_URL", database_url)
    monkeypatch.setenv("HARKEN_RATE_LIMIT_ADDRESS", "3/hour")
    app = create_app()
    behind: Any = ProxyHeadersMiddleware(cast("Any", app), trusted_hosts=["127.0.0.1"])
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(behind), base_url="http://127.0.0.1"
        ) as client,
    ):
        first, second = ({"X-Forwarded-For": each} for each in ("192.0.2.1", "192.0.2.2"))
        assert await statuses(4, lambda: client.get(FEED, headers=first)) == [401] * 3 + [429]
        assert (await client.get(FEED, headers=second)).status_code == 401


def test_a_server_on_this_machine_has_no_limits_and_others_have():
    assert not RateLimits(Settings())
    outside = RateLimits(Settings(host="0.0.0.0"))
    assert all(outside.exceeded(key="k", user=None, address=None) is None for _ in range(999))
    found = [outside.exceeded(address="192.0.2.1") for _ in range(120)]
    assert found[0] is None
    assert found[-1] is not None
    off = Settings(host="0.0.0.0", rate_limit_user="off", rate_limit_address="off")
    assert not RateLimits(off)


@pytest.mark.parametrize(
    "rate", ["50", "0/second", "50/fortnight", "-1/second", "many", "5/second;"]
)
def test_a_limit_that_cannot_be_read_is_an_error_at_the_start(rate, monkeypatch):
    monkeypatch.setenv("HARKEN_RATE_LIMIT_KEY", rate)
    with pytest.raises(InvalidSettings, match="HARKEN_RATE_LIMIT_KEY: must be a number per second"):
        Settings.load()


def test_counters_end_with_their_window_and_are_dropped(monkeypatch):
    now = 1_000.0
    monkeypatch.setattr("harken.protocols.http.rate_limits.time.time", lambda: now)
    storage = WindowStorage()
    assert [storage.incr("a", 2) for _ in range(3)] == [1, 2, 3]
    assert (storage.get("a"), storage.get_expiry("a")) == (3, 1_002.0)
    now = 1_002.0
    assert (storage.get("a"), storage.incr("a", 2)) == (0, 1)
    for number in range(100):
        storage.incr(str(number), 1)
    now = 1_020.0
    storage.incr("b", 1)
    assert storage.reset() == 1

"""The fast way of a page answers as the routes of FastAPI do: status, headers and body."""

import json
from datetime import UTC, datetime
from urllib.parse import unquote

import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harken.config import Settings
from harken.domain.kblock import KBlock
from harken.protocols.api.app import create_app
from harken.protocols.http.gate import Gate
from harken.services.kblocks.store import KBlockStore
from harken.services.providers import get_key_ring
from tests.support.access import (
    SITE,
    TOKEN_SECRET,
    as_key,
    as_page,
    as_proxied,
    as_reader,
    make_keys,
)

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"])

PROXY = {"HARKEN_IDENTITY_HEADER": "X-Remote-User", "HARKEN_FORWARDED_ALLOW_IPS": "127.0.0.1"}
# Their recency is 0 at any time, so that both ways compute the same scores.
LONG_AGO = datetime(1950, 1, 1, tzinfo=UTC)


class Ways:
    """An application, and the same without its fast ways, behind gates of the same kind."""

    def __init__(self, app, configured, keys):
        async def slow(scope, receive, send):
            await FastAPI.__call__(app, scope, receive, send)

        self.fast, self.slow = app, Gate(slow, configured, get_key_ring)
        self.callers = {
            "nobody": {},
            "key": as_key(keys["read"]),
            "bearer": {"Authorization": f"Bearer {keys['read']}"},
            "key for writing": as_key(keys["ingest"]),
            "wrong key": as_key("hk_wrong"),
            "key sent twice": [*as_key(keys["read"]).items()] * 2,
            "page of a guest": as_page(keys["publishable"]),
            "page of ada": as_page(keys["publishable"], "ada"),
            "page elsewhere": as_key(keys["publishable"]) | {"Origin": "https://else.example"},
            "token": as_reader("ada"),
            "proxy": as_proxied("ada"),
            "proxy of bob": as_proxied("bob"),
        }

    async def both(self, address, method="GET", caller="key", more=(), root=""):
        """Return the answers of both ways to one request: status, headers and body of each."""
        headers = [*_pairs(self.callers[caller]), *_pairs(more)]
        apps = self.fast, self.slow, self.fast  # and once more, by what the first page left
        asked = [await _ask(app, address, method, headers, root) for app in apps]
        fast, slow, again = (_comparable(*answer) for answer in asked)
        assert fast == slow == again
        return asked[0]


def _pairs(headers):
    return headers.items() if isinstance(headers, dict) else headers


async def _ask(app, address, method, headers, root):
    path, _, query = (root + address).partition("?")
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method,
        "scheme": "http", "path": unquote(path), "raw_path": path.encode(), "root_path": root,
        "query_string": query.encode(), "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 8000),
        "headers": [
            (name.lower().encode(), value.encode())
            for name, value in [("Host", "127.0.0.1:8000"), *headers]
        ],
    }  # fmt: skip
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    body = b"".join(each.get("body", b"") for each in sent[1:])
    return sent[0]["status"], dict(sent[0]["headers"]), body


def _comparable(status, headers, body):
    """Return an answer without what differs between two answers to the same request."""
    headers = {name: value for name, value in headers.items() if name != b"x-request-id"}
    if status != 200:
        return status, headers, body
    length = int(headers.pop(b"content-length"))
    if not body:
        return status, headers, body
    assert length == len(body)
    page = json.loads(body)
    # The list of feeds and a declaration, which are no pages, have none.
    page.pop("request_id", None)
    is_last = page.pop("next_cursor", None) is None
    return status, headers, json.dumps(page), is_last


@pytest.fixture
async def ways(database_url, session_factory, monkeypatch):
    await KBlockStore(session_factory).put([
        KBlock(
            id=f"k{n}", title=f"Nöte «{n}»\u2028", content="Some text.", author=f"a{n % 2}",
            tags=["one"], galois_loss=n / 10, created_at=LONG_AGO.replace(day=1 + n),
        )
        for n in range(6)
    ])  # fmt: skip
    keys = await make_keys(session_factory)
    given = {"HARKEN_DATABASE_URL": database_url, "HARKEN_TOKEN_SECRET": TOKEN_SECRET, **PROXY}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    app = create_app()
    async with app.router.lifespan_context(app):
        yield Ways(app, Settings.load(), keys)


PATHS = st.sampled_from([
    "/api/feed/cosmos", "/api/feed/coherent", "/api/feed/contradictions", "/api/feed/personal",
    "/api/feed/feeds/cosmos", "/api/feed/feeds/tag:one", "/api/feed/feeds/unknown",
    "/api/feed/feeds/a%2Fb", "/api/feed/feeds/%00", "/api/feed/feeds/%FF", "/api/feed/feeds/saved",
    "/api/feed/feeds", "/api/feed/feeds/", "/api/feed/feeds/cosmos/", "/api/feed/cosmos/",
    "/api/feed/cosmos%0A", "/api/feed/%63osmos", "/api/feed//cosmos", "/api/feed/nothing",
    "/api/feed/feeds/cosmos/declaration",
])  # fmt: skip
VALUES = st.sampled_from([
    "", "0", "1", "3", "100", "101", "-1", "1e1", "2147483648", "0.5", "nan", "inf", "true",
    "maybe",
    "ada", "bob", "guest", "%00", "%FF", "%C3%A9", "%20", "+", "a%26b", "weighted",
    "chronological",
    "trending", "personal", "attention:0.5,recency:0.5", "attention:x", "6h", "cosmos", "x:y",
    "ucb", "thompson", "broken.cursor", "a" * 300,
])  # fmt: skip
NAMES = st.sampled_from([
    "user_id", "offset", "limit", "ranking", "max_loss", "weights", "half_life", "base_feed",
    "cursor", "explain", "temperature", "seed", "explore", "most_per_author", "most_per_tag",
    "most_per_source", "session_id", "state", "after_event", "arm", "unknown", "LIMIT", "",
    "%6Cimit", "user%5Fid",
])  # fmt: skip
QUERIES = st.one_of(
    # Mostly few parameters, each of which is right now and then; sometimes anything.
    st.lists(st.tuples(NAMES, VALUES).map("=".join), max_size=3).map("&".join),
    st.sampled_from([
        "limit=2&offset=1&user_id=ada&explain=true", "limit=2&limit=3", "limit=3&limit=",
        "ranking=weighted&weights=attention:1&explain=1", "user_id=ada&user_id=bob", "limit", "&&",
        "ranking=trending&half_life=6h", "temperature=0.5&seed=3&ranking=weighted", "%FF=1",
        "%00=1",
        "max_loss=0.2&state=true&user_id=ada", "explore=thompson", "limit=2;offset=1", "a=1&b=2",
    ]),
)  # fmt: skip
CALLERS = st.sampled_from([
    "nobody", "key", "key", "key", "bearer", "key for writing", "wrong key", "key sent twice",
    "page of a guest", "page of ada", "page elsewhere", "token", "proxy", "proxy of bob",
])  # fmt: skip


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    path=PATHS,
    query=QUERIES,
    caller=CALLERS,
    method=st.sampled_from(["GET", "GET", "GET", "HEAD", "OPTIONS", "POST"]),
    root=st.sampled_from(["", "", "/harken", "/api"]),
    more=st.sampled_from([
        {}, {"Accept-Encoding": "gzip"}, {"Origin": SITE}, {"If-None-Match": "*"},
        {"Accept": "text/html"}, {"Content-Length": "0"}, {"X-Request-ID": "of-a-test"},
    ]),
)  # fmt: skip
async def test_both_ways_answer_alike(ways, path, query, caller, method, root, more):
    if "seed=" not in query and ("explore=" in query or "temperature=" in query):
        query += "&seed=3"  # else each way draws its own
    await ways.both(f"{path}?{query}" if query else path, method, caller, more, root)


async def test_both_ways_go_on_with_the_cursor_of_the_other(ways):
    status, _headers, body = await ways.both("/api/feed/cosmos?limit=4&user_id=ada")
    assert status == 200
    cursor = json.loads(body)["next_cursor"]
    status, _headers, body = await ways.both(f"/api/feed/cosmos?limit=4&cursor={cursor}")
    assert [item["id"] for item in json.loads(body)["items"]] == ["k1", "k0"]
    assert (await ways.both(f"/api/feed/cosmos?cursor={cursor}", caller="token"))[0] == 200
    assert (await ways.both(f"/api/feed/cosmos?cursor={cursor}", caller="proxy of bob"))[0] == 403
    assert (await ways.both(f"/api/feed/coherent?cursor={cursor}"))[0] == 422


@pytest.mark.parametrize("feed", ["cosmos", "feeds/tag:one"])
async def test_every_page_of_a_feed_goes_the_fast_way(ways, feed, monkeypatch):
    async def never(*_):
        raise AssertionError("FastAPI was asked")

    monkeypatch.setattr(FastAPI, "__call__", never)
    headers = [*ways.callers["key"].items()]
    for method in ("GET", "HEAD"):
        status, found, body = await _ask(ways.fast, f"/api/feed/{feed}", method, headers, "")
        assert status == 200
        assert found[b"cache-control"] == b"private, no-store"
        assert bool(body) == (method == "GET")

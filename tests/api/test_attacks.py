"""What somebody tries who has one reader's token, or a publishable key, and wants more."""

import asyncio
import base64
import json

import pytest

from harken.domain.kblock import KBlock
from harken.services.kblocks.store import KBlockStore
from tests.support.access import SITE, as_key, as_page, as_reader, make_keys, service, token_of
from tests.support.server import HarkenServer

RECORD = "/api/feed/feedback/record"
EVENT = {"kblock_id": "k1", "action": "view"}
ADA = as_reader("ada")
ADDRESSES = [
    "/api/users/bob", "/api/users/%62ob", "/api/users/ada/../bob", "/api/users/ada%2F..%2Fbob",
    "//api/users/bob", "/api//users/bob", "/api/users/bob/", "/api/users/ada%00bob",
    "/api/users/ada;bob", "/api/users/ADA", "/api/users/ada%20", "/API/users/bob",
    "/api/users/ada/export", "/api/users/ada%2Fexport", "/api/users/ada/export/",
    "/api/keys", "/api/keys/", "/api/keys%2F", "/api/%6Beys", "/./api/keys", "//api/keys",
    "/api/feed/analytics%2Fextent", "/dashboard", "/openapi.json",
]  # fmt: skip
ORIGINS = [
    "https://evil.example", f"{SITE}.evil.example", f"{SITE}:444", SITE.upper(), "null", "",
    "https://site.example@evil.example", f"{SITE} https://evil.example", f"{SITE}/",
    "http://site.example",
]  # fmt: skip


@pytest.fixture
async def keys(session_factory):
    await KBlockStore(session_factory).put([KBlock(id=f"k{n}", title="A note") for n in range(5)])
    return await make_keys(session_factory)


@pytest.fixture
async def guarded(database_url, keys, monkeypatch):
    async with service(database_url, monkeypatch) as client:
        yield client


async def test_a_key_with_a_token_exports_and_erases_its_own_reader_only(guarded, keys):
    """Also a key that may do so for everybody without the token."""
    admin, token = as_key(keys["admin"]), {"X-Harken-User-Token": token_of("ada")}
    for user_id in ("ada", "bob"):
        event = EVENT | {"user_id": user_id}
        recorded = await guarded.post(RECORD, json=event, headers=as_key(keys["ingest"]))
        assert recorded.status_code == 200
    for method, path in (
        ("POST", "/api/users/bob/erasure"), ("POST", "/api/users/bob/erasure?dry_run=true"),
        ("DELETE", "/api/users/bob/erasure"), ("POST", "/api/kblocks/k1/erasure"),
    ):  # fmt: skip
        refused = await guarded.request(method, path, headers=admin | token)
        assert refused.status_code == 403, (method, path)
    assert (await guarded.post("/api/users/ada/erasure", headers=admin | token)).status_code == 200
    kept = await guarded.post("/api/users/bob/erasure?dry_run=true", headers=admin)
    assert kept.json()["removed"]["events"] == 1


@pytest.mark.parametrize("database_kind", ["sqlite"])
async def test_no_spelling_of_an_address_opens_more(guarded):
    for path in ADDRESSES:
        for method in ("GET", "HEAD", "OPTIONS", "PATCH", "TRACE"):
            answer = await guarded.request(method, path, headers=ADA)
            assert answer.status_code in {403, 405}, (method, path, answer.text)


@pytest.mark.parametrize("database_kind", ["sqlite"])
async def test_no_spelling_of_a_name_in_a_body_is_taken(guarded):
    for body, status in (
        (b'{"kblock_id":"k1","action":"view","user_id":"ada","user_id":"bob"}', 400),
        (b'{"kblock_id":"k1","action":"view","user_id":"bob","user_id":"ada"}', 400),
        (b'{"kblock_id":"k1","action":"view","user\\u005fid":"bob"}', 403),
        (b'{"kblock_id":"k1","action":"view","User_Id":"bob"}', 422),
        *((json.dumps(EVENT | {"user_id": each}).encode(), 403)
          for each in ("", "ada ", " ada", "Ada", "guest", ["ada"], {"ada": 1}, 0, False)),
    ):  # fmt: skip
        sent = ADA | {"Content-Type": "application/json"}
        answer = await guarded.post(RECORD, content=body, headers=sent)
        assert answer.status_code == status, (body, answer.text)


async def test_a_page_of_another_reader_is_of_no_use(guarded, keys):
    page = (await guarded.get("/api/feed/cosmos?limit=2", headers=as_reader("bob"))).json()
    for path in ("/api/feed/cosmos", "/api/feed/personal", "/api/feed/axioms"):
        asked = await guarded.get(path, params={"cursor": page["next_cursor"]}, headers=ADA)
        assert asked.status_code == 403, path
    seen = EVENT | {"request_id": page["request_id"]}
    for sent in (ADA, as_page(keys["publishable"]), as_page(keys["publishable"], "ada")):
        assert (await guarded.post(RECORD, json=seen, headers=sent)).status_code == 403


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize("name", ["Authorization", "X-API-Key", "X-Harken-User-Token", "Origin"])
async def test_what_says_who_sends_a_request_is_sent_once(guarded, keys, name):
    """Else a proxy could check one of two, and the server take the other."""
    values = {
        "Authorization": (ADA["Authorization"], as_reader("bob")["Authorization"]),
        "X-API-Key": (keys["read"], keys["admin"]),
        "X-Harken-User-Token": (token_of("ada"), token_of("bob")),
        "Origin": (SITE, "https://evil.example"),
    }[name]
    usual = as_page(keys["publishable"], "ada")
    rest = [each for each in usual.items() if each[0] != name]
    for order in (values, values[::-1]):
        twice = [*rest, *((name, value) for value in order)]
        answer = await guarded.post(RECORD, json=EVENT, headers=twice)
        assert answer.status_code == 400
        assert "sent twice" in answer.json()["detail"]
    seen_twice = [*usual.items(), ("Accept", "a"), ("Accept", "b")]
    assert (await guarded.post(RECORD, json=EVENT, headers=seen_twice)).status_code == 200


@pytest.mark.parametrize("database_kind", ["sqlite"])
async def test_a_publishable_key_needs_its_origin_exactly(guarded, keys):
    for origin in ORIGINS:
        for more in ({}, {"X-Harken-User-Token": token_of("ada")}, ADA):
            sent = as_key(keys["publishable"]) | {"Origin": origin} | more
            answer = await guarded.post(RECORD, json=EVENT, headers=sent)
            assert answer.status_code == 403, (origin, more)


def hostile_tokens():
    """Return tokens whose parts are no token's."""
    good = token_of("ada")
    header, claims, signature = good.split(".")
    made = {"alg none": {"alg": "none"}, "alg list": {"alg": ["HS256"]}, "alg null": {"alg": None}}
    made |= {"own key": {"alg": "HS256", "jwk": {"kty": "oct", "k": "eA"}}, "kid": {"kid": 1}}
    headers = {name: json.dumps(each) for name, each in made.items()}
    headers |= {"nested": "[" * 6_000, "nested objects": '{"a":' * 1_000, "list": "[]", "text": '"'}
    for name, text in headers.items():
        first = base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()
        yield name, f"{first}.{claims}.{signature}"
        yield f"{name}, unsigned", f"{first}.{claims}."
    yield "oversized", f"{header}.{'a' * 20_000}.{signature}"
    yield "other claims", f"{header}.{token_of('bob').split('.')[1]}.{signature}"


@pytest.mark.parametrize("database_kind", ["sqlite"])
async def test_hostile_tokens_are_refused(guarded, keys):
    for name, token in hostile_tokens():
        for sent in ({"Authorization": f"Bearer {token}"}, as_key(keys["read"])):
            both = sent | ({} if "Authorization" in sent else {"X-Harken-User-Token": token})
            answer = await guarded.get("/api/feed/cosmos", headers=both)
            assert answer.status_code == 401, name


@pytest.mark.parametrize("database_kind", ["sqlite"])
async def test_headers_that_are_none_are_refused_by_the_server(database_url, keys):
    """As bytes on a socket: an HTTP client would not send them."""
    read = keys["read"].encode()
    with HarkenServer(database_url) as server:
        for value, status in (
            (read, 200), (read + b"\nX: y", 400), (read + b"\rX", 400), (read + b"\r\n x", 400),
            (read + b"\0", 400), (read + b"a" * 60_000, 401), (b"a" * 100_000, 431),
        ):  # fmt: skip
            answer = await raw(server.port, value)
            assert answer.startswith(b"HTTP/1.1 %d " % status), (value[:80], answer[:200])
        assert "Traceback" not in server.output
        assert keys["read"].split("_")[2] not in server.output


async def raw(port, key):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"GET /api/feed/cosmos HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        b"X-API-Key: " + key + b"\r\n\r\n"
    )
    try:
        await writer.drain()
        return await asyncio.wait_for(reader.read(), 60)
    finally:
        writer.close()

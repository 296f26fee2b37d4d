"""Readers who are signed in: by the cookie of a link, or by the header of a trusted proxy."""

import logging

import httpx
import jwt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harken.config import Settings
from harken.protocols.api.app import create_app
from harken.protocols.http.sign_in import BehindProxies, cookie_name
from harken.protocols.pages.signing_in import frames
from harken.services.access.key_store import KeyStore
from harken.services.access.rights import Scope
from tests.api.conftest import client_of
from tests.support.access import (
    BY_PROXY,
    TOKEN_SECRET,
    as_key,
    as_proxied,
    as_reader,
    make_keys,
    service,
    signed_in,
    token_of,
)

RECORD, FEED, PAGE = "/api/feed/feedback/record", "/api/feed/cosmos", "/"
EVENT = {"kblock_id": "k", "action": "engage"}
OWN, EVIL = "http://127.0.0.1:8000", "https://evil.example"

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"])


@pytest.fixture
async def keys(session_factory):
    return await make_keys(session_factory)


@pytest.fixture
async def linked(database_url, keys, monkeypatch):
    async with service(database_url, monkeypatch) as client:
        yield client


@pytest.fixture
async def proxied(database_url, keys, monkeypatch):
    async with service(database_url, monkeypatch, **BY_PROXY) as client:
        yield client


async def test_a_link_signs_in_until_the_reader_signs_out(linked, keys):
    assert (await linked.get(FEED)).status_code == 401
    assert "Sign in to read" in (await linked.get(PAGE)).text
    token = token_of("ada")
    note = {"title": "A note"}
    changing = as_key(keys["items"])
    assert (await linked.put("/api/kblocks/k", json=note, headers=changing)).is_success
    begun = await linked.post("/sign-in", json={"token": token})
    assert begun.status_code == 204
    kept = begun.headers["set-cookie"].lower()
    for attribute in ("httponly", "samesite=lax", "path=/"):
        assert attribute in kept
    assert "secure" not in kept  # this is HTTP
    assert (await linked.post(RECORD, json=EVENT)).status_code == 200
    page = await linked.get(PAGE)
    assert "data-signed-in" in page.text
    assert 'data-user="ada"' in page.text
    assert "user-name" not in page.text  # nothing lets them choose who reads
    assert "?user=" not in page.text
    assert token not in page.text
    assert 'data-do="edit"' not in page.text  # readers change no notes
    assert 'data-do="comment"' in page.text
    assert "/dashboard" not in page.text  # only what a reader may open is offered
    other = await linked.get(PAGE, params={"user": "bob"})
    assert other.status_code == 403
    assert (await linked.post("/sign-out")).status_code == 204
    assert (await linked.get(FEED)).status_code == 401


async def test_over_https_and_below_a_prefix_the_cookie_says_so(database_url, keys, monkeypatch):
    monkeypatch.setenv("HARKEN_DATABASE_URL", database_url)
    monkeypatch.setenv("HARKEN_TOKEN_SECRET", TOKEN_SECRET)
    app = create_app()
    transport = httpx.ASGITransport(app, root_path="/harken")
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="https://feeds.example") as client,
    ):
        begun = await client.post("/harken/sign-in", json={"token": token_of("ada")})
        kept = begun.headers["set-cookie"]
        assert kept.startswith("harken_sign_in_default=")
        assert "Path=/harken;" in kept
        assert "Secure" in kept


@pytest.mark.parametrize(
    ("token", "message"),
    [
        (token_of("ada", minutes=-5), "This link has expired. Ask"),
        (token_of("ada", secret="another secret of thirty-two bytes and more"), "not one of this"),
        ("no token", "not one of this server, or not complete"),
        (token_of("ada")[:-9], "not one of this server, or not complete"),
        ("", "not one of this server"),
    ],
)
async def test_a_link_of_no_use_keeps_nothing_and_says_why(linked, token, message):
    for _again in range(2):
        refused = await linked.post("/sign-in", json={"token": token})
        assert refused.status_code == 401
        assert message in refused.json()["detail"]
        assert "set-cookie" not in refused.headers
    assert (await linked.get(FEED)).status_code == 401


async def test_a_token_that_no_browser_keeps_is_refused(linked):
    claims = {"sub": "ada", "aud": "harken", "iss": "harken", "exp": 2**33, "more": "x" * 4_000}
    token = jwt.encode(claims, TOKEN_SECRET, algorithm="HS256")
    refused = await linked.post("/sign-in", json={"token": token})
    assert refused.status_code == 422
    assert f"{frames.MOST_CHARACTERS:,}" in refused.json()["detail"]


async def test_a_token_that_is_no_text_is_refused(linked):
    body, json = b'{"token": "\\ud800.a.b"}', {"Content-Type": "application/json"}
    refused = await linked.post("/sign-in", content=body, headers=json)
    assert refused.status_code == 422
    assert [each["field"] for each in refused.json()["errors"]] == ["token"]


async def test_a_sign_in_that_expired_is_said_in_words(linked):
    for headers, words in (
        (signed_in("ada", minutes=-1), "Your sign-in has expired"),
        (signed_in("ada", secret="b" * 40), "You are not signed in any more"),
    ):
        for path in (PAGE, "/kblock?id=k", "/search", "/sign-in"):
            page = await linked.get(path, headers=headers)
            assert page.status_code == 200
            assert words in page.text, path
            assert "data-signed-in" not in page.text
        assert (await linked.get(FEED, headers=headers)).status_code == 401
        assert (await linked.post(RECORD, json=EVENT, headers=headers)).status_code == 401
        assert (await linked.post("/sign-out", headers=headers)).status_code == 204
        # A key and a new link work all the same.
        again = await linked.post("/sign-in", json={"token": token_of("ada")}, headers=headers)
        assert again.status_code == 204
        linked.cookies.clear()


async def test_a_key_or_a_token_goes_before_the_cookie(linked, keys):
    both = signed_in("ada") | as_key(keys["read"])
    assert (await linked.get(FEED, params={"user_id": "bob"}, headers=both)).status_code == 200
    both = signed_in("ada") | as_reader("bob")
    assert (await linked.get(FEED, params={"user_id": "ada"}, headers=both)).status_code == 403
    bad = signed_in("ada") | as_key("hk_000000000000_0")
    assert (await linked.get(FEED, headers=bad)).status_code == 401


async def test_pages_that_readers_may_not_open_ask_for_a_key(linked):
    for path in ("/dashboard", "/experiments", "/integrity", "/docs"):
        page = await linked.get(path, headers=signed_in("ada"))
        assert page.status_code == 200
        assert "data-signed-in" not in page.text
        assert "This server needs an API key." in page.text
    assert (await linked.get("/api/models", headers=signed_in("ada"))).status_code == 403


CROSS = {"Sec-Fetch-Site": "cross-site"}
FOLLOWED = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@pytest.mark.parametrize(("env", "reader"), [({}, signed_in("ada")), (BY_PROXY, as_proxied("ada"))])
async def test_pages_of_other_origins_cannot_use_a_sign_in(
    database_url, keys, monkeypatch, env, reader
):
    allowed: list[tuple[str, str, dict]] = [
        ("POST", RECORD, {"Origin": OWN}),
        ("POST", RECORD, {"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1"}),
        ("GET", FEED, {"Sec-Fetch-Site": "none"}),
        ("GET", PAGE, CROSS | FOLLOWED),
        ("POST", "/sign-out", {"Origin": OWN}),
    ]
    refused: list[tuple[str, str, dict]] = [
        ("POST", RECORD, {"Origin": EVIL}),
        ("POST", RECORD, {"Origin": "null"}),
        ("POST", RECORD, CROSS),
        ("POST", RECORD, {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:9"}),
        ("POST", RECORD, CROSS | FOLLOWED),
        ("DELETE", "/api/feed/saved/k", CROSS | {"Origin": EVIL}),
        ("GET", FEED, CROSS | FOLLOWED),
        ("GET", PAGE, CROSS),
        ("GET", PAGE, CROSS | FOLLOWED | {"Sec-Purpose": "prefetch"}),
        ("POST", "/sign-out", CROSS),
        ("POST", "/sign-in", {"Origin": EVIL}),
    ]
    async with service(database_url, monkeypatch, **env) as client:
        for method, path, headers in [*allowed, *refused]:
            body = {"/sign-in": {"token": token_of("eve")}, RECORD: EVENT}.get(path)
            answer = await client.request(method, path, headers=reader | headers, json=body)
            status = answer.status_code
            assert (status == 403) != ((method, path, headers) in allowed), (method, path, headers)
            assert answer.is_success or "set-cookie" not in answer.headers


async def test_an_origin_that_may_call_the_api_cannot_use_a_sign_in(
    database_url, keys, monkeypatch
):
    async with service(database_url, monkeypatch, HARKEN_CORS_ORIGINS=EVIL) as client:
        headers = {"Origin": EVIL}
        asked = await client.post(RECORD, json=EVENT, headers=signed_in("ada") | headers)
        assert asked.status_code == 403
        assert "access-control-allow-credentials" not in asked.headers
        opened = await client.get(FEED, headers=as_key(keys["read"]) | headers)
        assert opened.status_code == 200


async def test_a_proxy_says_who_reads(proxied, keys):
    assert (await proxied.get(FEED)).status_code == 401
    assert (await proxied.get(FEED, headers=as_proxied(""))).status_code == 401
    assert "named nobody" in (await proxied.get(PAGE)).text
    page = await proxied.get(PAGE, headers=as_proxied("ada"))
    assert 'data-user="ada"' in page.text
    assert "you sign out there" in page.text
    assert 'data-do="sign-out"' not in page.text
    # It binds whatever else is sent.
    key = as_key(keys["read"]) | as_proxied("ada")
    assert (await proxied.get(FEED, headers=key)).status_code == 200
    assert (await proxied.get(FEED, params={"user_id": "bob"}, headers=key)).status_code == 403
    assert (await proxied.get(FEED, headers=as_reader("bob") | as_proxied("ada"))).is_error
    page = await proxied.get(PAGE, headers=signed_in("bob") | as_proxied("ada"))
    assert 'data-user="ada"' in page.text
    assert (await proxied.get("/healthz")).status_code == 200


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ("ada", 200), ("Zoë Ünal".encode(), 200), ("x" * 64, 200),
        ("x" * 65, 400), ("a\tb", 400), ("a\x7fb", 400), ("a\x00b", 400), (b"\xff\xfe", 400),
        ("guest", 400), ("\u2028".encode(), 400),
    ],
)  # fmt: skip
async def test_what_a_proxy_may_say(proxied, value, status):
    given = value if isinstance(value, bytes) else value.encode("latin-1")
    answer = await proxied.get(FEED, headers={b"x-remote-user": given})
    assert answer.status_code == status, answer.text
    if status == 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert "X-Remote-User" in answer.json()["detail"]


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(value=st.binary(min_size=1, max_size=80))
async def test_any_header_names_its_reader_or_is_refused(proxied, value):
    answer = await proxied.get(PAGE, headers={b"x-remote-user": value})
    assert answer.status_code in {200, 400}
    if answer.status_code == 200 and value.strip():
        assert len(value.strip().decode()) <= 64


async def test_two_headers_are_refused(proxied):
    twice = [("X-Remote-User", "ada"), ("x-remote-user", "bob")]
    assert (await proxied.get(FEED, headers=twice)).status_code == 400


def sent_by(app, address):
    transport = httpx.ASGITransport(app, client=(address, 9))
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000")


async def test_only_a_trusted_address_is_believed(
    database_url, session_factory, monkeypatch, caplog
):
    """The address is that of who connected, whatever X-Forwarded-For says."""
    await KeyStore(session_factory).create("owner", scopes=[Scope.READ])
    trusted = "10.0.0.0/8,::1"
    monkeypatch.setenv("HARKEN_DATABASE_URL", database_url)
    for name, value in (BY_PROXY | {"HARKEN_FORWARDED_ALLOW_IPS": trusted}).items():
        monkeypatch.setenv(name, value)
    caplog.set_level(logging.INFO, "harken.protocols.http.gate")
    app = create_app()
    behind = BehindProxies(app, Settings.load())
    async with app.router.lifespan_context(app):
        for address, status in (
            ("10.1.2.3", 200), ("::1", 200), ("::ffff:10.1.2.3", 200),
            ("192.0.2.1", 403), ("127.0.0.1", 403), ("::2", 403), ("nowhere", 403),
        ):  # fmt: skip
            for served in (app, behind):
                async with sent_by(served, address) as client:
                    for more in ({}, {"X-Forwarded-For": "10.9.9.9"}):
                        answer = await client.get(FEED, headers=as_proxied("ada") | more)
                        assert answer.status_code == status, (address, more)
                        if status == 403:
                            assert "HARKEN_FORWARDED_ALLOW_IPS" in answer.json()["detail"]
        # Behind the proxy, the client has another address; the proxy is believed all the same.
        async with sent_by(behind, "10.1.2.3") as client:
            more = {"X-Forwarded-For": "192.0.2.7"}
            assert (await client.get(FEED, headers=as_proxied("ada") | more)).status_code == 200
    assert "believed from the proxies" in caplog.text


async def test_without_keys_such_a_server_serves_only_readers(database_url, monkeypatch):
    """A proxy reaches a server on this machine, so it must not be open to whom it forwards."""
    async with service(database_url, monkeypatch, **BY_PROXY) as client:
        for path in (FEED, "/api/models", "/api/keys"):
            assert (await client.get(path)).status_code == 401
        assert (await client.get(FEED, headers=as_proxied("ada"))).status_code == 200
        assert (await client.get("/api/models", headers=as_proxied("ada"))).status_code == 403


async def test_on_a_server_without_keys_a_link_signs_in_too(database_url, monkeypatch):
    monkeypatch.setenv("HARKEN_DATABASE_URL", database_url)
    monkeypatch.setenv("HARKEN_TOKEN_SECRET", TOKEN_SECRET)
    async with client_of(create_app()) as client:
        assert "user-name" in (await client.get(PAGE)).text
        await client.post("/sign-in", json={"token": token_of("ada")})
        page = await client.get(PAGE)
        assert 'data-user="ada"' in page.text
        assert "user-name" not in page.text
        assert (await client.get(FEED, params={"user_id": "bob"})).status_code == 403


async def test_tokens_of_sign_ins_are_in_no_log(linked, caplog):
    caplog.set_level(logging.DEBUG)
    good, bad = token_of("ada"), token_of("ada", minutes=-5)
    for token in (good, bad):
        await linked.post("/sign-in", json={"token": token})
        await linked.get(FEED, headers={"Cookie": f"harken_sign_in_8000={token}"})
        assert token not in caplog.text
        assert token.rpartition(".")[2] not in caplog.text


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("127.0.0.1:8000", "harken_sign_in_8000"), ("feeds.example", "harken_sign_in_default"),
        ("[::1]:80", "harken_sign_in_80"), ("", "harken_sign_in_default"),
        ("[::1]", "harken_sign_in_default"), ("a:²", "harken_sign_in_default"),
    ],
)  # fmt: skip
def test_servers_of_one_host_keep_cookies_of_their_own(host, name, database_kind):
    assert cookie_name(host) == name

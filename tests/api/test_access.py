"""Who may use which route: every route of the application, with every kind of credentials."""

import logging
import re
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest
from fastapi.routing import iter_route_contexts

from harken.config import Settings
from harken.protocols.api.app import create_app
from harken.protocols.http.route_rules import ROUTES, UNKNOWN_FEED
from harken.services.access.key_ring import KeyRing
from harken.services.access.key_store import KeyStore
from harken.services.access.user_tokens import UserTokens
from harken.services.providers import get_feed_service, get_key_ring
from tests.support.access import (
    SITE,
    TOKEN_SECRET,
    as_key,
    as_page,
    as_reader,
    make_keys,
    service,
    token_of,
)

RECORD, BATCH = "/api/feed/feedback/record", "/api/feed/feedback/batch"
DOCS = Path(__file__).parents[2] / "docs" / "auth.md"
COLUMNS = ["no key", "ingest", "read", "items", "admin", "publishable", "token"]
KINDS = [*COLUMNS, "publishable + token"]


@cache
def routes():
    """Return the routes of the application itself: pairs of method and path."""
    found = set()
    for each in iter_route_contexts(create_app(Settings()).routes):
        found |= {(method, each.path) for method in each.methods or ()}
    return {(method, path) for method, path in found if method != "HEAD" and path != UNKNOWN_FEED}


def documented():
    """Return the table of routes and credentials of the docs."""
    rows = re.findall(r"^\| `([A-Z]+) (/\S*)` \|(.+)\|$", DOCS.read_text("utf-8"), re.MULTILINE)
    return {
        (method, path): dict(zip(COLUMNS, (cell.strip() for cell in cells.split("|")), strict=True))
        for method, path, cells in rows
    }


def address_of(path, user_id="ada"):
    filled = path.replace("{user_id}", user_id)
    return re.sub(r"{\w+(:\w+)?}", "x", filled.replace("{user_id:id}", user_id))


def as_written(path):
    return re.sub(r":\w+}", "}", path)


@pytest.fixture
async def keys(session_factory):
    return await make_keys(session_factory)


@pytest.fixture
async def guarded(database_url, keys, monkeypatch):
    async with service(database_url, monkeypatch) as client:
        yield client


def headers_of(keys):
    """Return the headers of each kind of credentials; tokens are those of ada."""
    secret = {scope: as_key(keys[scope]) for scope in ("ingest", "read", "items", "admin")}
    public = keys["publishable"]
    pages = {"publishable": as_page(public), "publishable + token": as_page(public, "ada")}
    return {"no key": {}, "token": as_reader("ada")} | secret | pages


def test_every_route_has_a_rule_and_a_row_in_the_docs():
    assert routes() == set(ROUTES)
    assert set(documented()) == {(method, as_written(path)) for method, path in ROUTES}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_route_is_open_as_the_docs_say(guarded, keys, kind):
    table = documented()
    for method, path in sorted(routes()):
        answer = await guarded.request(method, address_of(path), headers=headers_of(keys)[kind])
        expected = table[method, as_written(path)][kind.rpartition(" + ")[2]]
        if expected == "yes":
            assert answer.status_code not in {401, 403}, (kind, method, path, answer.text)
        elif expected == "form":  # the page, without data
            assert answer.status_code == 200
            assert "data-has-keys" in answer.text
        else:
            assert answer.status_code == (401 if kind == "no key" else 403), (kind, method, path)
            assert answer.headers["content-type"] == "application/problem+json"


async def test_without_any_key_this_machine_does_all_but_manage_keys(database_url, monkeypatch):
    async with service(database_url, monkeypatch) as client:
        assert (await client.get("/api/feed/cosmos")).status_code == 200
        assert (await client.post("/api/models/rollback")).status_code == 404
        refused = await client.post("/api/keys", json={"name": "x", "scopes": ["read"]})
        assert refused.status_code == 401
        assert "harken keys create" in refused.json()["detail"]


async def test_the_first_key_closes_a_running_server(database_url, session_factory, monkeypatch):
    async with service(database_url, monkeypatch) as client:
        assert (await client.get("/api/feed/cosmos")).status_code == 200
        keys = await make_keys(session_factory)
        (await get_key_ring()).forget()
        assert (await client.get("/api/feed/cosmos")).status_code == 401
        opened = await client.get("/api/feed/cosmos", headers=as_key(keys["read"]))
        assert opened.status_code == 200


async def test_keys_of_the_settings_open_what_they_did_and_no_keys(
    database_url, session_factory, monkeypatch
):
    async with service(database_url, monkeypatch, HARKEN_API_KEYS="sesame") as client:
        key = as_key("sesame")
        for method, path in sorted(routes()):
            answer = await client.request(method, address_of(path), headers=key)
            is_guarded = path.startswith("/api/keys") or path.endswith(("/erasure", "/export"))
            assert (answer.status_code == 403) == is_guarded, (method, path)


async def test_a_bad_key_opens_nothing(guarded, keys, session_factory):
    good = keys["read"]
    prefix, key_id, secret = good.split("_")
    bad = [
        f"{prefix}_{key_id}_{secret[:-1]}", f"{prefix}_{key_id}_{'0' * 43}", good.upper(),
        f"hp_{key_id}_{secret}", f"hk_000000000000_{secret}", f"{good}\n", f"{good} x", good + "0",
        "hk__", "hk", "_", good[::-1], "é" * 60,
    ]  # fmt: skip
    for key in bad:
        answer = await guarded.get("/api/feed/cosmos", headers={b"x-api-key": key.encode()})
        assert answer.status_code == 401, key
    assert (await guarded.get("/api/feed/cosmos", headers=as_key(good))).status_code == 200


async def test_a_publishable_key_is_bound_to_its_origins(guarded, keys):
    event = {"user_id": "guest", "kblock_id": "k", "action": "view"}
    key = as_key(keys["publishable"])
    for origin, status in ((SITE, 200), ("https://evil.example", 403), ("null", 403)):
        answer = await guarded.post(RECORD, json=event, headers=key | {"Origin": origin})
        assert answer.status_code == status, origin
        assert (answer.headers.get("access-control-allow-origin") == origin) == (status == 200)
    assert (await guarded.post(RECORD, json=event, headers=key)).status_code == 403
    asked = {"Access-Control-Request-Method": "POST"}
    asked |= {"Access-Control-Request-Headers": "X-API-Key, X-Harken-User-Token, Content-Type"}
    for origin, status in ((SITE, 200), ("https://evil.example", 401)):
        answer = await guarded.options(RECORD, headers=asked | {"Origin": origin})
        assert answer.status_code == status, origin


async def test_without_a_token_a_page_records_views_and_engagements_of_guests(guarded, keys):
    page = as_page(keys["publishable"])
    for user_id, action, status in (
        ("guest", "view", 200), ("guest", "engage", 200), ("guest", "dismiss", 403),
        ("guest", "contradict", 403), ("ada", "view", 403), (None, "view", 200),
        ("guest", ["view"], 403),
    ):  # fmt: skip
        event = {"user_id": user_id, "kblock_id": "k", "action": action}
        answer = await guarded.post(RECORD, json=event, headers=page)
        assert answer.status_code == status, (user_id, action)
    events = [
        {"user_id": "guest", "kblock_id": "k", "action": "view"},
        {"user_id": "ada", "kblock_id": "k", "action": "view"},
        7,
        {"kblock_id": "k", "action": "engage"},
        {"kblock_id": "k", "action": "dismiss"},
    ]
    batch = (await guarded.post(BATCH, json={"events": events}, headers=page)).json()
    assert (batch["accepted"], [each["index"] for each in batch["rejected"]]) == (2, [1, 2, 4])


@pytest.mark.parametrize("kind", ["token", "publishable + token", "publishable + bearer"])
async def test_a_token_acts_as_its_reader(guarded, keys, kind):
    event = {"kblock_id": "k", "action": "dismiss"}
    both = as_page(keys["publishable"]) | as_reader("ada")
    sent = (headers_of(keys) | {"publishable + bearer": both})[kind]
    assert (await guarded.post(RECORD, json=event, headers=sent)).status_code == 200
    other = await guarded.post(RECORD, json=event | {"user_id": "bob"}, headers=sent)
    assert other.status_code == 403
    read = as_key(keys["read"]) | {"X-Harken-User-Token": token_of("ada")}
    own = await guarded.get("/api/feed/dismissals", params={"user_id": "ada"}, headers=read)
    assert [each["kblock_id"] for each in own.json()["dismissals"]] == ["k"]
    page = (await guarded.get("/api/feed/cosmos", headers=read)).json()
    ledger = (await get_feed_service()).ledger
    assert await ledger.readers([page["request_id"]]) == {page["request_id"]: "ada"}


async def test_a_token_of_no_use_opens_nothing(guarded, keys):
    page = as_key(keys["publishable"]) | {"Origin": SITE}
    stranger = token_of("ada", secret="another secret of more than thirty-two bytes")
    for token in (token_of("ada", minutes=-5), stranger, "a.b.c", "..", f"{token_of('ada')}x"):
        bearer = {"Authorization": f"Bearer {token}"}
        for sent in (bearer, page | bearer, as_key(keys["read"]) | bearer, as_key(token)):
            answer = await guarded.get("/api/feed/cosmos", headers=sent)
            assert answer.status_code == 401, token
    tokens = UserTokens.of(Settings(token_secret=TOKEN_SECRET, token_audience="shop"))
    elsewhere = {"Authorization": f"Bearer {tokens.sign('ada', timedelta(minutes=5))}"}
    answer = await guarded.get("/api/feed/cosmos", headers=elsewhere)
    said = "The user token is for another audience than HARKEN_TOKEN_AUDIENCE."
    assert (answer.status_code, answer.json()["detail"]) == (401, said)
    beside = as_reader("ada") | as_key(keys["read"][:-1])  # not half of what was sent
    assert (await guarded.get("/api/feed/cosmos", headers=beside)).status_code == 401


async def test_a_token_binds_where_no_key_is_needed(database_url, monkeypatch):
    async with service(database_url, monkeypatch) as client:
        for user_id, status in (("ada", 200), ("bob", 403)):
            asked = await client.get(f"/api/users/{user_id}/profile", headers=as_reader("ada"))
            assert asked.status_code == status


async def test_a_key_of_the_settings_may_look_like_a_token(database_url, monkeypatch):
    async with service(database_url, monkeypatch, HARKEN_API_KEYS="a.b.c") as client:
        sent = {"Authorization": "Bearer a.b.c"}
        assert (await client.get("/api/feed/analytics", headers=sent)).status_code == 200


async def test_a_revoked_key_is_refused_in_every_process(guarded, keys, session_factory):
    """A second key ring stands for another process."""
    now = 0.0
    other = KeyRing(KeyStore(session_factory), timer=lambda: now)
    read, admin = keys["read"], as_key(keys["admin"])
    await other.current()
    assert other.find(read) is not None
    key_id = read.split("_")[1]
    assert (await guarded.delete(f"/api/keys/{key_id}", headers=admin)).status_code == 200
    assert (await guarded.get("/api/feed/cosmos", headers=as_key(read))).status_code == 401
    now = 4.9  # no request came for five seconds; the next one waits for the present keys
    await other.current()
    assert other.find(read) is None
    await other.close()


async def test_keys_are_managed_over_rest(guarded, keys):
    admin = as_key(keys["admin"])
    made = await guarded.post(
        "/api/keys", json={"name": "importer", "scopes": ["items"], "expires": "90d"}, headers=admin
    )
    assert made.status_code == 201
    key = made.json()
    assert key["key"].startswith(f"hk_{key['id']}_")
    listed = (await guarded.get("/api/keys", headers=admin)).json()["keys"]
    assert listed[0] == {name: value for name, value in key.items() if name != "key"}
    assert (await guarded.post("/api/kblocks/batch", headers=as_key(key["key"]))).status_code != 403
    rotated = await guarded.post(f"/api/keys/{key['id']}/rotate", headers=admin)
    assert rotated.json()["scopes"] == ["items"]
    old, new = (as_key(each["key"]) for each in (key, rotated.json()))
    assert (await guarded.delete("/api/kblocks/x", headers=old)).status_code == 401
    assert (await guarded.delete("/api/kblocks/x", headers=new)).status_code == 404


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize(
    ("asked", "status", "field"),
    [
        ({"name": "x", "scopes": ["admin"]}, 403, None),
        ({"name": "x", "scopes": []}, 422, "scopes"),
        ({"name": "x", "scopes": ["root"]}, 422, "scopes.0"),
        ({"name": " ", "scopes": ["read"]}, 422, "name"),
        ({"name": "x", "kind": "publishable"}, 422, "origins"),
        ({"name": "x", "kind": "publishable", "origins": ["https://a.example/p"]}, 422, "origins"),
        ({"name": "x", "kind": "publishable", "origins": ["*"]}, 422, "origins"),
        ({"name": "x", "kind": "publishable", "origins": ["https://é.example"]}, 422, "origins"),
        ({"name": "x", "scopes": ["read"], "origins": [SITE]}, 422, "origins"),
        ({"name": "x", "scopes": ["read"], "expires": "soon"}, 422, "expires"),
        ({"name": "x", "scopes": ["read"], "expires": "9999999w"}, 422, "expires"),
    ],
)  # fmt: skip
async def test_a_key_that_makes_no_sense_is_not_made(guarded, keys, asked, status, field):
    answer = await guarded.post("/api/keys", json=asked, headers=as_key(keys["admin"]))
    assert answer.status_code == status
    if field:
        assert answer.json()["errors"][0]["field"] == field


async def test_an_admin_key_cannot_be_copied_over_rest(guarded, keys):
    admin = keys["admin"]
    answer = await guarded.post(f"/api/keys/{admin.split('_')[1]}/rotate", headers=as_key(admin))
    assert answer.status_code == 403


async def test_refusals_are_logged_without_keys_and_tokens(guarded, keys, caplog):
    caplog.set_level(logging.DEBUG)
    read, token = keys["read"], token_of("ada", minutes=-5)
    key_id = read.split("_")[1]
    await guarded.put(f"/api/kblocks/{read}", headers=as_key(read))
    await guarded.get(f"/{read}", headers=as_key(read + "0"), params={"key": read})
    await guarded.get("/", headers=as_key(read) | {"X-Harken-User-Token": token})
    said = [each.getMessage() for each in caplog.records if each.name.endswith("gate")]
    assert "PUT" in said[0]
    assert "/api/kblocks/{kblock_id}: 403 This needs a key with the scope items" in said[0]
    assert f"(key {key_id}, request " in said[0]
    assert "an unknown path: 401" in said[1]
    assert "has expired" in said[2]
    assert len(said) == 3
    ours = "\n".join(each.getMessage() for each in caplog.records if "harken" in each.name)
    assert not any(part in ours for part in (read.split("_")[2], token))


async def test_the_id_of_a_request_is_that_of_its_sender_or_a_new_one(guarded):
    for given in ("a-1", "x" * 65, "two words", ""):
        answer = await guarded.get("/api/feed/cosmos", headers={"X-Request-ID": given})
        assert answer.status_code == 401
        number = answer.headers["x-request-id"]
        assert number == given if given == "a-1" else len(number) > 16

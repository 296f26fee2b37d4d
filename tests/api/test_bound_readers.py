"""Nobody reads or writes as somebody else, by a user token or in an application with `user=`."""

from typing import Annotated
from urllib.parse import quote

import pytest
from fastapi import FastAPI, Header, HTTPException
from fastapi.routing import iter_route_contexts
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harken.domain.kblock import KBlock
from harken.errors import InvalidInput
from harken.protocols.api.feed import GROUPS, create_feed_router
from harken.services.access.key_store import KeyStore
from harken.services.access.rights import KeyKind, Scope
from harken.services.feed.service import FeedService
from harken.services.kblocks.store import KBlockStore
from tests.api.conftest import client_of
from tests.api.test_access import address_of
from tests.support.access import BY_PROXY, SITE, as_page, as_proxied, service, signed_in, token_of
from tests.support.feeds import rss
from tests.support.web import Answer, web

RECORD, BATCH = "/api/feed/feedback/record", "/api/feed/feedback/batch"
PAGES = ["/api/feed/cosmos", "/api/feed/personal", "/api/feed/feeds/cosmos"]
READ = ["", "/preferences", "/profile"]


class Site:
    """A service with K-Blocks, and the requests of its readers."""

    def __init__(self, client, headers_of):
        self.client = client
        self.headers_of = headers_of

    async def ask(self, user_id, method, path, **options):
        return await self.client.request(method, path, headers=self.headers_of(user_id), **options)


async def reader_of(x_reader: Annotated[str | None, Header()] = None):
    if x_reader == "stranger":
        raise HTTPException(401, "Sign in first.")
    return x_reader


@pytest.fixture
async def blocks(session_factory):
    await KBlockStore(session_factory).put([KBlock(id=f"k{n}", title="A note") for n in range(5)])


@pytest.fixture(params=["token", "link", "proxy", "embedded"])
async def site(request, blocks, database_url, session_factory, monkeypatch):
    if request.param == "token":
        public = await KeyStore(session_factory).create("site", KeyKind.PUBLISHABLE, origins=[SITE])
        async with service(database_url, monkeypatch) as client:
            yield Site(client, lambda user_id: as_page(public.text, user_id))
        return
    if request.param in {"link", "proxy"}:
        await KeyStore(session_factory).create("owner", scopes=[Scope.READ])
        env, headers_of = (BY_PROXY, as_proxied) if request.param == "proxy" else ({}, signed_in)
        async with service(database_url, monkeypatch, **env) as client:
            yield Site(client, headers_of)
        return
    app = FastAPI()
    app.include_router(create_feed_router(session_factory, user=reader_of))
    async with client_of(app) as client:
        yield Site(client, lambda user_id: {"X-Reader": user_id})


async def test_a_reader_who_is_named_nowhere_is_the_one_of_the_token(site):
    for path in PAGES:
        page = await site.ask("ada", "GET", path, params={"limit": 2})
        assert page.status_code == 200
        cursor = page.json()["next_cursor"]
        rest = await site.ask("ada", "GET", path, params={"limit": 2, "cursor": cursor})
        assert rest.status_code == 200
    event = {"kblock_id": "k1", "action": "dismiss"}
    assert (await site.ask("ada", "POST", RECORD, json=event)).status_code == 200
    hidden = await site.ask("ada", "GET", "/api/feed/dismissals", params={"user_id": "ada"})
    assert [each["kblock_id"] for each in hidden.json()["dismissals"]] == ["k1"]
    for path in PAGES:
        assert (await site.ask("ada", "GET", path)).json()["total"] == 4
        assert (await site.ask("bob", "GET", path)).json()["total"] == 5
    ranked = await site.ask("ada", "POST", "/api/feed/rank", json={"kblock_ids": ["k1", "k2"]})
    assert ranked.json()["dismissed"] == ["k1"]


async def test_another_reader_is_refused_everywhere(site):
    """Each way to name a reader that the routes have."""
    other = {"user_id": "bob"}
    asked: list[tuple[str, str, dict]]
    asked = [("GET", path, {"params": other}) for path in [*PAGES, "/api/kblocks/k1/similar"]]
    asked += [("GET", "/api/feed/dismissals", {"params": other})]
    asked += [("DELETE", "/api/feed/dismissals/k1", {"params": other})]
    asked += [("GET", f"/api/users/bob{part}", {}) for part in READ]
    asked += [
        ("PUT", "/api/users/bob", {"json": {"principles": ["x"]}}),
        ("PUT", "/api/users/bob/preferences", {"json": {"muted_tags": ["x"]}}),
        ("DELETE", "/api/users/bob/profile", {}),
        ("POST", "/api/feed/rank", {"json": {"kblock_ids": ["k1"]} | other}),
        ("POST", RECORD, {"json": {"kblock_id": "k1", "action": "view"} | other}),
    ]
    # Two values: one for the check, and one for the route.
    twice = [("user_id", "ada"), ("user_id", "bob")]
    asked += [("GET", path, {"params": each}) for path in PAGES for each in (twice, twice[::-1])]
    for method, path, options in asked:
        answer = await site.ask("ada", method, path, **options)
        assert answer.status_code == 403, (method, path, options, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        assert "'ada'" in answer.json()["detail"]
    untouched = await site.ask("bob", "GET", "/api/users/bob/preferences")
    assert untouched.json()["muted_tags"] == []
    assert (await site.ask("bob", "GET", "/api/users/bob")).json()["principles"] == []


async def test_the_cursor_and_the_page_of_another_reader_are_refused(site):
    page = (await site.ask("bob", "GET", "/api/feed/cosmos", params={"limit": 2})).json()
    for user_id in (None, "ada"):
        params = {"cursor": page["next_cursor"]} | ({"user_id": user_id} if user_id else {})
        answer = await site.ask("ada", "GET", "/api/feed/cosmos", params=params)
        assert answer.status_code == 403
        assert "cursor" in answer.json()["detail"]
    event = {"kblock_id": "k1", "action": "view"}
    seen = event | {"request_id": page["request_id"]}
    assert (await site.ask("ada", "POST", RECORD, json=seen)).status_code == 403
    assert (await site.ask("bob", "POST", RECORD, json=seen)).status_code == 200
    events = [event, seen, event | {"user_id": "bob"}, {"action": "view"}, event]
    batch = (await site.ask("ada", "POST", BATCH, json={"events": events})).json()
    assert batch["accepted"] == 2
    assert [each["index"] for each in batch["rejected"]] == [1, 2, 3]
    assert "another reader" in batch["rejected"][0]["error"]


NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=20)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    named=NAMES.filter(lambda name: name.strip() and name not in {"ada", ".", ".."}),
    where=st.sampled_from(["query", "path", "body", "batch"]),
)
async def test_no_other_name_is_taken(site, named, where):
    event = {"user_id": named, "kblock_id": "k", "action": "engage"}
    if where == "query":
        answer = await site.ask("ada", "GET", "/api/feed/cosmos", params={"user_id": named})
    elif where == "path":
        answer = await site.ask("ada", "GET", f"/api/users/{quote(named, safe='')}/profile")
    elif where == "body":
        answer = await site.ask("ada", "POST", RECORD, json=event)
    else:
        answer = await site.ask("ada", "POST", BATCH, json={"events": [event]})
        assert answer.json()["accepted"] == 0
        return
    assert answer.status_code == 403


async def test_a_cookie_names_no_reader_where_a_token_does(
    database_url, session_factory, monkeypatch
):
    public = await KeyStore(session_factory).create("site", KeyKind.PUBLISHABLE, origins=[SITE])
    async with service(database_url, monkeypatch) as client:
        ada = as_page(public.text, "ada")
        event = {"kblock_id": "gone", "action": "dismiss"}
        await client.post(RECORD, json=event, headers=as_page(public.text, "bob"))
        cookie = {"Cookie": "harken_reader_8000=bob"}
        shown = await client.get("/reader/dismissed", headers=ada | cookie)
        assert shown.status_code == 200
        assert "gone" not in shown.text
        for path in ("/reader/dismissed", "/reader/profile", "/reader/cards"):
            params = {"user": "bob", "cursor": "x"}
            refused = await client.get(path, headers=ada, params=params)
            assert refused.status_code in {403, 422}, path
            assert "gone" not in refused.text


# In another application


async def test_a_request_without_a_reader_is_a_guest_or_what_the_dependency_says(session_factory):
    app = FastAPI()
    app.include_router(create_feed_router(session_factory, user=reader_of))
    async with client_of(app) as client:
        event = {"kblock_id": "k", "action": "view"}
        assert (await client.post(RECORD, json=event)).status_code == 200
        refused = await client.post(RECORD, json=event | {"user_id": "ada"})
        assert refused.status_code == 403
        # The dependency guards every route, those too that name no reader.
        for each in iter_route_contexts(app.routes):
            if "/api" not in (each.path or ""):
                continue
            for method in (each.methods or set()) - {"HEAD"}:
                if each.path == "/api/feed/{name}":
                    continue
                answer = await client.request(
                    method, address_of(each.path), headers={"X-Reader": "stranger"},
                    json={} if method in {"POST", "PUT"} else None,
                )  # fmt: skip
                assert answer.status_code == 401, (method, each.path, answer.text)


async def test_sources_are_added_as_oneself_and_keep_their_secrets(
    database_url, session_factory, monkeypatch
):
    key = await KeyStore(session_factory).create("editor", scopes=[Scope.ITEMS, Scope.READ])
    ada = {"X-API-Key": key.text, "X-Harken-User-Token": token_of("ada")}
    private = {"HARKEN_PRIVATE_SOURCES": "127.0.0.1"}
    with web({"/feed?key=x": Answer(rss("Blog", "one"))}) as served:
        asked = {"url": f"{served.url}/feed?key=x"}
        async with service(database_url, monkeypatch, **private) as client:
            client.headers.update(ada)
            for path, body in (
                ("/api/sources", asked | {"user_id": "bob"}),
                ("/api/sources/opml", {"opml": "<opml/>", "user_id": "bob"}),
            ):
                assert (await client.post(path, json=body)).status_code == 403
            added = await client.post("/api/sources", json=asked)
            at = f"/api/sources/{added.json()['source']['id']}"
            answers = [added, await client.post(f"{at}/refresh")]
            found = [each.json()["source"] for each in answers]
            found.append((await client.patch(at, json={"title": "x"})).json())
            hidden = {(each["url"], each["error"], each["added_by"]) for each in found}
            assert hidden == {(None, None, None)}
            [kept], _ = await FeedService(session_factory).sources.listed(9, 0)
            assert kept.source.added_by == "ada"


async def test_only_the_groups_that_are_named_are_there(session_factory):
    app = FastAPI()
    groups = ["record", "feeds"]
    app.include_router(create_feed_router(session_factory, user=reader_of, include=groups))
    async with client_of(app) as client:
        assert (await client.get("/api/feed/cosmos")).status_code == 200
        for path in ("/api/models", "/api/report", "/api/users/ada", "/api/kblocks/k"):
            assert (await client.get(path)).status_code == 404, path
        assert (await client.post("/api/models/rollback")).status_code == 404
    with pytest.raises(InvalidInput, match="include: 'modles' is unknown; known are record"):
        create_feed_router(session_factory, include=["modles"])
    assert "keys" not in GROUPS


def test_a_router_without_readers_is_warned_of(session_factory, caplog):
    create_feed_router(session_factory, user=reader_of)
    assert not caplog.records
    create_feed_router(session_factory)
    assert "without user=" in caplog.text

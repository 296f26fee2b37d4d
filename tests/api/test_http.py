"""What all routes have in common: methods, paths, caching, and the OpenAPI document."""

import re
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harken.config import Settings
from harken.domain.kblock import KBlock
from harken.protocols.api.app import create_app
from harken.services.providers import get_feed_service

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
EVENT = {"user_id": "u", "kblock_id": "k", "action": "view"}
RECORD = "/api/feed/feedback/record"
PROBLEM = "application/problem+json"


def document(**given):
    return create_app(Settings(**given)).openapi()


def addresses():
    """Return an example address of each path, with its methods."""
    for path, operations in document()["paths"].items():
        yield re.sub(r"{\w+}", "x", path), {each.upper() for each in operations}


def allowed_of(answer):
    return set(answer.headers["allow"].split(", "))


async def test_every_path_says_which_methods_it_knows(client):
    for address, methods in addresses():
        everything = methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())
        if address == "/api/kblocks/batch":  # a K-Block may have this id
            everything |= {"GET", "HEAD", "PUT", "DELETE"}
        if address == "/api/kblocks/search":  # a K-Block may have this id
            everything |= {"PUT", "DELETE"}
        if address in {"/api/sources/refresh", "/api/sources/opml"}:  # as the id of a source
            everything |= {"PATCH", "DELETE"}
        if address == "/api/experiments/exposures":  # an experiment may have this id
            everything |= {"GET", "HEAD"}
        resolved = await client.options(address)
        assert (resolved.status_code, allowed_of(resolved)) == (204, everything), address
        for method in {*METHODS, "TRACE", "BREW"} - everything:
            refused = await client.request(method, address)
            assert refused.status_code == 405, (method, address)
            assert allowed_of(refused) == everything
            assert refused.headers["content-type"] == PROBLEM


async def test_head_answers_as_get_does_without_a_body(client):
    await client.put("/api/kblocks/x", json={"title": "X"})
    pages = [("/", {"GET"}), ("/dashboard", {"GET"}), ("/docs", {"GET"}), ("/kblock?id=x", {"GET"})]
    pages += [("/static/css/base.css", {"GET"}), ("/openapi.json", {"GET"})]
    for address, methods in [*addresses(), *pages]:
        if "GET" in methods:
            whole, head = await client.get(address), await client.head(address)
            assert head.status_code == whole.status_code, address
            assert head.headers["content-type"] == whole.headers["content-type"]
            assert head.content == b""


async def test_no_answer_of_the_api_is_kept_by_anybody(client):
    for address, methods in addresses():
        for method in methods:
            answer = await client.request(method, address)
            assert answer.headers["cache-control"] == "private, no-store", (method, address)
    for answer in (
        await client.post(RECORD, json=EVENT),
        await client.post(RECORD, content="{"),
        await client.get("/api/nothing"),
        await client.put(RECORD),
    ):
        assert answer.headers["cache-control"] == "private, no-store"


async def test_at_no_address_a_browser_gets_a_page_and_others_a_problem(client):
    for address in ("/nowhere", "/dashboard/", "/kblock/x", "/apis"):
        page = await client.get(address, headers=BROWSER, follow_redirects=True)
        if address != "/dashboard/":  # redirects to /dashboard
            assert page.status_code == 404, address
            assert 'href="/"' in page.text
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert "default-src 'self'" in page.headers["content-security-policy"]
    for address, headers in (("/nowhere", {}), ("/api/nowhere", BROWSER), ("/api", BROWSER)):
        problem = await client.get(address, headers=headers)
        assert problem.status_code == 404
        assert problem.headers["content-type"] == PROBLEM
        assert address in problem.json()["detail"]


def _needs_a_key(address: str) -> bool:
    return any(part in address for part in ("/keys", "/export", "/erasure"))


async def test_a_parameter_that_nobody_knows_is_named(client):
    for address, methods in addresses():
        if not address.startswith("/api") or _needs_a_key(address):  # refused before that
            continue
        for method in methods:
            refused = await client.request(method, f"{address}?lmit=1")
            assert refused.status_code == 422, (method, address)
            [found] = refused.json()["errors"]
            assert found["field"] == "lmit"
            assert "is not a known parameter; " in found["message"]
    both = await client.get("/api/feed/analytics?lmit=1")
    assert "use limit, min_interactions" in both.json()["detail"]


# Ids

LONG = "at://did:plc:abcdefghijklmnopqrstuvwx/app.bsky.feed.post/3abcdefghijkl"
ADVICE = "at most 64 characters, and has 70: send a hash of it, such as its SHA-256 in hex"


async def test_an_id_that_is_too_long_is_refused_alike_everywhere(client):
    assert len(LONG) == 70
    escaped = quote(LONG, safe="")
    event, kblock = EVENT | {"kblock_id": LONG}, {"id": LONG, "title": "A post"}
    for answer in (
        await client.post(RECORD, json=event),
        await client.post(RECORD, json=EVENT | {"user_id": LONG}),
        await client.post(
            RECORD, json=EVENT | {"action": "contradict", "metadata": {"contradicts": LONG}}
        ),
        await client.put(f"/api/kblocks/{escaped}", json={"title": "A post"}),
        await client.get(f"/api/kblocks/{LONG}"),
        await client.delete(f"/api/kblocks/{escaped}"),
        await client.get(f"/api/kblocks/{escaped}/similar"),
        await client.get(f"/api/users/{escaped}/profile"),
        await client.get("/api/feed/cosmos", params={"user_id": LONG}),
        await client.get("/api/feed/dismissals", params={"user_id": LONG}),
        await client.post("/api/feed/rank", json={"kblock_ids": [LONG]}),
    ):
        assert answer.status_code == 422, answer.request
        assert ADVICE in answer.json()["detail"]
    events = await client.post("/api/feed/feedback/batch", json={"events": [event]})
    assert ADVICE in events.json()["rejected"][0]["error"]
    kblocks = await client.post("/api/kblocks/batch", json={"kblocks": [kblock]})
    assert ADVICE in kblocks.json()["rejected"][0]["error"]


@pytest.mark.parametrize("coded", ["%ff", "%C3", "a%ED%A0%80", "%C0%AF"])
async def test_an_address_that_is_no_text_names_nothing(client, coded):
    for method, path in (
        ("PUT", f"/api/kblocks/{coded}"), ("GET", f"/api/kblocks/{coded}"),
        ("DELETE", f"/api/kblocks/{coded}"), ("GET", f"/api/kblocks/{coded}/similar"),
        ("GET", f"/api/users/{coded}/profile"), ("GET", f"/api/feed/cosmos?user_id={coded}"),
        ("GET", f"/api/feed/feeds/{coded}"), ("GET", f"/api/feed/cosmos?{coded}=1"),
    ):  # fmt: skip
        answer = await client.request(method, path, json={"title": "t"})
        assert answer.status_code == 422, (method, path)
        assert answer.json()["errors"][0]["field"] == "address"
    assert (await client.get("/api/feed/cosmos")).json()["total"] == 0
    assert (await client.get("/api/kblocks/%EF%BF%BD")).status_code == 404


async def test_an_id_has_no_control_characters(client):
    for control in [*map(chr, range(32)), *map(chr, range(127, 160)), "\u2028", "\u2029"]:
        bad = f"two{control}lines"
        address = f"/api/kblocks/{quote(bad, safe='')}"
        put = await client.put(address, json={"title": "A note"})
        recorded = await client.post(RECORD, json=EVENT | {"kblock_id": bad})
        for answer in (put, recorded):
            assert answer.status_code == 422
            assert f"\\u{ord(control):04x}" in answer.json()["detail"]
        # An id that an earlier version accepted is looked up, and not found.
        assert (await client.get(address)).status_code == (404 if control != "\0" else 422)


async def test_an_id_that_an_earlier_version_took_can_be_read_and_deleted(client):
    service = await get_feed_service()
    old = "two\nlines"
    kept = KBlock.model_construct(**KBlock(id="x", title="A note").model_dump() | {"id": old})
    await service.kblocks.put([kept])
    address = f"/api/kblocks/{quote(old)}"
    found = await client.get(address)
    assert (found.status_code, found.json()["id"]) == (200, old)
    page = await client.get("/api/feed/cosmos")
    assert [item["id"] for item in page.json()["items"]] == [old]
    assert (await client.get(f"{address}/similar")).status_code == 200
    assert (await client.get("/kblock", params={"id": old})).status_code == 200
    assert (await client.delete(address)).status_code == 204
    assert (await client.get(address)).status_code == 404
    assert (await client.get(f"/api/users/{quote(old)}/profile")).status_code == 200
    hidden = f"/api/feed/dismissals/{quote(old)}"
    assert (await client.delete(hidden, params={"user_id": old})).status_code == 404


NAMES = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=64
).filter(lambda text: text.strip() and text not in {".", ".."})
PARTS = [
    "a/similar",
    "similar",
    "a//similar",
    "/",
    "a/",
    "a b",
    "?#%",
    "%2F",
    "..a",
    "a/..",
    "batch",
    "search",
]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(name=NAMES | st.sampled_from(PARTS))
async def test_what_is_taken_can_be_reached(client, name):
    # Without an escape, the name of the search is its address.
    written = "%73earch" if name == "search" else quote(name, safe="")
    address = f"/api/kblocks/{written}"
    assert (await client.put(address, json={"title": "A note"})).status_code in {200, 201}
    found = await client.get(address)
    assert (found.status_code, found.json()["id"]) == (200, name)
    similar = await client.get(f"{address}/similar")
    assert (similar.status_code, similar.json()["kblock_id"]) == (200, name)
    assert (await client.delete(address)).status_code == 204
    user = f"/api/users/{quote(name, safe='')}"
    assert (await client.put(user, json={"principles": ["kind"]})).json()["id"] == name
    preferred = await client.put(f"{user}/preferences", json={"muted_tags": ["t"]})
    assert preferred.json()["muted_tags"] == ["t"]


# The OpenAPI document


def problems_of(path: str) -> list[dict]:
    """Return how a path may describe its errors: OFREP has a shape of its own for flags."""
    own = [{"application/json": {"schema": {"$ref": "#/components/schemas/FlagProblem"}}}]
    ours = [{PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}]
    return ours + (own if path.startswith("/ofrep/") else [])


@pytest.mark.parametrize("keys", [{}, {"api_keys": ["sesame"]}])
def test_the_document_names_the_keys_and_the_problems(keys):
    found = document(**keys)
    schemes = found["components"]["securitySchemes"]
    assert {(each["type"], each.get("scheme", each.get("name"))) for each in schemes.values()} == {
        ("apiKey", "X-API-Key"), ("http", "bearer"), ("apiKey", "X-Harken-User-Token"),
    }  # fmt: skip
    tokens: list[dict] = [{}, {"UserToken": []}]
    wanted: list[dict] = [{name: []} | token for token in tokens for name in ("ApiKey", "Bearer")]
    assert found["security"] == wanted + ([] if keys else [{}])
    problem = found["components"]["schemas"]["Problem"]
    assert {"type", "title", "status", "detail", "errors"} == set(problem["properties"])
    for path, operations in found["paths"].items():
        for verb, operation in operations.items():
            answers = operation["responses"]
            if path == "/healthz":
                assert operation["security"] == []
                continue
            assert {"401", "403", "429", "503"} <= set(answers), (verb, path)
            assert ("400" in answers) == ("413" in answers) == ("requestBody" in operation)
            for status, answer in answers.items():
                if int(status) >= 400 and path != "/readyz":
                    assert answer["content"] in problems_of(path), (verb, path, status)

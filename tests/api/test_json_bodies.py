"""All routes parse bodies by the same rules; an invalid body gets a clear, short 4xx."""

import gzip
import json
import re

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harken.protocols.api.feed import create_feed_router
from harken.protocols.http.size_limits import MOST_VALUES

EVENT = {"user_id": "u", "kblock_id": "k", "action": "view"}
RECORD = "/api/feed/feedback/record"
JSON = {"Content-Type": "application/json"}
MOST_ANSWERED = 32_000

ROUTES = [
    ("POST", RECORD, EVENT),
    ("POST", "/api/feed/feedback/batch", {"events": [EVENT]}),
    ("PUT", "/api/kblocks/k", {"title": "A note"}),
    ("POST", "/api/kblocks/batch", {"kblocks": [{"id": "k", "title": "A note"}]}),
    ("PUT", "/api/users/u", {"principles": ["clarity"]}),
    ("PUT", "/api/users/u/preferences", {"muted_tags": ["news"]}),
    ("PUT", "/api/feed/feeds/mine", {"description": "Mine"}),
    ("POST", "/api/feed/rank", {"kblock_ids": ["k"]}),
]
PATHS = [path for _, path, _ in ROUTES]


def assert_refused(answer, statuses, said=""):
    assert answer.status_code in statuses, answer.text[:500]
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.content) < MOST_ANSWERED
    assert said in answer.json()["detail"]


@pytest.mark.parametrize(("method", "path", "good"), ROUTES, ids=PATHS)
async def test_every_route_refuses_what_is_not_strict_json(client, method, path, good):
    text = json.dumps(good)

    async def send(body, **headers):
        return await client.request(method, path, content=body, headers=JSON | headers)

    first = next(iter(good))
    twice = text[:-1] + f', "{first}": {json.dumps(good[first])}}}'
    large = text[:-1] + ', "x": ' + "9" * 20_000 + "}"
    deep = text[:-1] + ', "x": ' + "[" * 20_000
    for body, status, said in (
        (twice, 400, f"The name '{first}' is duplicated"),
        (large, 400, "a number of thousands of digits"),
        (deep, 400, "nested more than 200 levels deep"),
        (gzip.compress(text.encode(), mtime=0), 400, "looks like gzip"),
        (text.encode("utf-16"), 400, "send JSON as UTF-8"),
        (text.encode("utf-32"), 400, "send JSON as UTF-8"),
        (text[:-1].encode() + b', "x": "\xff"}', 400, "not UTF-8"),
        (text[:-1] + ', "x": NaN}', 400, "not JSON"),
        (text[:-1] + ', "x": -Infinity}', 400, "not JSON"),
        (text[:-1], 400, "not JSON"),
        (text + " {}", 400, "not JSON"),
        ("'" + text + "'", 400, "not JSON"),
    ):
        assert_refused(await send(body), {status}, said)
    zipped = gzip.compress(text.encode())
    for coding in ("gzip", "br", "x" * 5_000):
        refused = await send(zipped, **{"Content-Encoding": coding})
        assert_refused(refused, {415}, "uncompressed")
        assert refused.headers["accept-encoding"] == "identity"
    utf16 = {"Content-Type": "application/json; charset=utf-16"}
    assert_refused(await send(text.encode("utf-16"), **utf16), {415}, "send JSON as UTF-8")

    taken = [
        await send(text),
        await send(b"\xef\xbb\xbf" + text.encode()),
        await send(text, **{"Content-Type": 'Application/JSON; Charset="UTF-8"'}),
        await send(text, **{"Content-Encoding": "identity"}),
    ]
    assert {answer.status_code for answer in taken} <= {200, 201}, [a.text for a in taken]


async def test_a_lone_surrogate_does_not_hide_what_else_is_wrong(client):
    bad = '{"user_id": "\\ud800", '
    for rest, said in (
        ('"user_id": "u"}', "'user_id' is duplicated"),
        ('"x": NaN}', "NaN is not a JSON number"),
        ('"x": ' + "9" * 5_000 + "}", "thousands of digits"),
        ('"x": ' + "[" * 5_000, "nested"),
        ('"x" 1}', "not JSON"),
    ):
        answer = await client.post(RECORD, content=bad + rest, headers=JSON)
        assert_refused(answer, {400}, said)


async def test_a_body_of_too_many_values_is_refused_before_it_is_read(client):
    body = b'{"events":[' + b"[]," * (MOST_VALUES // 2 + 1) + b"1]}"
    answer = await client.post("/api/feed/feedback/batch", content=body, headers=JSON)
    assert_refused(answer, {413}, "send less at once")


WRONG = [
    ("PUT", "/api/kblocks/k", '{"title":"t","tags":[%s]}', "1", 500_000, "at most 64 items"),
    ("PUT", "/api/kblocks/k", '{"title":"t","principles":[%s]}', '"a"', 500_000, "at most 64"),
    ("PUT", "/api/kblocks/k", '{"title":"t","edges":[%s]}', '{"a":1}', 200_000, "at most 1000"),
    ("PUT", "/api/kblocks/k", '{"title":"t","edges":[%s]}', '{"a":1}', 1_000, "edges.0.target"),
    ("PUT", "/api/feed/feeds/mine", '{"sources":[%s]}', "1", 20_000, "at most 16 items"),
    ("PUT", "/api/feed/feeds/mine", '{"filters":[%s]}', "1", 20_000, "at most 16 items"),
    ("PUT", "/api/users/u", '{"principles":[%s]}', "1", 20_000, "at most 64 items"),
    ("PUT", "/api/users/u/preferences", '{"muted_tags":[%s]}', "1", 20_000, "at most 200 items"),
    ("PUT", "/api/users/u/preferences", '{"muted_tags":[%s]}', "1", 200, "and 181 more"),
    ("POST", "/api/feed/rank", '{"kblock_ids":[%s]}', "1", 500_000, "at most 1000 items"),
    ("POST", "/api/feed/rank", '{"kblock_ids":[%s]}', "1", 1_000, "and 981 more"),
]


@pytest.mark.parametrize(("method", "path", "form", "each", "count", "said"), WRONG)
async def test_many_wrong_members_get_a_short_answer(client, method, path, form, each, count, said):
    body = form % ",".join([each] * count)
    answer = await client.request(method, path, content=body, headers=JSON)
    assert_refused(answer, {422}, said)
    assert 1 <= len(answer.json()["errors"]) <= 20


@pytest.mark.parametrize(("method", "path", "good"), ROUTES, ids=PATHS)
async def test_many_and_long_unknown_fields_get_a_short_answer(client, method, path, good):
    for more in (
        {f"unknown{i}": 1 for i in range(3_000)},
        {f"unknown{i}": 1 for i in range(25)},
        {"x" * 30_000: 1},
        {"\x01" * 9_000: 1},
    ):
        answer = await client.request(method, path, json=good | more)
        if path.endswith("feedback/batch"):  # its schema allows unknown fields
            assert answer.status_code in {200, 413}
        else:
            assert_refused(answer, {422})
            assert len(answer.json()["errors"]) <= 20


LONG = "9" * 20_000
QUOTING = [
    ("GET", f"/api/feed/{LONG}", None),
    ("GET", f"/api/feed/feeds/{LONG}", None),
    ("DELETE", f"/api/feed/feeds/{LONG}", None),
    ("GET", f"/api/models/{LONG}", None),
    ("GET", f"/api/kblocks/{LONG}", None),
    ("GET", f"/api/users/{LONG}/profile", None),
    *(
        ("GET", f"/api/feed/cosmos?{name}={LONG}", None)
        for name in (
            "user_id", "offset", "limit", "ranking", "max_loss", "cursor", "temperature", "seed",
            "most_per_tag", "ranking=weighted&weights", "ranking=trending&half_life", LONG,
        )
    ),
    ("GET", "/api/feed/cosmos?" + "&".join(f"unknown{i}=1" for i in range(2_000)), None),
    ("GET", f"/api/feed/personal?base_feed={LONG}", None),
    ("GET", f"/api/feed/analytics?limit={LONG}", None),
    ("GET", f"/api/feed/analytics/timeseries?bucket={LONG}&since={LONG}", None),
    ("POST", "/api/feed/rank", {"kblock_ids": ["k"], "ranking": LONG}),
    ("POST", "/api/feed/rank", {"kblock_ids": ["k"], "weights": {LONG: 1.0}}),
    ("POST", "/api/feed/rank", {"kblock_ids": ["k"], "half_life": LONG, "ranking": "trending"}),
    ("PUT", "/api/users/u/preferences", {"weights": {LONG: 1.0}}),
    ("PUT", "/api/feed/feeds/mine", {"ranking": LONG}),
    ("PUT", "/api/feed/feeds/mine", {"sources": [{"kind": LONG}]}),
    ("PUT", "/api/feed/feeds/mine", {"filters": [{"field": LONG, "operator": "=", "value": 1}]}),
    ("PUT", "/api/feed/feeds/mine", {"filters": [{"field": "kind", "operator": LONG, "value": 1}]}),
    ("PUT", "/api/kblocks/k", {"title": "t", "id": LONG}),
    ("PUT", "/api/kblocks/k", {"title": LONG}),
    ("PUT", "/api/kblocks/k", {"title": "t", "created_at": LONG}),
    ("POST", RECORD, EVENT | {"action": LONG}),
    ("POST", RECORD, EVENT | {"occurred_at": LONG}),
]  # fmt: skip


async def test_answers_quote_little_of_long_values(client):
    for method, path, body in QUOTING:
        answer = await client.request(method, path, json=body)
        assert 400 <= answer.status_code < 500, (method, path[:60], body)
        assert len(answer.content) < 4_000, (method, path[:60], body)


HUGE = [10**4_000, -(10**4_000), 10**400]


@pytest.mark.parametrize("number", HUGE, ids=["long", "negative", "past floats"])
async def test_numbers_that_no_float_holds(client, number):
    for method, path, body in (
        ("POST", RECORD, EVENT | {"dwell_time_ms": number}),
        ("POST", RECORD, EVENT | {"position": number}),
        ("POST", RECORD, EVENT | {"metadata": {"a": [number]}}),
        ("POST", RECORD, EVENT | {"occurred_at": number}),
        ("PUT", "/api/kblocks/k", {"title": "t", "layer": number}),
        ("PUT", "/api/kblocks/k", {"title": "t", "galois_loss": number}),
        ("PUT", "/api/kblocks/k", {"title": "t", "created_at": number}),
        ("PUT", "/api/users/u/preferences", {"weights": {"attention": number}}),
        ("POST", "/api/feed/rank", {"kblock_ids": ["k"], "temperature": number}),
        ("POST", "/api/feed/rank", {"kblock_ids": ["k"], "seed": number}),
        ("POST", "/api/feed/rank", {"kblock_ids": ["k"], "weights": {"attention": number}}),
        ("PUT", "/api/feed/feeds/mine", {"max_loss": number}),
        ("PUT", "/api/feed/feeds/mine", {"sources": [{"kind": "layer", "value": number}]}),
        (
            "PUT",
            "/api/feed/feeds/mine",
            {"filters": [{"field": "galois_loss", "operator": "<", "value": number}]},
        ),
    ):
        assert_refused(await client.request(method, path, json=body), {422})


async def test_a_batch_names_each_of_a_thousand_wrong_events_in_a_bounded_answer(client):
    event = {f"unknown{i}{'x' * 100}": "x" for i in range(30)}
    answer = await client.post("/api/feed/feedback/batch", json={"events": [event] * 1_000})
    rejected = answer.json()["rejected"]
    assert [each["index"] for each in rejected] == list(range(1_000))
    assert all("user_id" in each["error"] or "unknown" in each["error"] for each in rejected)
    assert len(answer.content) < 300_000
    few = await client.post("/api/feed/feedback/batch", json={"events": [event, EVENT]})
    [only] = few.json()["rejected"]
    assert only["error"].endswith("more problems")


NAMES = st.sampled_from([*EVENT, "metadata", "dwell_time_ms", "occurred_at", "unknown", "\u00e9"])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats()
    | st.sampled_from(["u", "k", "view", "engage", "2025-12-25T10:30:00Z", "\ud800", "\x00", ""])
    | st.text(max_size=70),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
WRITTEN = st.one_of(
    st.builds(
        lambda fields: json.dumps(EVENT | fields).encode(),
        st.dictionaries(NAMES, VALUES, max_size=4),
    ),
    st.builds(
        lambda pairs: "{" + ",".join(f"{json.dumps(k)}:{json.dumps(v)}" for k, v in pairs) + "}",
        st.lists(st.tuples(NAMES, VALUES), max_size=6),
    ).map(str.encode),
    st.builds(
        lambda coding: json.dumps(EVENT).encode(coding), st.sampled_from(["utf-16", "cp037"])
    ),
    st.binary(max_size=40),
    st.builds(
        lambda body, end: body[:end], st.just(json.dumps(EVENT).encode()), st.integers(0, 60)
    ),
)
TYPES = st.sampled_from(
    ["application/json", "application/json; charset=latin-1", "text/plain", "APPLICATION/JSON;", ""]
)
CODINGS = st.sampled_from(["", "", "", "identity", "gzip"])


@pytest.fixture
async def mounted(client):
    """The same routes in another FastAPI application, on the same database."""
    app = FastAPI()
    app.include_router(create_feed_router())
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as opened:
        yield opened


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(body=WRITTEN, kind=TYPES, coding=CODINGS)
async def test_both_ways_to_record_agree(client, mounted, body, kind, coding):
    headers = {"Content-Type": kind, "Content-Encoding": coding}
    answers = [
        await each.post(RECORD, content=body, headers={k: v for k, v in headers.items() if v})
        for each in (client, mounted)
    ]
    found = []
    for answer in answers:
        document = answer.json()
        if answer.status_code == 200:
            assert document.pop("interaction_id")
        else:
            assert answer.headers["content-type"] == "application/problem+json"
        # The times of receipt differ.
        found.append((answer.status_code, re.sub(r"it is [^ ]+ here", "", json.dumps(document))))
    assert found[0] == found[1]
    assert found[0][0] in {200, 400, 415, 422}

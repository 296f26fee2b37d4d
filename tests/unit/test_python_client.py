"""The Python client against a service that fails in every way; both kinds of it.

The service is a function in place of the network, so that each answer is chosen.
"""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from harken_client import (
    AsyncClient,
    Client,
    Closed,
    Conflict,
    Forbidden,
    QueueFull,
    Refused,
    Unauthorized,
    Undelivered,
    Unreachable,
)
from harken_client.calls import made
from harken_client.sending import LONGEST_RETRY_AFTER, Options, retry_after

EVENT: Any = {"user_id": "ada", "kblock_id": "k", "action": "view"}
Answer = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


class Service:
    """Answers with `answers` in their order, then accepts everything."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if self.answers else taken
        if isinstance(answer, Exception):
            raise answer
        return answer(request) if callable(answer) else answer

    async def answer(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)
        return self(request)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(request.content) for request in self.requests]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [event for body in self.bodies for event in body.get("events", [body])]


def taken(request: httpx.Request) -> httpx.Response:
    body = json.loads(request.content)
    if "events" not in body:
        return httpx.Response(200, json={"interaction_id": body["interaction_id"]})
    count = len(body["events"])
    return httpx.Response(200, json={"accepted": count, "duplicates": 0, "rejected": []})


def refused(status: int, detail: str = "no") -> httpx.Response:
    return httpx.Response(status, json={"status": status, "detail": detail})


class Threaded:
    """A `Client` whose methods are called in a thread, so that one test goes for both kinds."""

    def __init__(self, service: Service, **options: Any) -> None:
        http = httpx.Client(transport=httpx.MockTransport(service))
        self.client = Client("http://harken", http=http, **options)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.client, name)
        if not callable(found) or name == "enqueue":
            return found

        async def call(*values: Any, **named: Any) -> Any:
            return await asyncio.to_thread(found, *values, **named)

        return call


def asynchronous(service: Service, **options: Any) -> AsyncClient:
    http = httpx.AsyncClient(transport=httpx.MockTransport(service.answer))
    return AsyncClient("http://harken", http=http, **options)


@pytest.fixture(params=[Threaded, asynchronous], ids=["threads", "event loop"])
def opened(request, monkeypatch):
    monkeypatch.setattr(Options, "first_pause", 0.001, raising=False)
    monkeypatch.setattr(Options, "pause", lambda _self, _failures, least: max(least, 0.001))
    return request.param


async def test_what_fails_is_sent_again_with_the_same_id(opened):
    service = Service(
        httpx.ConnectError("away"),
        httpx.ReadTimeout("slow"),
        httpx.Response(500, text="a fault"),
        refused(503),
        refused(429),
        httpx.Response(200, text="<html>Sign in to the hotel's network</html>"),
        httpx.Response(200, json={"signed": "out"}),
    )
    client = opened(service)
    recorded = await client.record(**EVENT)
    assert len(service.requests) == 8
    assert {event["interaction_id"] for event in service.events} == {recorded["interaction_id"]}
    assert len({event["occurred_at"] for event in service.events}) == 1
    assert client.last_event_id == recorded["interaction_id"]
    await client.close()


@pytest.mark.parametrize(
    ("status", "kind"), [(401, Unauthorized), (403, Forbidden), (409, Conflict), (418, Refused)]
)
async def test_what_is_refused_is_not_sent_again(opened, status, kind):
    client = opened(service := Service(refused(status, "so and so")))
    with pytest.raises(kind, match="so and so") as raised:
        await client.record(**EVENT)
    assert raised.value.status == status
    assert len(service.requests) == 1
    await client.close()


async def test_a_call_is_given_up_when_patience_ends(opened):
    client = opened(Service(*[httpx.ConnectError("away")] * 1_000), patience=0.01)
    with pytest.raises(Unreachable, match="away"):
        await client.record(**EVENT)
    await client.close()


async def test_a_service_that_asks_to_wait_is_asked_no_sooner(opened):
    busy = httpx.Response(503, headers={"Retry-After": "0.2"})
    client = opened(service := Service(busy))
    began = time.monotonic()
    await client.record(**EVENT)
    assert time.monotonic() - began >= 0.2
    assert len(service.requests) == 2
    await client.close()


async def test_the_queue_sends_batches_and_tells_what_is_refused(opened):
    def one_refused(request):
        events = json.loads(request.content)["events"]
        rejected = [{"index": len(events) - 1, "error": "action: no such"}]
        found = {"accepted": len(events) - 1, "duplicates": 0, "rejected": rejected}
        return httpx.Response(200, json=found)

    client = opened(service := Service(httpx.ConnectError("away"), one_refused))
    ids = [client.enqueue(**EVENT) for _ in range(1_200)]
    [refusal] = await client.flush()
    assert refusal.reason == "action: no such"
    assert refusal.event["interaction_id"] in ids
    sent = [event["interaction_id"] for event in service.events]
    assert list(dict.fromkeys(sent)) == ids
    assert all(len(body["events"]) <= 500 for body in service.bodies)
    assert client.pending == 0
    assert client.last_event_id == ids[-1]
    assert await client.flush() == []
    await client.close()


async def test_refusals_go_to_the_callers_function_whose_faults_stop_nothing(opened):
    told = []

    def on_refused(event, reason):
        told.append((event["interaction_id"], reason))
        raise ValueError("a fault of the caller")

    client = opened(Service(refused(403, "not with this key")), on_refused=on_refused)
    first = client.enqueue(**EVENT)
    assert await client.flush() == []
    assert told == [(first, "not with this key")]
    client.enqueue(**EVENT)
    assert await client.close() == []
    assert len(told) == 1


async def test_a_batch_that_is_too_large_is_divided(opened):
    def small(request):
        events = json.loads(request.content)["events"]
        return refused(413) if len(events) > 3 else taken(request)

    client = opened(service := Service(*[small] * 100))
    ids = [client.enqueue(**EVENT) for _ in range(40)]
    assert await client.flush() == []
    accepted = [body["events"] for body in service.bodies if len(body["events"]) <= 3]
    assert [event["interaction_id"] for events in accepted for event in events] == ids
    await client.close()


async def test_a_full_queue_takes_no_more(opened):
    client = opened(Service(*[httpx.ConnectError("away")] * 100_000), queue_limit=2)
    ids = [client.enqueue(**EVENT) for _ in range(2)]
    with pytest.raises(QueueFull):
        client.enqueue(**EVENT)
    with pytest.raises(Undelivered):
        await client.flush(0.01)
    with pytest.raises(Undelivered) as raised:
        await client.close(0.01)
    assert [event["interaction_id"] for event in raised.value.events] == ids
    with pytest.raises(Closed):
        client.enqueue(**EVENT)
    with pytest.raises(Closed):
        await client.record(**EVENT)


async def test_closing_sends_what_waits(opened):
    client = opened(service := Service(httpx.ConnectError("away")))
    ids = [client.enqueue(**EVENT) for _ in range(3)]
    assert await client.close() == []
    assert {event["interaction_id"] for event in service.events} == set(ids)
    assert client.pending == 0


async def test_a_token_goes_in_place_of_the_key_and_a_refused_one_is_replaced_once(opened):
    tokens = ["old", "new", "new", "new"]
    client = opened(service := Service(refused(401)), key="k", user_token=lambda: tokens.pop(0))
    await client.record(**EVENT)
    sent = [request.headers.get("authorization") for request in service.requests]
    assert sent == ["Bearer old", "Bearer new"]
    assert not any("x-api-key" in request.headers for request in service.requests)
    service.answers = [refused(401)]
    with pytest.raises(Unauthorized):
        await client.record(**EVENT)
    await client.close()


async def test_who_fails_to_get_a_token_is_asked_again(opened):
    results: list[Any] = [ValueError("away"), ValueError("away"), None]

    def token():
        result = results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    client = opened(service := Service(), key="k", user_token=token)
    await client.record(**EVENT)
    assert [request.headers["x-api-key"] for request in service.requests] == ["k"]
    await client.close()


@pytest.mark.parametrize("wrong", [{1, 2}, float("nan"), "\ud800"])
async def test_what_is_no_json_is_refused_at_once(opened, wrong):
    client = opened(service := Service())
    with pytest.raises((TypeError, ValueError)):
        client.enqueue(**EVENT, metadata={"wrong": wrong})
    client.enqueue(**EVENT)
    await client.close()
    assert len(service.events) == 1


async def test_what_the_caller_changes_later_changes_no_event(opened):
    client = opened(service := Service(httpx.ConnectError("away")))
    metadata = {"step": 1}
    client.enqueue(**EVENT, metadata=metadata)
    metadata["step"] = 2
    await client.close()
    assert {event["metadata"]["step"] for event in service.events} == {1}


def test_ids_are_of_version_7_and_rise():
    ids = [made(EVENT)[0] for _ in range(10_000)]
    assert ids == sorted(set(ids))
    assert {UUID(each).version for each in ids} == {7}
    assert {UUID(each).variant for each in ids} == {"specified in RFC 4122"}
    assert abs((UUID(ids[0]).int >> 80) / 1_000 - time.time()) < 60
    assert made(EVENT | {"interaction_id": "own"})[0] == "own"


def test_retry_after_is_read_in_both_forms():
    assert retry_after(None, 0) == 0
    assert retry_after("2", 0) == 2
    assert retry_after("-2", 0) == 0
    assert retry_after("soon", 0) == 0
    assert retry_after("1e9", 0) == LONGEST_RETRY_AFTER
    assert retry_after("Thu, 01 Jan 1970 00:01:40 GMT", 40) == 60


def test_pauses_grow_to_a_limit_and_differ():
    options = Options("http://harken")
    for failures, most in ((0, 0.2), (1, 0.4), (5, 6.4), (50, 30), (10_000, 30)):
        pauses = {options.pause(failures, 0) for _ in range(50)}
        assert len(pauses) > 1
        assert all(most / 2 <= each <= most for each in pauses)
    assert options.pause(0, 100) == 100


def test_an_address_that_is_none_is_refused():
    with pytest.raises(ValueError, match="url must begin with http"):
        Client("localhost:8000")

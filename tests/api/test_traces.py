"""Traces: which spans a request has, what they tell, and that they tell nothing of readers."""

import asyncio
import json
import sys
from datetime import UTC, datetime

import numpy as np
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, format_span_id, format_trace_id

from harken.config import Settings
from harken.domain.kblock import KBlock
from harken.errors import InvalidSettings, MissingExtra
from harken.protocols.api.app import Application, create_app
from harken.protocols.telemetry import spans, traces
from harken.protocols.telemetry.tracing import traces_of
from harken.services.features.names import NAMES
from harken.services.learning.ranker import PASSED, VIEWED, Example, RankerSettings, train
from harken.services.providers import get_feed_service
from harken.services.record.group_commit import GroupCommit
from harken.settings.telemetry import LogFormat
from tests.api.conftest import client_of
from tests.support.waiting import until

RECORD = "/api/feed/feedback/record"
EVENT = {"user_id": "ida-the-reader", "kblock_id": "kblock-of-ida", "action": "view"}
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
on_both = pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"], indirect=True)
OTEL = (
    "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_SDK_DISABLED",
    "OTEL_TRACES_EXPORTER", "OTEL_TRACES_SAMPLER",
)  # fmt: skip


@pytest.fixture
def database_kind(request) -> str:
    return str(getattr(request, "param", "sqlite"))


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch, database_url):
    for name in OTEL:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HARKEN_DATABASE_URL", database_url)
    monkeypatch.setenv("HARKEN_TRACES_ENDPOINT", "http://127.0.0.1:9")


class Trace:
    """What a service told, read after its end."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()

    @property
    def spans(self):
        return self.exporter.get_finished_spans()

    def named(self, name):
        return [each for each in self.spans if each.name == name]

    def within(self, span) -> list[str]:
        """Return the names of what is directly or indirectly within a span."""
        inside = [each for each in self.spans if each.parent and _id(each.parent) == _id(span)]
        return [each.name for each in inside] + [n for each in inside for n in self.within(each)]


def _id(span):
    context = getattr(span, "context", span)
    return context.trace_id, context.span_id


@pytest.fixture
async def traced(monkeypatch):
    """Return a function that runs a service with traces, and what it told."""
    told = Trace()
    monkeypatch.setattr(traces, "OTLPSpanExporter", lambda *_, **__: told.exporter)

    def service(**changed):
        settings = Settings.load().model_copy(update={"traces_share": 1.0, **changed})
        return client_of(create_app(settings))

    return service, told


@on_both
async def test_recording_is_a_queue_and_a_commit(traced):
    service, told = traced
    async with service() as client:
        assert (await client.post(RECORD, json=EVENT)).status_code == 200
    [request] = told.named(f"POST {RECORD}")
    assert request.kind is SpanKind.SERVER
    assert dict(request.attributes) == {
        "http.request.method": "POST", "url.scheme": "http", "http.route": RECORD,
        "http.response.status_code": 200,
    }  # fmt: skip
    assert request.resource.attributes["service.name"] == "harken"
    inside = told.within(request)
    assert inside.count("queue") == inside.count("commit") == 1
    [commit] = told.named("commit")
    assert commit.attributes["harken.events"] == 1
    assert "database write" in told.within(commit)
    [queue] = told.named("queue")
    assert request.start_time <= queue.start_time <= queue.end_time <= commit.start_time


async def test_events_that_are_committed_together_have_a_commit_each(traced):
    service, told = traced
    async with service() as client:
        sent = [client.post(RECORD, json=EVENT | {"user_id": f"u{n}"}) for n in range(40)]
        assert {each.status_code for each in await asyncio.gather(*sent)} == {200}
        await client.get("/api/feed/cosmos")
    requests = told.named(f"POST {RECORD}")
    assert len(requests) == 40
    for request in requests:
        inside = told.within(request)
        assert inside.count("queue") == inside.count("commit") == 1
    commits = told.named("commit")
    linked = [each for each in commits if each.links]
    firsts = {_id(each) for each in commits if not each.links}
    assert linked, "40 concurrent events share transactions"
    assert {_id(link.context) for each in linked for link in each.links} <= firsts
    # What happens within a transaction is told once.
    assert all(not told.within(each) for each in linked)


def older_first():
    """Train a model by the age of K-Blocks."""
    generator, examples = np.random.default_rng(0), []
    for n in range(60):
        matrix = np.zeros((10, len(NAMES)), np.float32)
        matrix[:, NAMES.index("age")] = generator.uniform(6, 15, 10)
        grades = np.full(10, PASSED, np.int8)
        grades[np.argmax(matrix[:, NAMES.index("age")])] = VIEWED
        examples.append(Example(n, matrix, grades))
    settings = RankerSettings(
        rounds=5, fewest=10, least_in_leaf=5, share_of_features=1.0, base_below=0
    )
    return train(examples, settings)


@on_both
async def test_a_page_tells_where_its_time_went(traced):
    service, told = traced
    async with service() as client:
        found = await get_feed_service()
        await found.kblocks.put([
            KBlock.parse({"id": f"k{n}", "title": f"K {n}", "created_at": datetime.now(UTC)})
            for n in range(5)
        ])  # fmt: skip
        model = await found.registry.models.add(older_first(), {}, {}, "1.0")
        await found.registry.models.promote(model)
        for ranking in ("chronological", "personal", "learned"):
            asked = {"ranking": ranking, "user_id": "ida-the-reader"}
            answer = await client.get("/api/feed/cosmos", params=asked)
            assert len(answer.json()["items"]) == 5, answer.text
    newest, personal, learned = told.named("GET /api/feed/cosmos")
    for page in (newest, personal, learned):
        assert {"reader", "texts", "slate", "database read"} <= {*told.within(page)}
    assert "index refresh" in told.within(newest)
    assert {"profiles", "candidates", "affinities"} <= {*told.within(personal)}
    assert {"profiles", "candidates", "features", "model"} <= {*told.within(learned)}
    assert "model" not in told.within(personal)
    [features, *_] = told.named("features")
    assert features.attributes["harken.kblocks"] == 5


async def test_nothing_of_what_was_sent_is_told(traced):
    service, told = traced
    secret = {"metadata": {"text": "words-of-ida"}, "interaction_id": "event-of-ida"}
    async with service() as client:
        await client.post(RECORD, json=EVENT | secret)
        other = await client.post(RECORD, json=EVENT | secret | {"action": "engage"})
        assert other.status_code == 409
        assert (await client.post(RECORD, json=EVENT | {"action": "of-ida"})).status_code == 422
        for path in (
            "/api/users/ida-the-reader/profile",
            "/api/kblocks/kblock-of-ida",
            "/of-ida?of-ida=of-ida",
            "/api/feed/personal?user_id=ida-the-reader",
        ):
            await client.get(path, headers={"Authorization": "Bearer of-ida", "baggage": "of=ida"})
        assert (await client.request("IDA", "/")).status_code >= 400
        assert (await client.get("/healthz")).status_code == 200
    assert len(told.named("GET /api/users/{user_id}/profile")) == 1
    written = "".join(each.to_json() for each in told.spans)
    assert "of-ida" not in written
    assert "ida-the-reader" not in written
    assert "IDA" not in written
    assert all(not each.events for each in told.spans)
    assert not told.named("GET /healthz")


async def test_errors_are_told_by_their_class(traced, monkeypatch):
    service, told = traced

    async def broken(*_given) -> None:
        raise ValueError("words-of-ida")

    async with service() as client:
        monkeypatch.setattr(GroupCommit, "_commit", broken)
        assert (await client.post(RECORD, json=EVENT)).status_code == 500
    [request] = told.named(f"POST {RECORD}")
    assert request.status.status_code is StatusCode.ERROR
    assert request.status.description is None
    assert request.attributes["error.type"] == "500"
    assert "words-of-ida" not in "".join(each.to_json() for each in told.spans)


async def test_the_caller_decides_and_is_the_parent(traced):
    service, told = traced
    async with service(traces_share=0.0) as client:
        yes, no = (f"00-{TRACE}-{PARENT}-{flags}" for flags in ("01", "00"))
        for sent in ({"traceparent": yes}, {"traceparent": no}, {"traceparent": "00-0-0"}, {}):
            assert (await client.post(RECORD, json=EVENT, headers=sent)).status_code == 200
    [request] = told.named(f"POST {RECORD}")
    assert format_trace_id(request.context.trace_id) == TRACE
    assert format_span_id(request.parent.span_id) == PARENT
    assert {each.context.trace_id for each in told.spans} == {request.context.trace_id}


async def test_lines_of_the_log_have_the_trace(traced, capsys):
    service, told = traced
    async with service(access_log=True, log_format=LogFormat.JSON) as client:
        await client.get("/api/feed/cosmos")
        written = await until(lambda: capsys.readouterr().err)
    [request] = told.named("GET /api/feed/cosmos")
    line = json.loads(written.splitlines()[-1])
    assert line["trace_id"] == format_trace_id(request.context.trace_id)
    assert line["request_id"]


async def test_without_traces_nothing_stands_in_the_way(traced, monkeypatch):
    service, _told = traced
    methods = [*spans.WAITED_FOR, *spans.COMPUTED]
    before = [vars(each.owner)[each.method] for each in methods]
    async with service():
        assert all(vars(each.owner)[each.method] is not method
                   for each, method in zip(methods, before, strict=True))  # fmt: skip
    assert [vars(each.owner)[each.method] for each in methods] == before
    monkeypatch.delenv("HARKEN_TRACES_ENDPOINT")
    app = Application(Settings.load())
    assert app.front.traces is None
    assert app.front._first is app.front._gate


async def test_opentelemetrys_own_variables_turn_them_on_and_off(monkeypatch):
    monkeypatch.delenv("HARKEN_TRACES_ENDPOINT")
    assert traces_of(Settings.load()) is None
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    assert traces_of(Settings.load()) is not None
    for name, value in (("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")):
        with monkeypatch.context() as changed:
            changed.setenv(name, value)
            assert traces_of(Settings.load()) is None


async def test_the_extra_is_named_where_it_is_missing(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    monkeypatch.delitem(sys.modules, traces.__name__)
    with pytest.raises(MissingExtra, match=r"pip install 'harken\[traces\]'"):
        create_app(Settings.load())
    # A variable that may be meant for other programs does not keep a server from starting.
    monkeypatch.delenv("HARKEN_TRACES_ENDPOINT")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    assert Application(Settings.load()).front.traces is None
    assert "no traces are sent" in caplog.text


@pytest.mark.parametrize(
    ("given", "message"),
    [("127.0.0.1:4318", "must be a URL"), ("ftp://x", "must be a URL"), ("http://", "must be"),
     ("http://a:b@host", "OTEL_EXPORTER_OTLP_HEADERS"), ("http://host:x", "must be a URL")],
)  # fmt: skip
async def test_an_address_that_cannot_be_used_is_refused(monkeypatch, given, message):
    monkeypatch.setenv("HARKEN_TRACES_ENDPOINT", given)
    with pytest.raises(InvalidSettings, match=message):
        Settings.load()


async def test_the_path_of_an_address_is_added_where_it_has_none():
    for given, meant in (
        ("http://host:4318", "http://host:4318/v1/traces"),
        ("https://host/otlp/v1/traces", "https://host/otlp/v1/traces"),
    ):
        assert Settings(traces_endpoint=given).traces_endpoint == meant

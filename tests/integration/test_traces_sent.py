"""A real server sends its traces to a receiver of OTLP over HTTP."""

from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.support.postgres import free_port
from tests.support.server import HarkenServer

EVENTS = 5


@contextmanager
def collector():
    """Receive traces; yields the address, and the list of spans that have come."""
    received: list[tuple[Any, Any, str, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            sent = ExportTraceServiceRequest.FromString(body)
            received.extend(
                (each.resource, span, self.path, self.headers.get("X-Team"))
                for each in sent.resource_spans
                for scope in each.scope_spans
                for span in scope.spans
            )
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_given) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", received
        finally:
            server.shutdown()
            thread.join()


def record(server: HarkenServer) -> None:
    for number in range(EVENTS):
        event = {"user_id": "ida-the-reader", "kblock_id": f"k{number}", "action": "view"}
        path = f"{server.url}/api/feed/feedback/record"
        httpx.post(path, json=event, trust_env=False).raise_for_status()


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_all_spans_have_arrived_when_a_server_has_ended(database_url):
    with collector() as (address, received):
        environment = {
            "HARKEN_TRACES_ENDPOINT": address, "HARKEN_TRACES_SHARE": "1",
            "OTEL_SERVICE_NAME": "feed", "OTEL_EXPORTER_OTLP_HEADERS": "X-Team=readers",
        }  # fmt: skip
        with HarkenServer(database_url, **environment) as server:
            record(server)
            server.terminate()
        names = [span.name for _resource, span, _path, _team in received]
        assert names.count("POST /api/feed/feedback/record") == EVENTS
        assert names.count("queue") == names.count("commit") == EVENTS
        assert {(path, team) for *_, path, team in received} == {("/v1/traces", "readers")}
        for resource, span, *_ in received:
            told = {each.key: each.value.string_value for each in resource.attributes}
            assert told["service.name"] == "feed"
            assert b"ida-the-reader" not in span.SerializeToString()


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_collector_that_is_not_there_keeps_nobody_waiting(database_url):
    environment = {
        "HARKEN_TRACES_ENDPOINT": f"http://127.0.0.1:{free_port()}", "HARKEN_TRACES_SHARE": "1",
    }  # fmt: skip
    with HarkenServer(database_url, **environment) as server:
        record(server)
        server.terminate()  # which fails if it takes longer than a shutdown may
        assert "Traceback" not in server.output

"""Traces of requests, sent by OTLP over HTTP; the extra `traces` has OpenTelemetry's SDK.

OpenTelemetry's own variables hold beside Harken's settings: `OTEL_SERVICE_NAME`,
`OTEL_TRACES_SAMPLER`, `OTEL_EXPORTER_OTLP_HEADERS` and so on.
"""

import asyncio
import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

import harken
from harken.protocols.http import security
from harken.protocols.http.addresses import path_of
from harken.protocols.http.route_rules import route_of
from harken.protocols.telemetry.metrics import known_method
from harken.protocols.telemetry.spans import Spans, failed
from harken.protocols.telemetry.trace_context import TRACE, trace_id_of
from harken.settings.telemetry import TelemetrySettings

SERVICE = "harken"
EXPORT_SECONDS = 3.0
"""What an attempt to send spans may take."""
CLOSING_SECONDS = 3.0
"""What sending the last spans may take when a server ends, before they are given up."""
SAMPLER = "OTEL_TRACES_SAMPLER"
UNTRACED = frozenset({security.HEALTH, security.READY, security.METRICS})
INTERRUPTED = 499


class Traces:
    """The traces of one process: `running` from the start of its server to the end."""

    def __init__(self, settings: TelemetrySettings) -> None:
        self._endpoint = settings.traces_endpoint
        has_sampler = bool(os.environ.get(SAMPLER))
        # Of the requests that are not chosen, the SDK learns nothing: its decision takes longer.
        self._share = 1.0 if has_sampler else settings.traces_share
        self._provider = TracerProvider(
            sampler=None if has_sampler else ParentBased(ALWAYS_ON),
            resource=Resource.create(_resource()),
            shutdown_on_exit=False,
        )
        self._tracer = self._provider.get_tracer(SERVICE, harken.__version__)

    @asynccontextmanager
    async def running(self, exporter: SpanExporter | None = None) -> AsyncIterator[None]:
        """Make spans and send them, by an exporter of OTLP if none is given."""
        exporter = exporter or OTLPSpanExporter(self._endpoint, timeout=EXPORT_SECONDS)
        # Its thread begins here: a process that forked since would not have it.
        processor: SpanProcessor = BatchSpanProcessor(exporter)
        self._provider.add_span_processor(processor)
        spans = Spans(self._tracer)
        spans.install()
        try:
            yield
        finally:
            spans.remove()
            await self._send_last(exporter)

    def _is_chosen(self, scope: Scope) -> bool:
        has_parent = any(
            name == b"traceparent" and trace_id_of(value) for name, value in scope["headers"]
        )
        is_chosen = has_parent or random.random() < self._share  # noqa: S311 — no secret
        return is_chosen and path_of(scope) not in UNTRACED

    async def _send_last(self, exporter: SpanExporter) -> None:
        sending = asyncio.create_task(asyncio.to_thread(self._provider.shutdown))
        done, _ = await asyncio.wait([sending], timeout=CLOSING_SECONDS)
        if not done:
            exporter.shutdown()  # it repeats attempts for longer than anybody wants to wait
        await sending

    def around(self, app: ASGIApp) -> ASGIApp:
        """Return an application that forwards requests, each in a span."""

        async def traced(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or not self._is_chosen(scope):
                await app(scope, receive, send)
                return
            method = known_method(scope["method"])
            with self._tracer.start_as_current_span(
                method, _parent(scope), SpanKind.SERVER,
                attributes={"http.request.method": method, "url.scheme": scope["scheme"]},
                record_exception=False, set_status_on_exception=False,
            ) as span:  # fmt: skip
                trace_id = trace.format_trace_id(span.get_span_context().trace_id)
                scope[TRACE] = trace_id
                with bound_contextvars(trace_id=trace_id):
                    if span.is_recording():
                        await _noted(span, app, scope, receive, send)
                    else:
                        await app(scope, receive, send)

        return traced


async def _noted(span: Span, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request, and note in its span which route it was and how it ended."""
    status = INTERRUPTED

    async def send_noted(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        await send(message)

    try:
        await app(scope, receive, send_noted)
    except BaseException as error:
        failed(span, error)
        raise
    finally:
        method = known_method(scope["method"])
        route = route_of(scope["method"], path_of(scope))
        span.update_name(f"{method} {route}")
        span.set_attributes({"http.route": route, "http.response.status_code": status})
        if status >= 500:
            span.set_attribute("error.type", str(status))
            span.set_status(Status(StatusCode.ERROR))


def _parent(scope: Scope) -> Context | None:
    """Return the context that a caller sent, of W3C Trace Context alone: baggage is not kept."""
    headers = {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in scope["headers"]
        if name in {b"traceparent", b"tracestate"}
    }
    if not headers:
        return None
    return TraceContextTextMapPropagator().extract(headers)


def _resource() -> dict[str, str]:
    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": SERVICE}
    return named | {"service.version": harken.__version__}

"""What a server tells about itself: metrics, request ids and lines of the log."""

import json
import logging
import logging.config
import os
import re
import sys

import pytest
from prometheus_client.parser import text_string_to_metric_families

from harken.config import Settings
from harken.protocols.api.app import create_app
from harken.protocols.telemetry.access_log import MOST_LINES, AccessLog
from harken.protocols.telemetry.logs import log_configuration
from harken.protocols.telemetry.metrics import MOST_ENDED
from harken.protocols.telemetry.trace_context import trace_id_of
from harken.settings.telemetry import LogFormat, LogLevel, TelemetrySettings
from tests.api.conftest import client_of
from tests.support.waiting import until

EVENT = {"user_id": "u", "kblock_id": "k", "action": "view"}
RECORD = "/api/feed/feedback/record"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


def request(path):
    return {"type": "http", "method": "GET", "path": path, "headers": []}


@pytest.fixture
async def watched(database_url, monkeypatch):
    """Return a client of a service with metrics and an access log of JSON."""
    monkeypatch.setenv("HARKEN_DATABASE_URL", database_url)
    async with client_of(create_app(Settings.load().model_copy(
        update={"metrics": True, "access_log": True, "log_format": LogFormat.JSON}
    ))) as client:  # fmt: skip
        yield client


@pytest.fixture
def configure():
    """Return a function that configures the log as `serve` does; undone after the test."""
    names = ("harken", "harken.connecting", "uvicorn", "uvicorn.error")
    before = [
        (logger, logger.handlers[:], logger.level, logger.propagate)
        for logger in map(logging.getLogger, names)
    ]
    yield lambda settings: logging.config.dictConfig(log_configuration(settings))
    for logger, handlers, level, propagate in before:
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


async def samples(client):
    """Return the samples of /metrics: values by name and the values of the labels."""
    answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def test_counters_are_those_of_the_log_and_of_the_requests(watched):
    for number in range(3):
        sent = EVENT | {"interaction_id": f"e{number % 2}"}
        assert (await watched.post(RECORD, json=sent)).status_code == 200
    engaged = EVENT | {"action": "engage"}
    sent_together = await watched.post("/api/feed/feedback/batch", json={"events": [engaged] * 2})
    assert sent_together.status_code == 200
    assert (await watched.post(RECORD, json={})).status_code == 422
    assert (await watched.get("/api/feed/cosmos")).status_code == 200
    found = await samples(watched)
    counted = {
        action: found["harken_interactions_total", action]
        for action in ("view", "engage", "dismiss", "contradict")
    }
    assert counted == {"view": 2, "engage": 2, "dismiss": 0, "contradict": 0}
    name = "http_server_request_duration_seconds_count"
    assert found[name, "POST", "200", RECORD] == 3
    assert found[name, "POST", "422", RECORD] == 1
    assert found["harken_commit_events_sum",] == 5  # a repeated event is sent, and not counted
    assert found["harken_database_up",] == 1
    assert found["http_server_active_requests", "GET"] == 1  # this one


async def test_no_label_is_made_of_what_is_sent(watched):
    for path in ("/nowhere/12345", "/api/kblocks/12345", "/api/users/12345/profile"):
        await watched.get(path)
    await watched.request("BREW", "/12345")
    text = (await watched.get("/metrics")).text
    assert "12345" not in text
    assert "BREW" not in text
    assert re.search(r'^http_server_request_duration_seconds_count{.*"_OTHER"', text, re.MULTILINE)


async def test_every_request_counts_once_however_many_end_together(watched):
    for number in range(2 * MOST_ENDED + 50):
        assert (await watched.get(f"/api/kblocks/{number}")).status_code == 404
    found = await samples(watched)
    name = "http_server_request_duration_seconds_count"
    assert found[name, "GET", "404", "/api/kblocks/{kblock_id}"] == 2 * MOST_ENDED + 50
    assert found["http_server_active_requests", "GET"] == 1


async def test_metrics_are_off_unless_they_are_wanted(client):
    answer = await client.get("/metrics")
    assert answer.status_code == 404
    assert "HARKEN_METRICS=true" in answer.json()["detail"]


async def test_lines_of_a_request_have_its_id_and_its_trace(watched, capsys):
    sent = {"X-Request-ID": "order-7", "traceparent": PARENT}
    answer = await watched.get("/api/users/secret-reader/profile", headers=sent)
    assert answer.headers["x-request-id"] == "order-7"
    await watched.get("/nowhere", headers={"X-Request-ID": "a b", "traceparent": "00-0-0-0"})
    written = ""

    def lines():
        nonlocal written
        written += capsys.readouterr().err
        return written.splitlines()[1:] and [json.loads(line) for line in written.splitlines()]

    first, second = await until(lines)
    assert "secret-reader" not in written
    assert (first["request_id"], first["trace_id"], first["level"]) == ("order-7", TRACE, "info")
    assert first["http_route"] == "/api/users/{user_id}/profile"
    assert first["http_response_status_code"] == 200
    assert second["request_id"] != "a b"
    assert "trace_id" not in second


async def test_lines_of_requests_for_people_and_those_that_nobody_wants(capsys):
    log = AccessLog.of(TelemetrySettings(access_log=True))
    assert log is not None
    async with log.running():
        log.note(request("/api/feed/cosmos"), 200, 0.0021)
    line = "INFO:     GET /api/feed/cosmos 200 http_route=/api/feed/cosmos"
    assert capsys.readouterr().err.startswith(line)
    assert AccessLog.of(TelemetrySettings(access_log=False)) is None
    assert AccessLog.of(TelemetrySettings(access_log=True, log_level=LogLevel.WARNING)) is None


async def test_many_lines_are_written_at_once_and_a_lost_log_stops_nothing(monkeypatch):
    log = AccessLog(LogFormat.JSON)
    with open(os.devnull) as unwritable:  # noqa: ASYNC230, PTH123
        monkeypatch.setattr(sys, "stderr", unwritable)
        for _ in range(2 * MOST_LINES):
            log.note(request("/"), 200, 0.0)
    assert log._noted == []


def test_lines_for_people_name_the_request_at_the_end(configure, capfd):
    configure(TelemetrySettings())
    log = logging.getLogger("harken.test")
    log.debug("unseen")
    log.warning("it rains")
    log.error("it pours", exc_info=ValueError("wet"))
    rain, pours, *trace = capfd.readouterr().err.splitlines()
    assert (rain, pours) == ("WARNING:  it rains", "ERROR:    it pours")
    assert trace[-1] == "ValueError: wet"


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (PARENT, TRACE),
        (f"01-{TRACE}-00f067aa0ba902b7-01-later", TRACE),
        (f"ff-{TRACE}-00f067aa0ba902b7-01", None),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (PARENT.upper(), None),
        ("", None),
        (PARENT + "-" + "x" * 512, None),
    ],
)
def test_a_trace_is_read_as_the_standard_says(header, found):
    assert trace_id_of(header.encode()) == found

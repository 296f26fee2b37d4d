"""The report over REST."""

import asyncio
import sys
from datetime import UTC, datetime

import pytest

from harken.errors import Unavailable
from harken.protocols.api.report import making
from harken.protocols.api.report.shapes import ReportShape
from harken.protocols.presentation import NO_EXPERIMENT
from harken.services.feed.service import FeedService
from harken.services.registry.reporting import make_report, read_report_inputs, write_report
from tests.api.test_feed import assert_problem

PATH = "/api/report"
NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
async def made(client, session_factory):
    """Return a report of three weeks."""
    days = ("2026-02-09", "2026-02-10", "2026-02-17", "2026-02-24")
    events = [
        {"user_id": f"u{n % 13}", "kblock_id": "k", "action": action,
         "occurred_at": f"{days[n % 4]}T12:00:00Z"}
        for n in range(200)
        for action in (["view", "engage"] if n % 3 else ["view"])
    ]  # fmt: skip
    answer = await client.post("/api/feed/feedback/batch", json={"events": events})
    assert answer.json()["accepted"] == len(events)
    service = FeedService(session_factory)
    stored = await service.registry.reports.add(
        make_report(await read_report_inputs(service.registry, NOW)), "1.0"
    )
    yield stored
    await service.close()


async def test_before_there_is_one(client):
    assert_problem(await client.get(PATH), 404)
    assert "run `harken report`" in (await client.get(PATH)).json()["detail"]


async def test_the_latest_is_answered(client, made):
    answer = (await client.get(PATH)).json()
    assert answer["report_id"] == made.id
    assert answer["code_version"] == "1.0"
    assert answer["answer"] == made.report["answer"]
    assert [week["week"] for week in answer["weeks"]] == ["2026-W07", "2026-W08", "2026-W09"]
    assert sum(week["views"] for week in answer["weeks"]) == 200
    assert answer["models"] == []
    shape = ReportShape.model_validate(answer)
    ratio = shape.weeks[0].engagement_per_view
    assert ratio.low is not None
    assert ratio.high is not None
    assert ratio.low < ratio.high


async def test_only_the_latest_weeks(client, made):
    answer = (await client.get(PATH, params={"weeks": 1})).json()
    for rows in (answer["weeks"], answer["rankings"]):
        assert [row["week"] for row in rows] == ["2026-W09"]
    assert answer["answer"] == made.report["answer"]
    for weeks in ("0", "105", "some"):
        assert_problem(await client.get(PATH, params={"weeks": weeks}), 422, "weeks")


async def test_the_latest_as_a_file(client, made):
    answer = await client.get(f"{PATH}/html")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    name = f"harken-report-{made.created_at:%Y-%m-%d}.html"
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert "2026-W08" in answer.text
    assert "<svg" in answer.text


async def test_before_there_is_one_there_is_no_file(client):
    assert_problem(await client.get(f"{PATH}/html"), 404)


async def test_a_report_is_made_and_two_at_a_time_are_not(client, monkeypatch):
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(*given):
        begun.set()
        await go_on.wait()
        return await write_report(*given)

    monkeypatch.setattr(making, "write_report", slowly)
    making_it = asyncio.create_task(client.post(PATH))
    await begun.wait()
    second = await client.post(PATH)
    go_on.set()
    first = await making_it
    assert first.status_code == 201
    assert first.json()["answer"]["verdict"] == "not_known"
    assert first.json()["no_experiment"] == NO_EXPERIMENT
    assert_problem(second, 503)
    assert "being made already" in second.json()["detail"]
    latest = (await client.get(PATH)).json()
    assert latest["report_id"] == first.json()["report_id"]


async def test_a_report_of_models_is_made_by_another_process(client, monkeypatch):
    await making.run_report()
    assert (await client.get(PATH)).json()["answer"]["verdict"] == "not_known"
    monkeypatch.setattr(making, "HARKEN", (sys.executable, "-c", "raise SystemExit(3)"))
    with pytest.raises(Unavailable, match="the log of the server says why"):
        await making.run_report()
    monkeypatch.setattr(making, "HARKEN", ("/no/such/program",))
    with pytest.raises(Unavailable, match="cannot be started"):
        await making.run_report()


async def test_the_schema_says_what_comes(client):
    schema = (await client.get("/openapi.json")).json()
    assert {"from", "until"} <= set(schema["components"]["schemas"]["MeasuredShape"]["properties"])
    assert "404" in schema["paths"][PATH]["get"]["responses"]

"""What tests of the dashboard share: what is drawn, what tables hold, and what is in the log."""

import asyncio
import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from playwright.async_api import Page, expect

from harken.services.feed.service import FeedService
from tests.conftest import session_factory_for

_DRAWN = """(id) => {
  const chart = globalThis.Chart?.getChart(id);
  return chart && {
    labels: chart.data.labels,
    datasets: chart.data.datasets.map(({ label, data }) => ({ label, data })),
  };
}"""
_COLOURS = """(id) => {
  const canvas = document.getElementById(id);
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  return new Set(new Uint32Array(data.buffer)).size;
}"""
_TABLE = """(id) => {
  const value = (cell) => {
    const exact = cell.querySelector('data, time');
    return exact?.getAttribute('value') ?? exact?.getAttribute('datetime') ?? cell.textContent;
  };
  return [...document.getElementById(id).rows].map((row) => [...row.cells].map(value));
}"""
_TOOLTIP = """(id) => globalThis.Chart.getChart(id).tooltip.opacity > 0
  && globalThis.Chart.getChart(id).tooltip.body.flatMap((each) => each.lines)"""


async def drawn(page: Page, chart: str) -> dict[str, Any]:
    """Return the labels of a chart, and its data by the labels of the datasets."""
    await page.wait_for_function(_DRAWN, arg=chart)
    found = await page.evaluate(_DRAWN, chart)
    return {
        "labels": found["labels"],
        **{each["label"]: each["data"] for each in found["datasets"]},
    }


async def is_painted(page: Page, chart: str) -> bool:
    """Wait until there is more on a canvas than one colour; fails where there never is."""
    await page.wait_for_function(f"(id) => ({_COLOURS})(id) > 2", arg=chart)
    return True


async def hover(page: Page, chart: str, dataset: int, index: int) -> list[str]:
    """Point at a mark of a chart, and return what is said of it."""
    canvas = page.locator(f"#{chart}")
    await canvas.scroll_into_view_if_needed()
    place = await page.evaluate(
        """([id, dataset, index]) => {
          const { x, y } = globalThis.Chart.getChart(id).getDatasetMeta(dataset).data[index];
          return { x, y };
        }""",
        [chart, dataset, index],
    )
    await canvas.hover(position=place)
    said = await page.wait_for_function(_TOOLTIP, arg=chart)
    return [line.strip() for line in await said.json_value()]


async def table(page: Page, name: str) -> list[list[str]]:
    """Return the rows of a table, its head included, by their exact values."""
    found: list[list[str]] = await page.evaluate(_TABLE, name)
    return found


async def downloaded(page: Page, name: str) -> list[list[str]]:
    """Return the rows of the CSV that a table can be had as."""
    button = page.locator(f"[data-csv={name}]")
    async with page.expect_download() as coming:
        await button.click()
    path = await (await coming.value).path()
    content = await asyncio.to_thread(Path(path).read_bytes)
    text = content.decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text, newline="")))


async def record(api: Any, *events: dict[str, Any]) -> None:
    """Record events, by one reader each unless they say by whom."""
    whole = [{"user_id": f"u{n}", **event} for n, event in enumerate(events)]
    answer = await api.post("/api/feed/feedback/batch", json={"events": whole})
    answer.raise_for_status()
    assert answer.json()["accepted"] == len(events), answer.text


def event(kblock_id: str, action: str, minutes_ago: float = 0, **more: Any) -> dict[str, Any]:
    """Make an event of the last minutes."""
    at = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    return {"kblock_id": kblock_id, "action": action, "occurred_at": at.isoformat(), **more}


def a_day() -> list[dict[str, Any]]:
    """What happened on a made-up day: 23 views, 20 of them timed, and what followed."""
    views = [
        event(f"note-{n % 4:02}", "view", 60 * n, dwell_time_ms=250 * 2**(n % 8))
        for n in range(20)
    ]  # fmt: skip
    untimed = [event("note-05", "view", 5) for _ in range(3)]
    engaged = [event(f"note-{n % 3:02}", "engage", 90 * n) for n in range(7)]
    dismissed = [event("note-04", "dismiss", 30 * n) for n in range(4)]
    return [*views, *untimed, *engaged, *dismissed, event("note-01", "contradict", 15)]


async def ready(page: Page, *panels: str) -> None:
    """Wait until panels are filled."""
    for panel in panels:
        body = page.locator(f"#{panel} .body").first
        await expect(body).to_be_visible()


async def write_report(database: Path, content: dict[str, Any]) -> None:
    """Keep a report in a database that a service may be using."""
    async with session_factory_for(f"sqlite+aiosqlite:///{database}") as factory:
        service = FeedService(factory)
        await service.registry.reports.add(content, "1.0")
        await service.close()


def week(number: int, ratio: Sequence[float | None], *, is_partial: bool = False) -> dict[str, Any]:
    """Make a week of a report, with a ratio and its bounds."""
    begin = datetime(2026, 10, 5, tzinfo=UTC) + timedelta(weeks=number)
    value, low, high = ratio
    views = 1_000 + number
    return {
        "week": "{}-W{:02d}".format(*begin.isocalendar()),
        "begin": begin.isoformat().replace("+00:00", "Z"),
        "end": (begin + timedelta(weeks=1)).isoformat().replace("+00:00", "Z"),
        "is_partial": is_partial, "views": views, "engagements": round((value or 0) * views),
        "dismissals": 7, "readers": 40, "guest_visits": 2, "avg_dwell_time_sec": 12.5,
        "engagement_per_view": {"value": value, "low": low, "high": high},
        "dismissals_per_view": {"value": 0.007, "low": 0.004, "high": 0.011},
    }  # fmt: skip

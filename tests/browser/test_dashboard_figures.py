"""Tiles beside the period before, picked days, what pages showed, one K-Block and one reader."""

from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from playwright.async_api import expect

from harken.services.access.key_store import KeyStore
from harken.services.access.rights import Scope
from tests.conftest import session_factory_for
from tests.support.dashboards import downloaded, drawn, event, ready, record, table
from tests.support.pages import barriers, fits, shoot

KEY = "sesame"


@pytest.fixture
def settings(request):
    return getattr(request, "param", {})


@pytest_asyncio.fixture(loop_scope="session")
async def served(api):
    """Serve pages of two feeds to 30 readers, a third of whom click what stands first."""
    events = []
    for n in range(30):
        feed = "cosmos" if n % 2 else "coherent"
        page = await api.get(f"/api/feed/{feed}", params={"user_id": f"u{n}", "limit": 5})
        if n % 3 == 0:
            first = page.json()["items"][0]["id"]
            found = page.json()["request_id"]
            events.append(event(first, "view", user_id=f"u{n}", request_id=found))
    await record(api, *events)


async def test_what_pages_showed(server, served, page, api, problems):
    await page.goto(f"{server}/dashboard?range=day&by=hour")
    await ready(page, "impressions")
    summary = page.locator("#impressions-summary")
    await expect(summary).to_have_text(
        "150 impressions; 10 clicks, 0 engagements: click-through 0.067."
    )
    rows = await table(page, "impressions-table")
    assert sorted(row[0] for row in rows[1:]) == ["coherent", "cosmos"]
    assert {row[3] for row in rows[1:]} == {str(5 / 75)}
    chart = await drawn(page, "impressions-chart")
    assert chart["Click-through"] == [5 / 75, 5 / 75]
    file = await downloaded(page, "impressions-table")
    assert [row[:4] for row in file] == [row[:4] for row in rows]

    await page.select_option("#impression-filters [name=show]", "position")
    await page.select_option("#impression-filters [name=feed]", "cosmos")
    await expect(summary).to_contain_text("75 impressions; 5 clicks")
    rows = await table(page, "impressions-table")
    # Fifteen impressions are too few for a ratio.
    assert [row[:4] for row in rows[1:3]] == [
        ["1", "15", "5", "too few"],
        ["2", "15", "0", "too few"],
    ]
    assert "show=position&feed=cosmos" in page.url
    await expect(page.locator("#position-text")).to_contain_text("Not known")
    await page.reload()
    await expect(summary).to_contain_text("75 impressions; 5 clicks")
    await expect(page.locator("#impression-filters [name=feed]")).to_have_value("cosmos")
    assert problems == []


async def test_one_kblock_and_one_reader_by_keyboard(server, served, page, api, problems):
    await page.goto(f"{server}/dashboard?range=day&by=hour&show=kblock")
    await ready(page, "impressions")
    await expect(page.locator("#one .nothing")).to_contain_text("Choose Figures")
    query = {"by": "kblock", "limit": 1}
    found = (await api.get("/api/feed/analytics/impressions", params=query)).json()
    name = found["groups"][0]["title"]
    button = page.locator("#impressions").get_by_role("button", name=f"Figures of {name}")
    await button.first.focus()
    await page.keyboard.press("Enter")
    title = page.locator("#one-title")
    await expect(title).to_have_text(name)
    await expect(title).to_be_focused()
    await expect(page.locator("#one-summary")).to_contain_text("impressions")
    rows = await table(page, "one-table")
    assert {row[0].split()[0] for row in rows[1:]} == {"feed", "ranking", "position"}

    await page.get_by_label("Reader", exact=True).fill("u3")
    await page.keyboard.press("Enter")
    await expect(title).to_have_text("Reader u3")
    await expect(page.locator("#one-summary")).to_contain_text("1 view, 0 engagements")
    [_, act] = await table(page, "latest-table")
    assert act[1].startswith("Note ")
    assert act[2] == "view"
    assert problems == []


async def test_tiles_stand_beside_the_period_before(server, page, api):
    views = {6: 60, 3: 66}
    await record(
        api,
        event("k", "view", 20 * 1_440),
        *(
            event("k", "view", days * 1_440 + n / 60, dwell_time_ms=1_000 * days)
            for days, count in views.items()
            for n in range(count)
        ),
        *(event("k", "engage", 6 * 1_440) for _ in range(4)),
        *(event("k", "engage", 3 * 1_440) for _ in range(3)),
    )
    first, last = ((datetime.now(UTC) - timedelta(days=days)).date().isoformat() for days in (4, 2))
    await page.goto(f"{server}/dashboard?range=days&from={first}&to={last}")
    await ready(page, "activity")
    await expect(page.locator("#total-views")).to_have_text("66")
    await expect(page.locator("#total-views-before")).to_have_text("10 % more than 60 before")
    await expect(page.locator("#total-engagements-before")).to_have_text("25 % fewer than 4 before")
    await expect(page.locator("#total-engagement-rate")).to_have_text("0.045 per view")
    await expect(page.locator("#total-dwell-before")).to_have_text("50 % shorter than 6 s before")
    await expect(page.locator("#total-dismissals-before")).to_have_text("as before (0)")
    await expect(page.locator("#total-window")).to_contain_text(f"days {first} to {last}, beside")
    # Another day, by keyboard: the field is a date picker.
    await page.get_by_label("To (UTC)").fill(first)
    await expect(page.locator("#total-views")).to_have_text("0")
    assert f"from={first}&to={first}" in page.url
    await page.select_option("select[name=range]", "all")
    await expect(page.locator("#total-window")).to_have_text("All time.")
    await expect(page.locator("#total-views")).to_have_text("127")
    await expect(page.locator("#total-views-before")).to_be_empty()
    await expect(page.get_by_label("To (UTC)")).to_be_hidden()


async def test_a_log_that_begins_too_late_has_no_period_before(server, page, api):
    await record(api, event("k", "view", 5))
    await page.goto(f"{server}/dashboard?range=day")
    await expect(page.locator("#total-window")).to_contain_text("does not reach back")
    await expect(page.locator("#total-views-before")).to_be_empty()
    await expect(page.locator("#total-engagement-rate")).to_have_text("too few views for a ratio")


@pytest_asyncio.fixture(loop_scope="session")
async def analyst(database):
    """Return a key with the scope `read`, made before the server starts."""
    async with session_factory_for(f"sqlite+aiosqlite:///{database}") as factory:
        return (await KeyStore(factory).create("analyst", scopes=[Scope.READ])).text


@pytest.mark.parametrize("settings", [{"HARKEN_API_KEYS": KEY}], indirect=True)
async def test_a_key_that_may_not_see_one_reader_says_so(analyst, server, page):
    await page.goto(f"{server}/dashboard?range=day")
    await page.get_by_role("textbox", name="Key").fill(analyst)
    await page.keyboard.press("Enter")
    await ready(page, "health")
    await page.get_by_label("Reader", exact=True).fill("u3")
    await page.keyboard.press("Enter")
    await expect(page.locator("#one .problem")).to_contain_text("scope admin")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
async def test_figures_are_for_all(server, served, page, width, scheme):
    await page.emulate_media(color_scheme=scheme)
    await page.set_viewport_size({"width": width, "height": 800})
    await page.goto(f"{server}/dashboard?range=days&show=kblock")
    await ready(page, "impressions")
    buttons = page.locator("#impressions").get_by_role("button", name="Figures of")
    await buttons.first.click()
    await expect(page.locator("#one-summary")).to_contain_text("impressions")
    assert await fits(page)
    assert await barriers(page) == []
    await shoot(page, f"dashboard-figures-{width}-{scheme}", full=True)

"""The dashboard: charts and tables show the exact values of the API and are refreshed."""

import json
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.support.dashboards import (
    a_day,
    downloaded,
    drawn,
    event,
    hover,
    is_painted,
    ready,
    record,
    table,
)
from tests.support.pages import barriers, fits, listen_for_strangers, shoot
from tests.support.waiting import until

PANELS = ("activity", "dwell", "dismissals", "leaders", "dismissed", "health")
CHARTS = ("activity-chart", "dwell-chart", "dismissals-chart")
SIZES = {"desktop": (1280, 800), "phone": (360, 740)}
KEY = "sesame"


@pytest.fixture
def settings(request):
    return getattr(request, "param", {})


@pytest_asyncio.fixture(loop_scope="session")
async def busy(api):
    """Yield a service with events; the title of one note is a spreadsheet formula."""
    put = await api.put("/api/kblocks/note-00", json={"title": '=HYPERLINK("x";"y")'})
    put.raise_for_status()
    await record(api, *a_day())


async def answer_to(page, path, doing):
    """Return the answers of the API to the requests of a page during an action."""
    async with page.expect_response(lambda each: path in each.url and each.ok) as coming:
        await doing
    return await (await coming.value).json()


async def test_activity_is_drawn_as_the_api_says(server, busy, page, problems):
    found = await answer_to(page, "timeseries", page.goto(f"{server}/dashboard?range=day&by=hour"))
    await ready(page, *PANELS)
    chart = await drawn(page, "activity-chart")
    for kind in ("views", "engagements", "dismissals", "contradictions"):
        assert chart[kind.capitalize()] == [point[kind] for point in found["points"]]
    assert [sum(chart[kind]) for kind in ("Views", "Engagements", "Dismissals")] == [23, 7, 4]
    # 23 views are too few for a ratio, even as one point.
    assert (await drawn(page, "dismissals-chart"))["Dismissals per view"] == [None]
    await expect(page.locator("#dismissals-summary")).to_contain_text("too few views for a ratio")
    for each in CHARTS:
        assert await is_painted(page, each)
    summary = await page.get_attribute("#activity-chart", "aria-label")
    assert "23 views, 7 engagements, 4 dismissals, 1 contradictions" in summary
    assert problems == []


async def test_dwell_times_are_drawn_as_the_api_says(server, busy, page):
    found = await answer_to(page, "/dwell?", page.goto(f"{server}/dashboard?range=day"))
    await ready(page, "dwell")
    assert (await drawn(page, "dwell-chart"))["Views"] == [
        bucket["views"] for bucket in found["buckets"]
    ]
    assert (found["timed"], found["median_ms"]) == (20, 2_000)
    await expect(page.locator("#dwell-summary")).to_contain_text("Median dwell time: 2 s")
    await expect(page.locator("#dwell-summary")).to_contain_text("20 of 23 views")
    said = await hover(page, "dwell-chart", 0, 1)
    assert said == ["3 views, 15.0 %"]


async def test_totals_and_what_leads(server, busy, page, api):
    await page.goto(f"{server}/dashboard")
    await ready(page, "leaders", "dismissed")
    for tile, text in {"views": "23", "engagements": "7", "dismissals": "4", "day": "35"}.items():
        await expect(page.locator(f"#total-{tile}")).to_have_text(text)
    query = {"by": "engagements", "limit": 10}
    known = (await api.get("/api/feed/analytics/kblocks", params=query)).json()["kblocks"]
    rows = await table(page, "leaders-table")
    assert [row[0] for row in rows[1:]] == [each["title"] for each in known]
    score = rows[0].index("Attention")
    assert [float(row[score]) for row in rows[1:]] == [each["attention_score"] for each in known]
    link = page.locator("#leaders-table tbody a").first
    assert (await link.get_attribute("href")).endswith("/kblock?id=note-00")
    trend = page.locator("#leaders-table .spark").first
    assert "3 engagements; at most" in await trend.get_attribute("aria-label")
    await page.select_option("#leaders-by", "views")
    await expect(page.locator("#leaders-table tbody tr")).to_have_count(5)
    [dismissed] = (await table(page, "dismissed-table"))[1:]
    assert dismissed[0] == "Note 4"


async def test_what_happens_is_shown_while_the_page_is_open(server, busy, page, api):
    await page.goto(f"{server}/dashboard?range=day&by=hour")
    await ready(page, *PANELS)
    await page.evaluate("window.isSamePage = true")
    await record(api, event("note-09", "engage"), event("note-09", "view", dwell_time_ms=10))
    await expect(page.locator("#total-views")).to_have_text("24")
    await expect(page.locator("#total-rate")).not_to_have_text("–")
    await page.wait_for_function(
        """() => globalThis.Chart.getChart('activity-chart').data.datasets[1].data
          .reduce((sum, each) => sum + each, 0) === 8"""
    )
    # On a busy machine, counts of the log are requested less often.
    await expect(page.locator("#leaders-table")).to_contain_text("Note 9", timeout=60_000)
    await page.wait_for_function(
        "() => globalThis.Chart.getChart('rate-chart').data.labels.length >= 1"
    )
    assert await page.evaluate("window.isSamePage")


class Asked:
    """The requests of a page, and those that are pending."""

    def __init__(self, page):
        self.page = page
        self.urls = []
        self.pending = set()
        page.on("request", self._begin)
        page.on("requestfinished", self._end)
        page.on("requestfailed", self._end)

    def _begin(self, request):
        self.urls.append(request.url)
        self.pending.add(request)

    def _end(self, request):
        self.pending.discard(request)

    async def settled(self):
        """Wait until no request is pending and no answer causes another request."""

        async def is_quiet():
            before = len(self.urls)
            for _ in range(3):  # round trips, so that the scripts of the page run
                await self.page.evaluate("new Promise((next) => requestAnimationFrame(next))")
            return not self.pending and len(self.urls) == before

        await until(is_quiet)

    async def during(self, minutes):
        """Advance the clock by some minutes, and return the requests in that time."""
        await self.settled()
        self.urls.clear()
        await self.page.clock.run_for(minutes * 60_000)
        await self.settled()
        return self.urls


async def test_nothing_is_asked_for_while_the_page_is_hidden_or_paused(server, busy, page):
    await page.clock.install()
    asked = Asked(page)
    await page.goto(f"{server}/dashboard")
    await ready(page, *PANELS)
    hide = """(value) => {
      Object.defineProperty(document, 'hidden', { value, configurable: true });
      document.dispatchEvent(new Event('visibilitychange')); }"""
    await page.evaluate(hide, True)
    assert await asked.during(2) == []
    await page.evaluate(hide, False)
    assert len(await asked.during(1)) > 5
    await page.get_by_role("button", name="Pause").click()
    await expect(page.locator("#fresh")).to_contain_text("Paused")
    assert await asked.during(2) == []
    # A change of the range is shown even while paused.
    async with page.expect_response(lambda each: "timeseries" in each.url):
        await page.select_option("select[name=range]", "week")
    assert "range=week&by=hour" in page.url
    await page.get_by_role("button", name="Pause").click()
    assert len(await asked.during(1)) > 5


@pytest.mark.parametrize("name", ["activity", "dwell", "dismissals", "leaders", "dismissed"])
async def test_a_csv_has_the_values_of_its_table(server, busy, page, name):
    await page.goto(f"{server}/dashboard?range=day&by=hour")
    await ready(page, name)
    await page.get_by_role("button", name="Pause").click()
    for each in await page.locator(".figures").all():
        await each.evaluate("(details) => { details.open = true; }")
    seen, file = await table(page, f"{name}-table"), await downloaded(page, f"{name}-table")
    assert len(seen) == len(file) > 1
    shared = [label for label in seen[0] if label in file[0]]
    assert len(shared) >= len(seen[0]) - 2  # a sparkline and a button have no value
    for row, written in zip(seen[1:], file[1:], strict=True):
        for label in shared:
            value = written[file[0].index(label)]
            shown = row[seen[0].index(label)].replace("too few", "–")
            assert (value.removeprefix("'") or "–") == shown
    if name == "leaders":
        assert file[1][:2] == ['\'=HYPERLINK("x";"y")', "note-00"]


async def test_an_empty_log_says_what_to_do(server, page, problems):
    await page.goto(f"{server}/dashboard")
    await expect(page.locator("#hint")).to_contain_text("No events are recorded yet")
    await expect(page.locator("#report .nothing")).to_contain_text("Run harken report")
    await expect(page.locator("#models .nothing")).to_contain_text("harken train")
    await expect(page.locator("#leaders .nothing")).to_be_visible()
    await expect(page.locator("#total-views")).to_have_text("0")
    await ready(page, "health")
    text = await page.inner_text("main")
    for odd in ("NaN", "undefined", "null", "Infinity"):
        assert odd not in text
    assert await barriers(page) == []
    await shoot(page, "dashboard-empty", full=True)
    assert problems == []


async def test_a_log_that_ended_some_days_ago_is_shown_by_the_week(server, page, api):
    ats = [datetime.now(UTC) - timedelta(days=days) for days in (2, 20)]
    old = {"user_id": "ada", "kblock_id": "note-01", "action": "view"}
    await record(api, *({**old, "occurred_at": at.isoformat()} for at in ats))
    await page.goto(f"{server}/dashboard")
    await ready(page, "activity")
    await expect(page.locator("select[name=range]")).to_have_value("week")
    assert sum((await drawn(page, "activity-chart"))["Views"]) == 1


async def test_a_log_that_ended_long_ago_is_shown_whole(server, page, api):
    old = {"user_id": "ada", "kblock_id": "note-01", "action": "view"}
    ats = [f"2016-0{n}-01T12:00:00Z" for n in range(1, 10)]
    await record(api, *({**old, "occurred_at": at} for at in ats))
    await page.goto(f"{server}/dashboard")
    await ready(page, "activity")
    await expect(page.locator("select[name=range]")).to_have_value("all")
    chart = await drawn(page, "activity-chart")
    assert (chart["labels"][0], chart["labels"][-1]) == ("2016-01-01", "2016-09-01")
    assert sum(chart["Views"]) == 9
    await page.select_option("select[name=range]", "day")
    await expect(page.locator("#hint")).to_contain_text("the last event was on 2016-09-01")
    await expect(page.locator("#activity .nothing")).to_be_visible()
    await page.get_by_role("button", name="Show everything").click()
    await expect(page.locator("#activity .body")).to_be_visible()


async def test_an_error_is_said_where_it_belongs_and_goes_away(server, busy, page):
    problem = {"title": "Service Unavailable", "status": 503, "detail": "the database is away"}
    wrong = {"status": 503, "content_type": "application/problem+json", "body": json.dumps(problem)}
    await page.route("**/api/feed/analytics/dwell*", lambda route: route.fulfill(**wrong))
    not_ready = json.dumps({"status": "not ready", "problem": "run `harken migrate`"})
    await page.route("**/readyz", lambda route: route.fulfill(status=503, body=not_ready))
    await page.goto(f"{server}/dashboard")
    await ready(page, "activity")
    await expect(page.locator("#dwell .problem")).to_have_text("the database is away")
    await expect(page.locator("#health .problem")).to_have_text("run `harken migrate`")
    await expect(page.locator("#health-state")).to_have_text("Not ready")
    await page.unroute_all()
    await ready(page, "dwell", "health")
    await expect(page.locator("#dwell .problem")).to_be_empty()


async def test_without_the_package_of_drawings_the_figures_are_there(server, busy, page):
    await page.route("**/vendor/chart.js", lambda route: route.fulfill(status=404))
    await page.goto(f"{server}/dashboard")
    await ready(page, *PANELS)
    await expect(page.locator("#dwell .chart")).to_contain_text("lacks the package chartkick")
    assert sum(int(row[-2]) for row in (await table(page, "dwell-table"))[1:]) == 20


async def test_another_range_is_shown_whatever_was_asked_before(server, busy, page):
    answered: list[str] = []

    async def slowly(route):
        # The first answer arrives after another range was selected.
        if not answered:
            answered.append(route.request.url)
            await page.select_option("select[name=range]", "hour")
        await route.continue_()

    await page.route("**/timeseries*", slowly)
    await page.goto(f"{server}/dashboard?range=day")
    await expect(page.locator("#activity [data-window]")).to_have_text("by minute, the last hour")
    assert "bucket=hour" in answered[0]
    await page.wait_for_function(
        "() => globalThis.Chart?.getChart('activity-chart')?.data.labels.length === 61"
    )


async def test_kinds_can_be_left_out_by_keyboard(server, busy, page):
    await page.goto(f"{server}/dashboard")
    await ready(page, "activity")
    await page.get_by_role("checkbox", name="Views").focus()
    await page.keyboard.press("Space")
    assert list(await drawn(page, "activity-chart")) == [
        "labels", "Engagements", "Dismissals", "Contradictions",
    ]  # fmt: skip


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_is_for_all(server, busy, page, problems, size, scheme):
    strangers = listen_for_strangers(page, server)
    width, height = SIZES[size]
    await page.set_viewport_size({"width": width, "height": height})
    await page.emulate_media(color_scheme=scheme)
    await page.goto(f"{server}/dashboard")
    await ready(page, *PANELS)
    assert await fits(page)
    await shoot(page, f"dashboard-{size}-{scheme}", full=True)
    for each in await page.locator(".figures").all():
        await each.evaluate("(details) => { details.open = true; }")
    assert await barriers(page) == []
    assert await fits(page)
    assert (strangers, problems) == ([], [])


async def test_drawings_follow_the_colours_of_the_page(server, busy, page):
    await page.goto(f"{server}/dashboard")
    await ready(page, "dwell")
    colour = "() => globalThis.Chart.getChart('dwell-chart').data.datasets[0].backgroundColor"
    await drawn(page, "dwell-chart")
    assert await page.evaluate(colour) == "#5b8fd0"
    await page.emulate_media(color_scheme="dark")
    await page.wait_for_function(f"{colour} === '#5f86c4'")
    assert await is_painted(page, "dwell-chart")


@pytest.mark.parametrize("settings", [{"HARKEN_API_KEYS": KEY}], indirect=True)
async def test_with_keys_it_asks_for_one(server, busy, page):
    strange = await page.request.get(f"{server}/dashboard/report")
    assert strange.status == 401
    await page.goto(f"{server}/dashboard")
    await page.get_by_role("textbox", name="Key").fill(KEY)
    await page.keyboard.press("Enter")
    await ready(page, *PANELS)
    await expect(page.locator("#total-views")).to_have_text("23")
    assert await is_painted(page, "activity-chart")
    [*_, last] = (await drawn(page, "activity-chart"))["labels"]
    assert datetime.strptime(last, "%m-%d %H:%M").minute == 0  # noqa: DTZ007 — an hour of a day
    assert len(await downloaded(page, "leaders-table")) > 1

"""Report and models of the dashboard: intervals, and promotion with confirmation."""

import json
import re
import sqlite3
from contextlib import closing

import numpy as np
import pytest
import pytest_asyncio
from playwright.async_api import expect

from harken.protocols.presentation import NO_EXPERIMENT
from harken.protocols.report_file.document import report_document
from harken.services.features.names import NAMES
from harken.services.feed.service import FeedService
from harken.services.learning.ranker import PASSED, VIEWED, Example, RankerSettings, train
from tests.conftest import session_factory_for
from tests.support.dashboards import (
    downloaded,
    drawn,
    event,
    hover,
    is_painted,
    ready,
    record,
    table,
    week,
    write_report,
)
from tests.support.pages import barriers, fits, shoot

METRICS = ("hr@5", "hr@10", "mrr", "ndcg@10")
ORDERS = ("learned", "chronological", "popularity", "personal")
WEEKS = [
    week(0, (0.15, None, None), is_partial=True),
    week(1, (0.2, 0.18, 0.23)),
    week(2, (None, None, None)),
    week(3, (0.312345, 0.281, 0.351)),
]


def measured(model_id, basis, low):
    values = {
        order: {metric: 0.5 - n / 10 + m / 100 for m, metric in enumerate(METRICS)}
        for n, order in enumerate(ORDERS)
    }
    differences = [
        {"than": order, "metric": metric, "difference": round(n / 10, 6), "low": low,
         "high": None if low is None else round(n / 10 + 0.05, 6)}
        for n, order in enumerate(ORDERS[1:], 1)
        for metric in METRICS
    ]  # fmt: skip
    return {
        "model_id": model_id, "basis": basis, "from": "2026-11-01T00:00:00Z",
        "until": "2026-11-08T00:00:00Z", "impressions": 1_234, "readers": 56, "rankings": values,
        "differences": differences, "problem": None,
    }  # fmt: skip


REPORT = {
    "answer": {
        "verdict": "better", "compared": [],
        "text": "Better: 0.312 engagements per view in 2026-W44, the last full week.",
    },
    "weeks": WEEKS,
    "rankings": [{**WEEKS[1], "ranking": None}, {**WEEKS[3], "ranking": "personal"}],
    "models": [
        measured("learned-20261101-000000-aaaa", "in_service", 0.02),
        measured("learned-20261108-000000-bbbb", "held_out", None),
        measured("learned-broken", None, None)
        | {"rankings": {}, "differences": [], "problem": "was changed since it was written"},
    ],
}  # fmt: skip


@pytest_asyncio.fixture(loop_scope="session")
async def report(server, database):
    await write_report(database, REPORT)


async def test_weeks_are_drawn_with_their_intervals(server, report, page, problems):
    await page.goto(f"{server}/dashboard")
    await ready(page, "report")
    await expect(page.locator("#verdict")).to_have_text("Better")
    await expect(page.locator("#answer")).to_have_text(
        "0.312 engagements per view in 2026-W44, the last full week."
    )
    chart = await drawn(page, "weeks-chart")
    assert chart == {
        "labels": ["W41", "W42", "W43", "W44"],
        "low": [None, 0.18, None, 0.281],
        "high": [None, 0.23, None, 0.351],
        "Engagements per view": [0.15, 0.2, None, 0.312345],
        # The interval of a week without neighbours is a bar, not a band.
        "Interval": [None, [0.18, 0.23], None, [0.281, 0.351]],
    }
    assert await is_painted(page, "weeks-chart")
    said = await hover(page, "weeks-chart", 2, 3)
    assert said[:2] == ["Engagements per view: 0.312345", "95 % interval 0.281 to 0.351"]
    await page.select_option("#ratio", "dismissals_per_view")
    await page.wait_for_function(
        """() => globalThis.Chart.getChart('weeks-chart')
          .data.datasets[2].label === 'Dismissals per view'"""
    )
    assert (await drawn(page, "weeks-chart"))["low"] == [None, *[0.004] * 3]
    assert problems == []


async def test_weeks_in_part_are_no_trend(server, database, page):
    parts = [True, False, False, True]
    weeks = [week(n, (0.2, 0.18, 0.23), is_partial=part) for n, part in enumerate(parts)]
    await write_report(database, {**REPORT, "weeks": weeks})
    await page.goto(f"{server}/dashboard")
    await ready(page, "report")
    chart = await drawn(page, "weeks-chart")
    assert chart["Engagements per view"] == [0.2] * 4
    assert chart["low"] == [None, 0.18, 0.18, None]
    assert chart["Interval"] == [[0.18, 0.23], None, None, [0.18, 0.23]]
    lines = await page.evaluate(
        """() => globalThis.Chart.getChart('weeks-chart').getDatasetMeta(2).dataset.segments
          .map(({start, end, style}) => [start, end, style?.borderColor ?? 'drawn'])"""
    )
    assert [each[2] == "transparent" for each in lines] == [True, False, True]
    said = await page.locator("#weeks-chart").get_attribute("aria-label")
    assert said.count("partial") == 2


async def test_models_are_drawn_with_whiskers(server, report, page):
    await page.goto(f"{server}/dashboard")
    await ready(page, "report")
    chart = await drawn(page, "models-chart")
    assert chart["Difference"] == [0.1, 0.2, 0.3] * 2
    assert chart["Interval"] == [[0.02, 0.15], [0.02, 0.25], [0.02, 0.35], None, None, None]
    assert chart["labels"][0] == ["20261101-000000", "than chronological"]
    assert await is_painted(page, "models-chart")
    said = await hover(page, "models-chart", 0, 2)
    assert said[0] == "NDCG@10: 0.53; personal: 0.23"
    assert said[1] == "Difference: 0.3; 95 % interval 0.02 to 0.35"
    await page.select_option("#metric", "mrr")
    summary = page.locator("#models-chart")
    await expect(summary).to_have_attribute("aria-label", re.compile("^MRR of models"))


@pytest.mark.parametrize("name", ["weeks", "rankings", "replay"])
async def test_the_figures_of_the_report(server, report, page, name):
    await page.goto(f"{server}/dashboard")
    await ready(page, "report")
    await page.locator(f"details:has(#{name}-table) > summary").click()
    seen, file = await table(page, f"{name}-table"), await downloaded(page, f"{name}-table")
    assert seen[0] == file[0]
    assert seen[1:] == [[value or "–" for value in row] for row in file[1:]]
    if name == "weeks":
        assert len(file) == 5
        assert file[4][file[0].index("Engagements per view: high")] == "0.351"
    if name == "replay":
        assert len(file) == 1 + 2 * len(ORDERS) * len(METRICS)


@pytest.mark.parametrize("width", [1280, 360])
async def test_the_report_is_for_all(server, report, page, width):
    await page.set_viewport_size({"width": width, "height": 800})
    await page.goto(f"{server}/dashboard")
    await ready(page, "report")
    await drawn(page, "models-chart")
    assert await fits(page)
    assert await barriers(page) == []
    await shoot(page, f"dashboard-report-{width}", full=True)


async def test_what_looks_causal_says_that_it_is_no_experiment(server, report, page):
    await page.goto(f"{server}/dashboard")
    await ready(page, "report")
    await expect(page.locator("#no-experiment")).to_contain_text("only an experiment tells")
    link = page.locator("#report").get_by_role("link", name="no experiment")
    assert (await link.get_attribute("href")).endswith("/experiments")
    await page.locator("#report summary", has_text="What do HR, MRR and NDCG mean?").click()
    await expect(page.locator("#report dl")).to_contain_text("mean reciprocal rank")


async def test_a_report_is_made_and_downloaded_from_the_page(server, api, page, problems):
    await record(api, event("note-01", "view", 5), event("note-01", "engage", 4))
    await page.goto(f"{server}/dashboard")
    await expect(page.locator("#report .nothing")).to_contain_text("There is no report yet")
    export = page.get_by_role("button", name="Download HTML")
    await expect(export).to_be_hidden()
    make = page.get_by_role("button", name="Make a report")
    await make.focus()
    await page.keyboard.press("Enter")
    await expect(page.locator(".toast")).to_contain_text("The report is made.", timeout=60_000)
    await expect(page.locator("#verdict")).to_have_text("Not known")
    await expect(make).to_be_focused()
    async with page.expect_download() as coming:
        await export.click()
    found = await coming.value
    assert re.fullmatch(r"harken-report-\d{4}-\d\d-\d\d\.html", found.suggested_filename)
    assert problems == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_file_of_a_report_is_for_all(page, tmp_path, problems, scheme):
    content = {
        **REPORT, "report_id": "r", "created_at": "2026-11-01T00:00:00Z", "code_version": "1.0",
        "no_experiment": NO_EXPERIMENT, "trained_with_erased": [],
    }  # fmt: skip
    file = tmp_path / "report.html"
    file.write_text(report_document(content), "utf-8")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    await page.emulate_media(color_scheme=scheme)
    await page.set_viewport_size({"width": 360, "height": 800})
    await page.goto(file.as_uri())
    await expect(page.get_by_role("img")).to_have_count(4)
    assert asked == [file.as_uri()]
    assert await fits(page)
    assert await barriers(page) == []
    await shoot(page, f"report-file-{scheme}", full=True)
    assert problems == []


# Models


@pytest.fixture(scope="module")
def trees():
    generator, grades = np.random.default_rng(0), np.array([VIEWED, *[PASSED] * 9], np.int8)
    return [
        train(
            [
                Example(n, generator.normal(size=(10, len(NAMES))).astype(np.float32), grades)
                for n in range(30)
            ],
            RankerSettings(rounds=2, fewest=10, least_in_leaf=5, seed=seed),
        )
        for seed in range(2)
    ]


@pytest_asyncio.fixture(loop_scope="session")
async def models(server, database, trees):
    """Return the ids of two models; the first one is in service."""
    ci = {metric: [0.25, 0.75] for metric in METRICS}
    rankings = {"candidate": dict.fromkeys(METRICS, 0.5) | {"ci": ci}}
    verdict = {"is_better": True, "than": "personal", "reason": "better than personal: MRR +0.1"}
    data = {"from": "2026-01-01T00:00:00Z", "until": "2026-02-01T00:00:00Z", "impressions": 1_234}
    async with session_factory_for(f"sqlite+aiosqlite:///{database}") as factory:
        service = FeedService(factory)
        ids = [
            await service.registry.models.add(
                model, data, {"rankings": rankings, "verdict": verdict}, "1.0",
                promote=not number, instead_of=None,
            )
            for number, model in enumerate(trees)
        ]  # fmt: skip
        await service.close()
    return ids


async def in_service(api):
    return (await api.get("/api/models")).json()["in_service"]


async def test_a_model_is_promoted_and_taken_back_by_keyboard(server, models, api, page, problems):
    first, second = models
    await page.goto(f"{server}/dashboard")
    await ready(page, "models")
    row = page.locator("#models-table tr", has_text=second)
    await expect(row).to_contain_text("not in service")
    await row.get_by_role("button", name=f"Promote {second}").focus()
    await page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Put this model in service?")
    await expect(dialog).to_contain_text(f"{second} will serve instead of {first}")
    await expect(dialog).to_contain_text("better than personal: MRR +0.1")
    await expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    assert await barriers(page) == []
    await shoot(page, "dashboard-promote")
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    assert await in_service(api) == first

    await page.keyboard.press("Enter")  # the button is focused again
    await expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.locator(".toast")).to_contain_text(f"{second} is in service.")
    await expect(row).not_to_contain_text("not in service")
    await expect(page.locator("#models-table tr", has_text=first)).to_contain_text("was in service")
    assert await in_service(api) == second

    await page.get_by_role("button", name="Roll back").click()
    await page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    await expect(page.locator(".toast").last).to_contain_text(f"Now in service: {first}.")
    await expect(row).to_contain_text("was in service")
    assert await in_service(api) == first
    assert problems == []


async def test_a_model_that_is_not_better_is_warned_of(server, models, api, page, database):
    first, second = models
    state = "not known to be better than personal"
    reason = f"{state}: MRR +0.01 (-0.02 to +0.04)"
    verdict = {"is_better": False, "than": "personal", "reason": reason}
    with closing(sqlite3.connect(database)) as connection, connection:
        [text] = connection.execute(
            "SELECT metrics FROM feed_models WHERE model_id = ?", [second]
        ).fetchone()
        connection.execute(
            "UPDATE feed_models SET metrics = ? WHERE model_id = ?",
            [json.dumps(json.loads(text) | {"verdict": verdict}), second],
        )
    await page.goto(f"{server}/dashboard")
    await ready(page, "models")
    row = page.locator("#models-table tr", has_text=second)
    await expect(row.locator("summary", has_text=state)).to_be_visible()
    button = page.get_by_role("button", name=f"Promote {second}")
    await button.focus()
    await page.keyboard.press("Enter")
    name = "This model is not known to be better. Promote it all the same?"
    dialog = page.get_by_role("dialog", name=name)
    await expect(dialog.locator(".warning")).to_contain_text(f"it was {state}. Readers")
    await expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    assert await barriers(page) == []
    await shoot(page, "dashboard-promote-worse")
    await page.keyboard.press("Enter")  # cancels
    await expect(dialog).to_be_hidden()
    await expect(button).to_be_focused()
    assert await in_service(api) == first
    await page.keyboard.press("Enter")
    await dialog.get_by_role("button", name="Promote all the same").click()
    await expect(page.locator(".toast")).to_contain_text(f"{second} is in service.")
    assert await in_service(api) == second


async def test_a_model_that_was_changed_is_refused_in_the_dialog(
    server, models, api, page, database
):
    first, second = models
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE feed_models SET model = 'tree' WHERE model_id = ?", [second])
    await page.goto(f"{server}/dashboard")
    await ready(page, "models")
    await page.get_by_role("button", name=f"Promote {second}").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("button", name="Promote").click()
    await expect(dialog.locator(".problem")).to_contain_text("was cut off or changed")
    await dialog.get_by_role("button", name="Cancel").click()
    await expect(dialog).to_be_hidden()
    assert await in_service(api) == first


async def test_the_table_of_models_can_be_had(server, models, page):
    await page.goto(f"{server}/dashboard")
    await ready(page, "models")
    seen, file = await table(page, "models-table"), await downloaded(page, "models-table")
    assert [row[0] for row in seen] == [row[0] for row in file]
    assert {row[0] for row in file[1:]} == set(models)
    for label in ("NDCG@10", "Impressions", "Data from (UTC)"):
        assert [row[seen[0].index(label)] for row in seen] == [
            row[file[0].index(label)] for row in file
        ]
    assert file[1][file[0].index("MRR: high")] == "0.75"


async def test_when_no_model_is_left_there_is_nothing_to_roll_back(server, models, page):
    await page.goto(f"{server}/dashboard")
    await ready(page, "models")
    await page.get_by_role("button", name="Roll back").click()
    await page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    await expect(page.locator(".toast")).to_contain_text("Now in service: no model.")
    await expect(page.get_by_role("button", name="Roll back")).to_be_hidden()
    assert json.loads(await (await page.request.get(f"{server}/dashboard/report")).text()) is None

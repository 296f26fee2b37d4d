"""The trial of a candidate in the table of models: seen, begun, watched and decided."""

import pytest
from playwright.async_api import expect

from tests.support.age_models import age_model
from tests.support.dashboards import downloaded, ready, table
from tests.support.pages import barriers, fits, shoot
from tests.support.trial_life import let_pass, readers_of

SMALL = {"Planned readers": "100", "Share of readers, from 0 to 0.9": "0.9", "Days per reader": "1"}
STEP_MS = 60_000
"""A step of a trial reads each model in a process of its own, which takes seconds on busy cores."""


def newest(rank):
    return rank < 18


@pytest.fixture
def settings(request):
    return getattr(request, "param", {"HARKEN_PROMOTION": "trial"})


@pytest.fixture
def url(database):
    return f"sqlite+aiosqlite:///{database}"


async def two_models(url):
    """Open a feed with two models and 40 readers; returns the id of the candidate."""
    async with readers_of(url, newest) as readers:
        await readers.open()
        await readers.service.registry.models.promote(
            await readers.model(age_model(newest_first=False))
        )
        candidate = age_model(newest_first=True, without=("user_similarity",))
        found = await readers.model(candidate)
        await readers.visit(range(40))
    return found


async def cell(page, model):
    """Return what the table says of the trial of a model."""
    head, *rows = await table(page, "models-table")
    [row] = [row for row in rows if row[0] == model]
    return row[head.index("Trial")]


async def look(page, model, said):
    """Take the next step of a trial by the keyboard."""
    await page.get_by_role("button", name=f"Next step of the trial of {model}").focus()
    await page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Look at this trial?")
    await expect(dialog.get_by_label("Planned readers")).to_be_hidden()
    await dialog.get_by_role("button", name="Look").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("#toasts")).to_contain_text(said, timeout=STEP_MS)
    await expect(dialog).to_be_hidden()


async def test_a_trial_is_begun_watched_and_decided(server, api, url, page, problems):
    model = await two_models(url)
    await page.goto(f"{server}/dashboard")
    await ready(page, "models")
    assert await cell(page, model) == "–"
    await page.get_by_role("button", name=f"Trial of {model}").click()
    dialog = page.get_by_role("dialog", name="Try this model on readers?")
    await expect(dialog).to_contain_text("share the pages of some named readers")
    for label, text in {**SMALL, "Planned readers": "a lot"}.items():
        await dialog.get_by_label(label).fill(text)
    await dialog.get_by_role("button", name="Begin").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("readers: ")
    await dialog.get_by_label("Planned readers").fill("1000000")
    await dialog.get_by_role("button", name="Begin").click()
    await expect(dialog.get_by_role("alert")).to_contain_text(
        "Too few readers for a trial of", timeout=STEP_MS
    )
    assert await barriers(page) == []
    await shoot(page, "trial-dialog")
    await dialog.get_by_label("Planned readers").fill("100")
    await dialog.get_by_role("button", name="Begin").click()
    link = page.get_by_role("link", name="trial running")
    await expect(link).to_be_visible(
        timeout=STEP_MS
    )  # though nothing of the models themselves has changed
    async with readers_of(url, newest) as readers:
        await readers.visit(range(100, 150))
    await look(page, model, f"The trial of {model} goes on.")
    found = (await api.get(f"/api/experiments/trial-{model}/results")).json()
    async with page.expect_navigation():
        await link.click()
    await expect(page.get_by_role("heading", name=f"trial-{model}")).to_be_visible()
    await expect(page.locator("#state")).to_have_text("running")
    await expect(page.locator("#counts")).to_contain_text(str(found["readers"]["exposed"]))
    assert await barriers(page) == []
    await let_pass(url, 3)
    await page.goto(f"{server}/dashboard")
    await ready(page, "models")
    await look(page, model, "Promoted: readers choose its items more")
    await expect(page.get_by_role("link", name="trial promoted")).to_be_visible()
    await expect(page.get_by_role("link", name="holdback running")).to_be_visible()
    assert await cell(page, model) == "trial promotedholdback running"
    head, *rows = await downloaded(page, "models-table")
    assert [row[head.index("Trial")] for row in rows if row[0] == model] == [
        "trial promoted, holdback running"
    ]
    assert await barriers(page) == []
    await page.set_viewport_size({"width": 360, "height": 740})
    assert await fits(page)
    await shoot(page, "trial-promoted", full=True)
    assert [each for each in problems if "422" not in each] == []  # what was refused


@pytest.mark.parametrize("settings", [{}], indirect=True, ids=["by replay"])
async def test_where_models_are_promoted_by_replay_nothing_is_offered(server, url, page):
    model = await two_models(url)
    await page.goto(f"{server}/dashboard")
    await ready(page, "models")
    await expect(page.get_by_role("button", name=f"Promote {model}")).to_be_visible()
    await expect(page.get_by_role("button", name=f"Trial of {model}")).to_have_count(0)

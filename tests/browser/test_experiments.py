"""The pages of experiments: create, start, watch and decide one, by mouse and by keyboard."""

import re

import pytest
from playwright.async_api import expect

from tests.support.pages import barriers, fits, shoot

SIZES = {"desktop": (1280, 800), "phone": (360, 740)}
DEFINITION = {
    "id": "trending-or-newest",
    "feeds": ["cosmos"],
    "arms": [
        {"name": "newest", "ranking": "chronological"},
        {"name": "popular", "ranking": "popularity"},
    ],
    "metric": "engagements_per_slate",
    "guardrails": [{"metric": "dismissals_per_slate", "margin": 0.5}],
    "planned_size": 200,
    "window_days": 1,
}


@pytest.fixture
def settings(request):
    return getattr(request, "param", {})


async def create(api, **changes):
    answer = await api.post("/api/experiments", json={**DEFINITION, **changes})
    answer.raise_for_status()
    return answer.json()


async def open_form(page, server):
    await page.goto(f"{server}/experiments")
    await page.get_by_role("button", name="New experiment").click()
    return page.locator("#definition")


def arm(page, number):
    return page.locator(".arm").nth(number - 1)


async def test_an_experiment_is_created_in_the_form(server, api, page, problems):
    form = await open_form(page, server)
    await form.get_by_label("Id", exact=True).fill("trending-or-newest")
    await form.get_by_label("cosmos", exact=True).check()
    for number, (name, ranking) in enumerate(
        [("newest", "chronological"), ("popular", "popularity"), ("trending", "trending")], 1
    ):
        if number > 2:
            await form.get_by_role("button", name="Add an arm").click()
        await arm(page, number).get_by_label("Name").fill(name)
        await arm(page, number).get_by_label("Ranking", exact=True).select_option(ranking)
        await arm(page, number).get_by_label("Share").fill(["0.5", "0.25", "0.25"][number - 1])
    await arm(page, 3).get_by_text("Settings of the ranking").click()
    await arm(page, 3).get_by_label("Half-life").fill("24h")
    await form.get_by_role("button", name="Add a guardrail").click()
    await form.locator(".guardrail").get_by_label("Metric").select_option("dismissals_per_slate")
    await form.locator(".guardrail").get_by_label("Margin").fill("0.02")
    await form.get_by_label("Planned readers").fill("5000")
    assert await barriers(page) == []
    await shoot(page, "experiments-form", full=True)
    await form.get_by_role("button", name="Save as draft").click()
    await expect(page.get_by_role("heading", name="trending-or-newest")).to_be_visible()
    await expect(page.locator("#state")).to_have_text("draft")
    made = (await api.get("/api/experiments/trending-or-newest")).json()
    assert made["arms"] == [
        {"name": "newest", "ranking": "chronological"},
        {"name": "popular", "ranking": "popularity"},
        {"name": "trending", "ranking": "trending", "half_life": "24h"},
    ]
    assert made["allocation"] == {"newest": 0.5, "popular": 0.25, "trending": 0.25}
    assert made["guardrails"] == [{"metric": "dismissals_per_slate", "margin": 0.02}]
    assert (made["feeds"], made["planned_size"], made["window_days"]) == (["cosmos"], 5_000, 14)
    assert problems == []


async def test_what_the_api_refuses_is_said_beside_its_field(server, page):
    form = await open_form(page, server)
    await form.get_by_label("Id", exact=True).fill("mine")
    await form.get_by_label("cosmos", exact=True).check()
    await arm(page, 1).get_by_label("Name").fill("a")
    await arm(page, 1).get_by_label("Share").fill("0.5")
    await arm(page, 2).get_by_label("Name").fill("b")
    await arm(page, 2).get_by_label("Model").fill("learned-nowhere")
    await arm(page, 2).get_by_label("Ranking", exact=True).select_option("popularity")
    await arm(page, 2).get_by_label("Share").fill("0.6")
    await form.get_by_label("Days per reader").fill("many")
    await form.get_by_role("button", name="Save as draft").click()
    days = form.get_by_label("Days per reader")
    await expect(days).to_be_focused()
    await expect(days).to_have_attribute("aria-invalid", "true")
    await days.fill("1")
    await form.get_by_role("button", name="Save as draft").click()
    model = arm(page, 2).get_by_label("Model")
    await expect(model).to_have_attribute("aria-invalid", "true")
    await expect(model).to_be_focused()
    await expect(model).to_have_accessible_description(re.compile("goes with ranking=learned only"))
    share = arm(page, 1).get_by_label("Share")
    await expect(share).to_have_attribute("aria-invalid", "true")
    await expect(page.locator("#problems")).to_contain_text("allocation: adds up to 1.1")
    assert await barriers(page) == []
    await shoot(page, "experiments-refused", full=True)


async def test_a_flag_and_an_interleaving_have_their_own_fields(server, api, page):
    form = await open_form(page, server)
    await form.get_by_label("Id", exact=True).fill("large-cards")
    await form.get_by_label("What is compared").select_option("flag")
    await expect(form.get_by_label("cosmos", exact=True)).to_be_hidden()
    await arm(page, 1).get_by_label("Name").fill("small")
    await arm(page, 1).get_by_label("Value").fill("false")
    await arm(page, 2).get_by_label("Name").fill("large")
    await arm(page, 2).get_by_label("Value").fill('{"width": 2}')
    await form.get_by_role("button", name="Save as draft").click()
    await expect(page.locator("#state")).to_have_text("draft")
    made = (await api.get("/api/experiments/large-cards")).json()
    assert [each["value"] for each in made["arms"]] == [False, {"width": 2}]
    form = await open_form(page, server)
    await form.get_by_label("Kind").select_option("interleaving")
    await expect(form.get_by_label("Primary metric")).to_be_hidden()
    await form.get_by_label("Id", exact=True).fill("shared")
    await form.get_by_label("cosmos", exact=True).check()
    await arm(page, 1).get_by_label("Name").fill("a")
    await arm(page, 2).get_by_label("Name").fill("b")
    await arm(page, 2).get_by_label("Ranking", exact=True).select_option("popularity")
    await arm(page, 1).get_by_label("Ranking", exact=True).select_option("chronological")
    await form.get_by_role("button", name="Save as draft").click()
    await expect(page.locator("#about")).to_contain_text("Interleaving of cosmos")


async def test_a_new_version_starts_from_the_one_before(server, api, page):
    await create(api, allocation={"newest": 0.3, "popular": 0.7})
    await page.goto(f"{server}/experiments/trending-or-newest")
    await page.get_by_role("link", name="Edit").click()
    form = page.locator("#definition")
    await expect(form.get_by_label("Id", exact=True)).to_have_value("trending-or-newest")
    await expect(arm(page, 2).get_by_label("Ranking", exact=True)).to_have_value("popularity")
    await form.get_by_label("Planned readers").fill("300")
    before = (await api.get("/api/experiments/trending-or-newest")).json()
    await form.get_by_role("button", name="Save as draft").click()
    await expect(page.locator("#facts")).to_contain_text("300")
    after = (await api.get("/api/experiments/trending-or-newest")).json()
    same = before.keys() - {"created_at", "planned_size"}
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert after["planned_size"] == 300

"""The pages of experiments: create, start, watch and decide one, by mouse and by keyboard."""

import re
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from playwright.async_api import expect

from harken.services.feed.request import FeedRequest
from harken.services.feed.service import FeedService
from harken.services.record.persistence import FeedFeedbackPersistence
from tests.conftest import session_factory_for
from tests.support.dashboards import downloaded, drawn, is_painted, ready, table
from tests.support.pages import barriers, fits, shoot

SIZES = {"desktop": (1280, 800), "phone": (360, 740)}
DEFINITION = {
    "id": "popular-or-newest",
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
    await expect(page.locator("#experiments")).to_contain_text("There are no experiments yet")
    await form.get_by_label("Id", exact=True).fill("popular-or-newest")
    await form.get_by_label("cosmos", exact=True).check()
    for number, (name, ranking) in enumerate(
        [("newest", "chronological"), ("popular", "popularity"), ("trending", "trending")], 1
    ):
        if number > 2:
            await form.get_by_role("button", name="Add an arm").click()
        await arm(page, number).get_by_label("Name").fill(name)
        await arm(page, number).get_by_role("combobox", name="Ranking").select_option(ranking)
        await arm(page, number).get_by_label("Share").fill(["0.5", "0.25", "0.25"][number - 1])
    await arm(page, 3).get_by_text("Settings of the ranking").click()
    await arm(page, 3).get_by_label("Half-life").fill("24h")
    await form.get_by_role("button", name="Add a guardrail").click()
    await (
        form.locator(".guardrail")
        .get_by_role("combobox", name="Metric")
        .select_option("dismissals_per_slate")
    )
    await form.locator(".guardrail").get_by_label("Margin").fill("0.02")
    await form.get_by_label("Planned readers").fill("5000")
    assert await barriers(page) == []
    await shoot(page, "experiments-form", full=True)
    await form.get_by_role("button", name="Save as draft").click()
    await expect(page.get_by_role("heading", name="popular-or-newest")).to_be_visible()
    await expect(page.locator("#state")).to_have_text("draft")
    made = (await api.get("/api/experiments/popular-or-newest")).json()
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
    await arm(page, 2).get_by_role("combobox", name="Model", exact=True).fill("learned-nowhere")
    await arm(page, 2).get_by_role("combobox", name="Ranking").select_option("popularity")
    await arm(page, 2).get_by_label("Share").fill("0.6")
    await form.get_by_label("Days per reader").fill("many")
    await form.get_by_role("button", name="Save as draft").click()
    days = form.get_by_label("Days per reader")
    await expect(days).to_be_focused()
    await expect(days).to_have_attribute("aria-invalid", "true")
    await days.fill("1")
    await form.get_by_role("button", name="Save as draft").click()
    model = arm(page, 2).get_by_role("combobox", name="Model", exact=True)
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
    await form.get_by_role("combobox", name="What is compared").select_option("flag")
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
    await form.get_by_role("combobox", name="Kind").select_option("interleaving")
    await expect(form.get_by_role("combobox", name="Primary metric")).to_be_hidden()
    await form.get_by_label("Id", exact=True).fill("shared")
    await form.get_by_label("cosmos", exact=True).check()
    await arm(page, 1).get_by_label("Name").fill("a")
    await arm(page, 2).get_by_label("Name").fill("b")
    await arm(page, 2).get_by_role("combobox", name="Ranking").select_option("popularity")
    await arm(page, 1).get_by_role("combobox", name="Ranking").select_option("chronological")
    await form.get_by_role("button", name="Save as draft").click()
    await expect(page.locator("#about")).to_contain_text("Interleaving of cosmos")


async def test_a_new_version_starts_from_the_one_before(server, api, page):
    await create(api, allocation={"newest": 0.3, "popular": 0.7})
    await page.goto(f"{server}/experiments/popular-or-newest")
    await page.get_by_role("link", name="Edit").click()
    form = page.locator("#definition")
    await expect(form.get_by_label("Id", exact=True)).to_have_value("popular-or-newest")
    await expect(arm(page, 2).get_by_role("combobox", name="Ranking")).to_have_value("popularity")
    await form.get_by_label("Planned readers").fill("300")
    before = (await api.get("/api/experiments/popular-or-newest")).json()
    await form.get_by_role("button", name="Save as draft").click()
    await expect(page.locator("#facts")).to_contain_text("300")
    after = (await api.get("/api/experiments/popular-or-newest")).json()
    same = before.keys() - {"created_at", "planned_size"}
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert after["planned_size"] == 300


# Start, watch, stop, decide


class Clock:
    """The time of simulated readers: days ago, where the days of each shall be over by now."""

    def __init__(self, ago):
        self.now = datetime.now(UTC) - ago

    def __call__(self):
        return self.now


async def read_pages(database):
    """Let readers read pages of the feed now, without an experiment: some engage."""
    await simulate(database, 40, Clock(timedelta(hours=8)), name="before")


async def simulate(database, readers=120, clock=None, name="reader"):
    """Let readers read pages of the feed: with `popular`, each engages with two items, else one."""
    clock = clock or Clock(timedelta(days=4))
    async with session_factory_for(f"sqlite+aiosqlite:///{database}") as factory:
        record = FeedFeedbackPersistence(factory, clock=clock)
        service = FeedService(factory, record=record, clock=clock)
        events = []
        for n in range(readers):
            clock.now += timedelta(minutes=10)
            found = await service.page(FeedRequest("cosmos", user_id=f"{name}-{n}", limit=5))
            is_popular = found.trial is not None and found.trial.arm == "popular"
            acts = 1 + is_popular - (n % 4 == 0)
            events += [
                {
                    "user_id": f"{name}-{n}", "kblock_id": item.id, "action": "engage",
                    "request_id": found.request_id, "occurred_at": clock.now.isoformat(),
                }
                for item in found.items[:acts]
            ]  # fmt: skip
        await record.record_batch(events)
        await service.close()


async def press(page, *keys):
    for key in keys:
        await page.keyboard.press(key)


async def test_an_experiment_is_started_watched_stopped_and_decided_by_keyboard(
    server, api, page, database, problems
):
    await read_pages(database)
    await create(api)
    await page.goto(f"{server}/experiments")
    await page.get_by_role("link", name="popular-or-newest").focus()
    await press(page, "Enter")
    start = page.get_by_role("button", name="Start…")
    await expect(page.locator("#verdicts")).to_contain_text("It is a draft")
    await start.focus()
    await press(page, "Enter")
    dialog = page.get_by_role("dialog", name="Start this experiment?")
    await expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    power = (await api.get("/api/experiments/popular-or-newest/power")).json()
    plan = dialog.locator("#plan")
    await expect(plan).to_contain_text(
        "By 40 readers of the log: with 200 readers, a difference of 0."
    )
    await expect(plan).to_contain_text(f"about {power['days']} days")
    assert await barriers(page) == []
    await press(page, "Tab", "Enter")
    await expect(page.locator("#state")).to_have_text("running")
    await expect(dialog).to_be_hidden()
    await expect(page.locator("#sentences")).to_contain_text("too few readers have closed windows")

    await simulate(database)
    await expect(page.locator(".outcome")).to_have_text("Better", timeout=60_000)
    results = (await api.get("/api/experiments/popular-or-newest/results")).json()
    [(_arm, verdict)] = results["verdicts"].items()
    await expect(page.locator("#sentences")).to_contain_text(
        verdict["text"].removeprefix("Better: ")
    )

    await expect(page.get_by_role("button", name="Stop…")).to_be_focused()
    await press(page, "Enter")
    dialog = page.get_by_role("dialog", name="Stop this experiment?")
    await expect(dialog.get_by_label("Why")).to_be_focused()
    await page.keyboard.type("enough is known")
    await press(page, "Enter")
    await expect(page.locator("#state")).to_have_text("stopped")
    await expect(page.locator("#about")).to_contain_text("enough is known")

    await expect(page.get_by_role("button", name="Decide…")).to_be_focused()
    await press(page, "Enter")
    dialog = page.get_by_role("dialog", name="Which arm do you choose?")
    await expect(dialog).to_contain_text("The verdict: popular: better.")
    await expect(dialog.get_by_label("Arm")).to_have_value("popular")
    await dialog.get_by_label("Why").focus()
    await page.keyboard.type("readers choose more")
    await press(page, "Enter")
    await expect(page.locator("#state")).to_have_text("decided")
    await expect(page.locator("#decided")).to_contain_text("popular. readers choose more")
    made = (await api.get("/api/experiments/popular-or-newest")).json()
    assert made["decision"]["arm"] == "popular"
    assert made["decision"]["note"] == "readers choose more"
    assert problems == []

    await page.goto(f"{server}/experiments/nothing")
    said = page.locator("#verdicts .problem")
    await expect(said).to_have_text("there is no experiment 'nothing'")


async def run_it(api, database, **changes):
    await create(api, **changes)
    (await api.post("/api/experiments/popular-or-newest/start")).raise_for_status()
    await simulate(database)
    return (await api.get("/api/experiments/popular-or-newest/results")).json()


async def test_results_are_drawn_as_the_api_says(server, api, page, database):
    results = await run_it(api, database)
    await page.goto(f"{server}/experiments/popular-or-newest")
    await ready(page, "verdicts", "effect", "arms", "ratio", "guardrails", "metrics", "definition")
    chart = await drawn(page, "effect-chart")
    looks = results["comparisons"][0]["looks"]
    assert len(looks) > 10
    assert [point["y"] for point in chart["Effect"]] == [look["effect"] for look in looks]
    assert [point["y"] for point in chart["low"]] == [look["sequence"][0] for look in looks]
    assert [point["y"] for point in chart["high"]] == [look["sequence"][1] for look in looks]
    assert await is_painted(page, "effect-chart")
    await page.locator("details:has(#effect-table) > summary").click()
    rows, file = await table(page, "effect-table"), await downloaded(page, "effect-table")
    assert rows[1:] == file[1:]
    assert [float(row[2]) for row in rows[1:]] == [look["effect"] for look in looks]
    arms = await table(page, "arms-table")
    assert [(row[0], int(row[3]), int(row[4])) for row in arms[1:]] == [
        (arm["name"], arm["exposed"], arm["compared"]) for arm in results["arms"]
    ]
    await expect(page.locator("#ratio-table")).to_contain_text("no alarm")
    [guardrail] = results["guardrails"]
    assert guardrail["state"] == "within"
    await expect(page.locator("#guardrails-table")).to_contain_text("within its margin")
    metrics = await table(page, "metrics-table")
    assert [row[0] for row in metrics[1:]] == [each["metric"] for each in results["comparisons"]]
    await expect(page.locator("#counts")).to_contain_text("120")
    options = page.locator("#comparison option")
    other = await options.filter(has_text="dwell_per_view").text_content()
    await page.select_option("#comparison", label=other)
    await expect(page.locator("#effect")).to_contain_text("Too few readers are compared yet")
    await alarm(page, server, results)


async def alarm(page, server, results):
    """Look at the same experiment as if readers of an arm were missing."""
    ratio = {**results["sample_ratio"], "fired": True, "p_value": 0.001, "at_reader": 80}
    verdict = {"outcome": "no_verdict", "text": "No verdict: readers are missing.", "days": None}
    answer = {**results, "sample_ratio": ratio, "verdicts": {"popular": verdict}}

    async def answered(route):
        await route.fulfill(json=answer)

    await page.route("**/results?*", answered)
    await page.goto(f"{server}/experiments/popular-or-newest")
    await expect(page.locator(".outcome")).to_have_text("No verdict")
    await expect(page.locator("#ratio-table .bad")).to_have_text("alarm, at reader 80")
    assert await barriers(page) == []


async def test_the_pages_are_for_all(server, api, page, database):
    await run_it(api, database)
    for size, scheme in product(SIZES, ("light", "dark")):
        width, height = SIZES[size]
        await page.set_viewport_size({"width": width, "height": height})
        await page.emulate_media(color_scheme=scheme)
        await page.goto(f"{server}/experiments/popular-or-newest")
        await ready(page, "verdicts", "effect", "metrics")
        assert await is_painted(page, "effect-chart")
        assert await fits(page)
        assert await barriers(page) == []
        await shoot(page, f"experiment-{size}-{scheme}", full=True)
        form = await open_form(page, server)
        await ready(page, "experiments")
        await form.get_by_role("button", name="Add a guardrail").click()
        assert await fits(page)
        assert await barriers(page) == []
        await shoot(page, f"experiments-{size}-{scheme}", full=True)


@pytest.mark.parametrize("settings", [{"HARKEN_API_KEYS": "sesame"}], indirect=True)
async def test_the_pages_ask_for_a_key(server, api, page):
    await create(api)
    await page.goto(f"{server}/experiments/popular-or-newest")
    await expect(page.locator("#facts")).to_have_count(0)
    await page.get_by_role("textbox", name="Key").fill("sesame")
    await press(page, "Enter")
    await expect(page.locator("#state")).to_have_text("draft")
    await expect(page.locator("#facts")).to_contain_text("engagements_per_slate")

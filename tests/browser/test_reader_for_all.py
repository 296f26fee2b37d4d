"""Accessibility of the reader: keyboard, phone, dark mode, screen reader."""

import pytest
from playwright.async_api import expect

from tests.faults import SOAK
from tests.support.pages import (
    barriers,
    barriers_of,
    fits,
    led_on,
    listen_for_strangers,
    rules_of,
    shoot,
)
from tests.support.waiting import until

LONG = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
RICH = f"""# {LONG}

See `{"a_long_name_" * 12}`, <https://elsewhere.example/{"path/" * 20}>, ![a map](https://tracker.example/map.png).

| {" | ".join(f"column {n}" for n in range(12))} |
|{"---|" * 12}
| {" | ".join(LONG[:20] for _ in range(12))} |

```
{"code that goes on " * 12}
```

> Quoted, and *stressed*.
"""
SIZES = {"desktop": (1280, 800), "phone": (360, 740)}


async def put_rich(api):
    note = {
        "title": f"Of {LONG}", "content": RICH, "author": LONG[:60], "layer": 3,
        "tags": [LONG[:60], "short", *(f"tag-{n}" for n in range(12))], "galois_loss": 0.5,
    }  # fmt: skip
    (await api.put("/api/kblocks/rich", json=note)).raise_for_status()
    feed = {"description": f"All that is in {LONG}", "ranking": "weighted"}
    for name in ("a-feed-with-a-rather-long-name", "b", "c", "d", "e", "f"):
        (await api.put(f"/api/feed/feeds/{name}", json=feed)).raise_for_status()
    for number in range(3, 10):
        event = {"user_id": "ada", "kblock_id": f"note-{number:02}", "action": "engage"}
        (await api.post("/api/feed/feedback/record", json=event)).raise_for_status()
    contradiction = {
        "user_id": "bob", "kblock_id": "rich", "action": "contradict",
        "metadata": {"contradicts": "note-01"},
    }  # fmt: skip
    (await api.post("/api/feed/feedback/record", json=contradiction)).raise_for_status()


async def states(page, server):
    """Yield the names of the states of the reader, after entering each."""
    await page.goto(f"{server}/?feed=contradictions&user=ada")
    yield "list"
    first = page.locator(".card").first
    await first.locator(".title").click()
    await expect(first.locator(".content")).to_be_visible()
    yield "open"
    await page.goto(f"{server}/?feed=personal&user=ada")
    first = page.locator(".card").first
    await first.get_by_role("button", name="Why this?").click()
    await expect(first.locator(".why")).to_be_visible()
    yield "why"
    await first.get_by_role("button", name="Comment").click()
    yield "comment"
    await page.locator("#orders summary").click()
    yield "orders"
    await page.keyboard.press("Escape")
    await page.locator("#reader-menu summary").click()
    yield "reader menu"
    await page.get_by_role("button", name="Your interests").click()
    await expect(page.locator("#panel")).to_contain_text("You like the")
    yield "profile"
    await page.keyboard.press("Escape")
    await page.locator(".card").nth(1).get_by_role("button", name="Dismiss").click()
    await expect(page.locator(".toast")).to_be_visible()
    yield "toast"
    await page.locator(".card").nth(1).get_by_role("button", name="Edit").click()
    await expect(page.locator("#editor")).to_be_visible()
    yield "editor"
    await page.keyboard.press("Escape")
    await page.locator(".card").nth(1).get_by_role("button", name="Contradict").click()
    yield "picking"
    await page.keyboard.press("Escape")
    await page.goto(f"{server}/?feed=handwavy&user=ada&ranking=trending")
    yield "few"
    await page.goto(f"{server}/kblock?id=rich&user=ada")
    yield "note"
    await page.goto(f"{server}/?feed=nowhere")
    yield "error"


# Each size and each scheme once; a soak has all four.
@pytest.mark.parametrize(
    ("size", "scheme"),
    [("desktop", "light"), ("phone", "dark"),
     *([("desktop", "dark"), ("phone", "light")] if SOAK else [])],
)  # fmt: skip
async def test_no_state_has_a_barrier_or_lies_beside_the_window(server, browser, api, size, scheme):
    await put_rich(api)
    width, height = SIZES[size]
    context = await browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = await context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
    strangers = listen_for_strangers(page, server)
    name = f"reader-{{}}-{size}-{scheme}"
    found = await barriers_of(page, states(page, server), name, rules_of(size, scheme))
    await context.close()
    assert found == {}
    assert strangers == []
    # The browser writes the status 404 of the last page to the console.
    assert [each for each in problems if "404" not in each] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_an_empty_database_says_what_to_do(server, browser, api, scheme):
    found = (await api.get("/api/feed/cosmos?limit=100")).json()["items"]
    for item in found:
        (await api.delete(f"/api/kblocks/{item['id']}")).raise_for_status()
    context = await browser.new_context(viewport={"width": 360, "height": 740}, color_scheme=scheme)
    page = await context.new_page()
    await page.goto(server)
    await expect(page.locator("main")).to_contain_text("harken import markdown notes")
    await expect(page.locator("main")).to_contain_text("harken demo")
    await shoot(page, f"reader-empty-{scheme}")
    assert await barriers(page) == []
    assert await fits(page)
    await context.close()


async def test_the_dark_is_dark(server, browser):
    for scheme, is_dark in (("light", False), ("dark", True)):
        context = await browser.new_context(color_scheme=scheme)
        page = await context.new_page()
        await page.goto(server)
        paper = await page.evaluate(
            "getComputedStyle(document.documentElement).backgroundColor.match(/\\d+/g).map(Number)"
        )
        assert (sum(paper) < 3 * 60) is is_dark
        await context.close()


async def focused(page):
    return await page.evaluate("document.activeElement?.closest('.card')?.dataset.id ?? null")


def done(log):
    return {(row["action"], row["interaction_type"]) for row in log() if row["action"] != "view"}


async def test_everything_can_be_done_by_keyboard(server, page, api, log, problems):
    await page.goto(f"{server}/?user=ada")
    press = page.keyboard.press
    for key, where in (("j", "note-23"), ("j", "note-22"), ("j", "note-21"), ("k", "note-22")):
        await press(key)
        assert await focused(page) == where
    here = page.locator("[data-id=note-22]")
    ring = await here.evaluate("card => getComputedStyle(card).outlineStyle")
    assert ring == "solid"
    await press("Enter")
    await expect(here.locator(".content")).to_be_visible()
    await press("o")
    await expect(here.locator(".content")).to_have_count(0)
    await press("w")
    await expect(here.locator(".why")).to_be_visible()
    await press("w")
    await expect(here.locator(".why")).to_have_count(0)
    await press("r")
    await page.keyboard.type("jdk")  # no shortcuts within a field
    await press("Control+Enter")
    await expect(page.locator(".toast")).to_contain_text("Your comment is recorded")
    await press("e")
    await expect(page.locator("#editor")).to_be_visible()
    await press("Escape")
    await expect(page.locator("#editor")).to_be_hidden()
    assert await focused(page) == "note-22"
    await press("c")
    await press("j")
    await press("Enter")
    await expect(here.locator(".conflicts")).to_contain_text("Note 21")
    await press("d")
    await expect(here).to_have_count(0)
    assert await focused(page) == "note-21"
    await press("u")
    await expect(here).to_be_visible()
    assert await focused(page) == "note-22"
    await press("?")
    await expect(page.locator("#keys")).to_be_visible()
    await shoot(page, "reader-keys")
    await press("Escape")
    await press("g")
    await led_on(page, press("4"))
    await page.wait_for_url("**feed=axioms**")
    await press("f")
    assert await page.evaluate("document.activeElement.textContent") == "Axioms"
    await press("Tab")
    await led_on(page, press("Enter"))
    await page.wait_for_url("**feed=handwavy**")
    events = await until(lambda: len(done(log)) >= 4 and done(log))
    assert events == {
        ("engage", "open"), ("engage", "comment"), ("contradict", None), ("dismiss", None),
    }  # fmt: skip
    assert problems == []


async def test_tab_reaches_everything_and_keys_can_be_switched_off(server, page):
    await page.goto(f"{server}/?user=ada")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.textContent") == "Skip to the content"
    reached = set()
    for _ in range(40):
        await page.keyboard.press("Tab")
        reached.add(
            await page.evaluate(
                "document.activeElement.dataset.do ?? document.activeElement.className"
            )
        )
        if "dismiss" in reached:
            break
    assert {"card", "open", "why", "comment", "copy", "edit", "contradict", "dismiss"} <= reached
    await page.keyboard.press("?")
    await page.get_by_label("Use these keys").uncheck()
    await page.keyboard.press("Escape")
    await page.reload()
    await page.keyboard.press("j")
    assert await focused(page) is None


async def test_cards_are_said_to_screen_readers_as_articles_of_a_feed(server, page):
    await page.goto(f"{server}/?user=ada")
    feed = page.get_by_role("feed", name="cosmos")
    await expect(feed).to_have_attribute("aria-busy", "false")
    first = feed.get_by_role("article", name="Note 23")
    await expect(first).to_have_attribute("aria-posinset", "1")
    await expect(first).to_have_attribute("aria-setsize", "24")
    await first.get_by_role("button", name="Dismiss").click()
    await expect(page.get_by_role("status")).to_contain_text("is dismissed")

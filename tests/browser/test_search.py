"""The search in a browser: by keyboard alone, without scripts, on a phone, in the dark."""

import pytest
from playwright.async_api import expect

from tests.support.pages import barriers_of, led_on, rules_of
from tests.support.waiting import until

SIZES = {"desktop": (1280, 800), "phone": (360, 740)}


def done(log):
    return [(row["action"], row["interaction_type"], row["request_id"]) for row in log()]


async def test_by_keyboard_a_note_is_found_opened_and_dismissed(server, page, log):
    await page.goto(f"{server}/?user=ada")
    await expect(page.locator("html")).to_have_attribute("data-reader", "ready")
    await page.keyboard.press("/")
    assert await page.evaluate("document.activeElement.id") == "search-q"
    await page.keyboard.type("note 17")
    await led_on(page, page.keyboard.press("Enter"))
    await page.wait_for_url("**/search?q=note+17&user=ada")
    first = page.locator(".card").first
    assert await first.get_attribute("data-id") == "note-17"
    assert await first.locator("h2 mark").all_text_contents() == ["Note", "17"]
    before = len(done(log))
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    await expect(first.locator(".content")).to_be_visible()
    await page.keyboard.press("d")
    await expect(page.locator(".toast")).to_contain_text("is dismissed")
    events = await until(lambda: len(done(log)) >= before + 2 and done(log)[before:])
    assert sorted(events) == [("dismiss", None, None), ("engage", "open", None)]  # and no views
    await page.keyboard.press("/")
    await page.keyboard.press("End")
    await led_on(page, page.keyboard.press("Enter"))
    await expect(page.locator(".results")).to_contain_text("1 more is hidden")


async def test_without_scripts(server, browser):
    context = await browser.new_context(java_script_enabled=False)
    page = await context.new_page()
    await page.goto(f"{server}/?user=ada")
    await page.fill("#search-q", "said")
    # The feed has twenty cards and a next page as well, so the navigation is waited for first.
    async with page.expect_navigation():
        await page.press("#search-q", "Enter")
    await expect(page.locator(".card")).to_have_count(20)
    await page.get_by_role("link", name="Next page").click()
    await expect(page.locator(".card")).to_have_count(4)
    await page.locator(".filters summary").click()
    await page.fill("input[name=author]", "Ada")
    await page.get_by_role("button", name="Search", exact=True).click()
    await expect(page.locator(".results")).to_contain_text("12 notes for said")
    await page.get_by_role("link", name="Remove the filter author: Ada").click()
    await expect(page.locator(".results")).to_contain_text("24 notes for said")
    await page.locator(".card .title").first.click()
    await expect(page.locator("article.alone h1")).to_contain_text("Note")
    await context.close()


async def states(page, server):
    """Yield the names of the states of the page, after entering each."""
    await page.goto(f"{server}/search")
    yield "empty"
    await page.goto(f"{server}/search?q=note+said&tag=even&user=ada")
    await expect(page.locator(".card").first.locator("mark").first).to_be_visible()
    yield "found"
    await page.goto(f"{server}/search?q={'zzz' * 60}&tag={'x' * 64}")
    yield "nothing"
    await page.goto(f"{server}/search?q=!!!")
    yield "refused"
    await page.goto(f"{server}/")
    yield "box"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
async def test_no_state_has_a_barrier_or_lies_beside_the_window(server, browser, size, scheme):
    width, height = SIZES[size]
    context = await browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = await context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    name = f"search-{{}}-{size}-{scheme}"
    found = await barriers_of(page, states(page, server), name, rules_of(size, scheme))
    await context.close()
    assert found == {}
    assert problems == []

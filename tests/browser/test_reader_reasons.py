"""Why this note, more and less like this, and the interests that a reader sets, in a browser."""

import pytest
from playwright.async_api import expect

from tests.support.pages import barriers, fits, led_on, shoot

SCHEMES = [("light", 1280), ("dark", 360)]


async def liked_odd(api):
    for number in range(1, 13, 2):
        event = {"user_id": "ada", "kblock_id": f"note-{number:02}", "action": "engage"}
        (await api.post("/api/feed/feedback/record", json=event)).raise_for_status()


async def order(page):
    return await page.eval_on_selector_all(".card", "all => all.map((each) => each.dataset.id)")


async def interests(api):
    return (await api.get("/api/users/ada/preferences")).json()["interests"]


@pytest.mark.parametrize(("scheme", "width"), SCHEMES)
async def test_less_like_this_says_what_it_does_does_it_and_takes_it_back(
    server, browser, api, scheme, width
):
    await liked_odd(api)
    context = await browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = await context.new_page()
    await page.goto(f"{server}/?feed=personal&user=ada")
    before = await order(page)
    first = page.locator(".card").first
    tag = await first.locator(".tags li").first.text_content()
    # By keyboard alone: the panel, what it would do, and doing it.
    await first.focus()
    await page.keyboard.press("w")
    why = first.locator(".why")
    await expect(why).to_contain_text("What raised it")
    less = why.get_by_role("button", name="Less like this")
    await less.focus()
    await page.keyboard.press("Enter")
    await expect(why.locator(".liking")).to_contain_text("From your next page on")
    await expect(why.locator(".liking li").first).to_contain_text(f"the tag {tag}: ")
    assert await interests(api) == {}
    await shoot(page, f"why-less-{width}-{scheme}")
    assert await barriers(page) == []
    assert await fits(page)
    await page.keyboard.press("Enter")
    await expect(why.locator(".liking")).to_contain_text("Done. Your next page shows it.")
    assert (await interests(api))["tags"][tag] < 0
    await page.keyboard.press("Enter")  # the button Undo has the focus
    await expect(page.locator(".toast")).to_contain_text("as they were")
    assert await interests(api) == {}

    await less.click()
    await why.locator(".liking").get_by_role("button", name="Less like this").click()
    await led_on(page, why.get_by_role("button", name="Next page").click())
    after = await order(page)
    assert after != before
    assert before[0] not in after[:1]
    path = "/api/feed/personal?user_id=ada&explain=true&limit=100"
    [lowered] = [each for each in (await api.get(path)).json()["items"] if each["id"] == before[0]]
    said = [each["text"] for each in lowered["reasons"] if each["direction"] == "held_back"]
    assert any(f"You asked for less like this: the tag {tag}" in each for each in said), said
    await shoot(page, f"why-after-less-{width}-{scheme}")
    await context.close()


@pytest.mark.parametrize(("scheme", "width"), SCHEMES)
async def test_interests_are_set_pinned_removed_and_put_back(server, browser, api, scheme, width):
    await liked_odd(api)
    context = await browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = await context.new_page()
    await page.goto(f"{server}/?feed=personal&user=ada")
    await page.locator("#reader-menu summary").click()
    await page.get_by_role("button", name="Your interests").click()
    panel = page.locator("#panel")
    await expect(panel).to_contain_text("You like the tag odd")
    row = panel.locator(".interests li", has_text="odd").first
    await expect(row).to_contain_text("some interest")
    await row.get_by_role("button", name="Pin odd").click()
    await expect(row).to_contain_text("set by you")
    pinned = (await interests(api))["tags"]["odd"]
    assert 0.2 < pinned < 1
    await expect(row.get_by_role("combobox")).to_have_value(str(pinned))
    await row.get_by_role("combobox").select_option("Much more")
    await expect(row).to_contain_text("very strong interest, set by you")
    assert (await interests(api))["tags"] == {"odd": 2.0}
    await row.get_by_role("button", name="Unpin odd").click()
    await expect(row).not_to_contain_text("set by you")
    await row.get_by_role("button", name="Remove odd").click()
    await expect(row).to_contain_text("removed by you")
    assert (await interests(api))["tags"] == {"odd": 0.0}
    await shoot(page, f"interests-{width}-{scheme}")
    assert await barriers(page) == []
    assert await fits(page)
    await row.get_by_role("button", name="Put back odd").click()
    await expect(row).to_contain_text("some interest")
    assert (await interests(api)).get("tags", {}) == {}
    await context.close()


async def test_a_tab_says_how_notes_get_there_to_the_mouse_and_to_the_keyboard(server, page):
    await page.goto(server)
    axioms = page.get_by_role("link", name="Axioms")
    tip = page.locator("#tab-tip")
    await expect(tip).to_be_hidden()
    await axioms.hover()
    await expect(tip).to_have_text("Notes that say they belong to layer 1 or 2, the foundations.")
    await shoot(page, "tab-tip")
    assert await barriers(page) == []
    await page.mouse.move(5, 700)
    await expect(tip).to_be_hidden()
    await axioms.focus()
    await expect(tip).to_contain_text("layer 1 or 2")
    await page.keyboard.press("Escape")
    await expect(tip).to_be_hidden()
    described = await axioms.get_attribute("aria-describedby")
    assert "layer 1 or 2" in (await page.locator(f"#{described}").text_content() or "")


async def test_an_empty_feed_says_how_a_note_gets_there(server, page, api):
    for item in (await api.get("/api/feed/axioms?limit=100")).json()["items"]:
        (await api.delete(f"/api/kblocks/{item['id']}")).raise_for_status()
    await page.set_viewport_size({"width": 360, "height": 740})
    await page.goto(f"{server}/?feed=axioms&user=ada")
    empty = page.locator(".empty-feed")
    await expect(empty).to_contain_text("Notes that say they belong to layer 1 or 2")
    await expect(empty.locator("pre")).to_contain_text("layer: 1")
    await shoot(page, "empty-axioms")
    assert await barriers(page) == []
    assert await fits(page)
    feed = {
        "description": "What Ada wrote", "sources": [{"kind": "author", "value": "Nobody"}],
        "filters": [{"field": "galois_loss", "operator": "lt", "value": 0.3}],
    }  # fmt: skip
    (await api.put("/api/feed/feeds/hers", json=feed)).raise_for_status()
    await page.goto(f"{server}/?feed=hers&user=ada")
    await expect(empty).to_contain_text(
        "What Ada wrote: notes with the author Nobody and with a galois_loss below 0.3."
    )

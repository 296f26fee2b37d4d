"""What a reader has read and saved, in a real browser: marks, feeds of them, counts, and undo."""

import pytest
from playwright.async_api import expect

from tests.support.pages import barriers, fits, led_on, shoot
from tests.support.waiting import until

SMALL = {"width": 1000, "height": 460}


def button(card, name):
    return card.locator(".marks").get_by_role("button", name=name)


async def is_marked(card, name, *, marked=True):
    await expect(button(card, name)).to_have_attribute("aria-pressed", str(marked).lower())


async def states(api, user="ada", feed="cosmos"):
    page = await api.get(f"/api/feed/{feed}", params={"user_id": user, "state": True, "limit": 100})
    return {item["id"]: (item["is_read"], item["is_saved"]) for item in page.json()["items"]}


async def read_ids(api, user="ada"):
    return {each for each, (is_read, _saved) in (await states(api, user)).items() if is_read}


async def saved_ids(api, user="ada"):
    return list(await states(api, user, "saved"))


async def count(page, feed):
    return page.locator("#feeds").get_by_role("link", name=feed).locator(".tab-count")


async def test_a_view_and_opening_mark_as_read_and_the_tab_counts_what_is_left(
    server, page, api, log, problems
):
    await page.set_viewport_size(SMALL)
    await page.goto(f"{server}/?user=ada")
    await expect(await count(page, "Cosmos")).to_contain_text("24 unread")
    first = page.locator("[data-id=note-23]")
    await is_marked(first, "Read")  # a second of looking is a view
    await until(lambda: read_of(api, "note-23"))
    await expect(await count(page, "Cosmos")).not_to_contain_text("24")
    far = page.locator("[data-id=note-15]")
    await is_marked(far, "Read", marked=False)
    await far.locator(".title").click()
    await is_marked(far, "Read")
    await until(lambda: read_of(api, "note-15"))
    await page.goto(f"{server}/?user=ada&feed=history")
    await expect(page.locator(".card").first.locator(".title")).to_have_text("Note 15")
    await until(lambda: any(row["action"] == "view" for row in log()))
    # By hand, either way.
    await page.goto(f"{server}/?user=ada")
    far = page.locator("[data-id=note-14]")
    await button(far, "Read").focus()
    await button(far, "Read").press("Enter")
    await is_marked(far, "Read")
    await until(lambda: read_of(api, "note-14"))
    await button(far, "Read").press("Enter")
    await is_marked(far, "Read", marked=False)

    async def is_unread():
        return not await read_of(api, "note-14")

    await until(is_unread)
    assert not [row for row in log() if row["kblock_id"] == "note-14" and row["action"] != "view"]


async def read_of(api, kblock_id):
    return kblock_id in await read_ids(api)


async def test_all_above_is_marked_at_once_and_undone_as_it_was(server, page, api, problems):
    marked = {"user_id": "ada", "kblock_ids": ["note-10"]}
    (await api.post("/api/feed/reads", json=marked)).raise_for_status()
    await page.set_viewport_size(SMALL)
    await page.goto(f"{server}/?user=ada")
    await page.locator("[data-id=note-09]").focus()
    await page.keyboard.press("Shift+A")
    await expect(page.locator(".toast")).to_contain_text("marked as read")
    await shoot(page, "reading-all-above")
    for number in range(9, 24):
        await is_marked(page.locator(f"[data-id=note-{number:02}]"), "Read")
    await is_marked(page.locator("[data-id=note-08]"), "Read", marked=False)

    async def are_read():
        return {f"note-{number:02}" for number in range(9, 24)} <= await read_ids(api)

    await until(are_read)
    await page.keyboard.press("u")
    await is_marked(page.locator("[data-id=note-11]"), "Read", marked=False)

    async def are_as_before():
        found = await read_ids(api)
        return "note-10" in found and found.isdisjoint({"note-11", "note-09", "note-12"})

    await until(are_as_before)
    await is_marked(page.locator("[data-id=note-10]"), "Read")
    # The button at the end of the feed does the same with all cards of the page.
    await page.get_by_role("button", name="Mark all above as read").click()
    await expect(page.locator(".toast").last).to_contain_text("marked as read")
    await page.locator(".toast").last.get_by_role("button", name="Undo").click()
    await until(are_as_before)


async def test_a_note_is_saved_by_an_event_and_saved_no_more(server, page, api, log, problems):
    await page.goto(f"{server}/?user=ada")
    for key in ("j", "s", "j", "j", "s"):
        await page.keyboard.press(key)
    await expect(page.locator(".toast").last).to_contain_text("Saved for later")
    await until(lambda: len([row for row in log() if row["interaction_type"] == "save"]) == 2)
    [one, _two] = [row for row in log() if row["interaction_type"] == "save"]
    assert (one["action"], one["kblock_id"], one["position"]) == ("engage", "note-23", 0)
    await is_marked(page.locator("[data-id=note-21]"), "Save")
    await expect(await count(page, "Saved")).to_contain_text("2 saved")
    await led_on(page, page.locator("#feeds").get_by_role("link", name="Saved").click())
    await expect(page.locator("h1")).to_have_text("Saved")
    titles = page.locator(".card .title")
    await expect(titles).to_have_text(["Note 21", "Note 23"])
    await shoot(page, "reading-saved")
    await button(page.locator("[data-id=note-21]"), "Save").click()
    await expect(page.locator(".toast").last).to_contain_text("Not saved any more")

    async def is_gone():
        return await saved_ids(api) == ["note-23"]

    await until(is_gone)
    await button(page.locator("[data-id=note-21]"), "Save").click()

    async def is_back():
        return await saved_ids(api) == ["note-21", "note-23"]

    await until(is_back)
    await page.locator("[data-id=note-23]").focus()
    await page.keyboard.press("s")

    async def is_one():
        return await saved_ids(api) == ["note-21"]

    await until(is_one)


async def test_what_is_read_or_muted_is_hidden_once_its_reader_says_so(server, page, api, problems):
    some = [f"note-{number:02}" for number in range(6, 24)]
    await api.put("/api/users/ada/preferences", json={"muted_tags": ["nothing"]})
    (await api.post("/api/feed/reads", json={"user_id": "ada", "kblock_ids": some}))
    await page.goto(f"{server}/?user=ada")
    await expect(page.locator(".card").first.locator(".title")).to_have_text("Note 23")
    await led_on(page, page.get_by_role("checkbox", name="Hide read").check())
    await expect(page.locator(".card").first.locator(".title")).to_have_text("Note 5")
    await expect(page.get_by_role("checkbox", name="Hide read")).to_be_checked()
    preferences = (await api.get("/api/users/ada/preferences")).json()
    assert (preferences["hide_read"], preferences["muted_tags"]) == (True, ["nothing"])
    await shoot(page, "reading-hidden")
    await page.goto(f"{server}/?user=ada&feed=personal")
    await expect(page.locator("#feed")).not_to_contain_text("Note 23")
    await page.goto(f"{server}/?user=ada&feed=history")
    await expect(page.get_by_role("checkbox", name="Hide read")).to_have_count(0)
    await expect(page.locator(".card").first).to_be_visible()
    await page.goto(f"{server}/?user=ada")
    await led_on(page, page.get_by_role("checkbox", name="Hide read").uncheck())
    await expect(page.locator(".card").first.locator(".title")).to_have_text("Note 23")
    # What is muted leaves the page at once.
    await page.keyboard.press("Escape")
    cards = page.locator(".card:visible")
    await expect(cards.first.locator(".title")).to_have_text("Note 23")
    await page.locator("#reader-menu summary").click()
    await page.get_by_role("button", name="Your interests").click()
    await page.get_by_label("Its name").fill("odd")
    await page.get_by_role("button", name="Mute", exact=True).click()
    await expect(page.locator(".toast").last).to_contain_text("“odd” is muted")
    await expect(page.locator("#panel")).to_contain_text("You muted the tag odd")
    await expect(page.locator("[data-id=note-23]")).to_be_hidden()
    await expect(page.locator("[data-id=note-22]")).to_be_visible()
    await shoot(page, "reading-muted")
    await page.keyboard.press("Escape")
    await expect(page.locator("#panel")).to_be_hidden()
    await page.keyboard.press("u")
    await expect(page.locator("[data-id=note-23]")).to_be_visible()
    await expect(page.locator(".toast").last).to_contain_text("not muted any more")
    preferences = (await api.get("/api/users/ada/preferences")).json()
    assert preferences["muted_tags"] == ["nothing"]


async def test_tags_and_authors_are_links_and_a_notes_page_has_marks(server, page, api, problems):
    await page.goto(f"{server}/?user=ada")
    first = page.locator(".card").first
    await led_on(page, first.get_by_role("link", name="odd", exact=True).click())
    await expect(page.locator("h1")).to_have_text("odd")
    await expect(page.locator(".head")).to_contain_text("12 notes")
    await shoot(page, "reading-tag")
    await led_on(page, page.locator(".card").first.get_by_role("link", name="Bob").click())
    await expect(page.locator("h1")).to_have_text("Bob")
    await expect(page.locator(".card .author").first).to_have_text("Bob")
    await page.goto(f"{server}/kblock?id=note-22&user=ada")
    await led_on(page, page.get_by_role("link", name="Ada", exact=True).click())
    await expect(page.locator("h1")).to_have_text("Ada")
    # The page of a note has the same marks.
    await page.goto(f"{server}/kblock?id=note-05&user=ada")
    await is_marked(page.locator("#note"), "Read")
    await until(lambda: read_of(api, "note-05"))
    await button(page.locator("#note"), "Save").click()
    await expect(page.locator(".toast").last).to_contain_text("Saved for later")

    async def is_saved():
        return await saved_ids(api) == ["note-05"]

    await until(is_saved)
    await page.reload()
    await is_marked(page.locator("#note"), "Save")
    await shoot(page, "reading-note")


async def is_empty(api):
    return (await api.get("/api/feed/contradictions")).json()["total"] == 0


async def test_a_contradiction_is_taken_back_by_who_said_it_and_no_guest_is_offered_one(
    server, page, api, problems
):
    await page.goto(f"{server}/?user=ada")
    for key in ("j", "c", "j", "Enter"):
        await page.keyboard.press(key)
    toast = page.locator(".toast").last
    await expect(toast).to_contain_text("Recorded")
    first = page.locator("[data-id=note-23] .conflicts")
    await expect(first).to_contain_text("Note 22")
    await toast.get_by_role("button", name="Undo").click()
    await expect(page.locator(".toast").last).to_contain_text("is taken back")
    await expect(first).to_be_hidden()
    await until(lambda: is_empty(api))
    # Guests have no marks, and are offered no contradiction.
    await page.goto(server)
    first = page.locator(".card").first
    await expect(first).to_be_visible()
    await expect(page.locator(".marks")).to_have_count(0)
    await expect(page.get_by_role("button", name="Contradict")).to_have_count(0)
    await expect(page.get_by_role("checkbox", name="Hide read")).to_have_count(0)
    await expect(page.locator("#feeds").get_by_role("link", name="Saved")).to_have_count(0)
    for key, said in (("s", "Nothing is saved"), ("m", "not kept for guests")):
        await first.focus()
        await page.keyboard.press(key)
        await expect(page.locator(".toast").last).to_contain_text(said)
    await first.focus()
    await page.keyboard.press("c")
    await expect(page.locator("body")).not_to_have_class("is-picking")
    await page.goto(f"{server}/?feed=saved")
    await expect(page.locator(".empty-feed")).to_contain_text("nothing is kept for guests")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
async def test_marks_have_no_barrier_and_fit(server, browser, api, width, scheme):
    for number in (23, 21):
        event = {"user_id": "ada", "kblock_id": f"note-{number}", "action": "engage"}
        await api.post("/api/feed/feedback/record", json=event | {"interaction_type": "save"})
    ids = {"user_id": "ada", "kblock_ids": ["note-22", "note-21"]}
    (await api.post("/api/feed/reads", json=ids)).raise_for_status()
    context = await browser.new_context(
        viewport={"width": width, "height": 740}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = await context.new_page()
    found = {}
    for name, query in (("cosmos", ""), ("saved", "&feed=saved"), ("history", "&feed=history")):
        await page.goto(f"{server}/?user=ada{query}")
        await expect(await count(page, "Cosmos")).to_contain_text("unread")
        await shoot(page, f"reading-{name}-{width}-{scheme}")
        if here := await barriers(page):
            found[name] = here
        if not await fits(page):
            found.setdefault(name, []).append("it lies beside the window")
    await page.goto(f"{server}/?user=bob&feed=saved")
    await expect(page.locator(".empty-feed")).to_contain_text("You have not saved any notes")
    found |= {"empty": here} if (here := await barriers(page)) else {}
    await page.goto(f"{server}/kblock?id=note-21&user=ada")
    await shoot(page, f"reading-note-{width}-{scheme}")
    found |= {"note": here} if (here := await barriers(page)) else {}
    await context.close()
    assert found == {}

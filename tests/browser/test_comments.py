"""Comments, contradictions taken back, and the page of a note, in a real browser."""

import json
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.support.pages import barriers_of, led_on, shoot
from tests.support.waiting import until

RECORD = "/api/feed/feedback/record"


async def say(api, text: str, kblock_id: str = "note-23", user_id: str = "ada") -> str:
    event = {
        "user_id": user_id, "kblock_id": kblock_id, "action": "engage",
        "interaction_type": "comment", "metadata": {"text": text},
    }  # fmt: skip
    answer = await api.post(RECORD, json=event)
    answer.raise_for_status()
    return str(answer.json()["interaction_id"])


async def contradict(api, one: str, other: str, user_id: str = "ada") -> None:
    event = {
        "user_id": user_id, "kblock_id": one, "action": "contradict",
        "metadata": {"contradicts": other},
    }  # fmt: skip
    (await api.post(RECORD, json=event)).raise_for_status()


async def comments_on(api, kblock_id: str = "note-23") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await api.get(f"/api/kblocks/{kblock_id}/comments")).json()[
        "comments"
    ]
    return found


async def contradictions(api, kblock_id: str) -> list[str]:
    return list((await api.get(f"/api/kblocks/{kblock_id}")).json()["contradicts"])


async def open_note(page: Page, server: str, kblock_id: str, user: str = "&user=ada") -> Any:
    await page.goto(f"{server}/kblock?id={kblock_id}{user}")
    await expect(page.locator("html")).to_have_attribute("data-reader", "ready")
    return page.locator("#note")


async def test_a_comment_is_written_edited_and_removed_by_keyboard(
    server, page, api, log, problems
):
    await say(api, "I am Bob.", user_id="bob")
    await page.goto(f"{server}/?user=ada")
    card = page.locator("[data-id=note-23]")
    await expect(card.locator(".comments-button")).to_have_text("1 comment")
    await page.keyboard.press("j")
    await page.keyboard.press("r")
    await page.keyboard.type("So is mien.")
    await page.keyboard.press("Control+Enter")
    items = card.locator(".comments li")
    await expect(items).to_have_count(2)
    await expect(items.nth(1)).to_contain_text("So is mien.")
    await expect(card.locator(".comments-button")).to_have_text("2 comments")
    await expect(items.nth(0).locator("button")).to_have_count(0)  # Bob's
    await shoot(page, "comments-list")
    await items.nth(1).locator("[data-act=edit]").focus()
    await page.keyboard.press("Enter")
    field = card.locator(".comments textarea")
    await expect(field).to_have_value("So is mien.")
    # A draft survives that the form is left.
    await field.fill("So is mine, he thought.")
    await page.keyboard.press("Escape")
    await expect(field).to_have_count(0)
    await page.keyboard.press("Enter")  # the focus is back on Edit
    await expect(field).to_have_value("So is mine, he thought.")
    await field.fill("So is mine.")
    await page.keyboard.press("Control+Enter")
    await expect(items.nth(1)).to_contain_text("edited")
    await expect(items.nth(1).locator(".said")).to_have_text("So is mine.")
    [_bob, own] = await comments_on(api)
    assert own["text"] == "So is mine."
    assert own["edited_at"] > own["created_at"]
    # After a reload it is there, and `R` shows it.
    await page.reload()
    await expect(page.locator("html")).to_have_attribute("data-reader", "ready")
    await page.keyboard.press("j")
    await page.keyboard.press("Shift+R")
    await expect(items).to_have_count(2)
    remove = items.nth(1).locator("[data-act=remove]")
    await remove.focus()
    await page.keyboard.press("Enter")
    await expect(remove).to_have_text("Remove for good?")
    await page.keyboard.press("Enter")
    await expect(items).to_have_count(1)
    await expect(page.locator(".toast").last).to_have_text("Your comment is removed.")
    assert [each["user_id"] for each in await comments_on(api)] == ["bob"]
    # The log keeps the event, with its first text.
    texts = [row["interaction_metadata"] for row in log() if row["interaction_type"] == "comment"]
    assert [json.loads(each)["text"] for each in texts] == ["I am Bob.", "So is mien."]
    await page.locator("[data-id=note-23]").focus()
    await page.keyboard.press("Shift+R")
    await expect(items).to_have_count(0)


async def test_many_comments_come_by_and_by_and_are_text(server, page, api, problems):
    for number in range(53):
        await say(api, f"<b>{number}</b>\nnext line", user_id=f"u{number}")
    note = await open_note(page, server, "note-23")
    items = note.locator(".comments li")
    await expect(items).to_have_count(50)
    await expect(items.first.locator(".said")).to_have_text("<b>0</b> next line")
    await note.get_by_role("button", name="Show more comments").click()
    await expect(items).to_have_count(53)
    await expect(note.get_by_role("button", name="Show more comments")).to_have_count(0)
    await expect(note.locator(".comments-button")).to_have_text("53 comments")


async def test_a_guest_is_offered_neither_comments_nor_contradictions(server, page, api, problems):
    await say(api, "I am Ada.")
    await contradict(api, "note-23", "note-22")
    note = await open_note(page, server, "note-23", "")
    await expect(note.locator(".comments")).to_contain_text("I am Ada.")
    await expect(note.locator(".comments button, .take-back")).to_have_count(0)
    for where in (note, page.locator(".card").first):
        await expect(where.locator(".actions")).to_be_visible()
        for name in ("comment", "contradict"):
            await expect(where.locator(f"[data-do={name}]")).to_have_count(0)
        if where is note:
            for key, said in (("r", "cannot comment"), ("c", "cannot mark contradictions")):
                await page.keyboard.press(key)
                await expect(page.locator(".toast").last).to_contain_text(said)
            await page.goto(server)
    assert len(await comments_on(api)) == 1


@pytest.mark.parametrize("where", ["card", "note"])
async def test_a_contradiction_is_taken_back_later_by_who_said_it(
    server, page, api, problems, where
):
    await contradict(api, "note-23", "note-22")
    await contradict(api, "note-22", "note-23")  # the same again, from the other one
    await contradict(api, "note-23", "note-21", "bob")
    at = "/?feed=contradictions&user=ada" if where == "card" else "/kblock?id=note-23&user=ada"
    await page.goto(f"{server}{at}")
    await expect(page.locator("html")).to_have_attribute("data-reader", "ready")
    here = page.locator("#note" if where == "note" else "[data-id=note-23]")
    line = here.locator(".conflicts")
    await expect(line).to_have_text("Contradicts Note 21Note 22")
    await expect(line.locator(".take-back")).to_have_count(1)
    await line.locator(".take-back").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator(".toast").last).to_contain_text("is taken back")
    await expect(line).to_have_text("Contradicts Note 21")
    if where == "card":
        await expect(page.locator("[data-id=note-22] .conflicts")).to_be_hidden()
    assert await contradictions(api, "note-23") == ["note-21"]
    assert await contradictions(api, "note-22") == []


async def test_what_others_say_too_stays_when_one_takes_it_back(server, page, api, problems):
    for user in ("ada", "bob"):
        await contradict(api, "note-23", "note-22", user)
    note = await open_note(page, server, "note-23")
    await note.locator(".take-back").click()
    await expect(page.locator(".toast").last).to_contain_text("is taken back")
    await expect(note.locator(".take-back")).to_have_count(0)
    await expect(note.locator(".conflicts")).to_have_text("Contradicts Note 22")
    assert await contradictions(api, "note-23") == ["note-22"]


async def put_linked(api) -> None:
    made = [
        {"id": "hub", "title": "Hub", "content": "See [[Note 22]].", "author": "Ada",
         "tags": ["even", "rare"], "edges": [{"target": "note-22"}, {"target": "nowhere"}]},
        {"id": "fan", "title": "Fan", "content": "About the hub.", "author": "Ada",
         "tags": ["even", "rare"], "edges": [{"target": "hub"}]},
    ]  # fmt: skip
    (await api.post("/api/kblocks/batch", json={"kblocks": made})).raise_for_status()


async def test_the_page_of_a_note_leads_on_and_mutes_at_once(server, page, api, problems):
    await put_linked(api)
    note = await open_note(page, server, "hub")
    await expect(page.get_by_role("region", name="Links to").locator("a")).to_have_text(["Note 22"])
    await expect(page.get_by_role("region", name="Linked from").locator("a")).to_have_text(["Fan"])
    similar = page.locator("#similar .card")
    await expect(similar).to_have_count(6)
    fan = page.locator("#similar [data-id=fan]")
    await expect(fan).to_be_visible()
    await shoot(page, "note-similar", full=True)
    # Muting its tag takes the notes with it away, and the key for undo brings them back.
    await note.locator("summary", has_text="Mute").focus()
    await page.keyboard.press("Enter")
    await note.get_by_role("button", name="Tag: even").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator(".toast").last).to_contain_text("The tag “even” is muted")
    await expect(fan).to_be_hidden()
    muted = (await api.get("/api/users/ada/preferences")).json()
    assert muted["muted_tags"] == ["even"]
    await page.locator(".toast").last.get_by_role("button", name="Undo").click()
    await expect(fan).to_be_visible()
    preferences = (await api.get("/api/users/ada/preferences")).json()
    assert preferences["muted_tags"] == []
    await page.keyboard.press("Escape")
    # An author is muted alike.
    await note.locator("summary", has_text="Mute").click()
    await note.get_by_role("button", name="Author: Ada").click()
    await expect(page.locator(".toast").last).to_contain_text("The author “Ada” is muted")
    await expect(page.locator("#similar .card:has(.author:text-is('Ada'))").first).to_be_hidden()
    await page.locator("h1").click()
    await page.keyboard.press("u")
    await until(lambda: _is_unmuted(api))
    await fan.focus()
    await led_on(page, page.keyboard.press("Enter"))
    await expect(page.locator("h1")).to_have_text("Fan")


async def _is_unmuted(api) -> bool:
    return not (await api.get("/api/users/ada/preferences")).json()["muted_authors"]


async def test_the_page_of_a_note_has_the_actions_of_a_card(server, page, api, log, problems):
    await put_linked(api)
    note = await open_note(page, server, "hub")
    await expect(page.locator("#similar .card").first).to_be_visible()
    # Contradict: search for the other note, by keyboard.
    await page.keyboard.press("c")
    choosing = page.locator("#choosing")
    await expect(choosing.locator("button", has_text="Fan")).to_be_visible()  # similar ones first
    await page.keyboard.type("Note 7")
    await expect(choosing.locator(".choices button").first).to_have_text("Note 7")
    await expect(choosing.locator("button", has_text="Fan")).to_have_count(0)
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(note.locator(".conflicts .take-back")).to_have_count(1)
    await expect(note.locator(".conflicts")).to_contain_text("Note 7")
    await page.locator(".toast").last.get_by_role("button", name="Undo").click()
    await expect(note.locator(".conflicts")).to_be_hidden()
    assert await contradictions(api, "hub") == []
    # Why for me, and less like this.
    await note.get_by_role("button", name="Why for me?").click()
    await expect(note.locator(".why")).to_contain_text("the tag even")
    await note.get_by_role("button", name="Less like this").click()
    await expect(note.locator(".liking")).to_contain_text("From your next page on")
    await note.locator(".liking [data-do=like-set]").click()
    await expect(note.locator(".liking")).to_contain_text("Done.")
    known = (await api.get("/api/users/ada/preferences")).json()
    assert known["interests"]["tags"]["even"] < 0
    # Dismiss, and undo it.
    await page.locator("h1").click()
    await page.keyboard.press("d")
    await expect(page.locator(".toast").last).to_contain_text("“Hub” is dismissed")
    await until(lambda: [row for row in log() if row["action"] == "dismiss"])
    await page.keyboard.press("u")
    await expect(page.locator(".toast").last).to_contain_text("will show the note again")
    assert (await api.get("/api/feed/dismissals?user_id=ada")).json()["dismissals"] == []
    # Edit: the page shows the new text.
    await page.keyboard.press("e")
    await page.locator("#editor-title").fill("The hub")
    await led_on(page, page.locator("#editor .primary").click())
    await expect(page.locator("h1")).to_have_text("The hub")
    await until(lambda: [row for row in log() if row["interaction_type"] == "edit"])
    # Comment.
    await page.keyboard.press("r")
    await page.keyboard.type("Noted.")
    await page.keyboard.press("Control+Enter")
    await expect(page.locator("#note .comments li")).to_contain_text(["Noted."])
    await shoot(page, "note-actions", full=True)


async def states(page, server, api):
    """Yield the names of states of cards and notes, after entering each."""
    await page.goto(f"{server}/?feed=contradictions&user=ada")
    card = page.locator("[data-id=note-23]")
    await card.locator(".comments-button").click()
    await expect(card.locator(".comments li")).to_have_count(3)
    yield "card"
    await card.locator("[data-act=edit]").click()
    await expect(card.locator(".comments textarea")).to_be_visible()
    yield "editing"
    note = await open_note(page, server, "hub")
    await expect(page.locator("#similar .card").first).to_be_visible()
    yield "note"
    await note.locator("[data-do=why]").click()
    await expect(note.locator(".why")).to_be_visible()
    await note.locator("summary", has_text="Mute").click()
    yield "mute"
    await page.keyboard.press("Escape")
    await page.keyboard.press("c")
    await expect(page.locator("#choosing .choices button").first).to_be_visible()
    yield "choosing"
    await page.keyboard.press("Escape")
    await open_note(page, server, "note-23", "")
    yield "guest"


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
async def test_nothing_has_a_barrier_and_all_fits(server, browser, api, width, scheme):
    await put_linked(api)
    long = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerk" * 3
    for user, text in (("ada", "Mine."), ("bob", long), ("b" * 64, "Two\n\nparagraphs.")):
        await say(api, text, user_id=user)
    await contradict(api, "note-23", "note-22")
    await contradict(api, "note-23", "hub")
    context = await browser.new_context(
        viewport={"width": width, "height": 740}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = await context.new_page()
    name = f"comments-{{}}-{width}-{scheme}"
    found = await barriers_of(page, states(page, server, api), name)
    await context.close()
    assert found == {}

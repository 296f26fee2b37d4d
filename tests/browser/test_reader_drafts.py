"""Unsent texts in the reader are stored as drafts, whatever happens to the page."""

import json
import re

import pytest
from playwright.async_api import expect

from tests.browser.conftest import KBLOCKS
from tests.support.waiting import until

TYPED = "What I think of it, at length."
SAVED = re.compile(r"^\s*Saved\.")  # and not that a draft is saved
RESTORED = re.compile(r"^Draft of \d\d:\d\d restored\.")


@pytest.fixture
def open_reader(server, page):
    async def opened():
        await page.goto(f"{server}/?user=ada")
        await expect(page.locator("html[data-reader=ready]")).to_be_attached()
        return page.locator(".card").first

    return opened


async def begin_edit(page, card, content=TYPED):
    await card.get_by_role("button", name="Edit").click()
    await expect(page.locator("#editor")).to_be_visible()
    if content:
        await page.get_by_label("Content").fill(content)


async def begin_comment(card, text=TYPED):
    await card.get_by_role("button", name="Comment", exact=True).first.click()
    field = card.locator(".comment-form textarea")
    if text:
        await field.fill(text)
    return field


async def drafts(page):
    return await page.evaluate(
        """() => Object.entries(localStorage)
          .filter(([key]) => key.startsWith('harken.draft '))
          .map(([, text]) => JSON.parse(text).fields)"""
    )


async def expect_restored(line):
    await expect(line).to_have_text(RESTORED)
    assert await line.get_attribute("role") == "status"


async def test_esc_closes_the_editor_and_keeps_the_text(page, open_reader, api, problems):
    card = await open_reader()
    await begin_edit(page, card)
    await page.keyboard.press("Escape")
    await expect(page.locator("#editor")).to_be_hidden()
    await expect(page.locator(".toast")).to_contain_text("Your draft is saved.")
    await begin_edit(page, card, None)
    await expect(page.get_by_label("Content")).to_have_value(TYPED)
    await expect_restored(page.locator("#editor .draft"))
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.locator(".toast", has_text=SAVED)).to_be_visible()
    assert (await api.get("/api/kblocks/note-23")).json()["content"] == TYPED
    assert await drafts(page) == []
    assert problems == []


async def test_a_draft_is_discarded_and_that_is_taken_back(page, open_reader):
    card = await open_reader()
    await begin_edit(page, card)
    await page.locator("#editor").get_by_role("button", name="Cancel").click()
    toast = page.locator(".toast", has_text="Your draft is saved.")
    await toast.get_by_role("button", name="Discard").click()
    assert await drafts(page) == []
    await page.locator(".toast").get_by_role("button", name="Undo").click()
    await begin_edit(page, card, None)
    await expect(page.get_by_label("Content")).to_have_value(TYPED)
    await page.locator("#editor .draft").get_by_role("button", name="Discard").click()
    await expect(page.get_by_label("Content")).to_have_value(KBLOCKS[23]["content"])
    assert await drafts(page) == []
    await page.keyboard.press("Escape")
    await begin_edit(page, card, None)
    await expect(page.locator("#editor .draft")).to_be_empty()


async def test_what_was_not_changed_is_no_draft(page, open_reader):
    card = await open_reader()
    await begin_edit(page, card, None)
    await page.get_by_label("Content").fill("Other.")
    await page.get_by_label("Content").fill(KBLOCKS[23]["content"])
    await page.keyboard.press("Escape")
    await expect(page.locator(".toast")).to_have_count(0)
    assert await drafts(page) == []


async def test_both_outlive_the_page(page, open_reader, context, server):
    card = await open_reader()
    await begin_comment(card)
    other = page.locator(".card").nth(1)
    await begin_comment(other, "Another.")
    # Reloaded at once, before a pause in typing.
    card = await open_reader()
    await expect(await begin_comment(card, None)).to_have_value(TYPED)
    await expect_restored(card.locator(".draft"))
    await expect(await begin_comment(page.locator(".card").nth(1), None)).to_have_value("Another.")
    await begin_edit(page, card, "And an edit.")
    await page.close(run_before_unload=False)
    again = await context.new_page()
    await again.goto(f"{server}/?user=ada")
    card = again.locator(".card").first
    await expect(again.locator("html[data-reader=ready]")).to_be_attached()
    await begin_edit(again, card, None)
    await expect(again.get_by_label("Content")).to_have_value("And an edit.")
    # Drafts belong to one user.
    await again.goto(f"{server}/?user=bob")
    await expect(again.locator("html[data-reader=ready]")).to_be_attached()
    await begin_edit(again, again.locator(".card", has_text="Note 23").first, None)
    await expect(again.locator("#editor .draft")).to_be_empty()


async def test_esc_keeps_a_comment_and_sending_ends_its_draft(page, open_reader, log):
    card = await open_reader()
    await begin_comment(card)
    await page.keyboard.press("Escape")
    await expect(card.locator(".comment-form")).to_have_count(0)
    await expect(page.locator(".toast")).to_contain_text("Your draft is saved.")
    field = await begin_comment(card, None)
    await expect(field).to_have_value(TYPED)
    await field.press("Control+Enter")
    await until(lambda: any(row["interaction_type"] == "comment" for row in log()))
    assert await drafts(page) == []
    await begin_comment(card, None)
    await expect(card.locator(".draft")).to_be_empty()


@pytest.mark.parametrize("status", [0, 503])
async def test_a_save_that_fails_loses_nothing(page, open_reader, server, api, status):
    card = await open_reader()
    await begin_edit(page, card)

    async def fail(route):
        if route.request.method != "PUT":
            await route.continue_()
        elif status:
            await route.fulfill(status=status, json={"detail": "The database is away."})
        else:
            await route.abort()

    await page.route("**/api/kblocks/note-23", fail)
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.locator("#editor .problem")).to_contain_text("Your text is still here.")
    await expect(page.get_by_label("Content")).to_have_value(TYPED)
    await page.unroute_all()
    card = await open_reader()
    await begin_edit(page, card, None)
    await expect(page.get_by_label("Content")).to_have_value(TYPED)
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.locator(".toast", has_text=SAVED)).to_be_visible()
    assert (await api.get("/api/kblocks/note-23")).json()["content"] == TYPED


async def test_a_comment_that_is_refused_is_a_draft_again(page, open_reader):
    card = await open_reader()
    refused = {"status": 401, "json": {"detail": "That key is not known here."}}
    await page.route("**/api/feed/**", lambda route: route.fulfill(**refused))
    await (await begin_comment(card)).press("Control+Enter")
    await expect(page.locator(".toast", has_text="kept as a draft")).to_be_visible()
    await page.unroute_all()
    await expect(await begin_comment(card, None)).to_have_value(TYPED)


async def test_a_draft_does_not_overwrite_what_somebody_wrote_since(page, open_reader, api, server):
    card = await open_reader()
    await begin_edit(page, card)
    await page.keyboard.press("Escape")
    theirs = {**KBLOCKS[23], "content": "Theirs."}
    (await api.put("/api/kblocks/note-23", json=theirs)).raise_for_status()
    await begin_edit(page, card, None)
    await expect(page.locator("#editor .draft")).to_contain_text("The note has changed since then.")
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.locator("#editor .problem")).to_contain_text(
        "Another person has changed this note"
    )
    assert (await api.get("/api/kblocks/note-23")).json()["content"] == "Theirs."
    seen = page.get_by_role("link", name="See the current version")
    assert await seen.get_attribute("href") == "/kblock?id=note-23&user=ada"
    await page.get_by_role("button", name="Save mine anyway").click()
    await expect(page.locator(".toast", has_text=SAVED)).to_be_visible()
    assert (await api.get("/api/kblocks/note-23")).json()["content"] == TYPED


async def test_where_nothing_can_be_kept_it_is_said_and_asked(page, open_reader):
    await page.add_init_script(
        """const set = Storage.prototype.setItem;
        Storage.prototype.setItem = function (name, value) {
          if (name.startsWith('harken.draft')) throw new DOMException('', 'QuotaExceededError');
          set.call(this, name, value);
        };"""
    )
    card = await open_reader()
    asked = []

    async def answer(dialog):
        asked.append(dialog.type)
        await dialog.accept()

    page.on("dialog", answer)
    await begin_comment(card)
    await expect(card.locator(".draft")).to_contain_text("cannot store a draft")
    await page.reload()
    assert asked == ["beforeunload"]


async def test_drafts_are_bounded_and_none_leaves_for_another(page, open_reader):
    card = await open_reader()
    await page.evaluate(
        """() => localStorage.setItem('harken.draft big', JSON.stringify(
          {at: Date.now(), base: '', fields: {text: 'x'.repeat(1_999_950)}}))"""
    )
    await begin_comment(card)
    await expect(card.locator(".draft")).to_contain_text("cannot store a draft")
    # An old draft is deleted, and an invalid one is ignored.
    await page.evaluate(
        """() => {
          const big = JSON.parse(localStorage.getItem('harken.draft big'));
          localStorage.setItem('harken.draft big', JSON.stringify({...big, at: 1}));
          localStorage.setItem('harken.draft none', '{');
        }"""
    )
    await begin_comment(card, TYPED + " More.")
    await expect(card.locator(".draft")).to_be_empty()
    assert json.dumps(await drafts(page)) == json.dumps([{"text": TYPED + " More."}])

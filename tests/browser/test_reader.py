"""The reader in a real browser: its actions, and the events that they record."""

import json
from urllib.parse import quote

import pytest
from playwright.async_api import expect

from tests.browser.conftest import KBLOCKS
from tests.support.pages import led_on, listen_for_strangers, shoot
from tests.support.waiting import until

MANY = 205


def only(rows, **wanted):
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


async def put_many(api, count, **fields):
    made = [
        {"id": f"many-{number}", "title": f"Of many {number}", "content": "Word. " * 60, **fields}
        for number in range(count)
    ]
    (await api.post("/api/kblocks/batch", json={"kblocks": made})).raise_for_status()


async def logged(log, count=1, **wanted):
    """Wait until the log has this many events of a kind; the client sends them later."""
    await until(lambda: len(only(log(), **wanted)) >= count)
    return only(log(), **wanted)


async def test_a_feed_is_read_and_every_answer_is_recorded(server, page, log, problems):
    strangers = listen_for_strangers(page, server)
    await page.goto(f"{server}/?user=ada")
    first = page.locator(".card").first
    await expect(first.locator(".title")).to_have_text("Note 23")
    await expect(first.locator(".meta")).to_contain_text("Bob")
    await expect(first.locator(".meta")).to_contain_text("loss 0.96")
    await expect(first.locator(".tags")).to_have_text("odd")
    await shoot(page, "reader-list")
    await first.locator(".title").click()
    await expect(first.locator(".content")).to_contain_text("What is said in note 23.")
    await expect(first.locator(".preview")).to_be_hidden()
    [opened] = await logged(log, action="engage", interaction_type="open")
    assert (opened["user_id"], opened["kblock_id"], opened["position"]) == ("ada", "note-23", 0)
    assert opened["request_id"] == await page.locator(".slate").get_attribute("data-request-id")
    await shoot(page, "reader-open")
    await first.locator(".title").click()
    await expect(first.locator(".content")).to_have_count(0)
    await first.locator(".title").click()
    await expect(first.locator(".content")).to_be_visible()

    await first.get_by_role("button", name="Comment").click()
    await first.get_by_label("Comment").fill("Is that so?")
    await first.locator(".comment-form .primary").click()
    await expect(page.locator(".toast")).to_contain_text("Your comment is recorded")
    [comment] = await logged(log, interaction_type="comment")
    assert json.loads(comment["interaction_metadata"]) == {"text": "Is that so?"}
    # Opened twice, recorded once.
    assert len(only(log(), interaction_type="open")) == 1
    assert (problems, strangers) == ([], [])


async def test_a_look_is_recorded_as_a_view(server, page, log):
    await page.goto(f"{server}/?user=ada")
    # The browser stores a view that has begun until it ends.
    await page.wait_for_function(
        """() => Object.entries(localStorage).some(
          ([key, kept]) => key.startsWith('harken ')
            && JSON.parse(kept).events.some((each) => each.kblock_id === 'note-23'))"""
    )
    await led_on(page, page.get_by_role("link", name="Axioms").click())
    [view] = await logged(log, action="view", kblock_id="note-23")
    assert view["dwell_time_ms"] >= 1_000
    assert (view["user_id"], view["position"]) == ("ada", 0)


async def test_what_is_copied_is_what_was_written(server, page, context, log):
    await context.grant_permissions(["clipboard-read", "clipboard-write"], origin=server)
    await page.goto(f"{server}/?user=ada")
    await page.locator(".card").first.get_by_role("button", name="Copy").click()
    await expect(page.locator(".toast")).to_have_text("Copied.")
    copied = await page.evaluate("navigator.clipboard.readText()")
    assert copied == f"Note 23\n\n{KBLOCKS[23]['content']}".strip()
    await logged(log, interaction_type="copy")


async def test_a_note_is_edited_and_nothing_of_it_is_lost(server, page, api, log):
    await page.goto(f"{server}/?user=ada")
    first = page.locator(".card").first
    await first.locator(".title").click()
    await first.get_by_role("button", name="Edit").click()
    await page.get_by_label("Title").fill("Note <23>")
    await page.get_by_label("Content").fill("Something *new*.")
    await shoot(page, "reader-edit")
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(first.locator(".title")).to_have_text("Note <23>")
    await expect(first.locator(".content em")).to_have_text("new")
    await logged(log, interaction_type="edit")
    stored = (await api.get("/api/kblocks/note-23")).json()
    assert stored["content"] == "Something *new*."
    for name in ("layer", "author", "tags", "galois_loss", "created_at"):
        assert stored[name] == KBLOCKS[23][name]


async def test_an_edit_does_not_overwrite_somebody_elses(server, page, api):
    await page.goto(f"{server}/?user=ada")
    await page.locator(".card").first.get_by_role("button", name="Edit").click()
    await page.get_by_label("Content").fill("Mine.")
    theirs = {**KBLOCKS[23], "content": "Theirs."}
    (await api.put("/api/kblocks/note-23", json=theirs)).raise_for_status()
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.locator("#editor .problem")).to_contain_text(
        "Another person has changed this note"
    )
    assert (await api.get("/api/kblocks/note-23")).json()["content"] == "Theirs."
    assert await page.get_by_label("Content").input_value() == "Mine."


async def test_links_lead_on_and_are_recorded(server, page, api, log):
    content = "To [[two]], and [elsewhere](https://elsewhere.example/x)."
    two = {"title": "Two", "content": "Back to [one](one)."}
    one = {"title": "One", "content": content, "edges": [{"target": "two"}]}
    for name, fields in (("two", two), ("one", one)):
        (await api.put(f"/api/kblocks/{name}", json=fields)).raise_for_status()
    await page.goto(f"{server}/?user=ada")
    first = page.locator(".card").first
    await expect(first.locator(".title")).to_have_text("One")
    await first.locator(".title").click()
    away = first.get_by_role("link", name="elsewhere")
    assert await away.get_attribute("target") == "_blank"
    assert "noreferrer" in (await away.get_attribute("rel") or "")
    await first.get_by_role("link", name="Two").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Two")
    assert page.url.endswith("/kblock?id=two&user=ada")
    [link] = await logged(log, interaction_type="link")
    assert link["kblock_id"] == "one"
    await shoot(page, "note")
    await page.go_back()
    await expect(page.locator(".card").first.locator(".title")).to_have_text("One")


async def test_two_hundred_cards_come_once_each(server, page, api, problems):
    await put_many(api, MANY)
    await page.goto(f"{server}/?user=ada")
    total = MANY + len(KBLOCKS)

    async def ended():
        await page.mouse.wheel(0, 3_000)
        return await page.locator("#end").is_visible()

    await until(ended)
    await expect(page.locator("#end")).to_have_text("You have reached the end.")
    ids = await page.eval_on_selector_all(".card", "cards => cards.map(each => each.dataset.id)")
    positions = await page.eval_on_selector_all(
        ".card", "cards => cards.map(each => Number(each.dataset.position))"
    )
    assert len(ids) == len(set(ids)) == total
    assert positions == list(range(total))
    assert problems == []


async def test_an_expired_cursor_says_so_and_offers_to_start_again(server, page, api, database):
    await put_many(api, 30)
    await page.route(
        "**/reader/cards?**",
        lambda route: route.fulfill(
            status=410, json={"detail": "this cursor is more than an hour old"}
        ),
    )
    await page.goto(f"{server}/?user=ada")
    await page.mouse.wheel(0, 20_000)
    await expect(page.locator("#end")).to_contain_text("more than an hour old")
    await page.unroute("**/reader/cards?**")
    await led_on(page, page.get_by_role("button", name="Start again").click())
    await page.mouse.wheel(0, 20_000)
    # A second page was loaded; if the browser restores the scroll position, also a third.
    await expect(page.locator(".card").nth(39)).to_be_attached()


async def test_a_page_that_fails_is_tried_again_when_asked(server, page, api):
    await put_many(api, 10)
    await page.route("**/reader/cards?**", lambda route: route.abort())
    await page.goto(server)
    await page.mouse.wheel(0, 20_000)
    await expect(page.locator("#end")).to_have_text("The server does not answer.")
    await page.unroute("**/reader/cards?**")
    await page.get_by_role("button", name="Try again").click()
    await expect(page.locator(".card")).to_have_count(34)
    await expect(page.locator("#end")).to_have_text("You have reached the end.")


async def test_a_dismissal_can_be_undone_at_once_and_later(server, page, api, log):
    hidden = "/api/feed/dismissals?user_id=ada"
    await page.goto(f"{server}/?user=ada")
    for title in ("Note 23", "Note 22"):
        first = page.locator(".card").first
        await expect(first.locator(".title")).to_have_text(title)
        await first.get_by_role("button", name="Dismiss").click()
    # The button to undo is shown for some seconds only.
    await page.locator(".toast", has_text="Note 22").get_by_role("button", name="Undo").click()
    await expect(page.locator(".card").first.locator(".title")).to_have_text("Note 22")
    await shoot(page, "reader-dismissed")
    await logged(log, 2, action="dismiss")

    async def one_is_left():
        return len((await api.get(hidden)).json()["dismissals"]) == 1

    await until(one_is_left)
    await page.goto(f"{server}/?user=ada")
    await expect(page.locator(".card").first.locator(".title")).to_have_text("Note 22")
    await page.locator("#reader-menu summary").click()
    await page.get_by_role("button", name="Dismissed notes").click()
    await expect(page.locator("#panel li")).to_contain_text("Note 23")
    await page.locator("#panel").get_by_role("button", name="Undo").click()
    await expect(page.locator("#panel li")).to_have_count(0)
    assert (await api.get(hidden)).json()["dismissals"] == []
    await page.goto(f"{server}/?user=ada")
    await expect(page.locator(".card").first.locator(".title")).to_have_text("Note 23")


async def test_a_contradiction_is_marked_by_picking_the_other_card(server, page, api, log):
    await page.goto(f"{server}/?user=ada")
    cards = page.locator(".card")
    await cards.nth(0).get_by_role("button", name="Contradict").click()
    await expect(page.locator(".picking")).to_contain_text("Note 23")
    await shoot(page, "reader-contradict")
    await page.keyboard.press("Escape")
    await expect(page.locator(".picking")).to_have_count(0)
    await cards.nth(0).get_by_role("button", name="Contradict").click()
    await cards.nth(2).get_by_role("button", name="Choose this note").click()
    await expect(cards.nth(0).locator(".conflicts")).to_contain_text("Note 21")
    [row] = await logged(log, action="contradict")
    assert row["kblock_id"] == "note-23"
    assert json.loads(row["interaction_metadata"]) == {"contradicts": "note-21"}
    await page.goto(f"{server}/?feed=contradictions&user=ada")
    await expect(page.locator(".card")).to_have_count(2)
    await expect(page.locator(".conflicts").first).to_have_text("Contradicts Note 21")


async def test_why_shows_the_real_signals(server, page, api):
    for reader in ("bob", "cy"):
        event = {"user_id": reader, "kblock_id": "note-05", "action": "engage"}
        (await api.post("/api/feed/feedback/record", json=event)).raise_for_status()
    await page.goto(f"{server}/?ranking=weighted&user=ada")
    first = page.locator(".card").first
    await first.get_by_role("button", name="Why this?").click()
    asked = "/api/feed/cosmos?ranking=weighted&user_id=ada&explain=true&limit=1"
    [item] = (await api.get(asked)).json()["items"]
    assert await first.get_attribute("data-id") == item["id"] == "note-05"
    rows = first.locator(".why .figures tbody tr")
    await expect(rows).to_have_count(len(item["explanation"]))
    for index, (name, part) in enumerate(item["explanation"].items()):
        row = rows.nth(index)
        await expect(row).to_contain_text(name.capitalize())
        await expect(row.locator(".number")).to_have_text(f"+{part['contribution']:.3f}")
    for direction, heading in (("raised", "What raised it"), ("held_back", "What held it back")):
        told = [each["text"] for each in item["reasons"] if each["direction"] == direction]
        group = first.locator(f".why h4:has-text('{heading}') + ul li span:not(.share)")
        await expect(group).to_have_text(told)
    assert item["reasons"][0]["direction"] == "raised"
    # No logarithm and no sum is shown before the fold of figures is opened.
    await expect(first.locator(".why table")).to_be_hidden()
    await first.locator(".why summary").click()
    await expect(first.locator(".why tfoot")).to_contain_text(f"{item['score']:.3f}")
    widths = await rows.locator(".bar rect").evaluate_all(
        "all => all.map(each => Number(each.getAttribute('width')))"
    )
    attention = list(item["explanation"]).index("attention")
    assert widths[attention] == max(widths) == 200
    await shoot(page, "reader-why")


async def test_what_takes_away_from_a_score_is_shown_too(server, page):
    await page.goto(f"{server}/?ranking=incoherence&user=ada")
    first = page.locator(".card").first
    await first.get_by_role("button", name="Why this?").click()
    # Its loss raised it here, and its contribution is below 0 none the less.
    raised = first.locator(".why h4:has-text('What raised it') + ul")
    await expect(raised).to_contain_text("It loses more when it is restructured than all others")
    await first.locator(".why summary").click()
    await expect(first.locator(".why .bar rect")).to_have_class("against")


async def test_feed_and_order_are_in_the_address(server, page):
    await page.goto(server)
    await led_on(page, page.get_by_role("link", name="Axioms").click())
    await expect(page.get_by_role("heading", level=1)).to_have_text("Axioms")
    await page.locator("#orders summary").click()
    await led_on(page, page.get_by_role("link", name="Popularity").click())
    await page.wait_for_url("**/?feed=axioms&ranking=popularity")
    await expect(page.locator("#orders summary")).to_have_text("Order: popularity")
    await page.go_back()
    await page.go_back()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Cosmos")


async def test_who_reads_is_switched_and_remembered(server, page, context, log):
    await page.goto(server)
    name = "Zoë <b>;%"
    await page.locator("#reader-menu summary").click()
    await expect(page.locator("#reader-menu")).to_contain_text("nothing is personalised")
    await page.get_by_label("Read as").fill(name)
    await led_on(page, page.get_by_role("button", name="Switch").click())
    await expect(page.locator("#reader-menu summary strong")).to_have_text(name)
    await page.locator(".card").first.locator(".title").click()
    [row] = await logged(log, interaction_type="open")
    assert row["user_id"] == name
    await page.goto(f"{server}/?feed=axioms")
    await expect(page.locator("#reader-menu summary strong")).to_have_text(name)
    await page.locator("#reader-menu summary").click()
    guest = page.locator("#recent-users").get_by_role("button", name="guest")
    await led_on(page, guest.click())
    await expect(page.locator("#reader-menu summary strong")).to_have_text("guest")
    await page.locator("#reader-menu summary").click()
    await expect(page.locator("#recent-users").get_by_role("button", name=name)).to_be_visible()
    # A user in the address has precedence over the cookie.
    await page.goto(f"{server}/?user={quote('bob')}")
    await expect(page.locator("#reader-menu summary strong")).to_have_text("bob")


async def test_a_reader_sees_and_settles_what_is_believed_of_them(server, page, api):
    for number in range(1, 13, 2):
        event = {"user_id": "ada", "kblock_id": f"note-{number:02}", "action": "engage"}
        (await api.post("/api/feed/feedback/record", json=event)).raise_for_status()
    await page.goto(f"{server}/?feed=personal&user=ada")
    await expect(page.locator(".note")).to_contain_text("your last 6 interactions")
    await page.locator("#reader-menu summary").click()
    await page.get_by_role("button", name="Your interests").click()
    panel = page.locator("#panel")
    await expect(panel).to_contain_text("You like the tag odd")
    await shoot(page, "reader-profile")
    await panel.get_by_role("button", name="Mute odd", exact=True).click()
    await expect(panel).to_contain_text("You muted the tag odd")
    muted = (await api.get("/api/users/ada/preferences")).json()
    assert (muted["muted_tags"], muted["personalized"]) == (["odd"], True)
    await panel.get_by_role("button", name="Unmute odd").click()
    await expect(panel).not_to_contain_text("You muted the tag odd")
    await panel.get_by_label("Personalise my feeds").uncheck()
    await expect(panel).to_contain_text("Personalisation is switched off")
    await panel.get_by_role("button", name="Reset").click()
    await expect(panel).to_contain_text("0 interactions of yours are known since")
    assert (await api.get("/api/users/ada/preferences")).json()["personalized"] is False


@pytest.mark.parametrize("settings", [{"HARKEN_API_KEYS": "sesame"}])
async def test_with_keys_the_page_asks_for_one_and_keeps_it_in_this_tab(
    server, page, log, problems, settings
):
    await page.goto(f"{server}/?feed=axioms&user=ada")
    await page.get_by_label("Key", exact=True).fill("guess")
    await page.get_by_role("button", name="Continue").click()
    await expect(page.locator(".problem")).to_have_text("The server does not accept this key.")
    await shoot(page, "key")
    await page.get_by_label("Key", exact=True).fill("sesame")
    await page.get_by_role("button", name="Continue").click()
    # Until the scripts run, a title links to the page of the note.
    await expect(page.locator("html")).to_have_attribute("data-reader", "ready")
    first = page.locator(".card").first
    await first.locator(".title").click()
    await expect(first.locator(".content")).to_contain_text("What is said")
    await logged(log, interaction_type="open", user_id="ada")
    await led_on(page, page.get_by_role("link", name="Cosmos").click())
    await expect(page.locator(".card").first.locator(".title")).to_have_text("Note 23")
    stored = await page.evaluate("JSON.stringify([localStorage, document.cookie])")
    assert "sesame" not in stored
    # The browser writes the status 401 to the console.
    assert [each for each in problems if "401" not in each] == []

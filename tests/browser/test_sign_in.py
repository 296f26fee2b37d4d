"""Readers who sign in, in a real browser: by a link, and behind nginx that says who they are."""

from urllib.parse import urlsplit

import pytest
from playwright.async_api import expect

from tests.support.access import TOKEN_SECRET, token_of
from tests.support.chromium import program
from tests.support.nginx import location_with_readers, nginx_with
from tests.support.pages import barriers_of, led_on, shoot
from tests.support.waiting import until

SIZES = {"wide": (1280, 800), "narrow": (360, 740)}
OWNER = "sesame"


@pytest.fixture
def settings():
    return {"HARKEN_TOKEN_SECRET": TOKEN_SECRET, "HARKEN_API_KEYS": OWNER}


def link(server, **token):
    return f"{server}/sign-in#token={token_of('ada', **token)}"


async def opened(page, address):
    await page.goto("about:blank")  # a change of the fragment alone would not load it again
    await page.goto(address)
    await expect(page.locator("html")).to_have_attribute("data-sign-in", "ready")


async def signed_in(page, server):
    await opened(page, link(server))
    await led_on(page, page.get_by_role("button", name="Sign in").click())


async def keep_cookie(context, server, value):
    port = urlsplit(server).port
    await context.add_cookies([{"name": f"harken_sign_in_{port}", "value": value, "url": server}])


async def test_a_reader_signs_in_by_keyboard_reads_as_themselves_and_signs_out(
    server, page, context, log, problems
):
    await page.goto(server)
    await expect(page.locator("h1")).to_have_text("Sign in to read")
    sent = []
    page.on("request", lambda request: sent.append((request.url, request.headers.get("referer"))))
    await opened(page, link(server))
    assert "token" not in page.url
    await expect(page.locator("#who")).to_have_text("ada")
    await expect(page.get_by_role("button", name="Sign in")).to_be_focused()
    await led_on(page, page.keyboard.press("Enter"))
    await expect(page.locator("#reader-menu strong")).to_have_text("ada")
    assert not [each for each in sent if token_of("ada").partition(".")[0] in str(each)]
    for key in ("j", "s", "j", "d"):
        await page.keyboard.press(key)
    await until(lambda: {"engage", "dismiss"} <= {row["action"] for row in log()})
    assert {row["user_id"] for row in log()} == {"ada"}
    kept = "JSON.stringify([localStorage, sessionStorage, document.cookie])"
    assert "eyJ" not in await page.evaluate(kept)  # no script can read the token
    # Another tab is signed in, and nobody chooses there who reads.
    other = await context.new_page()
    await other.goto(server)
    await expect(other.locator("html")).to_have_attribute("data-reader", "ready")
    await other.locator("#reader-menu summary").click()
    await expect(other.locator("#reader-menu")).to_contain_text("signed in by a link")
    await expect(other.locator("#user-name")).to_have_count(0)
    pages = other.get_by_role("navigation", name="Pages").get_by_role("link")
    await expect(pages).to_have_text(["Reader", "Sources"])
    async with other.expect_navigation():
        await other.get_by_role("button", name="Sign out").press("Enter")
    await expect(other.locator("h1:visible")).to_have_text("You are signed out")
    await page.goto(server)
    await expect(page.locator("h1")).to_have_text("Sign in to read")
    # The first tab may have sent how long it was read after the other one had signed out.
    assert [each for each in problems if "401" not in each] == []


async def test_a_link_of_no_use_and_a_sign_in_that_ends_say_what_to_do(
    server, page, context, log, problems
):
    await opened(page, link(server, minutes=-5))
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_contain_text("This link has expired. Ask")
    # Pasted into the address of the same page.
    await page.evaluate("location.hash = '#token=abc'")
    await expect(page.get_by_role("alert")).to_contain_text("not complete. Copy all of it")
    await signed_in(page, server)
    await keep_cookie(context, server, token_of("ada", minutes=-5))
    await page.keyboard.press("j")
    await page.keyboard.press("m")
    await expect(page.locator(".toast").last).to_contain_text("has expired")
    await page.reload()
    await expect(page.locator("h1")).to_have_text("Your sign-in has expired")
    await expect(page.locator("main")).to_contain_text("open it in this browser")
    await shoot(page, "sign-in-expired")
    async with page.expect_navigation():
        await page.get_by_role("button", name="Sign out").click()
    await expect(page.locator("h1:visible")).to_have_text("You are signed out")
    assert [each for each in problems if "401" not in each] == []


async def test_a_key_opens_what_a_reader_may_not(server, page, context, problems):
    await page.goto(f"{server}/?user=bob")
    await page.get_by_role("button", name="Use an API key instead").click()
    await page.get_by_label("Key", exact=True).fill(OWNER)
    await page.get_by_role("button", name="Continue").click()
    await expect(page.locator("html")).to_have_attribute("data-reader", "ready")
    await expect(page.locator("#reader-menu strong")).to_have_text("bob")
    # The key of the tab does not make a reader who signs in there somebody else.
    await signed_in(page, server)
    await expect(page.locator("#reader-menu strong")).to_have_text("ada")
    await page.goto(f"{server}/dashboard")
    await expect(page.locator("#updated, .tile, h1").first).to_be_visible()
    assert problems == []


@pytest.mark.parametrize(("size", "scheme"), [("wide", "light"), ("narrow", "dark")])
async def test_every_state_of_signing_in_is_accessible(server, page, context, size, scheme):
    width, height = SIZES[size]
    await page.set_viewport_size({"width": width, "height": height})
    await page.emulate_media(color_scheme=scheme)

    async def states():
        await page.goto(server)
        await expect(page.locator("h1")).to_have_text("Sign in to read")
        yield "locked"
        await opened(page, link(server))
        yield "offered"
        await opened(page, link(server, minutes=-5))
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("alert")).not_to_be_empty()
        yield "refused"
        await signed_in(page, server)
        await page.locator("#reader-menu summary").click()
        yield "menu"
        await keep_cookie(context, server, token_of("ada", minutes=-5))
        await page.goto(server)
        await expect(page.locator("h1")).to_have_text("Your sign-in has expired")
        yield "expired"

    assert await barriers_of(page, states(), f"sign-in-{{}}-{size}-{scheme}") == {}


@pytest.mark.parametrize(
    "settings",
    [{"HARKEN_FORWARDED_ALLOW_IPS": "127.0.0.1", "HARKEN_IDENTITY_HEADER": "X-Remote-User",
      "HARKEN_API_KEYS": OWNER}],
)  # fmt: skip
async def test_behind_a_proxy_that_says_who_reads(server, browser, log, tmp_path, settings):
    nginx = program("nginx", "/usr/sbin/nginx")
    with nginx_with(nginx, tmp_path, location_with_readers(tmp_path, server)) as proxy:
        context = await browser.new_context(
            http_credentials={"username": "ada", "password": "a password"}
        )
        page = await context.new_page()
        await page.goto(proxy)
        await expect(page.locator("html")).to_have_attribute("data-reader", "ready")
        await page.keyboard.press("j")
        await page.keyboard.press("s")
        await until(lambda: [row for row in log() if row["interaction_type"] == "save"])
        assert {row["user_id"] for row in log()} == {"ada"}
        await page.locator("#reader-menu summary").click()
        await expect(page.locator("#reader-menu")).to_contain_text("you sign out there")
        await expect(page.get_by_role("button", name="Sign out")).to_have_count(0)
        await shoot(page, "sign-in-proxy")
        await page.goto(f"{proxy}/?user=bob")
        await expect(page.locator("main")).to_contain_text("'ada' only")
        await context.close()
        past = await browser.new_context()
        page = await past.new_page()
        await page.goto(server)
        await expect(page.locator("main")).to_contain_text("it named nobody")
        await past.close()

"""The API documentation, in a real browser."""

import re

from playwright.async_api import expect

from tests.support.pages import fits, listen_for_strangers, shoot


async def test_routes_are_tried_without_a_cdn(page, server, problems):
    strangers = listen_for_strangers(page, server)
    await page.goto(f"{server}/docs")
    operation = page.locator("#operations .opblock", has_text="/healthz")
    await operation.locator("button.opblock-summary-control").click()
    await operation.get_by_role("button", name="Try it out").click()
    await operation.get_by_role("button", name="Execute").click()
    answer = operation.locator(".responses-inner .live-responses-table")
    await expect(answer).to_contain_text('"status": "ok"')
    await shoot(page, "api-docs")
    assert strangers == []
    assert problems == []


async def test_it_fits_a_phone(page, server):
    await page.set_viewport_size({"width": 360, "height": 740})
    await page.goto(f"{server}/docs")
    await expect(page.locator("#operations .opblock").first).to_be_visible()
    assert await fits(page)


async def test_it_can_be_read_in_the_dark(page, server):
    await page.emulate_media(color_scheme="dark")
    await page.goto(f"{server}/docs")
    summary = page.locator("#operations .opblock-summary-description").first
    await expect(summary).to_be_visible()
    assert lightness(await summary.evaluate("each => getComputedStyle(each).color")) > 150
    ground = "document.getElementById('operations')"
    assert lightness(await page.evaluate(f"getComputedStyle({ground}).backgroundColor")) < 60
    await page.emulate_media(color_scheme="light")
    await expect(page.locator("html.dark-mode")).to_have_count(0)
    assert lightness(await page.evaluate(f"getComputedStyle({ground}).backgroundColor")) == 255


def lightness(colour):
    return max(int(each) for each in re.findall(r"\d+", colour)[:3])

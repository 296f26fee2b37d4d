"""What browser tests of pages share: ways to wait, pictures that are kept, axe, strangers."""

from collections.abc import AsyncIterator, Awaitable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect
from playwright.async_api import TimeoutError as PlaywrightTimeout

ARTIFACTS = Path(__file__).parents[2] / "test-artifacts"
GRAVE = {"serious", "critical"}
PATIENCE_MS = 15_000
COLOURS = ("color-contrast",)
"""The rules of axe that depend on the colours of a page; no other does."""

expect.set_options(timeout=PATIENCE_MS)  # machines of tests are busy


async def led_on(page: Page, doing: Awaitable[None]) -> None:
    """Do what leads to another page of the reader, and wait until its scripts run.

    Until they do, its titles are links to pages of their own and its forms go nowhere. The page
    before has the same mark, so it is the navigation that is waited for first.
    """
    async with page.expect_navigation():
        await doing
    await expect(page.locator("html")).to_have_attribute("data-reader", "ready")


async def shoot(page: Page, name: str, *, full: bool = False) -> None:
    """Keep a picture of a page, to be looked at by people."""
    ARTIFACTS.mkdir(exist_ok=True)
    await page.screenshot(path=ARTIFACTS / f"{name}.png", full_page=full)


def rules_of(size: str, scheme: str) -> Sequence[str]:
    """Return the rules of axe for a page of a size in light or dark; none stands for all of them.

    Each size is looked at by all rules once. In its other scheme only the colours are others.
    """
    return () if (size, scheme) in {("desktop", "light"), ("phone", "dark")} else COLOURS


async def barriers_of(
    page: Page, states: AsyncIterator[str], name: str, rules: Sequence[str] = ()
) -> dict[str, list[str]]:
    """Return what `barriers` and `fits` find in each state of a page, and keep its picture.

    `name` is that of the picture, with `{}` for the state.
    """
    found: dict[str, list[str]] = {}
    async for state in states:
        await shoot(page, name.format(state))
        if here := await barriers(page, rules):
            found[state] = here
        if not await fits(page):
            found.setdefault(state, []).append("it lies beside the window")
    return found


async def barriers(page: Page, rules: Sequence[str] = ()) -> list[str]:
    """Return what axe finds serious or critical, with the first element of each.

    `rules` are its rules to look by, all of them by default.

    Its script is run by the debugger and not by the page, so the page's policy stays in force.
    """
    # Colours that fade in are none that can be judged.
    # What is taken away meanwhile ends its own without having finished them.
    await page.evaluate("Promise.allSettled(document.getAnimations().map((each) => each.finished))")
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = {"type": "rule", "values": list(rules)}
    found: dict[str, Any] = (await Axe().run(page, options=options)).response
    return [
        f"{each['id']}: {each['help']}: {each['nodes'][0]['html']}"
        for each in found["violations"]
        if each["impact"] in GRAVE
    ]


def listen_for_strangers(page: Page, server: str) -> list[str]:
    """Return a list that every request to another host will be added to."""
    own = urlsplit(server).netloc
    strangers: list[str] = []
    page.on(
        "request",
        lambda request: (
            strangers.append(request.url)
            if urlsplit(request.url).scheme in {"http", "https", "ws", "wss"}
            and urlsplit(request.url).netloc != own
            else None
        ),
    )
    return strangers


async def fits(page: Page) -> bool:
    """Whether nothing of a page lies beside the window, once what follows its size was drawn."""
    try:
        await page.wait_for_function(
            "document.documentElement.scrollWidth <= document.documentElement.clientWidth",
            timeout=PATIENCE_MS,
        )
    except PlaywrightTimeout:
        return False
    return True

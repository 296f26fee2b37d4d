"""What browser tests of pages share: pictures that are kept, axe, and who is talked to."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

ARTIFACTS = Path(__file__).parents[2] / "test-artifacts"
GRAVE = {"serious", "critical"}
PATIENCE_MS = 15_000

expect.set_options(timeout=PATIENCE_MS)  # machines of tests are busy


async def shoot(page: Page, name: str, *, full: bool = False) -> None:
    """Keep a picture of a page, to be looked at by people."""
    ARTIFACTS.mkdir(exist_ok=True)
    await page.screenshot(path=ARTIFACTS / f"{name}.png", full_page=full)


async def barriers(page: Page) -> list[str]:
    """Return what axe finds serious or critical, with the first element of each.

    Its script is run by the debugger and not by the page, so the page's policy stays in force.
    """
    # Colours that fade in are none that can be judged.
    await page.evaluate("Promise.all(document.getAnimations().map((each) => each.finished))")
    found: dict[str, Any] = (await Axe().run(page)).response
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
    """Whether nothing of a page lies beside the window."""
    return bool(
        await page.evaluate(
            "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        )
    )

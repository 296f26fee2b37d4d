"""A page with cards that uses the browser client, as a page of the service would."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from playwright.async_api import Page, Route

ROOT = Path(__file__).parents[2]
SITE = Path(__file__).parent / "site"
FILES = {
    "/reading/index.html": (SITE / "index.html", "text/html"),
    "/reading/reading.css": (SITE / "reading.css", "text/css"),
    "/reading/reading.js": (SITE / "reading.js", "text/javascript"),
    "/static/harken-client.js": (
        ROOT / "src/harken/protocols/pages/static/harken-client.js",
        "text/javascript",
    ),
}
POLICY = {"Content-Security-Policy": "default-src 'self'; img-src data:"}


async def read(page: Page, server: str, cards: list[Any], **options: Any) -> None:
    """Open the page at the origin of the service; `options` are those of the client.

    The test serves its files. Its other requests go to the service, without interception once
    the page is open.
    """
    for path in FILES:
        await page.route(f"{server}{path}*", _answer)
    await visit(page, server, cards, **options)
    await page.unroute_all()


async def visit(page: Page, origin: str, cards: list[Any], **options: Any) -> None:
    """Open the page at an origin that serves it."""
    given = {"userId": "ada", "cards": cards, **options}
    await page.goto("about:blank")  # a change of the hash alone would not reload the page
    await page.goto(f"{origin}/reading/index.html#{quote(json.dumps(given))}")
    await page.wait_for_function("() => window.visibleMs")


async def _answer(route: Route) -> None:
    path = "/" + "/".join(route.request.url.partition("#")[0].split("/")[3:])
    file, kind = FILES[path]
    await route.fulfill(path=file, headers={**POLICY, "Content-Type": kind})

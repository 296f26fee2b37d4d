"""A page with cards that uses the browser client, as the service's own pages would."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from playwright.async_api import Page, Route

ROOT = Path(__file__).parents[2]
SITE = Path(__file__).parent / "site"
CLIENT = ROOT / "src/harken/protocols/pages/static/harken-client.js"
POLICY = {"Content-Security-Policy": "default-src 'self'; img-src data:"}
WAIT_SECONDS = 20


async def read(page: Page, server: str, cards: list[Any], **options: Any) -> None:
    """Open the page with these cards; `options` are the client's.

    Its files come from the test, and its requests to the service go there as ever: nothing is
    between them once it is open.
    """
    await page.route("**/reading/*", _file)
    await page.route("**/static/harken-client.js", _client)
    given = {"userId": "ada", "cards": cards, **options}
    await page.goto("about:blank")  # another hash alone would load nothing
    await page.goto(f"{server}/reading/index.html#{quote(json.dumps(given))}")
    await page.wait_for_function("window.visibleMs")
    await page.unroute_all()


async def until(holds: Callable[[], Any]) -> Any:
    """Wait until something holds, and return it."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not (found := holds()):
        assert time.monotonic() < deadline, "it never came to hold"
        await asyncio.sleep(0.02)
    return found


async def _file(route: Route) -> None:
    name = route.request.url.partition("#")[0].rpartition("/")[2]
    await route.fulfill(path=SITE / name, headers={**POLICY, "Content-Type": _type(name)})


async def _client(route: Route) -> None:
    await route.fulfill(path=CLIENT, headers={"Content-Type": _type(CLIENT.name)})


def _type(name: str) -> str:
    kind = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
    return kind[name.rpartition(".")[2]]

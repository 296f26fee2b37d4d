"""Fixtures: `harken serve` on a new database, and a page in a real Chromium.

The browser is started once a run, so every test here runs in the session's event loop. A test
takes `server` (the base URL) and `page`. Settings of the service go into `settings`, which a
module may define anew.
"""

import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, Playwright, async_playwright

from tests.support.chromium import FLAGS, chromium, started_by_hand
from tests.support.server import HarkenServer

HERE = Path(__file__).parent
WAIT_MS = 15_000
ANSWER_SECONDS = 60
KBLOCKS = [
    {
        "id": f"note-{number:02}",
        "title": f"Note {number}",
        "content": f"What is said in note {number}.\n\n" + "It goes on for a while. " * 20,
        "layer": number % 8,
        "author": ("Ada", "Bob")[number % 2],
        "tags": [("even", "odd")[number % 2]],
        "galois_loss": number / 24,
        "created_at": f"2026-10-{number + 1:02}T12:00:00Z",
    }
    for number in range(24)
]

_session_loop = pytest.mark.asyncio(loop_scope="session")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(_session_loop, append=False)


def _key(settings: dict[str, str]) -> dict[str, str]:
    key = settings.get("HARKEN_API_KEYS", "").partition(",")[0]
    return {"X-API-Key": key} if key else {}


@pytest.fixture
def settings() -> dict[str, str]:
    """Return further environment variables of the service, such as `HARKEN_API_KEYS`."""
    return {}


@pytest.fixture
def database(sqlite_template: Path, tmp_path: Path) -> Path:
    """Return the path of a migrated, empty SQLite file."""
    return Path(shutil.copy(sqlite_template, tmp_path / "harken.db"))


@pytest.fixture
def service(database: Path, settings: dict[str, str]) -> Iterator[HarkenServer]:
    """Yield the running service with `KBLOCKS`; a test can kill and start it."""
    with HarkenServer(f"sqlite+aiosqlite:///{database}", **settings) as server:
        url = f"{server.url}/api/kblocks/batch"
        added = httpx.post(
            url,
            json={"kblocks": KBLOCKS},
            headers=_key(settings),
            trust_env=False,
            timeout=ANSWER_SECONDS,
        )
        added.raise_for_status()
        yield server


@pytest.fixture
def server(service: HarkenServer) -> str:
    """Return the base URL of the service."""
    return service.url


@pytest_asyncio.fixture(loop_scope="session")
async def api(server: str, settings: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    """Yield an HTTP client of the service: `await api.get("/api/feed/cosmos")`."""
    async with httpx.AsyncClient(
        base_url=server, headers=_key(settings), trust_env=False, timeout=ANSWER_SECONDS
    ) as opened:
        yield opened


@pytest.fixture
def log(database: Path) -> Callable[[], list[dict[str, Any]]]:
    """Return a function that reads the log: rows as dicts, in the order of time."""

    def read() -> list[dict[str, Any]]:
        with closing(sqlite3.connect(database)) as connection:
            connection.row_factory = sqlite3.Row
            rows = connection.execute("SELECT * FROM feed_interactions ORDER BY created_at, id")
            return [dict(row) for row in rows]

    return read


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def playwright() -> AsyncIterator[Playwright]:
    async with async_playwright() as started:
        yield started


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(playwright: Playwright) -> AsyncIterator[Browser]:
    """Yield the browser, which all tests of the run share."""
    launched = await playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
    yield launched
    await launched.close()


@pytest_asyncio.fixture(loop_scope="session")
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    """Yield a browser context with new storage, cookies and cache."""
    opened = await browser.new_context(viewport={"width": 1280, "height": 800})
    opened.set_default_timeout(WAIT_MS)
    yield opened
    await opened.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(context: BrowserContext) -> Page:
    """Return an empty tab; `page.goto(server)` opens the service."""
    return await context.new_page()


@pytest_asyncio.fixture(loop_scope="session")
async def windows(playwright: Playwright) -> AsyncIterator[BrowserContext]:
    """Yield a browser for this test, in which a tab is hidden while another is in front."""
    with started_by_hand() as url:
        looking = await playwright.chromium.connect_over_cdp(url, no_defaults=True)
        [opened] = looking.contexts
        opened.set_default_timeout(WAIT_MS)
        yield opened
        await looking.close()


@pytest_asyncio.fixture(loop_scope="session")
async def problems(page: Page) -> list[str]:
    """Return the list of errors that the page throws or writes to the console."""
    found: list[str] = []
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on("console", lambda said: found.append(said.text) if said.type == "error" else None)
    return found

"""Takes the pictures of the reader in the README and the tutorial anew.

Run `python docs/images/shoot.py` in a checkout, with what its tests need and Chromium. With
`--demo FILE`, the database of `harken demo --database FILE --no-serve`, and `--reader`, one of its
readers, the pictures of the tutorial are taken, too.
"""

import argparse
import asyncio
import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.async_api import Browser, Page, async_playwright

IMAGES = Path(__file__).parent
ROOT = IMAGES.parents[1]
sys.path.insert(0, str(ROOT))

from tests.support.chromium import FLAGS, chromium  # noqa: E402
from tests.support.server import HarkenServer  # noqa: E402

WINDOW = {"width": 1000, "height": 860}
COLOURS = 128
READER = "ines"
LIKED = (
    "How to tell a willow tit from a marsh tit", "Counting gulls at dusk",
    "Why your sourdough is sour", "Fermenting hot sauce at two per cent",
    "The first fieldfares are in the orchard",
)  # fmt: skip


async def shoot(page: Page, name: str) -> None:
    """Store what a page shows, with few colours, so that the file is small."""
    image = Image.open(io.BytesIO(await page.screenshot()))
    few = image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    few.save(IMAGES / f"{name}.png", optimize=True)


async def show(page: Page, address: str) -> None:
    """Open a page of the reader, and wait until it is complete."""
    await page.goto(address)
    await page.wait_for_selector("html[data-reader=ready]")
    await page.wait_for_selector(".tab-count")


async def of_readme(browser: Browser) -> None:
    """Take the newest notes, and the personal feed of somebody who opened five notes."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite+aiosqlite:///{folder}/harken.db"
        for kind, what in (("markdown", "src/harken/vault"), ("rss", "examples/feeds")):
            command = [sys.executable, "-m", "harken", "import", kind, str(ROOT / what)]
            environment = {**os.environ, "HARKEN_DATABASE_URL": url}
            await asyncio.to_thread(subprocess.run, command, env=environment, check=True)
        with HarkenServer(url) as server:
            page = await browser.new_page(viewport=WINDOW)
            for title in LIKED:
                found = f"{server.url}/search?q={title.replace(' ', '+')}&user={READER}"
                await page.goto(found)
                await page.wait_for_selector("html[data-reader=ready]")
                await page.locator(".card .title").first.click()
                await page.locator(".card .content").first.wait_for()
                await page.wait_for_timeout(1_500)  # a look, which is sent when it ends
            await page.close()
            page = await browser.new_page(viewport=WINDOW)
            for name, feed in (("newest", "cosmos"), ("personal", "personal")):
                await show(page, f"{server.url}/?user={READER}&feed={feed}")
                await shoot(page, f"reader-{name}-light")
                await page.emulate_media(color_scheme="dark")
                await shoot(page, f"reader-{name}-dark")
                await page.emulate_media(color_scheme="light")


async def of_tutorial(browser: Browser, database: str, reader: str) -> None:
    """Take the feeds of a simulated reader, and why the first note is there."""
    notice = "A demo: its readers are simulated, and so are most of its K-Blocks."
    with HarkenServer(f"sqlite+aiosqlite:///{database}", HARKEN_NOTICE=notice) as server:
        page = await browser.new_page(viewport=WINDOW)
        await show(page, f"{server.url}/?user={reader}")
        await shoot(page, "reader-before")
        await show(page, f"{server.url}/?user={reader}&feed=personal")
        await shoot(page, "reader-after")
        await page.locator("[data-do=why]").first.click()
        await page.locator(".why").first.wait_for()
        await shoot(page, "why")


async def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demo", type=lambda name: Path(name).absolute())
    parser.add_argument("--reader", default="sim-ida")
    given = parser.parse_args()
    demo = given.demo
    async with async_playwright() as started:
        browser = await started.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        await of_readme(browser)
        if demo is not None:
            await of_tutorial(browser, str(demo), given.reader)
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main())

"""First paint and layout shifts of the reader with 10,000 K-Blocks; see docs/benchmarks.md."""

import httpx
import pytest

from tests.support.pages import shoot
from tests.support.waiting import until

COUNT = 10_000
PAGE = 20
MEASURE = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const each of list.getEntries()) {
    const nodes = each.sources.map((source) => source.node?.className ?? '?');
    if (!each.hadRecentInput) window.shifts.push([each.value, ...nodes]);
  }
}).observe({ type: 'layout-shift', buffered: true });
"""


@pytest.fixture
def many(service, settings):
    for start in range(0, COUNT, 1_000):
        made = [
            {
                "id": f"k{number}", "title": f"Thought {number}", "content": "Words of it. " * 40,
                "layer": number % 8, "author": f"author-{number % 97}",
                "galois_loss": number % 100 / 100,
                "tags": [f"tag-{number % 31}", f"tag-{number % 37}"],
            }
            for number in range(start, start + 1_000)
        ]  # fmt: skip
        url = f"{service.url}/api/kblocks/batch"
        httpx.post(url, json={"kblocks": made}, trust_env=False, timeout=60).raise_for_status()
    return service.url


PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
FRAMES = "new Promise((next) => requestAnimationFrame(() => requestAnimationFrame(next)))"


@pytest.mark.parametrize("address", ["/?user=ada", "/?feed=personal&user=ada"])
async def test_a_page_comes_whole_and_nothing_moves_as_more_come(many, page, address):
    await page.add_init_script(MEASURE)
    times = []
    for _ in range(3):
        await page.goto(many + address)
        # Not `wait_for_function`, whose second look the pages' policy of scripts forbids.
        await until(lambda: page.evaluate(PAINTED))
        times.append(round(await page.evaluate(PAINTED)))
        assert await page.locator(".card").count() == PAGE

    async def has_more():
        await page.mouse.wheel(0, 1_500)
        return await page.locator(".card").count() >= 4 * PAGE

    await until(has_more)
    # Layout shifts happen within the next frames.
    await page.evaluate(FRAMES)
    shifts = await page.evaluate("window.shifts")
    print(f"\nfirst contentful paint of {address} with {COUNT} K-Blocks: {times} ms")
    print(f"layout shifts: {shifts}")
    await shoot(page, "reader-10000")
    # A shift of 0.001 is a tenth of a percent of the window: nobody sees it.
    assert sum(value for value, *_nodes in shifts) < 0.001, shifts

"""How soon the reader shows something, with 10,000 K-Blocks; docs/benchmarks.md has the figures."""

import httpx
import pytest

from tests.support.pages import shoot

COUNT = 10_000
# On a machine that does other things as well. Nothing to be proud of, and nothing to be flaky.
GENEROUS_MS = 3_000
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


async def contents_painted(page):
    return await page.evaluate(
        "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
    )


@pytest.mark.parametrize("address", ["/?user=ada", "/?feed=personal&user=ada"])
async def test_the_first_page_comes_soon_and_nothing_moves(many, page, address):
    await page.add_init_script(MEASURE)
    times = []
    for _ in range(3):
        await page.goto(many + address)
        await page.wait_for_load_state("networkidle")
        while (time := await contents_painted(page)) is None:
            await page.wait_for_timeout(20)
        times.append(round(time))
        assert await page.locator(".card").count() == 20
    for _ in range(8):
        await page.mouse.wheel(0, 1_500)
        await page.wait_for_timeout(150)
    print(f"\nfirst contentful paint of {address} with {COUNT} K-Blocks: {times} ms")
    print(f"layout shifts: {await page.evaluate('window.shifts')}")
    await shoot(page, "reader-10000")
    assert min(times) < GENEROUS_MS
    assert sum(value for value, *_nodes in await page.evaluate("window.shifts")) == 0

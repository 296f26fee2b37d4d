"""The fixtures: each test has a new service and a new browser context."""

import pytest

from tests.browser.conftest import KBLOCKS


async def test_the_first_page_is_shown(server, page, problems):
    await page.goto(server)
    assert "Harken" in await page.title()
    assert problems == []


@pytest.mark.parametrize("_time", [1, 2])
async def test_a_test_starts_with_the_same_notes_and_an_empty_log(server, api, log, page, _time):
    feed = (await api.get("/api/feed/cosmos")).json()
    assert (feed["total"], log()) == (len(KBLOCKS), [])
    await page.goto(server)
    assert await page.evaluate("localStorage.length") == 0
    await page.evaluate("localStorage.setItem('left', 'behind')")
    body = {"user_id": "ada", "kblock_id": "note-01", "action": "view"}
    (await api.post("/api/feed/feedback/record", json=body)).raise_for_status()
    assert [row["kblock_id"] for row in log()] == ["note-01"]

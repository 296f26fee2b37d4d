"""The page of the dashboard, and the routes of its scripts."""

import re

from harken.services.feed.service import FeedService


async def test_the_frame_holds_no_data_and_keeps_the_policy(client):
    page = await client.get("/dashboard")
    assert page.status_code == 200
    assert not re.findall(r"\sstyle=|<style|\son\w+=|<script(?![^>]*\ssrc=)", page.text)
    [script] = re.findall(r'<script type="module" src="([^"]+)"', page.text)
    assert (await client.get(script)).headers["content-type"].startswith("text/javascript")
    # The script loads Chart.js from this address; it is a file of an installed package.
    drawings = await client.get(script.replace("js/dashboard/main.js", "vendor/chart.js"))
    assert drawings.status_code == 200
    assert b"Chart.js" in drawings.content[:200]
    assert "immutable" in drawings.headers["cache-control"]


async def test_that_there_is_no_report_is_no_error(client, session_factory):
    answer = await client.get("/dashboard/report")
    assert (answer.status_code, answer.json()) == (200, None)
    service = FeedService(session_factory)
    await service.registry.reports.add({"weeks": [], "rankings": []}, "1.0")
    await service.close()
    found = (await client.get("/dashboard/report")).json()
    assert found == (await client.get("/api/report")).json()

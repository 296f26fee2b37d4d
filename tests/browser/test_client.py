"""The browser client in a real Chromium, with a real service."""

import asyncio
import json
import time

import pytest

from tests.browser.reading import read
from tests.support.waiting import until

SECOND = 1_000
MINUTE = 60 * SECOND
EXACT_MS = 300  # tolerance of a dwell time, compared with the time that the page was visible


async def looked(page, ms: float) -> None:
    """Wait until the page was visible for this many milliseconds."""
    await page.wait_for_function("ms => visibleMs() >= ms", arg=ms)


async def hidden(page) -> float:
    """Wait until the page is hidden, and return how long it was visible, in milliseconds."""
    # Hidden pages have no animation frames, so poll by time.
    await page.wait_for_function("document.visibilityState === 'hidden'", polling=20)
    return float(await page.evaluate("visibleMs()"))


async def viewed(page, views: int = 1) -> None:
    """Wait until this many views of open tabs have begun."""
    await page.wait_for_function(
        "views => Object.values(localStorage).flatMap(it => JSON.parse(it).events).length >= views",
        arg=views,
    )


async def recorded(api) -> dict:
    """Return the totals of the service."""
    totals: dict = (await api.get("/api/feed/analytics")).json()["totals"]
    return totals


def kept(page):
    """Return the events that the tabs have stored."""
    return page.evaluate(
        "Object.entries(localStorage).filter(([key]) => key.startsWith('harken'))"
        ".flatMap(([, entry]) => JSON.parse(entry).events)"
    )


async def test_a_look_a_pause_and_another_look_are_one_view(windows, server, log):
    page, other = windows.pages[0], await windows.new_page()
    await other.goto(f"{server}/healthz")
    await page.bring_to_front()
    await read(page, server, ["note-01"])
    await looked(page, 3 * SECOND)
    await other.bring_to_front()
    visible = await hidden(page)

    async def kept_whole():  # so that a crash now would lose nothing
        [event] = await kept(other)
        return abs(event["dwell_time_ms"] - visible) <= EXACT_MS and event

    event = await until(kept_whole)
    await asyncio.sleep(1)  # a pause, longer than EXACT_MS, which is not dwell time
    await page.bring_to_front()
    await looked(page, 5 * SECOND)
    await other.bring_to_front()
    visible = await hidden(page)
    await page.close()
    [row] = await until(log)
    assert (row["id"], row["user_id"], row["action"]) == (event["interaction_id"], "ada", "view")
    assert abs(row["dwell_time_ms"] - visible) <= EXACT_MS


async def test_a_hidden_page_sends_the_view_after_a_while(windows, server, log):
    page = windows.pages[0]
    await read(page, server, ["note-01"], awayMs=200)
    await viewed(page)
    await windows.new_page()
    before = await hidden(page)
    [row] = await until(log)
    await page.bring_to_front()
    await looked(page, before + 2 * SECOND)
    await windows.new_page()
    first, second = await until(lambda: len(log()) == 2 and log())
    assert first == row
    assert first["id"] != second["id"]
    assert first["created_at"] < second["created_at"]


async def test_a_page_that_is_gone_back_to_goes_on(windows, server, log):
    page = windows.pages[0]
    await read(page, server, ["note-01"])
    await viewed(page)
    await page.goto(f"{server}/healthz")
    [row] = await until(log)
    await page.evaluate("history.back()")
    await page.wait_for_function("() => window.visibleMs")
    before = await page.evaluate("visibleMs()")
    await looked(page, before + 2 * SECOND)
    await page.goto(f"{server}/healthz")
    first, second = await until(lambda: len(log()) == 2 and log())
    assert first == row
    assert first["id"] != second["id"]


@pytest.mark.parametrize("leave", ["close", "go elsewhere", "reload"])
async def test_leaving_in_mid_read_loses_nothing(context, page, server, log, api, leave):
    await read(page, server, ["note-01"])
    await page.evaluate("client.record({kblock_id: 'note-02', action: 'engage'})")
    await viewed(page)
    match leave:
        case "close":
            await page.close()
        case "go elsewhere":
            await page.goto(f"{server}/healthz")
        case "reload":
            await page.reload(wait_until="commit")
    await until(lambda: len(log()) == 2)

    # The page got no answer, so the next visit sends the event again.
    ids = {row["id"] for row in log()}
    again = await context.new_page()
    sent = []
    again.on("request", lambda request: sent.append(request.post_data))
    await read(again, server, [])
    await again.evaluate("client.flush()")
    [body] = [json.loads(body) for body in sent if body]
    assert body["action"] == "view"
    assert {row["id"] for row in log()} == ids
    assert body["interaction_id"] in ids
    totals = await recorded(api)
    assert (totals["views"], totals["engagements"]) == (1, 1)
    assert await kept(again) == []


async def test_a_tab_that_closes_while_the_service_is_away_loses_nothing(
    context, page, server, service, log
):
    began = time.monotonic()
    await read(page, server, ["note-01"])
    await viewed(page)
    service.kill()
    await page.evaluate("void client.record({kblock_id: 'note-02', action: 'engage'})")
    await page.close()
    there = (time.monotonic() - began) * SECOND
    service.start()
    assert log() == []
    again = await context.new_page()
    await read(again, server, [])
    await again.evaluate("client.flush()")
    assert sorted(row["kblock_id"] for row in log()) == ["note-01", "note-02"]
    view = next(row for row in log() if row["action"] == "view")
    assert 1 * SECOND <= view["dwell_time_ms"] <= there


async def test_a_tab_that_crashes_loses_nothing_that_was_kept(context, page, server, log):
    await read(page, server, ["note-01"])
    await viewed(page)
    [event] = await kept(page)
    crashed = asyncio.ensure_future(page.wait_for_event("crash"))
    with pytest.raises(Exception, match="crash"):
        await page.goto("chrome://crash")
    await crashed

    # A tab that writes nothing for five minutes counts as closed; this clock is ahead by more.
    again = await context.new_page()
    await read(again, server, [])
    [left] = await kept(again)  # it may have been updated before the crash
    assert left["interaction_id"] == event["interaction_id"]
    await read(again, server, [], later=6 * MINUTE)
    await again.evaluate("client.flush()")
    [row] = log()
    assert (row["id"], row["dwell_time_ms"]) == (left["interaction_id"], left["dwell_time_ms"])


async def test_offline_for_a_minute_then_online(context, page, server, log, api):
    failed = []
    page.on("requestfailed", lambda request: failed.append(request.url))
    await page.clock.install()
    await read(page, server, ["note-00", "note-01"])
    await context.set_offline(True)
    for number in range(20):
        event = {"kblock_id": f"note-{number:02}", "action": "engage"}
        await page.evaluate("event => void client.record(event)", event)
        await page.clock.run_for(3 * SECOND)
    await until(lambda: len(failed) >= 3)  # it retries, with increasing waits
    assert len(failed) <= 10
    assert log() == []
    await context.set_offline(False)
    await until(lambda: len(log()) == 20)
    await page.evaluate("client.close()")
    totals = await recorded(api)
    assert (totals["views"], totals["engagements"]) == (2, 20)
    assert {row["action"] for row in log() if row["dwell_time_ms"]} == {"view"}
    assert await kept(page) == []


async def test_it_sends_as_soon_as_there_is_a_network(context, page, server, log):
    failed = []
    page.on("requestfailed", lambda request: failed.append(request.url))
    await read(page, server, [], retryMs=10 * MINUTE)
    await context.set_offline(True)
    await page.evaluate("void client.record({kblock_id: 'note-01', action: 'engage'})")
    await until(lambda: failed)
    await context.set_offline(False)
    assert len(await until(log)) == 1


async def test_of_a_card_that_is_taller_than_the_window_half_the_window_counts(page, server, log):
    cards = ["note-00", {"id": "note-01", "className": "tall"}, "note-02"]
    await read(page, server, cards)
    await viewed(page)
    await page.evaluate(
        "scrollTo(0, 390)"
    )  # viewport of 800: 10 pixels of the first card, then the tall one
    await viewed(page, 2)
    await page.close()
    # At first, 400 pixels of the tall card were visible, half the window; the last never was.
    rows = await until(lambda: len(log()) == 2 and log())
    assert sorted(row["kblock_id"] for row in rows) == ["note-00", "note-01"]
    assert {row["kblock_id"]: row["position"] for row in rows} == {"note-00": 0, "note-01": 1}


async def test_tabs_leave_each_others_views_alone(context, page, server, log):
    other = await context.new_page()
    await read(page, server, ["note-01"])
    await viewed(page)
    await read(other, server, ["note-01"])  # a visit that finds the view of the first one
    await viewed(other, 2)
    await other.evaluate("client.flush()")
    assert log() == []
    await page.close()
    await other.close()
    rows = await until(lambda: len(log()) == 2 and log())
    assert rows[0]["id"] != rows[1]["id"]
    last = await context.new_page()
    await read(last, server, [])
    await last.evaluate("client.flush()")
    assert len(log()) == 2


async def test_more_than_a_beacon_carries_arrives_in_the_end(context, page, server, log, service):
    await read(page, server, [])
    service.kill()
    many = "Array.from({length: 1000}, (_, at) => ({kblock_id: `k-${at}`, action: 'engage'}))"
    await page.evaluate(f"void client.batch({many})")
    service.start()
    await page.close()  # about 64 KiB of 240 are sent
    again = await context.new_page()
    await read(again, server, [])
    await again.evaluate("client.flush()")
    assert len(log()) == 1000


async def test_it_follows_the_policies_of_strict_pages_and_complains_of_nothing(
    page, server, problems
):
    await read(page, server, ["note-01"])
    await page.evaluate("client.record({kblock_id: 'note-02', action: 'dismiss'})")
    await page.evaluate("client.undismiss('note-02')")
    assert problems == []


async def test_what_the_service_refuses_is_told_to_the_page(page, server, log):
    await read(page, server, [])
    wrong = "{kblock_id: 'x'.repeat(65), action: 'engage'}"
    said = await page.evaluate(f"client.record({wrong}).catch(problem => problem.detail)")
    assert said.startswith("kblock_id: String should have at most 64 characters")
    answer = await page.evaluate(
        f"client.batch([{{kblock_id: 'note-01', action: 'engage'}}, {wrong}])"
    )
    assert answer == {"accepted": 1, "duplicates": 0, "rejected": [{"index": 1, "error": said}]}
    assert len(await page.evaluate("refused")) == 2
    assert len(log()) == 1

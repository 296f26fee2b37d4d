"""The page of alerts: a person reads the evidence, sets aside, dismisses and releases."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest_asyncio
from playwright.async_api import expect
from sqlalchemy.ext.asyncio import async_sessionmaker

from harken.config import Settings
from harken.database import Database, create_engine
from harken.services.integrity.alerts.alert_store import AlertStore
from harken.services.integrity.detectors import Alert, Evidence, Kind
from tests.support.pages import barriers, fits, shoot

AT = int(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp() * 1e6)
SIZES = {"desktop": (1280, 800), "phone": (360, 740)}
ODD = "r1 <b>&'\""
FOUND = Alert(
    "lockstep", Kind.READER, ODD, (ODD, "r2", "r3"), 60.0, AT, AT + 60_000_000,
    Evidence("3 readers acted on the same 9 K-Blocks within 2 s.", {"shared_items": 9}),
)  # fmt: skip


@pytest_asyncio.fixture(loop_scope="session")
async def alerts(database, api):
    """A ring of three in a log of thirty more readers, and two alerts."""
    events = [
        {"user_id": user, "kblock_id": "note-01", "action": "view"}
        for user in [*FOUND.members, *(f"p{n}" for n in range(30))]
    ]
    answer = await api.post("/api/feed/feedback/batch", json={"events": events})
    assert answer.json()["accepted"] == 33
    engine = create_engine(Settings(database_url=f"sqlite+aiosqlite:///{database}"))
    volume = replace(FOUND, detector="volume", kind=Kind.STREAM, id="all", members=(), strength=4.0)
    await AlertStore(Database(async_sessionmaker(engine))).put([FOUND, volume])
    await engine.dispose()


async def test_a_ring_is_set_aside_and_released_by_keyboard(server, alerts, page, api, problems):
    await page.goto(f"{server}/integrity")
    ring = page.locator("#alerts-list > li").first
    await expect(ring).to_contain_text(f"lockstep: reader {ODD}")
    await expect(ring).to_contain_text("within 2 s")
    await ring.locator("summary").press("Enter")
    await expect(ring.locator("dd")).to_have_text("9")
    await ring.get_by_role("button", name="Set aside").press("Enter")
    dialog = page.locator("#act")
    await expect(dialog.get_by_role("checkbox", name="r2")).to_be_checked()
    await dialog.get_by_role("checkbox", name="r3").press("Space")
    assert await barriers(page) == []
    await dialog.locator("#act-reason").fill("a ring")
    await page.keyboard.press("Enter")
    await expect(page.locator("#toasts")).to_contain_text("Set aside: 2 events of 2 readers.")
    await expect(page.locator("#aside-table")).to_contain_text(ODD)
    await expect(page.locator("#audit-table")).to_contain_text("a ring")
    await expect(page.locator("#alerts-list > li")).to_have_count(1)  # the volume is still open
    views = (await api.get("/api/feed/analytics")).json()["totals"]["views"]
    assert views == 31

    await page.get_by_role("button", name="Release reader r2").press("Enter")
    await expect(dialog).to_contain_text("1 events of reader r2 count again")
    await page.keyboard.press("Enter")
    await expect(page.locator("#toasts")).to_contain_text("Released: 1 events count again.")
    await expect(page.get_by_role("button", name="Release reader r2")).to_have_count(0)
    assert (await api.get("/api/feed/analytics")).json()["totals"]["views"] == 32
    assert problems == []


async def test_an_alert_is_dismissed_and_an_error_stays_in_the_dialog(server, alerts, page, api):
    await page.goto(f"{server}/integrity")
    await page.get_by_role("button", name="Set aside: lockstep").click()
    dialog = page.locator("#act")
    await expect(dialog).to_be_visible()  # `all` does not wait
    for box in await dialog.locator(".members input").all():
        await box.uncheck()
    await dialog.get_by_role("button", name="Set aside").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("ids")
    await dialog.get_by_role("button", name="Cancel").click()
    await page.get_by_role("button", name="Dismiss: volume").click()
    await dialog.locator("#act-reason").fill("a holiday")
    await dialog.get_by_role("button", name="Dismiss").click()
    await expect(page.locator("#alerts-list > li")).to_have_count(1)
    await page.locator("#alerts-state").select_option("dismissed")
    await expect(page.locator("#alerts-list > li")).to_contain_text("dismissed by local: a holiday")
    assert (await api.get("/api/integrity/quarantines")).json() == {"quarantines": []}


async def test_it_fits_and_has_no_barriers(server, alerts, page, problems):
    await page.goto(f"{server}/integrity")
    await expect(page.locator("#alerts-list > li")).to_have_count(2)
    await expect(page.locator("#aside")).to_contain_text("Nothing is set aside.")
    for size, (width, height) in SIZES.items():
        await page.set_viewport_size({"width": width, "height": height})
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme)
            await shoot(page, f"integrity-{size}-{scheme}", full=True)
            assert await barriers(page) == []
        assert await fits(page)
    await page.locator("#alerts-state").select_option("quarantined")
    await expect(page.locator("#alerts")).to_contain_text("There are no such alerts.")
    assert problems == []

"""An unreadable row affects only itself, is named in the log, and can be deleted.

Harken writes no such row. An older one may have, and so may whoever else writes to the database.
"""

import logging
from datetime import UTC, datetime

from harken.config import Settings
from harken.database import create_engine
from harken.protocols.api.app import create_app
from tests.api.conftest import client_of
from tests.support.everything import Asking
from tests.support.extremes import Extremes

GOOD = ["good-1", "good-2"]
# Unreadable values of columns of `kblocks`, as SQL for each database.
KBLOCKS = {
    "sqlite": {
        "year-1": "created_at = '0001-01-01T00:00:00.000000Z'",
        "year-9999": "created_at = '9999-12-31T23:59:59.999999Z'",
        "no-time": "created_at = 'tomorrow'",
        "empty-time": "created_at = ''",
        "blob-time": "created_at = x'00ff'",
        "no-number": "galois_loss = 'much'",
        "infinite-loss": "galois_loss = 9e999",
        "text-layer": "layer = 'top'",
        "blob-tags": "tags = x'ff'",
        "blob-kind": "kind = x'ff'",
    },
    "postgresql": {
        "year-1": "created_at = '0001-01-01 00:00:00+00'",
        "year-9999": "created_at = '9999-12-31 23:59:59.999999+00'",
        "never": "created_at = '-infinity'",
        "for-ever": "created_at = 'infinity'",
        "before-christ": "created_at = '4713-01-01 00:00:00+00 BC'",
        "no-datetime": "created_at = '294276-12-31 00:00:00+00'",
        "no-number": "galois_loss = 'NaN'",
        "infinite-loss": "galois_loss = 'Infinity'",
    },
}
EITHER = {
    "high-layer": "layer = 99",
    "low-layer": "layer = -2",
    "negative-loss": "galois_loss = -1",
    "broken-tags": "tags = '{'",
    "no-list": "tags = '{}'",
    "null-tags": "tags = 'null'",
    "numbers": "principles = '[1]'",
}
NEVER = {"sqlite": "'9999-12-31T23:59:59.999999Z'", "postgresql": "'infinity'"}
NAN = {"sqlite": "9e999", "postgresql": "'NaN'"}
# Unreadable rows of other tables; {never} and {nan} are the values above.
OTHERS = """
UPDATE kblock_versions SET created_at = {never}, tags = '{{';
UPDATE kblock_edges SET kind = 'unknown' WHERE source_id = 'good-1';
UPDATE feed_interactions SET created_at = {never} WHERE user_id = 'ben';
UPDATE feed_engagement_stats SET attention_score = {nan}, last_viewed_at = {never},
    view_count = 2147483647, engage_count = 2147483647, decayed_views_1 = {nan},
    decayed_views_2 = 1e308, decayed_engagements_2 = -1e308, decayed_dismissals_3 = {nan}
    WHERE kblock_id = 'good-2';
UPDATE feed_user_engagement_stats SET last_viewed_at = {never} WHERE user_id = 'ben';
UPDATE feed_contradictions SET updated_at = {never};
UPDATE feed_dismissals SET dismissed_at = {never} WHERE user_id = 'ben';
UPDATE feed_activity_minutes SET minute = {never};
UPDATE feed_users SET principles = '{{', weights = '[]', muted_tags = 'null',
    profile_since = {never} WHERE user_id = 'ben';
UPDATE feed_users SET weights = '{{"unheard": 1}}' WHERE user_id = 'ada';
UPDATE feed_declarations SET declaration = '{{', created_at = {never} WHERE feed_id = 'spoilt';
UPDATE feed_slates SET settings = '{{', items = '7', propensities = 'x', created_at = {never};
UPDATE feed_orders SET numbers = {bytes};
INSERT INTO feed_reports (report_id, created_at, code_version, report)
    VALUES ('r', {never}, '1', '{{');
INSERT INTO feed_models (model_id, kind, created_at, code_version, data, features, metrics,
    details, checksum, model)
    VALUES ('m', 'lambdarank', {never}, '1', '{{', '{{', '{{', '{{', 'c', 'tree');
INSERT INTO feed_promotions (model_id, promoted_at) VALUES ('m', {never})
"""


async def execute(url: str, *statements: str) -> None:
    engine = create_engine(Settings(database_url=url))
    async with engine.begin() as connection:
        for statement in statements:
            await connection.exec_driver_sql(statement)
    await engine.dispose()


def named(caplog, kblock_id: str) -> int:
    return sum(f"'{kblock_id}'" in record.getMessage() for record in caplog.records)


async def fill(client, kblock_ids: list[str]) -> str:
    kblocks = [
        {
            "id": kblock_id, "title": kblock_id, "tags": ["a"], "layer": 1, "galois_loss": 0.1,
            "author": "x", "edges": [{"target": GOOD[0], "kind": "contradicts"}],
        }
        for kblock_id in kblock_ids
    ]  # fmt: skip
    for changed in ("before", "after"):
        for each in kblocks:
            each["kind"] = changed
        put = await client.post("/api/kblocks/batch", json={"kblocks": kblocks})
        assert put.json()["rejected"] == []
    events = [
        {"user_id": user_id, "kblock_id": kblock_id, "action": action, "dwell_time_ms": 5_000,
         "metadata": {"contradicts": "other"} if action == "contradict" else None}
        for user_id in ("ada", "ben")
        for kblock_id in kblock_ids
        for action in ("view", "engage", "contradict")
    ]  # fmt: skip
    events.append({"user_id": "ben", "kblock_id": "other", "action": "dismiss"})
    recorded = await client.post("/api/feed/feedback/batch", json={"events": events})
    assert recorded.json()["rejected"] == []
    for user_id in ("ada", "ben"):
        await client.put(f"/api/users/{user_id}", json={"principles": ["p"]})
    for name in ("spoilt", "lately"):
        assert (await client.put(f"/api/feed/feeds/{name}", json={})).status_code == 201
    page = await client.get("/api/feed/cosmos", params={"ranking": "weighted", "limit": 1})
    return str(page.json()["next_cursor"])


async def shown(client, **resolved: str) -> list[str]:
    page = await client.get("/api/feed/cosmos", params={"limit": "100", **resolved})
    assert page.status_code == 200, page.text
    return [item["id"] for item in page.json()["items"]]


async def test_a_kblock_that_cannot_be_read(database_url, database_kind, monkeypatch, caplog):
    monkeypatch.setenv("HARKEN_DATABASE_URL", database_url)
    caplog.set_level(logging.WARNING)
    bad = KBLOCKS[database_kind] | EITHER
    async with client_of(create_app()) as client:
        await fill(client, [*GOOD, *bad])
    spoil = "UPDATE kblocks SET {} WHERE id = '{}'"
    await execute(database_url, *(spoil.format(wrong, each) for each, wrong in bad.items()))
    async with client_of(create_app()) as client:
        ask = Asking(client, Extremes(1, datetime.now(UTC)))
        await ask.declare()
        await ask.everything([*GOOD, *bad])
        for kblock_id in bad:
            assert named(caplog, kblock_id) == 1, kblock_id
            await ask("GET", f"/api/kblocks/{kblock_id}")
            await ask("GET", "/kblock", params={"id": kblock_id})
            await ask("GET", f"/api/kblocks/{kblock_id}/similar", wanted=None)
        assert sorted(await shown(client)) == GOOD
        mended, *others = bad
        event = {"user_id": "ada", "kblock_id": mended, "action": "view"}
        await ask("POST", "/api/feed/feedback/record", json=event)
        await ask("PUT", f"/api/kblocks/{mended}", json={"title": "Mended"})
        for kblock_id in others:
            await ask("DELETE", f"/api/kblocks/{kblock_id}", wanted=204)
        assert sorted(await shown(client)) == sorted([*GOOD, mended])
        assert not ask.wrong, (len(ask.wrong), ask.wrong[:3])
    caplog.clear()
    async with client_of(create_app()) as client:
        ask = Asking(client, Extremes(2, datetime.now(UTC)))
        await ask.everything([*GOOD, *bad])
        assert sorted(await shown(client, ranking="attention")) == sorted([*GOOD, mended])
        assert not ask.wrong, (len(ask.wrong), ask.wrong[:3])
    assert not any(named(caplog, kblock_id) for kblock_id in bad)


async def test_other_rows_that_cannot_be_read(database_url, database_kind, monkeypatch, caplog):
    monkeypatch.setenv("HARKEN_DATABASE_URL", database_url)
    caplog.set_level(logging.WARNING)
    async with client_of(create_app()) as client:
        cursor = await fill(client, GOOD)
    never, nan = NEVER[database_kind], NAN[database_kind]
    some_bytes = {"sqlite": "x'ffffff'", "postgresql": r"'\xffffff'"}[database_kind]
    spoilt = OTHERS.format(never=never, nan=nan, bytes=some_bytes)
    await execute(database_url, *spoilt.split(";\n"))
    for number in range(2):
        async with client_of(create_app()) as client:
            ask = Asking(client, Extremes(number, datetime.now(UTC)))
            await ask.declare()
            gone = await ask("GET", "/api/feed/cosmos", params={"cursor": cursor}, wanted=410)
            assert gone is not None
            if number == 0:
                await ask.everything(GOOD)
            assert sorted(await shown(client)) == GOOD
            events = [
                {"user_id": user_id, "kblock_id": kblock_id, "action": action}
                for user_id in ("ada", "ben")
                for kblock_id in GOOD
                for action in ("view", "engage", "dismiss", "contradict")
            ]
            await ask("POST", "/api/feed/feedback/batch", json={"events": events})
            await ask("GET", "/api/users/ben/preferences")
            await ask("GET", "/api/feed/dismissals", params={"user_id": "ben"})
            for ranking in ("weighted", "personal"):
                await ask("GET", "/api/feed/cosmos", params={"ranking": ranking, "user_id": "ben"})
            for address in ("/api/report", "/api/models/m"):
                await ask("GET", address, wanted=None)
            await ask("GET", "/api/models")
            await ask("GET", "/dashboard/report")
            await ask("GET", "/api/feed/feeds/spoilt", wanted=404 if number == 0 else 200)
            await ask("PUT", "/api/feed/feeds/spoilt", json={}, wanted=None)
            await ask.everything(GOOD)
            assert not ask.wrong, (len(ask.wrong), ask.wrong[:3])
    said = "\n".join(record.getMessage() for record in caplog.records)
    for what in ("feed 'spoilt'", "reader 'ben'", "reader 'ada'", "report 'r'"):
        assert what in said, what

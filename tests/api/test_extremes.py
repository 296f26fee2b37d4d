"""After any accepted input, all requests are answered: fields are drawn from their whole ranges.

K-Blocks and events come in groups of 75 each, extreme values preferred. After each group all that
there is to ask for is asked for; then the group is deleted, the service starts anew on the same
database, and all of it is asked for again.
"""

from datetime import UTC, datetime
from urllib.parse import quote

import pytest

from harken.protocols.api.app import create_app
from tests.api.conftest import client_of
from tests.faults import SOAK
from tests.support.everything import READERS, Asking
from tests.support.extremes import Extremes

GROUPS = 28 if SOAK else 1
ROWS = 75  # of K-Blocks, and as many events


async def _fill(ask: Asking, group: int) -> list[str]:
    extremes = ask.extremes
    ids = [extremes.identifier(group * ROWS + each) for each in range(ROWS)]
    kblocks = [extremes.kblock(each, ids) for each in ids]
    put = await ask("POST", "/api/kblocks/batch", json={"kblocks": kblocks})
    assert put is not None, ask.wrong
    assert put["rejected"] == []
    assert put["added"] == ROWS
    events = [extremes.event(READERS, ids) for _ in range(ROWS)]
    recorded = await ask("POST", "/api/feed/feedback/batch", json={"events": events})
    assert recorded is not None, ask.wrong
    assert recorded["rejected"] == []
    reader = quote(extremes.one(*READERS[1:]), safe="")
    wanted = {"weights": extremes.weights(), "muted_tags": extremes.one([], ["b"])}
    await ask("PUT", f"/api/users/{reader}/preferences", json=wanted)
    await ask("PUT", f"/api/users/{reader}", json={"principles": extremes.labels()})
    return ids


@pytest.mark.timeout(3_600 if SOAK else 900)
async def test_everybody_is_answered_whatever_came_in(database_url, monkeypatch):
    monkeypatch.setenv("HARKEN_DATABASE_URL", database_url)
    extremes = Extremes(13, datetime.now(UTC).replace(microsecond=0))
    for group in range(GROUPS):
        async with client_of(create_app()) as client:
            ask = Asking(client, extremes)
            await ask.declare()
            ids = await _fill(ask, group)
            await ask.everything(ids)
            for kblock_id in ids:
                await ask("DELETE", f"/api/kblocks/{quote(kblock_id, safe='')}", wanted=204)
            assert not ask.wrong, f"group {group}: {len(ask.wrong)} of {ask.asked}, {ask.wrong[:3]}"
        async with client_of(create_app()) as client:
            ask = Asking(client, extremes)
            await ask.everything(ids)
            assert not ask.wrong, f"group {group}, deleted: {len(ask.wrong)}, {ask.wrong[:3]}"

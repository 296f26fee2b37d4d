"""What an experiment can find, from real logs: who counts, what counts, and in how many days."""

from datetime import timedelta

import numpy as np
import pytest

from harken.errors import InvalidInput
from harken.services.experiments.past_readers import PastReaderStore
from harken.services.feed.request import FeedRequest
from tests.contract.test_experiment_results import act
from tests.contract.test_experiments import (  # noqa: F401 — fixtures
    AB,
    SHARED,
    page,
    shown,
    some,
)
from tests.contract.test_feed_service import service  # noqa: F401 — a fixture

DAY = timedelta(days=1)


async def past(service, database, clock, **changed):  # noqa: F811
    draft = await service.experiments.create(AB | {"window_days": 2} | changed)
    return await PastReaderStore(database).read(draft.definition, clock.now)


async def test_readers_of_the_latest_days_count_as_they_do_in_results(some, clock, database):  # noqa: F811
    await act(some, "ada", "k1", "view")  # before the window
    await page(some, "long-ago")
    clock.now += 5 * DAY
    mine = await page(some, "ada", limit=3)
    other = (await some.page(FeedRequest("coherent", user_id="ada"))).request_id
    await act(some, "ada", "k1", request_id=mine.request_id)
    await act(some, "ada", "k2", "view", dwell_time_ms=4_000, request_id=mine.request_id)
    await act(some, "ada", "k2", "dismiss")
    await act(some, "ada", "k3", request_id=other)
    await act(some, "no-pages", "k1")
    await page(some, None, session_id="s1")
    await page(some, None)
    clock.now += 30 * timedelta(hours=1)
    await page(some, "ada")
    clock.now += timedelta(minutes=1)
    found, arrivals = await past(some, database, clock)
    place = list(found.user_ids).index("ada")
    assert sorted(found.user_ids) == ["ada", "guest"]
    counts = {name: values[place] for name, values in found.within.items()}
    assert counts == {
        "engagements": 1, "views": 1, "dismissals": 1, "contradictions": 0, "dwell": 4,
        "timed": 1, "slates": 2, "returned": 1,
    }  # fmt: skip
    assert found.before["views"][place] == 1
    assert found.was_there[place]
    assert arrivals[[0, -1]].tolist() == [1, 3]
    assert len(arrivals) == 7
    named = await past(some, database, clock, eligibility={"readers": "named"})
    assert named.found.user_ids == ["ada"]
    guests = await past(some, database, clock, eligibility={"readers": "guests"})
    assert guests.found.user_ids == ["guest"]


async def test_the_effect_the_readers_and_the_days(some, clock):  # noqa: F811
    for n in range(40):
        clock.now += timedelta(hours=1)
        found = await page(some, f"r{n}", limit=3)
        for item in shown(found)[: 1 + n % 2]:
            await act(some, f"r{n}", item, request_id=found.request_id)
    clock.now += timedelta(minutes=1)
    await some.experiments.create(AB | {"window_days": 3, "planned_size": 400})
    given = (await some.experiments.power("x")).as_json()
    assert (given["value"], given["measured_on"], given["readers"]) == (1.5, 40, 400)
    # Half of the readers engage once with a page, half twice: a variance of 1/4.
    assert given["effect"] == pytest.approx((3.04 + 0.84) * np.sqrt(4 * 0.25 / 400), rel=0.03)
    assert given["relative"] == pytest.approx(given["effect"] / 1.5, rel=1e-4)
    # 24 readers come each day; their days and one more have to end.
    assert 400 / 24 + 3 <= given["days"] <= 400 / 16 + 5
    back = (await some.experiments.power("x", effect=given["effect"])).as_json()
    assert back["readers"] == pytest.approx(400, abs=1)
    shared = await some.experiments.create(SHARED | {"planned_size": 400})
    most = (await some.experiments.power(shared.id)).as_json()
    assert most["effect"] == pytest.approx((3.04 + 0.84) / np.sqrt(400), rel=0.03)
    assert most["value"] is None


async def test_what_the_log_cannot_tell_is_said(some, clock):  # noqa: F811
    await some.experiments.create(AB)
    with pytest.raises(InvalidInput, match="readers: the log has 0 with this metric, 20 are"):
        await some.experiments.power("x")
    for n in range(20):
        await page(some, f"r{n}")
    clock.now += timedelta(minutes=1)
    with pytest.raises(InvalidInput, match="metric: engagements_per_slate does not differ"):
        await some.experiments.power("x")
    await some.experiments.create(AB | {"metric": "dwell_per_view"})
    with pytest.raises(InvalidInput, match="metric: dwell_per_view does not differ"):
        await some.experiments.power("x")

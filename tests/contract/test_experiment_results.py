"""Results of experiments from real logs: what joins, what counts, and what is concluded."""

from datetime import timedelta

import pytest

from harken.domain.preferences import Preferences
from harken.errors import InvalidInput
from harken.services.experiments.assignment import arm_of
from harken.services.experiments.observations import ObservationStore
from harken.services.feed.request import FeedRequest
from harken.services.integrity.quarantine.acts import Decision, Quarantine
from harken.services.record.admission.quarantines import Target
from tests.contract.test_experiments import (  # noqa: F401 — fixtures
    AB,
    SHARED,
    page,
    shown,
    some,
    started,
)
from tests.contract.test_feed_service import service  # noqa: F401 — a fixture

DAY = timedelta(days=1)
WINDOW = 15 * DAY


async def act(service, user_id, kblock_id, action="engage", **more):  # noqa: F811
    event = {"user_id": user_id, "kblock_id": kblock_id, "action": action} | more
    await service.record.record_batch([event])


async def observed(service, database, experiment):  # noqa: F811
    return await ObservationStore(database).read(experiment)


async def test_events_join_by_their_page_else_by_their_reader(some, clock, database):  # noqa: F811
    await act(some, "ada", "k1", "view")  # before
    clock.now += DAY
    experiment = await started(some)
    mine = await page(some, "ada", limit=3)
    elsewhere = await page(some, "ada", ranking="trending")
    clock.now += timedelta(minutes=1)
    await act(some, "ada", "k1", request_id=mine.request_id)
    await act(some, "ada", "k2", "view", dwell_time_ms=4_000, request_id=mine.request_id)
    await act(some, "ada", "k2", "dismiss")
    await act(some, "ada", "k3", request_id=elsewhere.request_id)
    await act(some, "ada", "k4", request_id="unknown")
    await act(some, "ben", "k1")  # who was never exposed
    clock.now += 20 * DAY
    await act(some, "ada", "k5")  # after the window
    found = await observed(some, database, experiment)
    assert (found.user_ids, found.joined) == (
        ["ada"],
        {"by_request": 2, "by_reader": 2, "elsewhere": 1},
    )
    counts = {name: values.tolist() for name, values in found.within.items()}
    assert counts == {
        "engagements": [2], "views": [1], "dismissals": [1], "contradictions": [0],
        "dwell": [4], "timed": [1], "slates": [1], "returned": [0],
    }  # fmt: skip
    assert found.before["views"].tolist() == [1]
    assert found.was_there.tolist() == [True]


async def test_who_returns_within_a_week(some, clock, database):  # noqa: F811
    experiment = await started(some)
    for reader in ("soon", "late", "page", "never"):
        await page(some, reader)
    clock.now += timedelta(hours=2)
    await act(some, "never", "k1", "view")
    clock.now += 3 * DAY
    await act(some, "soon", "k1", "view")
    await page(some, "page")
    clock.now += 6 * DAY
    await act(some, "late", "k1", "view")
    found = await observed(some, database, experiment)
    returned = dict(zip(found.user_ids, found.within["returned"].tolist(), strict=True))
    assert returned == {"soon": 1, "late": 0, "page": 1, "never": 0}


async def test_guests_count_by_their_session(some, clock, database):  # noqa: F811
    experiment = await started(some)
    for session in ("s1", "s2"):
        await page(some, session_id=session)
    clock.now += timedelta(minutes=1)
    await act(some, "guest", "k1", session_id="s1")
    await act(some, "guest", "k1", session_id="s3")
    found = await observed(some, database, experiment)
    assert sorted(found.within["engagements"].tolist()) == [0, 1]
    assert found.within["slates"].tolist() == [1, 1]


async def test_a_planted_difference_is_found_and_windows_have_to_close(some, clock):  # noqa: F811
    experiment = await started(some, planned_size=160, window_days=2)
    await some.experiments.create(AB | {"id": "z"})
    with pytest.raises(InvalidInput, match="z, version 1 is a draft; results come after its start"):
        await some.experiments.results("z")
    readers = [f"r{n}" for n in range(160)]
    for n, reader in enumerate(readers[:100]):
        await act(some, reader, f"k{n % 8}", "view")
    clock.now += timedelta(minutes=1)
    await some.readers.prefer(readers[0], Preferences(personalized=False))
    for n, reader in enumerate(readers):
        found = await page(some, reader, limit=3)
        # Whoever has the new arm chooses two items, others one, and every fifth one more.
        chosen = (2 if found.trial.arm == "lossless" else 1) - (n % 5 == 0)
        for item in shown(found)[:chosen]:
            await act(some, reader, item, request_id=found.request_id)
    await page(some, "tester", arm="x:old")
    early = (await some.experiments.results("x")).as_json()
    assert early["readers"]["closed"] == 0
    assert early["verdicts"]["lossless"]["outcome"] == "not_yet"
    clock.now += 2 * DAY + DAY + timedelta(minutes=1)
    late = (await some.experiments.results("x")).as_json()
    assert (late["readers"]["exposed"], late["readers"]["closed"]) == (160, 160)
    assert (late["testers"], late["joined"]["by_reader"]) == (1, 0)
    assert late["verdicts"]["lossless"]["outcome"] == "better"
    [primary, *others] = late["comparisons"]
    assert primary["role"] == "primary"
    assert primary["effect"] == pytest.approx(1, abs=0.15)
    assert primary["sequence"][0] > 0
    assert {each["role"] for each in others} == {"other"}
    exposed = {each["name"]: each["exposed"] for each in late["arms"]}
    wanted = [arm_of(experiment.salt, reader, experiment.shares) for reader in readers]
    assert exposed == {"old": wanted.count("old"), "lossless": wanted.count("lossless")}
    assert late["readers"]["personalisation_off"] == 1


async def test_units_in_quarantine_are_marked(some, clock, database, session_factory):  # noqa: F811
    experiment = await started(some)
    for reader in ("ada", "ben"):
        await page(some, reader)
    await page(some, session_id="s1")
    clock.now += timedelta(minutes=1)
    for reader in ("ada", "ben"):
        await act(some, reader, "k1", interaction_id=f"{reader} 1")
    await act(some, "guest", "k1", session_id="s1")
    quarantine = Quarantine(session_factory)
    for target, named in (
        (Target.READER, "ada"), (Target.SESSION, "s1"), (Target.EVENT, "ben 1"),
    ):  # fmt: skip
        await quarantine.add(target, [named], Decision("test", "a bot", confirm=True))
    found = await observed(some, database, experiment)
    marked = dict(zip(found.user_ids, found.is_quarantined.tolist(), strict=True))
    assert marked == {"ada": True, "ben": False, "guest": True}
    counted = dict(zip(found.user_ids, found.within["engagements"].tolist(), strict=True))
    assert counted == {"ada": 1, "ben": 0, "guest": 1}
    clock.now += WINDOW + DAY
    assert (await some.experiments.results("x")).as_json()["readers"]["quarantined"] == 2


async def test_credit_is_for_items_of_one_side(some, clock, database):  # noqa: F811
    experiment = await started(some, **SHARED, metric=None)
    first = await page(some, "ada", limit=8)
    slate = await some.ledger.slate(first.request_id)
    whose = dict(zip(slate["items"], slate["settings"]["arms"], strict=True))
    clock.now += timedelta(minutes=1)
    of = {arm: [item for item in whose if whose[item] == arm] for arm in ("old", "lossless")}
    await act(some, "ada", of["old"][0], request_id=first.request_id)
    for item in of["lossless"][:2]:
        await act(some, "ada", item, request_id=first.request_id)
    await act(some, "ada", of["old"][1], "dismiss", request_id=first.request_id)
    found = await observed(some, database, experiment)
    counts = {key: values.tolist() for key, values in found.credits.items()}
    assert counts == {
        ("engaged", "old"): [1], ("engaged", "lossless"): [2],
        ("dismissed", "old"): [1], ("dismissed", "lossless"): [0],
    }  # fmt: skip
    clock.now += WINDOW + DAY
    results = (await some.experiments.results("y")).as_json()
    assert (results["metric"], results["readers"]["exposed"]) == ("credit", 1)
    assert results["sample_ratio"] is None


async def test_pages_are_kept_until_the_experiment_is_decided(some, clock):  # noqa: F811
    await started(some)
    kept = await page(some, "ada")
    other = await some.page(FeedRequest("coherent", user_id="ada"))
    clock.now += 40 * DAY
    before = clock.now - 30 * DAY
    await some.ledger.forget(before, before)
    assert await some.ledger.slate(other.request_id) is None
    assert await some.ledger.slate(kept.request_id) is not None
    await some.experiments.stop("x")
    await some.ledger.forget(before, before)
    assert await some.ledger.slate(kept.request_id) is not None
    await some.experiments.decide("x", "old")
    await some.ledger.forget(before, before)
    assert await some.ledger.slate(kept.request_id) is None

"""Adaptive allocation through the service: versions, kept arms, results, and who computes them."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from harken.database import Kind
from harken.errors import InvalidInput
from harken.services.experiments.adaptive.schedule import AllocationSchedule
from harken.services.experiments.adaptive.store import ALLOCATIONS
from harken.services.experiments.assignment import arm_of
from harken.services.experiments.definitions import State
from harken.services.integrity.quarantine.acts import Decision, Quarantine
from harken.services.record.admission.quarantines import Target
from harken.services.record.slates import EXPOSURES
from tests.contract.test_experiments import (  # noqa: F401 — fixtures
    AB,
    page,
    shown,
    some,
    started,
)
from tests.contract.test_feed_service import service, soon  # noqa: F401 — fixtures

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
ADAPTIVE = {"adaptive": True, "window_days": 1, "planned_size": 160}
FIRST = [f"r{n}" for n in range(60)]
SECOND = [f"s{n}" for n in range(30)]


async def visit(service, clock, readers):  # noqa: F811
    """Let readers see a page and engage: with two items in the arm `lossless`, else with one."""
    events = []
    for n, reader in enumerate(readers):
        found = await page(service, reader, limit=3)
        clock.now += timedelta(seconds=1)
        chosen = (2 if found.trial.arm == "lossless" else 1) - (n % 5 == 0)
        events += [
            {"user_id": reader, "kblock_id": item, "action": "engage",
             "request_id": found.request_id}
            for item in shown(found)[:chosen]
        ]  # fmt: skip
    await service.record.record_batch(events)


async def exposures(database):
    async with database.reading() as connection:
        rows = (await connection.execute(select(EXPOSURES))).mappings()
        return {row["user_id"]: dict(row) for row in rows}


async def allocated(service, clock):  # noqa: F811
    """Wait until the windows of all readers are over, change the allocation, and let it begin."""
    clock.now += 2 * DAY
    found = await service.experiments.allocate("x", "a test")
    clock.now += MINUTE
    return found


async def test_a_day_after_day_allocation(some, clock, database):  # noqa: F811
    experiment = await started(some, **ADAPTIVE)
    [first] = experiment.allocations.versions
    assert (first.version, first.shares, first.computed_by) == (
        1, {"old": 0.5, "lossless": 0.5}, "the definition",
    )  # fmt: skip
    with pytest.raises(
        InvalidInput, match="changes at most once a day, next from 2026-03-02 12:30"
    ):
        await some.experiments.allocate("x", "a test")
    await visit(some, clock, FIRST)
    clock.now += DAY  # no window is closed
    assert await some.experiments.allocate("x", "a test") is None
    second = await allocated(some, clock)
    assert second.shares == {"old": 0.1, "lossless": 0.9}
    assert (second.version, second.readers, second.computed_by) == (2, 60, "a test")
    assert second.in_force_at == clock.now
    with pytest.raises(InvalidInput, match="changes at most once a day"):
        await some.experiments.allocate("x", "a test")
    before = await exposures(database)
    await visit(some, clock, SECOND)
    after = await exposures(database)
    for reader, version in [
        *((each, first) for each in FIRST),
        *((each, second) for each in SECOND),
    ]:
        arm = arm_of(experiment.salt, reader, version.shares)
        row = after[reader]
        assert (row["arm"], row["propensity"]) == (arm, version.shares[arm])
        assert row["allocation_version"] == version.version
    again = [(await page(some, reader)).trial.arm for reader in FIRST]
    assert again == [before[reader]["arm"] for reader in FIRST]
    kept = await exposures(database)
    assert {reader: kept[reader] for reader in FIRST} == before
    moved = [
        reader
        for reader in FIRST
        if arm_of(experiment.salt, reader, second.shares) != before[reader]["arm"]
    ]
    assert len(moved) > 10  # so many would have changed sides
    clock.now += 2 * DAY + MINUTE
    results = (await some.experiments.results("x")).as_json()
    assert [each["version"] for each in results["allocations"]] == [1, 2]
    assert results["allocations"][1]["shares"] == second.shares
    expected = dict(zip(("old", "lossless"), results["sample_ratio"]["expected"], strict=True))
    assert expected == pytest.approx({"old": 30 + 3, "lossless": 30 + 27})
    assert not results["sample_ratio"]["fired"]
    [primary, *_] = results["comparisons"]
    assert primary["readers"] == 90
    assert primary["effect"] == pytest.approx(1, abs=0.15)
    assert results["verdicts"]["lossless"]["outcome"] == "better"


async def test_a_version_is_announced_before_it_is_in_force(some, clock, other_process):  # noqa: F811
    experiment = await started(some, **ADAPTIVE)
    await visit(some, clock, FIRST)
    clock.now += 2 * DAY
    second = await some.experiments.allocate("x", "a test")
    salt, shares = experiment.salt, experiment.shares
    moving = [
        each for each in SECOND if arm_of(salt, each, shares) != arm_of(salt, each, second.shares)
    ]
    early, late = moving[0], moving[1]
    assert (await page(other_process, early)).trial.arm == "old"
    clock.now += MINUTE
    # The other process knows the version by now, and what was exposed before it.
    assert (await page(other_process, early)).trial.arm == "old"
    assert (await page(some, early)).trial.arm == "old"
    assert (await page(other_process, late)).trial.arm == "lossless"


async def test_testers_and_erased_readers_have_no_kept_arm(some, clock):  # noqa: F811
    experiment = await started(some, **ADAPTIVE)
    await visit(some, clock, FIRST)
    await page(some, "tester", arm="x:old")
    second = await allocated(some, clock)
    assert (await page(some, "tester")).trial.arm == arm_of(
        experiment.salt, "tester", second.shares
    )
    assert (await some.experiments.results("x")).as_json()["testers"] == 1


async def test_readers_in_quarantine_do_not_move_the_allocation(some, clock, session_factory):  # noqa: F811
    await started(some, **ADAPTIVE)
    await visit(some, clock, FIRST)
    aside = FIRST[1:30:5]  # who did something in either arm
    decision = Decision("test", "bots", confirm=True)
    await Quarantine(session_factory).add(Target.READER, aside, decision)
    assert (await allocated(some, clock)).readers == len(FIRST) - len(aside)


async def test_one_of_two_workers_computes_a_version(some, clock, other_process, database):  # noqa: F811
    await started(some, **ADAPTIVE)
    await visit(some, clock, FIRST)
    clock.now += 2 * DAY
    workers = [
        AllocationSchedule(each.experiments, each.registry.leases, clock=clock)
        for each in (some, other_process)
    ]
    turns = await asyncio.gather(*(each._turn() for each in workers))
    assert all(turn > timedelta() for turn in turns)
    async with database.reading() as connection:
        rows = (await connection.execute(select(ALLOCATIONS.c.allocation_version))).all()
    assert sorted(row[0] for row in rows) == [1, 2]
    for each in workers:  # neither a restart nor a further turn computes it again
        await each._turn()
    latest = (await some.experiments.store.get("x")).allocations.latest
    assert latest.version == 2
    assert ":" in latest.computed_by


async def test_a_schedule_runs_until_it_ends(some, clock):  # noqa: F811
    await started(some, **ADAPTIVE)
    await visit(some, clock, FIRST)
    clock.now += 2 * DAY

    async def is_changed() -> bool:
        found = await some.experiments.store.get("x")
        return bool(found.allocations.latest.version == 2)

    async with AllocationSchedule(some.experiments, some.registry.leases, clock=clock).running():
        await soon(is_changed)


async def test_what_is_not_adaptive_or_does_not_run_is_refused(some, clock):  # noqa: F811
    await started(some)
    with pytest.raises(InvalidInput, match="x, version 1 has no adaptive allocation"):
        await some.experiments.allocate("x", "a test")
    await some.experiments.stop("x")
    await started(some, **ADAPTIVE)
    await some.experiments.stop("x")
    clock.now += 2 * DAY
    with pytest.raises(InvalidInput, match="x, version 2 is stopped, not running"):
        await some.experiments.allocate("x", "a test")
    assert (await some.experiments.store.get("x")).state is State.STOPPED


async def test_an_allocation_that_cannot_be_read_serves_nobody(some, database):  # noqa: F811
    await started(some, **ADAPTIVE)
    async with database.transaction(Kind.WRITE) as connection:
        await connection.execute(update(ALLOCATIONS).values(shares="[]"))
    some.experiments.store.changes += 1
    assert (await page(some, "ada")).trial is None
    for refused in (some.experiments.results("x"), some.experiments.allocate("x", "a test")):
        with pytest.raises(InvalidInput, match="the allocation of x, version 1 cannot be read"):
            await refused
    assert (await some.experiments.stop("x")).state is State.STOPPED

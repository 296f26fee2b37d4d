"""The log in partitions: which there are, what goes with one, and who reads meanwhile."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import func, select

from harken.database import Database, Kind
from harken.services.integrity.archive import whole_partitions
from harken.services.integrity.archive.archiving import Archive, Pace
from harken.services.integrity.archive.schedule import ArchiveSchedule
from harken.services.integrity.erasure import Erasure
from harken.services.integrity.partitions import making, removing
from harken.services.integrity.partitions.layout import DEFAULT, UNTIMED, leaf
from harken.services.integrity.quarantine.acts import Decision, Quarantine
from harken.services.record.admission.quarantines import Target
from harken.services.record.admission.subjects import Subject
from harken.services.record.baseline.definitions import BASELINE_READERS
from harken.services.record.transaction import LOG
from harken.services.registry.leases import LeaseStore
from tests.contract.conftest import NOW, Clock
from tests.support.partitions import cut, made_at
from tests.support.statistics import figures

pytestmark = pytest.mark.parametrize("database_kind", ["postgresql"])

DAY = timedelta(days=1)
BEGIN = datetime(2026, 2, 20, tzinfo=UTC)
BY = Decision("test", confirm=True)
ACTIONS = "view", "engage", "dismiss", "view"


def events_of(days: int = 20) -> list[dict[str, Any]]:
    """Return events of each of the days before now, with ids of every kind."""
    found = []
    for day in range(days):
        at = NOW - day * DAY
        by_chance = f"{made_at(at)[:8]}-4fff-4fff-8fff-{day:012x}"
        ids = made_at(at, day), made_at(at, 99).replace("-", ""), by_chance, f"mine-{day}"
        found += [
            {"interaction_id": own, "user_id": f"u{n}", "kblock_id": f"k{n % 2}",
             "action": ACTIONS[n], "occurred_at": at}
            for n, own in enumerate(ids)
        ]  # fmt: skip
    return found


@pytest.fixture
async def archive(session_factory, database, tmp_path, clock, monkeypatch) -> Archive:
    monkeypatch.setattr(whole_partitions, "MOST_READ", 5)
    midnight = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
    await cut(database, midnight - 19 * DAY, midnight + 2 * DAY, 3 * DAY)
    return Archive(session_factory, tmp_path / "old", clock=clock, pace=Pace(7, 0.0))


async def rows_in(database: Database, name: str) -> set[str]:
    async with database.reading() as connection:
        return set((await connection.execute(select(leaf(name).c.id))).scalars())


async def names(archive: Archive) -> list[str]:
    return [each.name for each in (await archive.partitions.layout()).partitions]


async def test_whole_partitions_go_and_statistics_stay(record, session_factory, database, archive):
    await record.record_batch(events_of())
    # Ids that begin as old ones do, of events that happened later; one of them has no time.
    at = NOW - 16 * DAY
    late = f"{made_at(at)[:8]}-4aaa-4aaa-8aaa-aaaaaaaaaaaa"
    event = {"user_id": "u9", "kblock_id": "k1", "action": "view", "interaction_id": late}
    await record.record_interaction(**event)
    quarantine = Quarantine(session_factory)
    await quarantine.add(Target.READER, ["u1"], BY)
    before, there = await figures(database), await names(archive)
    plan = await archive.plan(BEGIN)
    assert await rows_in(database, DEFAULT) == {f"mine-{day}" for day in range(20)}
    done = await archive.run(BEGIN)
    assert (done.events, done.set_aside) == (plan.events, plan.set_aside) == (30, 10)
    left = await names(archive)
    assert [each for each in there if each not in left] == there[:3]
    assert late in await rows_in(database, UNTIMED)
    assert (await figures(database)).exact == before.exact
    assert (await record.verify()).differences == 0
    again = await record.record_batch([event, event | {"interaction_id": made_at(at, 16)}])
    assert (again.duplicates, again.accepted, len(again.rejected)) == (1, 0, 1)
    # What was set aside is released, and leaves with the next run.
    await quarantine.release(Target.READER, ["u1"], BY)
    released = await figures(database)
    assert (await archive.run(BEGIN)).events == 10
    await record.rebuild()
    after = await figures(database)
    assert after.exact == released.exact
    assert after.decayed == pytest.approx(released.decayed, abs=1e-9)
    receipt = await Erasure(session_factory).erase(Subject.READER, "u2")
    assert receipt.counts["archived_events"] + receipt.counts["events"] == 20
    assert (await record.verify()).differences == 0


async def test_where_many_events_stay_the_others_go_one_by_one(
    record, session_factory, archive, monkeypatch
):
    await record.record_batch(events_of())
    await Quarantine(session_factory).add(Target.READER, ["u1"], BY)
    monkeypatch.setattr(whole_partitions, "MOST_MOVED", 2)
    there = await names(archive)
    assert (await archive.run(BEGIN)).events == 30
    assert set(there) <= set(await names(archive))
    assert (await record.verify()).differences == 0


async def test_who_reads_from_one_snapshot_finds_each_event_once(
    record, database, archive, monkeypatch
):
    """Tables have no versions: a partition stays until all have ended who read before."""
    await record.record_batch(events_of())
    waits = asyncio.Event()
    lock = removing._lock

    async def noted(*arguments: Any) -> None:
        waits.set()
        await lock(*arguments)

    monkeypatch.setattr(removing, "_lock", noted)
    monkeypatch.setattr(removing, "PAUSES", (0.05,) * 1_000)
    monkeypatch.setattr(making, "PAUSES", ())
    async with database.reading(Kind.SNAPSHOT) as connection:
        dropped = func.coalesce(func.sum(BASELINE_READERS.c.view_count), 0)
        assert (await connection.execute(select(dropped))).scalar_one() == 0
        running = asyncio.create_task(archive.run(BEGIN))
        await waits.wait()
        count = select(func.count()).select_from(LOG)
        assert (await connection.execute(count)).scalar_one() == 80
    assert (await running).events == 40
    assert (await record.verify()).differences == 0


async def test_a_log_that_is_in_use_for_long_is_thinned(record, database, archive, monkeypatch):
    await record.record_batch(events_of())
    there = await names(archive)
    monkeypatch.setattr(removing, "PAUSES", (0.01,))
    monkeypatch.setattr(making, "PAUSES", ())
    async with database.reading(Kind.SNAPSHOT) as connection:
        await connection.execute(select(LOG.c.id).limit(1))
        assert (await archive.run(BEGIN)).events == 40
    assert set(there) <= set(await names(archive))
    assert (await record.verify()).differences == 0


async def test_events_are_recorded_while_partitions_go(record, database, archive):
    await record.record_batch(events_of())
    accepted: list[str] = []
    done = asyncio.Event()

    async def send() -> None:
        while not done.is_set():
            own = made_at(NOW, 1_000 + len(accepted))
            sent = {"user_id": "u", "kblock_id": "k", "action": "view", "interaction_id": own}
            await record.record_interaction(**sent)
            accepted.append(own)

    sending = asyncio.create_task(send())
    dropped = await archive.run(BEGIN)
    done.set()
    await sending
    assert dropped.events == 40
    found = await record.verify()
    assert (found.differences, found.events) == (0, 40 + len(accepted))


async def test_partitions_are_made_ahead_and_moved_into(record, session_factory, tmp_path, clock):
    """From the first day on, until whole ones are old: as a server does that keeps ten days."""
    archive = Archive(session_factory, tmp_path / "old", clock=clock, pace=Pace(7, 0.0))
    kept = 10 * DAY
    assert await names(archive) == []
    clock.now = NOW - 30 * DAY
    # It is of the time to come, as a random id may be, and is moved when its partition is made.
    own = made_at(NOW - 27 * DAY, 7)
    event = {"user_id": "u", "kblock_id": "k", "action": "view"}
    await record.record_interaction(**event, interaction_id=own)
    for _ in range(16):
        assert await archive.partitions.lack(clock.now, kept) == bool(
            await archive.make_partitions(kept)
        )
        await record.record_interaction(**event, interaction_id=made_at(clock.now))
        clock.now += 2 * DAY
    clock.now -= 2 * DAY
    layout = await archive.partitions.layout()
    ranges = [each.ids for each in layout.partitions]
    assert all(a.end == b.start for a, b in pairwise(ranges))
    assert ranges[-1].until >= NOW + DAY
    assert own in await rows_in(archive._database, layout.partitions[3].name)
    assert await rows_in(archive._database, UNTIMED) == set()
    day = (NOW - kept).replace(hour=0, minute=0, second=0, microsecond=0)
    assert await archive.whole_days(day + timedelta(hours=5)) == day
    assert (await archive.run(day)).events == 11
    assert (await archive.partitions.layout()).partitions[0].ids.until > day
    assert (await record.verify()).differences == 0


async def test_a_large_table_is_searched_only_when_asked_to(archive, database, monkeypatch):
    await cut(database, NOW, NOW + DAY, DAY)
    monkeypatch.setattr(making, "MOST_BYTES", -1)
    assert not await archive.partitions.lack(NOW, 10 * DAY)
    assert await archive.make_partitions(10 * DAY) == 0
    await archive.shrink(10 * DAY)
    assert len(await names(archive)) > 1


async def test_a_server_makes_partitions_before_anything_is_old(
    session_factory, database, tmp_path, clock: Clock
):
    archive = Archive(session_factory, tmp_path / "old", clock=clock)
    look = timedelta(milliseconds=50)
    schedules = [
        ArchiveSchedule(archive, LeaseStore(database), 9 * DAY, look=look, clock=clock)
        for _ in range(2)
    ]
    async with asyncio.timeout(60), schedules[0].running(), schedules[1].running():
        while await archive.partitions.lack(clock.now, 9 * DAY):  # noqa: ASYNC110 — of schedules
            await asyncio.sleep(0.05)
    assert len(await names(archive)) == 3

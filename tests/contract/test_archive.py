"""Events that leave the log: what is refused, what figures say, files, erasure, schedules."""

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select

from harken.database import Database, Kind
from harken.domain.decay import DEFAULT_HALF_LIVES
from harken.errors import InvalidInput, MissingExtra
from harken.models import FeedExperiment, FeedModel
from harken.models.types import table
from harken.services.integrity.archive import file_register
from harken.services.integrity.archive.archiving import Archive, Pace
from harken.services.integrity.archive.event_files import EventFile, read
from harken.services.integrity.archive.schedule import LEASE_NAME, ArchiveSchedule
from harken.services.integrity.erasure import Erasure
from harken.services.integrity.quarantine.acts import Decision, Quarantine
from harken.services.record.admission.quarantines import Target
from harken.services.record.admission.subjects import Subject
from harken.services.record.figures.periods import PeriodFigures
from harken.services.record.persistence import FeedFeedbackPersistence
from harken.services.record.transaction import LOG
from harken.services.record.window_analytics import WindowAnalytics
from harken.services.registry.leases import LEASES, LeaseStore
from harken.services.registry.report_store import ReportStore
from tests.contract.conftest import NOW
from tests.support.partitions import made_at
from tests.support.statistics import figures

DAY = timedelta(days=1)
BEGIN = datetime(2026, 2, 20, tzinfo=UTC)
BY = Decision("test", confirm=True)
FAST = Pace(7, 0.0)


def events_of(days: int = 20, per_day: int = 4, name: str = "e") -> list[dict[str, Any]]:
    """Return events of each of the days before now."""
    return [
        {
            "interaction_id": f"{name}{day}-{n}", "user_id": f"u{n % 3}", "kblock_id": f"k{n % 2}",
            "action": ("view", "engage", "dismiss", "contradict")[n % 4],
            "occurred_at": NOW - day * DAY - n * timedelta(minutes=7),
            **({"dwell_time_ms": 100 * n} if n % 4 == 0 else {}),
            **({"metadata": {"contradicts": "k9"}} if n % 4 == 3 else {}),
        }
        for day in range(days) for n in range(per_day)
    ]  # fmt: skip


@pytest.fixture
def archive(session_factory, tmp_path, clock) -> Archive:
    return Archive(session_factory, tmp_path / "old", clock=clock, pace=FAST)


async def files_of(database: Database) -> list[EventFile]:
    async with database.reading() as connection:
        return await file_register.registered(connection)


async def log_ids(database: Database) -> set[str]:
    async with database.reading() as connection:
        return set((await connection.execute(select(LOG.c.id))).scalars())


async def test_statistics_stay_and_the_files_have_what_went(record, database, archive, tmp_path):
    await record.record_batch(events_of())
    before = await figures(database)
    plan = await archive.plan(BEGIN)
    assert await figures(database) == before
    done = await archive.run(BEGIN)
    assert (done.events, done.complete_since, done.set_aside) == (plan.events, BEGIN, 0)
    after = await figures(database)
    assert after.exact == before.exact
    assert after.decayed == pytest.approx(before.decayed, abs=1e-9)
    found = await record.verify()
    assert (found.differences, found.archived) == (0, plan.events)
    assert found.events == 80 - plan.events
    assert found.complete_since == BEGIN
    files = await files_of(database)
    rows = [row for file in files for row in read(file)]
    assert {row["interaction_id"] for row in rows} == {
        f"e{day}-{n}" for day in range(20) for n in range(4)
    } - await log_ids(database)
    assert len(rows) == plan.events == sum(file.events for file in files)
    assert len({file.day for file in files}) == len(files) == done.files
    listed = json.loads((tmp_path / "old" / "manifest.json").read_text())["files"]
    assert [(each["name"], each["sha256"]) for each in listed] == [
        (file.name, file.sha256) for file in files
    ]
    assert (await archive.run(BEGIN)).events == 0  # once more changes nothing
    assert await files_of(database) == files


async def test_what_may_repeat_a_dropped_event_is_refused(record, session_factory, archive, clock):
    event = {"user_id": "u", "kblock_id": "k", "action": "view"}
    at = BEGIN - DAY
    by_time = event | {"interaction_id": "mine", "occurred_at": at}
    by_id = event | {"interaction_id": made_at(at)}
    hexadecimal = event | {"interaction_id": made_at(at, 1).replace("-", "")}
    clock.now = at
    for one in by_time, by_id, hexadecimal:
        await record.record_interaction(**one)
    clock.now = NOW
    kept = await record.record_interaction(**event)
    await archive.run(BEGIN)
    async with FeedFeedbackPersistence(session_factory, clock=clock) as other:
        for own in record, other:  # each process learns it with its next write
            for one in by_time, by_id, hexadecimal:
                with pytest.raises(InvalidInput, match="begin of the log, 2026-02-20T00:00Z"):
                    await own.record_interaction(**one)
    new = event | {"interaction_id": "new"}
    result = await record.record_batch([by_time, new, event | {"interaction_id": kept}, by_id])
    assert (result.accepted, result.duplicates) == (1, 1)
    assert [each.index for each in result.rejected] == [0, 3]
    assert (await record.verify()).differences == 0
    assert await record.count() == 5


async def test_what_is_set_aside_stays_until_it_is_released(
    record, session_factory, database, archive
):
    await record.record_batch(events_of())
    before = await figures(database)
    quarantine = Quarantine(session_factory)
    await quarantine.add(Target.READER, ["u1"], BY)
    plan = await archive.plan(BEGIN)
    done = await archive.run(BEGIN)
    assert done.set_aside == plan.set_aside == 10
    old = {"user_id": "u1", "kblock_id": "k1", "action": "engage", "interaction_id": "e15-1"}
    again = await record.record_batch(
        [old | {"occurred_at": NOW - 15 * DAY - timedelta(minutes=7)}]
    )
    assert again.duplicates == 1  # it is still in the log
    await quarantine.release(Target.READER, ["u1"], BY)
    assert (await figures(database)).exact == before.exact
    assert (await archive.run(BEGIN)).events == 10
    after = await figures(database)
    assert after.exact == before.exact
    assert after.decayed == pytest.approx(before.decayed, abs=1e-9)
    assert (await record.verify()).differences == 0


async def test_events_are_recorded_while_others_leave(record, database, archive):
    await record.record_batch(events_of(per_day=12))
    accepted: list[str] = []
    done = asyncio.Event()

    async def send() -> None:
        while not done.is_set():
            number = len(accepted)
            own = {"interaction_id": f"x{number}", "user_id": f"u{number % 3}"}
            await record.record_interaction(kblock_id="k1", action="view", **own)
            accepted.append(f"x{number}")
            await asyncio.sleep(0)

    sending = asyncio.create_task(send())
    dropped = await archive.run(BEGIN)
    sent = len(accepted)
    done.set()
    await sending
    assert sent
    assert set(accepted) <= await log_ids(database)
    found = await record.verify()
    assert (found.differences, found.archived) == (0, dropped.events)
    assert await record.count() == 240 + len(accepted)


async def test_figures_count_all_or_say_since_when(record, database, archive, clock):
    await record.record_batch(events_of())
    periods, windows = PeriodFigures(database, clock), WindowAnalytics(database, clock)
    until = NOW.replace(second=0, microsecond=0)
    since = until - 8 * DAY
    before = await periods.counts(since, until)
    of_all_time = await periods.counts()
    series = await record.get_timeseries("day", NOW - 15 * DAY)
    summary = await record.get_analytics()
    await archive.run(BEGIN + 5 * DAY)
    assert await periods.counts(since, until) == before
    assert before.before is not None
    assert await periods.counts() == of_all_time
    # The log counts parts of minutes; from before its begin, whole minutes alone are known.
    cut = await periods.counts(since + timedelta(seconds=1), until)
    assert (cut.since, cut.until) == (since + timedelta(minutes=1), until)
    assert await record.get_timeseries("day", NOW - 15 * DAY) == series
    assert await record.get_analytics() == summary
    dwell = await windows.dwell()
    assert (dwell.window.since, dwell.window.is_shortened) == (BEGIN + 5 * DAY, True)
    assert dwell.views == 4
    assert not (await windows.dwell(since=NOW - DAY)).window.is_shortened
    gone = await windows.dwell(since=BEGIN - DAY, until=BEGIN)
    assert (gone.views, gone.window.since) == (0, BEGIN + 5 * DAY)
    first, _last = await ReportStore(database, clock).event_range() or (None, None)
    assert first == BEGIN + 5 * DAY + timedelta(hours=12, minutes=9, seconds=15.25)


async def test_half_lives_that_were_kept_stay_exact(record, database, archive):
    await record.record_batch(events_of())
    await archive.run(BEGIN)
    six, day, week = DEFAULT_HALF_LIVES
    before = (await figures(database)).decayed
    await record.rebuild([week, timedelta(days=2), six])
    after = (await figures(database)).decayed
    for name in "decayed_views", "decayed_engagements", "decayed_dismissals":
        for kblock in {key[0] for key in before if key[1] == f"{name}_1"}:
            assert after[kblock, f"{name}_3"] == pytest.approx(before[kblock, f"{name}_1"])
            assert after[kblock, f"{name}_1"] == pytest.approx(before[kblock, f"{name}_3"])
    assert (await record.verify()).differences == 0
    await record.rebuild([day])
    assert (await record.verify()).differences == 0


async def test_an_erasure_says_which_files_are_missing_and_makes_up_for_them(
    record, session_factory, database, archive, tmp_path
):
    await record.record_batch(events_of())
    async with database.transaction(Kind.WRITE) as connection:
        await connection.execute(
            insert(table(FeedModel)).values(
                model_id="m", kind="learned", created_at=datetime.now(UTC),
                code_version="", erasures=0, model="", data="{}", metrics="{}",
                **{c.name: "{}" for c in table(FeedModel).c if not c.nullable and c.name not in {
                    "model_id", "kind", "created_at", "code_version", "erasures", "model", "data",
                    "metrics"}},
            )
        )  # fmt: skip
    await archive.run(NOW.replace(hour=0, minute=0, second=0, microsecond=0) - 2 * DAY)
    lost = (await files_of(database))[3]
    elsewhere = tmp_path / "elsewhere"
    lost.path.rename(elsewhere)
    erasure = Erasure(session_factory)
    receipt = await erasure.erase(Subject.READER, "u1")
    assert (receipt.missing_files, receipt.is_compacted, receipt.models) == (1, False, 1)
    found = await record.verify()
    assert found.differences == 0
    assert await record.count() == 61  # the missing file's event counts without a reader
    elsewhere.rename(lost.path)
    receipt = await erasure.erase(Subject.READER, "u1")
    assert (receipt.missing_files, receipt.is_compacted) == (0, True)
    assert receipt.counts["archived_events"] + receipt.counts["events"] == 20
    assert await record.count() == 60
    assert (await record.verify()).differences == 0
    left = [path.read_bytes() for path in (tmp_path / "old").rglob("*.parquet")]
    assert len(left) == len(await files_of(database))
    assert not any(b"u1" in content for content in left)


async def test_an_experiment_that_is_not_decided_keeps_the_log(record, database, archive):
    await record.record_batch(events_of())
    experiments = table(FeedExperiment)
    async with database.transaction(Kind.WRITE) as connection:
        await connection.execute(
            insert(experiments).values(
                experiment_id="x", experiment_version=1, state="stopped", definition="{}",
                created_at=NOW, started_at=BEGIN + 10 * DAY,
            )
        )  # fmt: skip
    with pytest.raises(InvalidInput, match="needs the log since 2026-02-16; decide it first"):
        await archive.run(BEGIN)
    assert await archive.at_most(BEGIN) == BEGIN - 4 * DAY
    assert (await archive.run(BEGIN - 4 * DAY)).events > 0


async def test_what_cannot_be_is_refused_and_changes_nothing(
    record, session_factory, database, archive, tmp_path, clock, monkeypatch
):
    await record.record_batch(events_of())
    for at, message in (
        (NOW - DAY, "must be a whole minute"),
        (NOW.replace(second=0, microsecond=0), "must be at least 2 days ago; 2026-02-27 would be"),
    ):
        with pytest.raises(InvalidInput, match=message):
            await archive.run(at)
    (tmp_path / "old").mkdir()
    manifest = tmp_path / "old" / "manifest.json"
    manifest.write_text('{"archive_id": "other", "files": []}')
    with pytest.raises(InvalidInput, match="has the events of another database"):
        await archive.run(BEGIN)
    manifest.write_text("no")
    with pytest.raises(InvalidInput, match="cannot be read as JSON"):
        await archive.run(BEGIN)
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput, match=r"File exists|Not a directory"):
        await Archive(session_factory, tmp_path / "file", clock=clock).run(BEGIN)
    manifest.unlink()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match="parquet"):
        await archive.run(BEGIN)
    found = await record.verify()
    assert (found.events, found.complete_since) == (80, None)


async def test_one_of_several_servers_archives(
    record, session_factory, database, tmp_path, clock, caplog
):
    await record.record_batch(events_of())
    leases = LeaseStore(database)
    kept = timedelta(days=9)
    caplog.set_level("INFO")

    def schedule() -> ArchiveSchedule:
        own = Archive(session_factory, tmp_path / "old", clock=clock, pace=FAST)
        look = timedelta(milliseconds=50)
        return ArchiveSchedule(own, leases, kept, look=look, clock=clock)

    async def is_done() -> bool:
        async with database.reading() as connection:
            held = (await connection.execute(select(LEASES.c.name))).scalars().all()
        return LEASE_NAME not in held and (await record.verify()).events == 40

    async with asyncio.timeout(60):
        async with schedule().running(), schedule().running():
            while not await is_done():  # noqa: ASYNC110 — of schedules
                await asyncio.sleep(0.05)
    found = await record.verify()
    assert (found.archived, found.differences) == (40, 0)
    said = [each for each in caplog.messages if "events from before 2026-02-20 went to" in each]
    assert len(said) == 1

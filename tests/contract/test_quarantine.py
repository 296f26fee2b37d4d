"""Setting aside: nothing of it counts, nothing is lost, and a release puts it back exactly."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, text

from harken.database import Database, Kind
from harken.domain.feedback import Interaction
from harken.domain.kblock import KBlock
from harken.errors import InvalidInput, NotFound
from harken.services.feed.asking import FeedRequest
from harken.services.feed.service import FeedService
from harken.services.integrity.activity import CORRECTION
from harken.services.integrity.erasure import Erasure
from harken.services.integrity.export import PersonalData
from harken.services.integrity.prepared_recount import PreparedRecount
from harken.services.integrity.prepared_statements import Change
from harken.services.integrity.quarantine.acts import Decision, Quarantine
from harken.services.integrity.quarantine.audit import Act
from harken.services.integrity.quarantine.turn import Plan
from harken.services.kblocks.store import KBlockStore
from harken.services.record.admission.quarantines import SET_ASIDE, Target
from harken.services.record.admission.subjects import Subject
from harken.services.record.persistence import FeedFeedbackPersistence
from harken.services.record.slates import SLATES, SlateLedger
from harken.services.record.statistics import COUNTERS, MINUTES
from harken.services.record.transaction import LOG, _single_statement
from harken.services.registry.report_store import ReportStore
from harken.services.registry.training_data import TrainingDataStore, TrainingRange
from tests.contract.conftest import log
from tests.contract.test_erasure import ADA, BOB, events_of
from tests.support.remains import places_of
from tests.support.statistics import figures

DAY = timedelta(days=1)
BY = Decision("tester", "a ring", confirm=True)


@pytest.fixture
def quarantine(session_factory) -> Quarantine:
    return Quarantine(session_factory)


async def marked(database: Database) -> list[str]:
    async with database.reading() as connection:
        found = await connection.execute(select(SET_ASIDE.c.interaction_id))
        return sorted(found.scalars())


async def until_one_waits(database: Database) -> None:
    """Return when a transaction on PostgreSQL waits for a lock."""
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    while True:
        async with database.reading() as connection:
            if (await connection.execute(waiting)).scalar_one():
                return
        await asyncio.sleep(0.02)


async def test_an_act_and_its_opposite_change_nothing(record, database, quarantine):
    await record.record_batch(events_of(BOB, 40))
    without = await figures(database)
    await record.record_batch(events_of(ADA, 60))
    whole = await figures(database)
    outcome = await quarantine.add(Target.READER, [ADA], BY)
    assert (outcome.changed, outcome.events, outcome.readers) == ((ADA,), 60, 1)
    aside = await figures(database)
    assert aside.exact == without.exact
    assert aside.decayed == pytest.approx(without.decayed, abs=1e-9)
    verification = await record.verify()
    assert (verification.differences, verification.events, verification.set_aside) == (0, 100, 60)
    released = await quarantine.release(Target.READER, [ADA], BY)
    assert released.events == 60
    again = await figures(database)
    assert again.exact == whole.exact
    assert again.decayed == pytest.approx(whole.decayed, abs=1e-9)
    assert (await record.verify()).set_aside == 0


async def test_late_events_are_logged_and_count_nothing_in_every_process(
    session_factory, record, database, quarantine, clock
):
    async with FeedFeedbackPersistence(session_factory, clock=clock) as other:
        await record.record_batch(events_of(ADA, 8) + events_of(BOB, 8))
        await other.record_batch(events_of(BOB, 8))  # knows no rules yet
        await quarantine.add(Target.READER, [ADA], BY)
        before = await figures(database)
        for each, own in ((record, "k1"), (other, "new")):
            late: dict[str, Any] = {"user_id": ADA, "kblock_id": own, "action": "dismiss"}
            assert (await each.record_batch([late | {"interaction_id": f"late-{own}"}])).accepted
            assert (await each.record_batch([late | {"interaction_id": f"late-{own}"}])).duplicates
        assert await figures(database) == before
        assert len(await log(database)) == 18
        assert await marked(database) == sorted(
            [*(f"{ADA[7:10]}-{i}" for i in range(8)), "late-k1", "late-new"]
        )
        mixed = [events_of(BOB, 9)[8], {"user_id": ADA, "kblock_id": "k1", "action": "view"}]
        assert (await other.record_batch(mixed)).accepted == 2
        assert (await record.verify()).differences == 0
        assert (await quarantine.release(Target.READER, [ADA], BY)).events == 11
        assert (await record.record_batch(events_of(ADA, 12))).accepted == 4
        found = await record.verify()
        assert (found.differences, found.set_aside) == (0, 0)


async def test_an_event_that_two_rules_set_aside_counts_when_both_are_released(
    record, database, quarantine
):
    await record.record_batch(
        [each | {"session_id": "s1"} for each in events_of(ADA, 6)] + events_of(BOB, 6)
    )
    assert (await quarantine.add(Target.SESSION, ["s1"], BY)).events == 6
    assert (await quarantine.add(Target.READER, [ADA], BY)).events == 0
    assert (await quarantine.add(Target.EVENT, [f"{ADA[7:10]}-0"], BY)).events == 0
    assert (await quarantine.release(Target.SESSION, ["s1"], BY)).events == 0
    assert (await quarantine.release(Target.READER, [ADA], BY)).events == 5
    assert await marked(database) == [f"{ADA[7:10]}-0"]
    assert (await record.verify()).differences == 0


async def test_what_cannot_be_done_is_said_and_changes_nothing(record, database, quarantine):
    await record.record_batch(events_of(ADA, 30) + events_of(BOB, 10))
    before = await figures(database)
    with pytest.raises(InvalidInput, match="at least one reader"):
        await quarantine.add(Target.READER, [], BY)
    with pytest.raises(InvalidInput, match="unknown readers"):
        await quarantine.add(Target.READER, ["guest"], BY)
    with pytest.raises(NotFound, match="not in the log: reader 'nobody'"):
        await quarantine.add(Target.READER, [ADA, "nobody"], BY)
    with pytest.raises(InvalidInput, match="40 of 40 events"):
        await quarantine.add(Target.READER, [ADA, BOB], BY._replace(confirm=False))
    with pytest.raises(NotFound, match="not set aside"):
        await quarantine.release(Target.READER, [ADA], BY)
    assert await figures(database) == before
    assert await marked(database) == []
    assert await quarantine.audit.acts() == []
    await quarantine.add(Target.READER, [BOB], BY)
    again = await quarantine.add(Target.READER, [BOB], BY)
    assert (again.act_id, list(again.already)) == (None, [BOB])
    assert [(each.act, each.id, each.events, each.by) for each in await quarantine.audit.acts()] \
        == [(Act.QUARANTINE, BOB, 10, "tester")]  # fmt: skip
    [row] = await quarantine.audit.in_force()
    assert (row.id, row.events, row.reason) == (BOB, 10, "a ring")


async def test_the_automatic_cap_counts_the_last_day(record, quarantine):
    await record.record_batch(events_of(ADA, 3) + events_of(BOB, 3))
    await quarantine.add(Target.READER, [ADA, BOB], BY)
    assert await quarantine.audit.count_by("tester") == 2
    assert await quarantine.audit.count_by("automatic") == 0


async def test_erasing_ends_the_quarantine_and_leaves_no_id(
    session_factory, record, database, quarantine
):
    await record.record_batch(events_of(ADA, 30) + events_of(BOB, 10))
    await quarantine.add(Target.READER, [ADA], BY)
    exported = b"".join([piece async for piece in PersonalData(session_factory).export(ADA)])
    assert b"a ring" in exported
    await Erasure(session_factory).erase(Subject.READER, ADA)
    assert await places_of(database, ADA) == []
    assert await marked(database) == []
    assert [each.id for each in await quarantine.audit.acts()] == [None]
    assert (await record.verify()).differences == 0


async def test_every_index_and_profile_follows_at_once(session_factory, record, quarantine, clock):
    kblocks = KBlockStore(session_factory)
    await kblocks.put([KBlock(id=each, title=each, tags=("cats",)) for each in ("k1", "k2")])
    here, there = (
        FeedService(session_factory, record=each, kblocks=KBlockStore(session_factory), clock=clock)
        for each in (record, FeedFeedbackPersistence(session_factory, clock=clock))
    )
    for _ in range(9):
        await record.record_interaction(ADA, "k2", "engage")
    await record.record_interaction(BOB, "k1", "view")

    async def found(service: FeedService) -> tuple[str, bool]:
        page = await service.page(FeedRequest("cosmos", ranking="popularity", limit=1))
        return page.items[0].id, bool((await service.profile(ADA)).profile.interactions)

    for service in (here, there):
        assert await found(service) == ("k2", True)
    await quarantine.add(Target.READER, [ADA], BY)  # nothing of k2 counts any more
    for service in (here, there):
        await until(lambda service=service: found(service), ("k1", False))
    await quarantine.release(Target.READER, [ADA], BY)
    for service in (here, there):
        await until(lambda service=service: found(service), ("k2", True))
        await service.close()


async def until(find, wanted) -> None:
    """Ask until what was done has come to all data in memory, which takes up to a second."""
    async with asyncio.timeout(60):
        while await find() != wanted:  # noqa: ASYNC110 — of data of other objects
            await asyncio.sleep(0.02)


async def test_what_is_set_aside_teaches_nothing_and_is_in_no_report(record, database, quarantine):
    await record.record_batch(events_of(ADA, 30) + events_of(BOB, 10))
    await quarantine.add(Target.READER, [ADA], BY)
    found = await TrainingDataStore(database).read(TrainingRange(DAY, DAY, 100))
    assert {event.touch.user_id for event in found.events} == {BOB}
    assert found.left_out == {"events": 30, "readers": 1, "sessions": 0}
    reports = ReportStore(database)
    extent = await reports.event_range()
    assert extent is not None
    weeks = [row async for page in reports.weekly(extent[0] - 7 * DAY, 3) for row in page]
    assert {row.user_id for row in weeks} == {BOB}
    assert (await record.get_analytics())["totals"]["views"] == 3
    assert sum([len(page) async for page in record.entries(counting=True)]) == 10


async def test_recording_goes_on_while_readers_come_and_go(
    session_factory, record, database, quarantine, clock
):
    """Events of both readers, in two processes, while one of them is set aside and released."""
    await record.record_batch(events_of(ADA, 20) + events_of(BOB, 20))
    async with FeedFeedbackPersistence(session_factory, clock=clock) as other:
        done = asyncio.Event()
        accepted = [40]

        async def send(into: FeedFeedbackPersistence, name: str) -> None:
            count = 0
            while not done.is_set():
                events = [
                    each | {"interaction_id": f"{name}-{count}-{i}"}
                    for i, each in enumerate(events_of(ADA, 4) + events_of(BOB, 4))
                ]
                result = await into.record_batch(events)
                accepted[0] += result.accepted
                count += 1
                await asyncio.sleep(0.02)  # the log must not grow faster than acts are done

        senders = [asyncio.create_task(send(record, "a")), asyncio.create_task(send(other, "b"))]
        for _ in range(4):
            await quarantine.add(Target.READER, [ADA], BY)
            assert (await record.verify()).differences == 0
            await quarantine.release(Target.READER, [ADA], BY)
            assert (await record.verify()).differences == 0
        await quarantine.add(Target.READER, [ADA], BY)
        done.set()
        await asyncio.gather(*senders)
        found = await record.verify()
        assert (found.differences, found.events) == (0, accepted[0])
        assert found.set_aside == accepted[0] // 2
        await quarantine.release(Target.READER, [ADA], BY)
        found = await record.verify()
        assert (found.differences, found.set_aside) == (0, 0)


@pytest.mark.parametrize("database_kind", ["postgresql"])
async def test_a_transaction_that_began_before_is_corrected_after_it(record, database, quarantine):
    await record.record_batch(events_of(ADA, 20) + events_of(BOB, 20))
    entry = Interaction.parse(
        {"user_id": ADA, "kblock_id": "k1", "action": "view", "interaction_id": "late"}
    ).entry(received_at=record._clock(), new_id="late")
    columns = {name: [value] for name, value in entry._asdict().items()}
    statement = _single_statement(marking=False, saving=False, commenting=False)
    async with database.transaction(Kind.WRITE) as connection:
        await connection.execute(select(1))  # the driver begins the transaction
        bound = {"shard": 3, "tombstones": ""}
        assert await database.read_within(connection, statement, columns | bound)
        act = asyncio.create_task(quarantine.add(Target.READER, [ADA], BY))
        await until_one_waits(database)  # for the row of k1
        assert not act.done()
    assert (await act).events == 20
    assert "late" in await marked(database)
    assert (await record.verify()).differences == 0
    async with database.reading() as connection:
        assert len((await connection.execute(select(LOG.c.id))).all()) == 41


async def test_what_is_recorded_since_the_preparation_is_merged_and_not_counted_again(
    record, database, quarantine
):
    await record.record_batch(events_of(ADA, 30) + events_of(BOB, 20))
    async with database.reading(Kind.BULK_READ) as connection:
        plan = Plan(connection, database)
        events = await plan.marks.counting(Target.READER, [ADA])
        ids = [each.id for each in events]
        prepared = await plan.to_leave(Target.READER, [ADA])
    late = [
        {"user_id": user, "kblock_id": "k1", "action": action, "dwell_time_ms": 1_000}
        for user in (BOB, "new") for action in ("view", "view", "engage")
    ]  # fmt: skip
    assert (await record.record_batch(late)).accepted == 6
    rows = [{"interaction_id": each, "quarantine_id": "rule"} for each in ids]
    async with database.transaction(Kind.BULK_WRITE) as connection:
        await connection.execute(insert(SET_ASIDE), rows)
        recount = PreparedRecount(connection, database, events, Change.LEAVE, prepared)
        await recount.begin()
        await recount.finish()
    assert (list(recount.late), recount.again) == (["k1"], [])
    found = await record.verify()
    assert (found.differences, found.set_aside) == (0, 30), found.examples
    async with database.transaction(Kind.BULK_WRITE) as connection:
        await connection.execute(delete(SET_ASIDE))
        recount = PreparedRecount(connection, database, events, Change.RETURN, prepared)
        await recount.begin()
        await recount.finish()
    assert set(recount.again) == {each.kblock_id for each in events}  # prepared for something else
    assert (await record.verify()).differences == 0


async def test_counts_per_minute_that_became_negative_are_folded(record, database, quarantine):
    """No trace is left of the minutes in which somebody was active who is erased later."""
    await record.record_batch(events_of(ADA, 60) + events_of(BOB, 40))
    whole = await figures(database)

    async def shards() -> list[tuple[int, ...]]:
        async with database.reading() as connection:
            names = ("shard", *COUNTERS)
            rows = (await connection.execute(select(*(MINUTES.c[n] for n in names)))).all()
            assert all(any(row[1:]) and min(row[1:]) >= 0 for row in rows)
            return [tuple(row) for row in rows]

    await quarantine.add(Target.READER, [ADA], BY)
    assert CORRECTION not in {row[0] for row in await shards()}
    await quarantine.release(Target.READER, [ADA], BY)
    await shards()
    assert (await figures(database)).exact == whole.exact
    await quarantine.add(Target.READER, [BOB], BY)
    await shards()
    assert (await record.verify()).differences == 0


async def enter(database: Database, name: str, user_id: str, session: str | None = None) -> None:
    """Enter a slate that is served now, with propensities."""
    row = {
        "request_id": name, "first_request_id": name, "user_id": user_id, "session_id": session,
        "feed": "cosmos", "ranking": "trending", "settings": "{}", "revision": 0, "position": 0,
        "items": '["k1", "k2"]', "propensities": "[0.5, 0.5]", "created_at": datetime.now(UTC),
    }  # fmt: skip
    async with database.transaction(Kind.WRITE) as connection:
        await connection.execute(insert(SLATES).values(row))


async def test_slates_are_marked_that_may_have_known_what_is_set_aside(
    record, database, quarantine
):
    ledger = SlateLedger(database)

    async def marks() -> list[int]:
        found = [await ledger.slate(name) for name in ("early", "between", "late")]
        return [each["quarantines"] for each in found if each is not None]

    await enter(database, "early", BOB)
    await record.record_batch(events_of(ADA, 9) + events_of(BOB, 9))
    await enter(database, "between", BOB)
    await quarantine.add(Target.READER, [ADA], BY)
    await quarantine.add(Target.EVENT, [f"{BOB[7:10]}-0"], BY)
    await enter(database, "late", BOB)
    assert await marks() == [0, 2, 0]
    await quarantine.release(Target.READER, [ADA], BY)
    assert await marks() == [0, 1, 0]


@pytest.mark.parametrize("target", [Target.READER, Target.SESSION])
async def test_pages_of_a_quarantined_reader_or_session_are_no_impressions(
    record, database, quarantine, target
):
    ledger = SlateLedger(database)
    begin = datetime.now(UTC) - DAY
    for name, user, session in (
        ("ours", ADA, "s1"), ("same session", "carl", "s1"), ("other", BOB, "s2"),
        ("without", BOB, None),
    ):  # fmt: skip
        await enter(database, name, user, session)
        event = {"user_id": user, "kblock_id": "k1", "action": "view", "request_id": name}
        assert (await record.record_batch([event | {"session_id": session}])).accepted == 1

    async def impressions() -> tuple[set[str], set[str]]:
        shown = {each.request_id for each in await ledger.shown(begin, 10)}
        sampled = {each["request_id"] async for page in ledger.sampled() for each in page}
        return shown, sampled

    everything = {"ours", "same session", "other", "without"}
    assert await impressions() == (everything, everything)
    await quarantine.add(target, [ADA if target is Target.READER else "s1"], BY)
    left = everything - {"ours"} - ({"same session"} if target is Target.SESSION else set())
    assert await impressions() == (left, left)
    await quarantine.release(target, [ADA if target is Target.READER else "s1"], BY)
    assert await impressions() == (everything, everything)

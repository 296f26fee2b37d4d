"""Following the log: every event once, in the order of commits, whoever commits late."""

import asyncio
import random
from uuid import uuid4

import pytest
from sqlalchemy import delete, text, update

from harken import migrations
from harken.config import Settings
from harken.database import Database, Kind, create_engine
from harken.errors import CursorAhead, InvalidInput, SchemaMismatch
from harken.migrations import log_order
from harken.services.record.log_order.following import LogFollower, Place
from harken.services.record.log_order.numbers import ORDER
from harken.services.record.persistence import FeedFeedbackPersistence
from harken.services.record.transaction import LOG
from tests.conftest import session_factory_for

WRITERS = 8
EVENTS = 30  # of each writer
# Makes commits of PostgreSQL slow, each by another time, so that they end in another order.
SLOW_COMMITS = (
    """CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_sleep(random() * 0.04); RETURN NULL; END $$""",
    """CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON feed_interactions
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION dawdle()""",
)


@pytest.fixture
def database(session_factory):
    return Database(session_factory)


@pytest.fixture
def follower(database, persistence):
    return LogFollower(database, persistence)


async def execute(database, *statements):
    async with database.transaction(Kind.WRITE) as connection:
        for each in statements:
            await connection.execute(text(each) if isinstance(each, str) else each)


async def say(persistence, *ids):
    """Record events one after the other, each in a transaction of its own."""
    for each in ids:
        await persistence.record_interaction("ada", "k", "view", interaction_id=each)


async def follow(follower, count, after=None, limit=100):
    """Return the ids of so many events after a cursor, and the cursor after them.

    Other transactions of the server, such as an ANALYZE, may hold them back for a moment.
    """
    found: list[str] = []
    async with asyncio.timeout(20):
        while len(found) < count:
            page = await follower.page(after, limit, wait=1)
            found += [each.entry.id for each in page.events]
            after = page.cursor
    assert not page.has_more
    return found, after


async def test_each_event_once_and_in_order_while_commits_are_late(database_url, database):
    if database.is_postgresql:
        await execute(database, *SLOW_COMMITS)
    sent: dict[int, list[str]] = {number: [] for number in range(WRITERS)}
    followed: list[str] = []

    async def write(number):
        chance = random.Random(number)
        async with (
            session_factory_for(database_url) as sessions,
            FeedFeedbackPersistence(sessions) as persistence,
        ):
            while len(sent[number]) < EVENTS:
                ids = [str(uuid4()) for _ in range(chance.randint(1, 3))]
                await persistence.record_batch(
                    [
                        {"user_id": f"u{number}", "kblock_id": each, "action": "view",
                         "interaction_id": each}
                        for each in ids
                    ]
                )  # fmt: skip
                sent[number] += sorted(ids)  # those of one transaction come by id

    async def read():
        async with (
            session_factory_for(database_url) as sessions,
            FeedFeedbackPersistence(sessions) as persistence,
        ):
            follower, after = LogFollower(Database(sessions), persistence), None
            while not written.is_set() or len(followed) < sum(map(len, sent.values())):
                page = await follower.page(after, 7, wait=0.05)
                followed.extend(each.entry.id for each in page.events)
                after = page.cursor
            assert (await follower.page(after, 7)).events == []

    written = asyncio.Event()
    reading = asyncio.create_task(read())
    await asyncio.gather(*map(write, range(WRITERS)))
    written.set()
    async with asyncio.timeout(20):
        await reading
    everything = [each for ids in sent.values() for each in ids]
    assert len(followed) == len(set(followed))
    assert set(followed) == set(everything)
    for ids in sent.values():
        own = set(ids)
        assert [each for each in followed if each in own] == ids


@pytest.mark.parametrize("database_kind", ["postgresql"])
async def test_a_transaction_that_runs_holds_later_ones_back(database, persistence, follower):
    await say(persistence, "a")
    async with database.transaction(Kind.WRITE) as connection:
        await connection.execute(text("SELECT pg_current_xact_id()"))
        await say(persistence, "b")
        found, after = await follow(follower, 1)
        assert found == ["a"]
        assert (await follower.page(after, 10)).events == []
    assert (await follow(follower, 1, after))[0] == ["b"]


async def test_what_is_erased_is_gone_and_its_number_never_comes_again(
    database, persistence, follower
):
    await say(persistence, "a", "b", "c")
    _, after = await follow(follower, 3)
    await execute(database, delete(LOG))
    assert (await follower.page(after, 10)).cursor == after
    assert (await follower.page(None, 10)).cursor is None
    await say(persistence, "a2")
    assert (await follow(follower, 1, after))[0] == ["a2"]


async def test_events_of_before_come_first(database, persistence, follower):
    await say(persistence, "z", "a", "m")
    await execute(
        database,
        update(LOG).values(transaction_number=None),
        update(ORDER).values(has_unnumbered=True),
    )
    await say(persistence, "b2", "b1")
    for limit in (1, 2, 3, 100):
        assert (await follow(follower, 5, limit=limit))[0] == ["a", "m", "z", "b2", "b1"]


async def test_a_cursor_of_another_state_is_refused(database, persistence, follower):
    await say(persistence, "a", "b")
    _, after = await follow(follower, 2)
    ahead = Place.decode(after)
    ahead = ahead._replace(number=ahead.number + 1_000_000)
    with pytest.raises(CursorAhead, match="restored from an earlier state"):
        await follower.page(ahead.encode(), 10)
    for wrong in ("", "?", "abc", "é", Place(-1, "a").encode(), Place(2**63, "a").encode()):
        with pytest.raises(InvalidInput, match="after: is no cursor"):
            await follower.page(wrong, 10)


async def test_who_waits_gets_what_this_process_records_at_once(persistence, follower, monkeypatch):
    # Nothing else would look again in the time that this test may take.
    monkeypatch.setattr("harken.services.record.log_order.following.POLL_SECONDS", 1_000)
    await say(persistence, "a")
    _, after = await follow(follower, 1)
    looked = asyncio.Semaphore(0)
    look = follower._page

    async def counted(place, limit):
        found = await look(place, limit)
        looked.release()
        return found

    monkeypatch.setattr(follower, "_page", counted)
    waiting = [asyncio.create_task(follower.page(after, 10, wait=1_000)) for _ in range(3)]
    for _ in waiting:
        await looked.acquire()
    await say(persistence, "b")
    for page in await asyncio.gather(*waiting):
        assert [each.entry.id for each in page.events] == ["b"]


@pytest.mark.parametrize("database_kind", ["postgresql"])
async def test_a_database_that_another_server_wrote_goes_on_above(
    database_url, database, persistence, follower
):
    await say(persistence, "a", "b")
    number = LOG.c.transaction_number
    await execute(database, update(LOG).values(transaction_number=number + 1_000_000_000))
    engine = create_engine(Settings(database_url=database_url))
    with pytest.raises(SchemaMismatch, match="run `harken migrate` before events"):
        await migrations.check(engine)
    await migrations.upgrade(engine)
    await migrations.check(engine)
    found, after = await follow(follower, 2)
    assert found == ["a", "b"]
    await say(persistence, "c")
    assert (await follow(follower, 1, after))[0] == ["c"]
    await engine.dispose()


@pytest.mark.parametrize("database_kind", ["postgresql"])
@pytest.mark.parametrize("schema", [None, "feedback"])
async def test_the_index_of_a_large_log_is_built_beside_recording(database_url, database, schema):
    engine = create_engine(Settings(database_url=database_url))
    await migrations.upgrade(engine, schema)
    own = f'"{schema}".' if schema else ""
    await execute(database, f"DROP INDEX {own}{log_order.INDEX}")
    await migrations.upgrade(engine, schema)
    async with database.reading() as connection:
        found = await connection.execute(
            text(
                "SELECT bool_and(indisvalid), count(*) FROM pg_index JOIN pg_class "
                "ON pg_class.oid = indexrelid JOIN pg_namespace AS own ON own.oid = relnamespace "
                "WHERE relname = :name AND nspname = :schema"
            ),
            {"name": log_order.INDEX, "schema": schema or "public"},
        )
        assert found.one() == (True, 1)
    await engine.dispose()

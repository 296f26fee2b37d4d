"""The planner, left to itself, answers the hot queries from indexes."""

import json
import random
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Select, select, text

from harken.database import Database, Kind
from harken.domain.feedback import LogEntry
from harken.services.record import analytics, attention_scores, transaction, window_analytics
from harken.services.record.admission import rules_token
from harken.services.record.log_order import following
from harken.services.record.log_order.following import Place
from harken.services.record.statistics import KBLOCKS, MINUTES, READERS
from harken.services.record.transaction import LOG
from harken.services.record.window_analytics import Window

EVENTS = 30_000
NOW = datetime(2026, 3, 1, 12, 30, 15, tzinfo=UTC)


@pytest.fixture
async def plan(session_factory, persistence):
    """A log of a month: returns the plan of a statement, as text."""
    chance = random.Random(7)
    for start in range(0, EVENTS, 5_000):
        await persistence.record_batch(
            [
                {
                    "user_id": f"u{chance.randrange(500)}",
                    "kblock_id": f"k{int(chance.paretovariate(0.7)) % 3_000}",
                    "action": chance.choices(["view", "engage", "dismiss"], [8, 2, 1])[0],
                    "occurred_at": NOW - timedelta(minutes=chance.randrange(43_200)),
                }
                for _ in range(start, start + 5_000)
            ]
        )
    database = Database(session_factory)
    async with database.transaction(Kind.WRITE) as connection:
        await connection.execute(text("ANALYZE"))

    explain = "EXPLAIN " if database.is_postgresql else "EXPLAIN QUERY PLAN "

    async def plan_of(statement: Select[Any]) -> str:
        async with database.reading() as connection:
            sql = statement.compile(
                dialect=connection.dialect, compile_kwargs={"literal_binds": True}
            )
            rows = (await connection.exec_driver_sql(explain + str(sql))).all()
        return "\n".join(str(row[-1]) for row in rows)

    return plan_of


def scans_whole(plan: str, table: str) -> bool:
    """Whether a plan reads a table from end to end."""
    whole = re.compile(rf"Seq Scan on {table}|SCAN {table}(?! USING)")
    return whole.search(plan) is not None


async def test_hot_queries_use_their_indexes(plan):
    day_ago = NOW - timedelta(days=1)
    wanted = {
        "idx_attention_score": analytics.most_engaged(20, 1),
        "idx_timestamp": analytics.recent_edges(day_ago, NOW),
        "idx_user_kblock": select(LOG.c.id).where(LOG.c.user_id == "u7", LOG.c.kblock_id == "k3"),
        "idx_user_timestamp": select(LOG.c.id)
        .where(LOG.c.user_id == "u7")
        .order_by(LOG.c.created_at.desc())
        .limit(20),
        "idx_kblock_action": select(LOG.c.id).where(
            LOG.c.kblock_id == "k2999", LOG.c.action == "engage"
        ),
        "idx_last_engaged": select(KBLOCKS.c.kblock_id)
        .order_by(KBLOCKS.c.last_engaged_at.desc())
        .limit(20),
        "feed_engagement_stats": select(KBLOCKS.c.attention_score).where(
            KBLOCKS.c.kblock_id == "k7"
        ),
        "feed_activity_minutes": analytics.recent_minutes(day_ago, NOW),
        "feed_user_engagement_stats": select(READERS.c.view_count).where(
            READERS.c.user_id == "u7", READERS.c.kblock_id == "k3"
        ),
    }
    for index, statement in wanted.items():
        found = await plan(statement)
        assert index in found, found
        for table in (LOG, KBLOCKS, MINUTES, READERS):
            assert not scans_whole(found, table.name), found


async def test_personal_scores_use_indexes_also_after_a_reset(plan, database_kind):
    pairs = [("u7", "k3"), ("u8", "k2999"), ("nobody", "k1")]
    users, kblocks = (list(each) for each in zip(*pairs, strict=True))
    postgresql = database_kind == "postgresql"
    given = {"users": users, "kblocks": kblocks} if postgresql else {"pairs": json.dumps(pairs)}
    found = await plan(attention_scores.histories(postgresql=postgresql).params(given))
    for table in (LOG, KBLOCKS, READERS):
        assert not scans_whole(found, table.name), found
    assert "idx_user_kblock" in found, found


async def test_a_window_is_read_by_the_index_on_time(plan):
    """Also where all that is wanted are a few K-Blocks, of which the log may hold much more."""
    window = Window(NOW - timedelta(hours=6), NOW)
    for statement in (
        window_analytics.event_before(window, 100),
        window_analytics.dwell_counts(window),
        window_analytics.dwell_at_rank(window, 50),
        window_analytics.trends(window, timedelta(minutes=10), ["k1", "k2"], 1_000),
    ):
        found = await plan(statement)
        assert "idx_timestamp" in found, found
        assert not scans_whole(found, LOG.name), found


async def test_who_follows_the_log_reads_its_index(plan):
    found = await plan(following._numbered(Place(1, "a"), 10**9).limit(100))
    assert "idx_transaction_number" in found
    assert not scans_whole(found, "feed_interactions")


async def test_no_plan_of_recording_compares_all_rows_with_all(session_factory):
    """The planner does not know how many events come: it must not have the choice."""
    database = Database(session_factory)
    if not database.is_postgresql:
        pytest.skip("SQLite joins by indexes that it makes")
    entry = LogEntry("e1", "u1", "k1", "view", 5, None, None, NOW, None, None, None)
    given = {name: [value] for name, value in zip(LogEntry._fields, entry, strict=True)}
    statement = transaction._single_statement(marking=False, saving=False, commenting=False)
    async with database.transaction(Kind.WRITE) as connection:
        for join in ("hashjoin", "mergejoin"):
            await connection.execute(text(f"SET LOCAL enable_{join} = off"))
        bound = given | {"shard": 0, rules_token.PARAMETER: ""}
        sql, *values = statement.compiled(connection.dialect, None, bound)
        rows = (await connection.exec_driver_sql(f"EXPLAIN {sql}", tuple(values))).scalars()
        joins = [found[0] for row in rows if (found := re.search(r"[\w ]+(Join|Loop)", row))]
    # The loop is over the one row of the half-lives.
    assert sorted(each.strip() for each in joins) == [
        "Hash Full Join",
        "Hash Full Join",
        "Nested Loop",
    ]

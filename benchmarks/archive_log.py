"""Logs of a hundred days for `benchmarks.archive`: filled fast, and their statistics as sums.

A log on PostgreSQL has the partitions that it would have, had a server kept 50 days of it since its
first day. It is filled by the database itself, in the order of time, as logs are.
"""

import random
import sys
import time
from argparse import Namespace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, Numeric, Table, func, insert, literal_column, select, text
from tests.support.partitions import cut
from tests.support.statistics import figures

from harken.database import Database, Kind
from harken.services.integrity.partitions.bounds import width_for
from harken.services.record import decayed_counts
from harken.services.record.statistics import (
    CONTRADICTIONS,
    COUNTERS,
    KBLOCKS,
    LAST_TIMES,
    MINUTES,
    READERS,
    UNIQUES,
)
from harken.services.record.transaction import LOG

BATCH = 5_000
LARGE_BATCH = 100_000
DAYS, KEPT_DAYS = 100, 50
OLD = "old-"
ACTIONS = ("view", "view", "view", "engage", "dismiss")
LATEST = timedelta(hours=1)

# Of 20 ids, 17 are as Harken and its clients make them, one is without dashes, one is random, and
# one is a name. Popularity is a Pareto distribution with the exponent 0.8.
_FILL = text("""
    INSERT INTO feed_interactions (id, user_id, kblock_id, action, dwell_time_ms, request_id,
        position, session_id, created_at, updated_at)
    SELECT CASE number % 20
            WHEN 0 THEN digits WHEN 1 THEN gen_random_uuid()::text WHEN 2 THEN 'client-' || number
            ELSE digits::uuid::text END,
        'old-' || reader, 'old-' || least(floor((1 - random()) ^ (-1 / 0.8)), :kblocks)::bigint,
        (ARRAY['view', 'view', 'view', 'engage', 'dismiss'])[1 + floor(random() * 5)::int],
        CASE WHEN random() < 0.5 THEN 4000 END, gen_random_uuid()::text,
        floor(random() * 20)::int, 's' || reader, at, at
    FROM (
        SELECT number, at, floor(random() * :readers)::int AS reader,
            lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7'
                || substr(md5(random()::text), 1, 3) || '8' || substr(md5(random()::text), 1, 15)
                AS digits
        FROM (
            SELECT number, CAST(:since AS timestamptz)
                + (number + random()) / :events * CAST(:span AS interval) AS at
            FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS number
        ) AS times
    ) AS drawn
""")


def say(what: str) -> None:
    """Tell on stderr how far the benchmark is."""
    sys.stderr.write(f"{datetime.now(UTC):%H:%M:%S} {what}\n")
    sys.stderr.flush()


async def fill(database: Database, options: Namespace) -> float:
    """Fill an empty log; returns the seconds. Statistics are counted by a rebuild."""
    began = time.perf_counter()
    now = datetime.now(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if options.partitions:
        width = width_for(timedelta(days=KEPT_DAYS))
        await cut(database, midnight - timedelta(days=DAYS), midnight + 2 * width, width)
    if database.is_postgresql:
        await _fill_postgresql(database, options, now)
    else:
        await _fill_sqlite(database, options, now)
    return time.perf_counter() - began


async def _fill_postgresql(database: Database, options: Namespace, now: datetime) -> None:
    since = now - timedelta(days=DAYS)
    given = {
        "since": since, "span": now - LATEST - since, "events": options.events,
        "readers": options.readers, "kblocks": options.kblocks,
    }  # fmt: skip
    for first in range(0, options.events, LARGE_BATCH):
        last = min(first + LARGE_BATCH, options.events) - 1
        async with database.transaction(Kind.BULK_WRITE) as connection:
            await connection.execute(_FILL, {**given, "first": first, "last": last})
        if not (last + 1) % (10 * LARGE_BATCH):
            say(f"{last + 1:,} events")


async def _fill_sqlite(database: Database, options: Namespace, now: datetime) -> None:
    draw = random.Random(options.seed)
    for start in range(0, options.events, BATCH):
        numbers = range(start, min(start + BATCH, options.events))
        rows = [_row(draw, options, each, now) for each in numbers]
        async with database.transaction(Kind.BULK_WRITE) as connection:
            await connection.execute(insert(LOG), rows)


def _row(draw: random.Random, options: Namespace, number: int, now: datetime) -> dict[str, Any]:
    span = timedelta(days=DAYS) - LATEST
    at = now - timedelta(days=DAYS) + span * ((number + draw.random()) / options.events)
    made = UUID(int=int(at.timestamp() * 1_000) << 80 | 7 << 76 | 2 << 62 | draw.getrandbits(62))
    others = {0: made.hex, 1: str(uuid4()), 2: f"client-{number}"}
    reader = draw.randrange(options.readers)
    popular = min(int(draw.paretovariate(0.8)), options.kblocks)
    return {
        "id": others.get(number % 20, str(made)),
        "user_id": f"{OLD}{reader}", "kblock_id": f"{OLD}{popular}",
        "action": draw.choice(ACTIONS), "dwell_time_ms": draw.choice([None, 4_000]),
        "interaction_type": None, "interaction_metadata": None, "request_id": str(uuid4()),
        "position": draw.randrange(20), "session_id": f"s{reader}",
        "created_at": at, "updated_at": at,
    }  # fmt: skip


Sums = dict[str, Any]


async def sums_of(database: Database) -> Sums:
    """Return the statistics of old events: exact ones as they are, or as sums of hashes.

    Decayed counts are logarithms by K-Block, under `decayed`.
    """
    if not database.is_postgresql:
        return await _plain(database)
    own = [*COUNTERS, *LAST_TIMES]
    whole = [*own, *UNIQUES, "attention_score", "avg_dwell_time_sec"]
    found: Sums = {}
    async with database.reading(Kind.BULK_READ) as connection:
        for table, names in (
            (READERS, ["user_id", "kblock_id", *own]), (KBLOCKS, ["kblock_id", *whole]),
            (CONTRADICTIONS, ["kblock_id", "other_id", "contradict_count"]),
        ):  # fmt: skip
            is_old = table.c.kblock_id.like(f"{OLD}%")
            row = (await connection.execute(_hashed(table, names).where(is_old))).one()
            found[table.name] = [int(each) for each in row]
        counts = [func.sum(MINUTES.c[name]).label(name) for name in COUNTERS]
        minutes = select(MINUTES.c.minute, *counts).where(MINUTES.c.minute < _latest())
        grouped = minutes.group_by(MINUTES.c.minute).subquery()
        row = (await connection.execute(_hashed(grouped, ["minute", *COUNTERS]))).one()
        found[MINUTES.name] = [int(each) for each in row]
        columns = [KBLOCKS.c[name] for name in decayed_counts.NAMES]
        rows = await connection.execute(
            select(KBLOCKS.c.kblock_id, *columns).where(KBLOCKS.c.kblock_id.like(f"{OLD}%"))
        )
        found["decayed"] = {row[0]: list(row[1:]) for row in rows}
    return found


async def _plain(database: Database) -> Sums:
    every = await figures(database)
    latest = f"{_latest():%Y-%m-%d %H:%M}"
    exact = {
        " ".join(key): list(map(str, value)) for key, value in every.exact.items()
        if any(part.startswith(OLD) for part in key) or (key[0] == MINUTES.name and key[1] < latest)
    }  # fmt: skip
    decayed = {" ".join(key): [at] for key, at in every.decayed.items() if key[0].startswith(OLD)}
    return {**exact, "decayed": decayed}


def _hashed(table: Any, names: list[str]) -> Any:
    """Select the number of rows, and the sum of the hashes of some columns of each."""
    row: ColumnElement[Any] = func.concat_ws("|", *(_as_text(table, name) for name in names))
    hashes = func.sum(func.hashtextextended(row, 0).cast(Numeric))
    return select(func.count(), func.coalesce(hashes, 0)).select_from(table)


def _as_text(table: Table, name: str) -> ColumnElement[Any]:
    return func.coalesce(func.format("%s", table.c[name]), "-")


def _latest() -> datetime:
    """Return the minute before which nothing is recorded while this runs."""
    return datetime.now(UTC) - timedelta(minutes=50)


def is_equal(before: Sums, after: Sums) -> bool:
    """Tell whether all statistics are the same; decayed sums to within 1e-9."""
    old, new = before["decayed"], after["decayed"]
    exact = ({k: v for k, v in each.items() if k != "decayed"} for each in (before, after))
    return next(exact) == next(exact) and old.keys() == new.keys() and all(
        a == b or (a is not None and b is not None and abs(a - b) <= 1e-9)
        for key in old for a, b in zip(old[key], new[key], strict=True)
    )  # fmt: skip


async def bytes_of(database: Database, names: list[str]) -> dict[str, int]:
    """Return the size of tables of PostgreSQL with their partitions and indexes."""
    found: dict[str, int] = {}
    async with database.reading() as connection:
        for name in names:
            parts = func.pg_partition_tree(literal_column(f"'{name}'")).table_valued("relid")
            total = func.sum(func.pg_total_relation_size(parts.c.relid))
            own = func.pg_total_relation_size(literal_column(f"'{name}'"))
            row = (await connection.execute(select(func.coalesce(total, own)))).one()
            found[name] = int(row[0])
    return found

"""Taking the older half of a log out of it, while events are recorded.

    python -m benchmarks.archive --events=1000000
    python -m benchmarks.archive --database=sqlite --events=100000

The log has events of a hundred days, with ids of every kind: UUIDs of version 7 and 4, without
dashes, and names. 8 tasks record events of other readers with other K-Blocks: for some seconds, and
while `harken archive` runs in another process. Sizes are of the log, the baseline and the files.
Statistics of the old events must be equal before and after, after a rebuild too, `verify` must find
no difference, and every acknowledged event must be in the log.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import func, insert, literal_column, select
from sqlalchemy.ext.asyncio import async_sessionmaker
from tests.support.statistics import Figures, figures

from benchmarks.erasure import Writers, opened
from benchmarks.servers import run_harken
from harken import migrations
from harken.config import Settings
from harken.database import Database, Kind, create_engine
from harken.services.record.persistence import FeedFeedbackPersistence
from harken.services.record.transaction import LOG

BATCH = 5_000
DAYS = 100
KEPT_DAYS = 50
OLD = "old-"
ACTIONS = ("view", "view", "view", "engage", "dismiss")
TABLES = (
    "feed_interactions", "feed_baseline_readers", "feed_baseline_contradictions",
    "feed_baseline_minutes",
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=["postgresql", "sqlite"], default="postgresql")
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--readers", type=int, default=20_000)
    parser.add_argument("--kblocks", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=10.0, help="of recording before it begins")
    parser.add_argument("--limit", type=float, default=3_600.0, help="seconds of each phase")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with ExitStack() as stack:
        url = opened(stack, options.database)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        found = asyncio.run(_measure(url, folder, options))
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    return 1 if found["differences"] or found["lost"] or not found["is_equal"] else 0


async def _measure(url: str, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    engine = create_engine(Settings(database_url=url))
    await migrations.upgrade(engine)
    sessions = async_sessionmaker(engine)
    database = Database(sessions)
    draw = random.Random(options.seed)
    async with FeedFeedbackPersistence(sessions) as record:
        await _fill(record, database, draw, options)
        sizes = {"before": await _sizes(database, url)}
        counted = await figures(database)
        writers = Writers(record, draw, options.kblocks, options.limit)
        calm = await writers.during("calm", asyncio.sleep(options.seconds))
        archive = ("archive", "--days", str(KEPT_DAYS), "--out", str(folder))
        meanwhile = await writers.during("archiving", run_harken(url, *archive))
        sizes["after"] = await _sizes(database, url)
        verification = await record.verify()
        is_equal = _is_equal(counted, await figures(database))
        await record.rebuild()
        is_equal = is_equal and _is_equal(counted, await figures(database))
        await run_harken(url, *archive, "--shrink")
        sizes["shrunk"] = await _sizes(database, url)
        parquet = sizes_in(folder)
        everything = await record.count()
    await engine.dispose()
    recorded = int(calm["events"]) + int(meanwhile["events"])
    return {
        "database": options.database, "events": options.events,
        "archived": verification.archived, "calm": calm, "meanwhile": meanwhile,
        "archived_per_second": verification.archived / meanwhile["seconds"],
        "bytes": sizes, "files": len(parquet), "file_bytes": sum(parquet),
        "differences": verification.differences, "is_equal": is_equal,
        "lost": options.events + recorded - everything,
    }  # fmt: skip


async def _fill(
    record: FeedFeedbackPersistence, database: Database, draw: random.Random,
    options: argparse.Namespace,
) -> None:  # fmt: skip
    began = time.perf_counter()
    for start in range(0, options.events, BATCH):
        rows = [_row(draw, options, n) for n in range(start, min(start + BATCH, options.events))]
        async with database.transaction(Kind.BULK_WRITE) as connection:
            await connection.execute(insert(LOG), rows)
    await record.rebuild()
    sys.stderr.write(f"loaded in {time.perf_counter() - began:.0f} s\n")


def _row(draw: random.Random, options: argparse.Namespace, number: int) -> dict[str, Any]:
    """Draw a row of the log; rows are inserted directly, and counted by `rebuild`."""
    at = datetime.now(UTC) - timedelta(seconds=draw.randrange(3_600, DAYS * 86_400))
    made = UUID(int=int(at.timestamp() * 1_000) << 80 | 7 << 76 | 2 << 62 | draw.getrandbits(62))
    kinds = (str(made), made.hex, str(uuid4()), f"client-{number}")
    popular = min(int(draw.paretovariate(0.8)), options.kblocks)
    return {
        "id": kinds[number % len(kinds)],
        "user_id": f"{OLD}{draw.randrange(options.readers)}", "kblock_id": f"{OLD}{popular}",
        "action": draw.choice(ACTIONS), "dwell_time_ms": draw.choice([None, 4_000]),
        "interaction_type": None, "interaction_metadata": None, "request_id": str(uuid4()),
        "position": draw.randrange(20), "session_id": f"s{draw.randrange(options.readers)}",
        "created_at": at, "updated_at": at,
    }  # fmt: skip


def _is_equal(before: Figures, after: Figures) -> bool:
    """Tell whether each statistic of old events is the same; decayed sums to within 1e-9."""
    today = f"{datetime.now(UTC) - timedelta(minutes=50):%Y-%m-%d %H:%M}"

    def old(exact: dict[tuple[str, ...], Any]) -> dict[tuple[str, ...], Any]:
        return {
            key: value for key, value in exact.items()
            if any(part.startswith(OLD) for part in key)
            or (key[0] == "feed_activity_minutes" and key[1] < today)
        }  # fmt: skip

    decayed = {key: at for key, at in after.decayed.items() if key[0].startswith(OLD)}
    return (
        old(before.exact) == old(after.exact)
        and before.decayed.keys() == decayed.keys()
        and all(abs(at - decayed[key]) <= 1e-9 for key, at in before.decayed.items())
    )


async def _sizes(database: Database, url: str) -> dict[str, int]:
    if not database.is_postgresql:
        [size] = sizes_in(Path(url.partition("///")[2]))
        async with database.reading() as connection:
            free = (await connection.exec_driver_sql("PRAGMA freelist_count")).scalar_one()
            page = (await connection.exec_driver_sql("PRAGMA page_size")).scalar_one()
        return {"file": size, "of_it_free": int(free) * int(page)}
    async with database.reading() as connection:
        sizes = [func.pg_total_relation_size(literal_column(f"'{name}'")) for name in TABLES]
        row = (await connection.execute(select(*sizes))).one()
    return dict(zip(TABLES, map(int, row), strict=True))


def sizes_in(path: Path) -> list[int]:
    """Return the size of a file, or those of the Parquet files below a folder."""
    files = [path] if path.is_file() else path.rglob("*.parquet")
    return [each.stat().st_size for each in files]


if __name__ == "__main__":
    sys.exit(main())

"""What an event, a page and a K-Block take on PostgreSQL, in bytes and in the database's time.

    python -m benchmarks.unit_costs

Readers and K-Blocks of the events are drawn by Zipf's law. Bytes are those of tables with their
indexes and TOAST, divided by the rows that were added. The database's time is that of the
processor, of all its processes. Pages are of 20 items, in the order `weighted`.
"""

import argparse
import asyncio
import json
from typing import Any

import numpy as np
import psutil
from pydantic_core import to_json
from sqlalchemy import text
from sqlalchemy.ext.asyncio import async_sessionmaker
from tests.support.postgres import PostgresServer

from harken import migrations
from harken.config import Settings
from harken.database import Database, Kind, close_engine, create_engine
from harken.domain.kblock import KBlock
from harken.protocols import presentation
from harken.services.feed.request import FeedRequest
from harken.services.feed.service import FeedService
from harken.services.kblocks.store import KBlockStore
from harken.services.record.persistence import FeedFeedbackPersistence

AT_ONCE = 1_000
SIZES = """
    SELECT relname, pg_total_relation_size(oid) FROM pg_class
    WHERE relkind IN ('r', 'p') AND relname LIKE 'feed_%' AND NOT relispartition
"""
PARTITIONS = """
    SELECT coalesce(sum(pg_total_relation_size(inhrelid)), 0) FROM pg_inherits
    WHERE inhparent = 'feed_interactions'::regclass
"""


def main() -> None:
    """Measure, and print a JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--readers", type=int, default=5_000)
    parser.add_argument("--kblocks", type=int, default=2_000)
    parser.add_argument("--pages", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with PostgresServer() as server:
        print(json.dumps(asyncio.run(_measure(server, options)), indent=2))


async def _measure(server: PostgresServer, options: argparse.Namespace) -> dict[str, Any]:
    engine = create_engine(Settings(database_url=server.url))
    await migrations.upgrade(engine)
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    database = Database(sessions)
    async with FeedFeedbackPersistence(sessions) as record:
        kblocks = KBlockStore(sessions)
        draw = np.random.default_rng(options.seed)
        await kblocks.put(
            [
                KBlock(
                    id=f"k{i}", title=f"A title {i}", content="word " * 120, tags=(f"t{i % 50}",)
                )
                for i in range(options.kblocks)
            ]
        )
        service = FeedService(sessions, record=record, kblocks=kblocks)
        empty = await _sizes(database)
        seconds = processor_seconds(server)
        for start in range(0, options.events, AT_ONCE):
            events = _events(draw, options, min(AT_ONCE, options.events - start))
            await record.record_batch(events)
        recorded, full = processor_seconds(server) - seconds, await _sizes(database)
        seconds, answer = processor_seconds(server), 0
        for number in range(options.pages):
            page = await service.page(
                FeedRequest(feed="cosmos", user_id=f"u{number}", ranking="weighted")
            )
            answer += len(to_json(presentation.page(page)))
        paged, last = processor_seconds(server) - seconds, await _sizes(database)
    await close_engine(engine)
    grown = {name: (full[name] - empty[name]) / options.events for name in full}
    return {
        "bytes per event, by table": {n: round(b) for n, b in grown.items() if b >= 1},
        "bytes per event": round(sum(grown.values())),
        "database µs per event, in groups of 1,000": round(1e6 * recorded / options.events),
        "bytes per slate": round((last["feed_slates"] - full["feed_slates"]) / options.pages),
        "database µs per page": round(1e6 * paged / options.pages),
        "bytes of an answer": round(answer / options.pages),
    }


def _events(draw: Any, options: argparse.Namespace, count: int) -> list[dict[str, Any]]:
    readers = draw.zipf(1.3, count) % options.readers
    items = draw.zipf(1.2, count) % options.kblocks
    return [
        {"user_id": f"u{reader}", "kblock_id": f"k{item}", "action": "view", "dwell_time_ms": 5_000}
        for reader, item in zip(readers, items, strict=True)
    ]


async def _sizes(database: Database) -> dict[str, int]:
    async with database.transaction(Kind.MAINTENANCE) as connection:
        found = {name: int(size) for name, size in await connection.execute(text(SIZES))}
        parts = (await connection.execute(text(PARTITIONS))).scalar_one()
    found["feed_interactions"] += int(parts)
    return found


def processor_seconds(server: PostgresServer) -> float:
    """Return the processor time of a server's processes, of those that have ended too."""
    main = psutil.Process(server.pid)
    own = [each.cpu_times() for each in (main, *main.children(recursive=True))]
    ended = main.cpu_times()
    times = [each.user + each.system for each in own]
    return float(sum(times, ended.children_user + ended.children_system))


if __name__ == "__main__":
    main()

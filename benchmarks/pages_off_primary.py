"""What pages take of the primary, with a standby and without one, and how old they are.

    python -m benchmarks.pages_off_primary --seconds=6

A primary and a standby of PostgreSQL run on this machine. Events are recorded at one pace by what
is another process to the pages; half of the pages are personal, half `weighted`. In turn: recording
alone; with pages; with pages whose reads may go to the standby; and with pages that write no slate.

The primary's time is that of the processor, of all its processes; that of recording alone is taken
off. Staleness is the time from the answer to an event until a page counts it, in milliseconds.
"""

import argparse
import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker
from tests.support.postgres import PostgresServer

from benchmarks.unit_costs import processor_seconds
from harken.config import Settings
from harken.database import STANDBYS, Database, close_engine, create_engine
from harken.databases.standbys import Standbys, follow
from harken.domain.kblock import KBlock
from harken.models.base import init_db
from harken.services.feed.request import FeedRequest
from harken.services.feed.service import FeedService
from harken.services.kblocks.store import KBlockStore
from harken.services.record.persistence import FeedFeedbackPersistence

KBLOCKS, READERS = 2_000, 2_000
BATCHES, PAGES = 10, 20  # a second
BATCH = 20
PROBE = "probe"
SETTLED_SECONDS = 1.5  # in which PostgreSQL's processes tell what they counted
ALONE, USUAL, STANDBY, NO_SLATES = "recording alone", "pages", "with a standby", "without slates"


class Process:
    """What a process of Harken has: a record and a service, with reads on standbys or without."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.sessions = sessions = async_sessionmaker(engine, expire_on_commit=False)
        self.record = FeedFeedbackPersistence(sessions)
        self.kblocks = KBlockStore(sessions)
        self.service = FeedService(sessions, record=self.record, kblocks=self.kblocks)
        self.probes = 0

    @property
    def standbys(self) -> Standbys | None:
        """The standbys of the engine."""
        found: Standbys | None = self.engine.get_execution_options().get(STANDBYS)
        return found


@asynccontextmanager
async def process(url: str, *read_urls: str) -> AsyncIterator[Process]:
    """Run what a process has on a database."""
    settings = Settings(database_url=url, read_urls=read_urls)
    made = Process(follow(create_engine(settings), settings))
    try:
        yield made
    finally:
        await made.service.close()
        await close_engine(made.engine)


def main() -> None:
    """Measure, and print a JSON object with a list of rounds for each way."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with PostgresServer() as primary:
        asyncio.run(init_db(Settings(database_url=primary.url)))
        standby = primary.standby(hot_standby_feedback="on")
        try:
            standby.start_first()
            print(json.dumps(asyncio.run(_measure(primary, standby, options)), indent=2))
        finally:
            standby.remove()


async def _measure(
    primary: PostgresServer, standby: PostgresServer, options: argparse.Namespace
) -> dict[str, list[dict[str, Any]]]:
    ways: dict[str, list[dict[str, Any]]] = {USUAL: [], STANDBY: [], NO_SLATES: []}
    async with (
        process(primary.url) as writer,
        process(primary.url) as plain,
        process(primary.url, standby.url) as helped,
    ):
        await writer.kblocks.put(
            [
                KBlock(
                    id=f"k{n}", title=f"A title {n}", content="word " * 120, tags=(f"t{n % 50}",)
                )
                for n in range(KBLOCKS)
            ]
            + [KBlock(id=PROBE, title=PROBE)]
        )
        draw = np.random.default_rng(1)
        for each in (plain, helped):
            await _pages(each, 2, [])
        for _ in range(options.rounds):
            alone = await _round(primary, writer, None, options.seconds, draw)
            for way, each in ((USUAL, plain), (STANDBY, helped), (NO_SLATES, plain)):
                enter = each.service.ledger.enter
                if way == NO_SLATES:
                    each.service.ledger.enter = _nothing  # type: ignore[method-assign]
                found = await _round(primary, writer, each, options.seconds, draw)
                each.service.ledger.enter = enter  # type: ignore[method-assign]
                pages = found.pop("pages")
                found["primary µs a page"] = round(
                    1e6 * (found.pop("primary s") - alone["primary s"]) / pages
                )
                found["primary rows a page"] = round((found.pop("rows") - alone["rows"]) / pages)
                ways[way].append(found)
    return ways


async def _nothing(*_arguments: object, **_options: object) -> None:
    """Enter no slate."""


async def _round(
    primary: PostgresServer, writer: Process, reader: Process | None, seconds: float, draw: Any
) -> dict[str, Any]:
    before, rows, asked = processor_seconds(primary), await _rows_read(writer), (0, 0)
    standbys = None if reader is None else reader.standbys
    if standbys is not None:
        asked = standbys.served, standbys.declined
    took: list[float] = []
    ages: list[float] = []
    async with asyncio.TaskGroup() as group:
        group.create_task(_record(writer, seconds, draw))
        if reader is not None:
            group.create_task(_pages(reader, seconds, took))
            group.create_task(_probe(writer, reader, seconds, ages))
    await asyncio.sleep(SETTLED_SECONDS)
    found: dict[str, Any] = {
        "primary s": processor_seconds(primary) - before,
        "rows": await _rows_read(writer) - rows,
    }
    if reader is not None:
        found |= {"pages": len(took)}
        for name, some in (("page", took), ("staleness", ages)):
            found |= {f"{name} p{part} ms": round(np.percentile(some, part)) for part in (50, 99)}
    if standbys is not None:
        served, declined = standbys.served - asked[0], standbys.declined - asked[1]
        found |= {"reads on the standby": served, "passed over": declined}
    return found


async def _rows_read(writer: Process) -> int:
    """Return how many rows the primary has read so far, by its own count."""
    async with Database(writer.sessions).reading() as connection:
        read = "SELECT tup_returned + tup_fetched FROM pg_stat_database WHERE datname = 'postgres'"
        return int((await connection.exec_driver_sql(read)).scalar_one())


async def _record(writer: Process, seconds: float, draw: Any) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        due = asyncio.create_task(asyncio.sleep(1 / BATCHES))
        readers, items = draw.zipf(1.3, BATCH) % READERS, draw.zipf(1.2, BATCH) % KBLOCKS
        await writer.record.record_batch(
            [
                {"user_id": f"u{reader}", "kblock_id": f"k{item}", "action": "view"}
                for reader, item in zip(readers, items, strict=True)
            ]
        )
        await due


async def _pages(reader: Process, seconds: float, took: list[float]) -> None:
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        number += 1
        due = asyncio.create_task(asyncio.sleep(1 / PAGES))
        began = time.perf_counter()
        ranking = ("personal", "weighted")[number % 2]
        await reader.service.page(
            FeedRequest("cosmos", user_id=f"u{number % READERS}", ranking=ranking)
        )
        took.append(1_000 * (time.perf_counter() - began))
        await due


async def _probe(writer: Process, reader: Process, seconds: float, ages: list[float]) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        await writer.record.record_interaction("probing", PROBE, "view")
        writer.probes += 1
        began = time.perf_counter()
        while await _counted(reader) < writer.probes:  # noqa: ASYNC110 — another process wrote it
            await asyncio.sleep(0.005)
        ages.append(1_000 * (time.perf_counter() - began))


async def _counted(reader: Process) -> int:
    """Return the events of the probe in the index, which is what pages are made of."""
    index = await reader.service.catalogue.fresh()
    return int(index.popularity[np.argmax(index.number)])  # it was put last


if __name__ == "__main__":
    main()

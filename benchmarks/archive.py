"""Taking the older half of a log out of it, while events are recorded.

    python -m benchmarks.archive --events=1000000
    python -m benchmarks.archive --events=10000000 --state=/tmp/ten-million
    python -m benchmarks.archive --database=sqlite --events=100000

The log has events of a hundred days, with ids of every kind: UUIDs of version 7, some without
dashes, random ones, and names. 8 tasks record events of other readers with other K-Blocks: for some
seconds, and while `harken archive` runs in another process. Two readers are in quarantine
meanwhile, and released afterwards. Sizes are of the log, the baseline and the files. Statistics of
the old events must be equal before and after the release, and after a rebuild; after each step, and
after an erasure, `verify` must find no difference; every acknowledged event must be in the log.

With --state, a PostgreSQL server stays in that folder, and a run that was interrupted goes on with
the phase in which it was. --no-partitions has the log of an older version: one table.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import async_sessionmaker
from tests.support.postgres import PostgresServer

from benchmarks.archive_log import KEPT_DAYS, OLD, bytes_of, fill, is_equal, say, sums_of
from benchmarks.erasure import Writers, opened
from benchmarks.servers import run_harken
from harken import migrations
from harken.config import Settings
from harken.database import Database, create_engine
from harken.services.integrity.erasure import Erasure
from harken.services.integrity.quarantine.acts import Decision, Quarantine
from harken.services.record.admission.quarantines import Target
from harken.services.record.admission.subjects import Subject
from harken.services.record.persistence import FeedFeedbackPersistence
from harken.services.record.verification import archived

ASIDE = [f"{OLD}1", f"{OLD}2"]
ERASED = f"{OLD}3"
TABLES = [
    "feed_interactions", "feed_baseline_readers", "feed_baseline_contradictions",
    "feed_baseline_minutes", "feed_user_engagement_stats",
]  # fmt: skip
SERVER = {"shared_buffers": "512MB", "max_wal_size": "4GB", "checkpoint_timeout": "15min"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=["postgresql", "sqlite"], default="postgresql")
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--readers", type=int, default=20_000)
    parser.add_argument("--kblocks", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=20.0, help="of recording before it begins")
    parser.add_argument("--limit", type=float, default=3_600.0, help="seconds of each phase")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--state", type=Path, help="folder in which PostgreSQL and the phases stay")
    parser.add_argument("--partitions", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    with ExitStack() as stack:
        if options.state is not None:
            url = stack.enter_context(KeptServer(options.state, **SERVER)).url
            folder = options.state
        else:
            large = options.database == "postgresql"
            server = stack.enter_context(PostgresServer(**SERVER)) if large else None
            url = server.url if server else opened(stack, options.database)
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        found = asyncio.run(Run(url, folder, options).whole())
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    return 1 if any(found["differences"].values()) or found["lost"] or not found["is_equal"] else 0


class KeptServer(PostgresServer):
    """A server whose folder stays; what is in it from before is used."""

    def __init__(self, folder: Path, **settings: str) -> None:
        super().__init__(**settings)
        self._folder.rmdir() if not any(self._folder.iterdir()) else None
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder.absolute()
        self._identity = self._choose_identity()

    def _initialize(self) -> None:
        if not (self._folder / "data" / "PG_VERSION").exists():
            super()._initialize()

    def remove(self) -> None:
        """End the server."""
        self._control("stop", "-m", "fast")


class Run:
    """The phases of one run, each of which is done once for each state."""

    def __init__(self, url: str, folder: Path, options: argparse.Namespace) -> None:
        self._url, self._folder, self._options = url, folder, options
        self._results = folder / "phases.json"
        self._done: dict[str, Any] = {}
        if self._results.exists():
            self._done = json.loads(self._results.read_text())

    async def whole(self) -> dict[str, Any]:
        """Run all phases; returns what they measured."""
        engine = create_engine(Settings(database_url=self._url))
        await migrations.upgrade(engine)
        self._sessions = async_sessionmaker(engine)
        self._database = Database(self._sessions)
        draw = random.Random(self._options.seed + len(self._done))
        async with FeedFeedbackPersistence(self._sessions) as self._record:
            self._writers = Writers(self._record, draw, self._options.kblocks, self._options.limit)
            found = await self._phases()
        await engine.dispose()
        return found

    async def _phases(self) -> dict[str, Any]:
        writers, quarantine = self._writers, Quarantine(self._sessions)
        by = Decision("benchmark", confirm=True)
        archive = ("archive", "--days", str(KEPT_DAYS), "--out", str(self._folder / "archive"))
        loading = await self._once("fill", lambda: fill(self._database, self._options))
        await self._once("rebuild", self._record.rebuild)
        before = await self._once("sums", lambda: sums_of(self._database))
        await self._once("set aside", lambda: quarantine.add(Target.READER, ASIDE, by))
        sizes = {"before": await self._once("sizes before", self._sizes)}
        calm = await self._once(
            "calm", lambda: writers.during("calm", asyncio.sleep(self._options.seconds))
        )
        meanwhile = await self._once(
            "archive", lambda: writers.during("archiving", run_harken(self._url, *archive))
        )
        sizes["after"] = await self._once("sizes after", self._sizes)
        differences = {"archived": await self._once("verify", self._differences)}
        await self._once("release", lambda: quarantine.release(Target.READER, ASIDE, by))
        equal = [is_equal(before, await self._once("sums after", lambda: sums_of(self._database)))]
        await self._once("rebuild again", self._record.rebuild)
        equal.append(
            is_equal(before, await self._once("sums rebuilt", lambda: sums_of(self._database)))
        )
        differences["rebuilt"] = await self._once("verify rebuilt", self._differences)
        kept = await self._once("count", self._record.count)
        erasure = Erasure(self._sessions)
        await self._once("erase", lambda: erasure.erase(Subject.READER, ERASED))
        differences["erased"] = await self._once("verify erased", self._differences)
        files = sizes_in(self._folder / "archive")
        recorded = int(calm["events"]) + int(meanwhile["events"])
        dropped = await self._once("archived", self._archived)
        return {
            "database": self._options.database, "events": self._options.events,
            "loading_seconds": loading, "archived": dropped, "calm": calm,
            "meanwhile": meanwhile, "p99_ratio": meanwhile["p99_ms"] / calm["p99_ms"],
            "archived_per_second": dropped / meanwhile["seconds"], "bytes": sizes,
            "files": len(files), "file_bytes": sum(files), "differences": differences,
            "is_equal": all(equal), "lost": self._options.events + recorded - kept,
        }  # fmt: skip

    async def _once(self, name: str, work: Callable[[], Awaitable[Any]]) -> Any:
        """Do a phase, unless this state has its result."""
        if name not in self._done:
            say(name)
            self._done[name] = json.loads(json.dumps(await work(), default=str))
            if self._options.state is not None:
                self._results.write_text(json.dumps(self._done))
        return self._done[name]

    async def _differences(self) -> int:
        return (await self._record.verify()).differences

    async def _archived(self) -> int:
        return (await archived(self._database)).archived

    async def _sizes(self) -> dict[str, int]:
        if self._database.is_postgresql:
            return await bytes_of(self._database, TABLES)
        [size] = sizes_in(Path(self._url.partition("///")[2]))
        async with self._database.reading() as connection:
            free = (await connection.exec_driver_sql("PRAGMA freelist_count")).scalar_one()
            page = (await connection.exec_driver_sql("PRAGMA page_size")).scalar_one()
        return {"file": size, "of_it_free": int(free) * int(page)}


def sizes_in(path: Path) -> list[int]:
    """Return the size of a file, or those of the Parquet files below a folder."""
    files = [path] if path.is_file() else path.rglob("*.parquet")
    return [each.stat().st_size for each in files]


if __name__ == "__main__":
    sys.exit(main())

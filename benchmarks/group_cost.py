"""What PostgreSQL takes for an event: this revision and another one, in turns.

    git worktree add /tmp/before 82101b4
    python -m benchmarks.group_cost --before /tmp/before

Each revision runs in a process of its own, on a database of its own of one server, with the same
events: 1,000 readers, 10,000 K-Blocks, 60,000 events from before. In each round both record some
groups of each size, one after the other in a random order. Figures are the processor time of all
processes of PostgreSQL, and the bytes of the write-ahead log. At the end the log and the statistics
have to hold what was recorded.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import asyncpg
import psutil
from sqlalchemy.ext.asyncio import async_sessionmaker
from tests.support.postgres import PostgresServer
from uuid_utils import uuid7

from benchmarks.servers import create_database
from harken import migrations
from harken.config import Settings
from harken.database import Database, create_engine
from harken.domain.feedback import LogEntry
from harken.services.record.admission.tombstones import Tombstones
from harken.services.record.transaction import append

HERE = Path(__file__).parents[1]
NOW, BEFORE = "now", "before"
FILLED, AT_ONCE = 60_000, 1_000
READERS, KBLOCKS = 1_000, 10_000
SIZES = (25, 1_000)
ACTIONS, SHARES = ("view", "engage", "dismiss"), (75, 18, 7)
EXACT = """
    SELECT (SELECT count(*) FROM feed_interactions),
           (SELECT sum(view_count + engage_count + dismiss_count) FROM feed_engagement_stats)
"""


def main() -> int:
    options = _parse()
    if options.record:
        asyncio.run(_record(options.record, options.seed))
        return 0
    code = {NOW: HERE} | ({BEFORE: options.before.resolve()} if options.before else {})
    with ExitStack() as stack:
        server = stack.enter_context(PostgresServer())
        recorders = {
            name: stack.enter_context(_started(name, path, server, options.seed))
            for name, path in code.items()
        }
        turns = list(_turns(recorders, options))
        for each in recorders.values():
            each.check(sum(turn.events for turn in turns if turn.name == each.name))
    sys.stdout.write(_report(turns, options.sizes, list(code)))
    if options.json:
        options.json.write_text(json.dumps([turn._asdict() for turn in turns], indent=1))
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.group_cost", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--before", type=Path, metavar="DIR", help="a checkout to compare with")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--events", type=int, default=8_000, help="of each size in each turn")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="EVENTS")
    parser.add_argument("--seed", type=int, default=20_261_127)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every turn")
    parser.add_argument("--record", metavar="URL", help=argparse.SUPPRESS)
    return parser.parse_args()


class Turn(NamedTuple):
    """One contestant's groups of one size."""

    name: str
    size: int
    events: int
    cpu: float  # PostgreSQL's microseconds for an event
    wal: float  # bytes for an event


class Recorder:
    """A process with the code of one revision, and its database."""

    def __init__(self, name: str, server: PostgresServer, process: "subprocess.Popen[str]") -> None:
        self.name = name
        self._url = _url(server, name)
        self._server = server
        self._process = process

    def ask(self, size: int, groups: int) -> None:
        """Record groups, and return when they are committed; none: when the database is ready."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{size} {groups}\n")
        self._process.stdin.flush()
        if self._process.stdout.readline() != "done\n":
            raise SystemExit(f"{self.name} failed")

    def turn(self, size: int, events: int) -> Turn:
        """Record events in groups of a size."""
        groups = max(1, events // size)
        written, used = self._query("SELECT pg_current_wal_insert_lsn() - '0/0'"), self._seconds()
        self.ask(size, groups)
        used = self._seconds() - used
        written = self._query("SELECT pg_current_wal_insert_lsn() - '0/0'")[0] - written[0]
        recorded = groups * size
        return Turn(self.name, size, recorded, 1e6 * used / recorded, float(written) / recorded)

    def check(self, events: int) -> None:
        """Fail unless the log and the statistics hold these events, and those from before."""
        found = self._query(EXACT)
        if list(found) != [FILLED + events] * 2:
            raise SystemExit(f"{self.name}: {found} are recorded, not {FILLED + events}")

    def _query(self, sql: str) -> Any:
        async def ask() -> Any:
            connection = await asyncpg.connect(self._url.replace("+asyncpg", ""))
            row = await connection.fetchrow(sql)
            await connection.close()
            return row

        return asyncio.run(ask())

    def _seconds(self) -> float:
        """Return the processor time of the server's processes, of those that have ended too."""
        main = psutil.Process(self._server.pid)
        seconds = 0.0
        for process in main.children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):  # it ended since it was listed
                used = process.cpu_times()
                seconds += used.user + used.system
        own = main.cpu_times()  # last, since it has the times of those that ended
        return seconds + float(own.user + own.system + own.children_user + own.children_system)


def _url(server: PostgresServer, name: str) -> str:
    return server.url.removesuffix("postgres") + name


@contextmanager
def _started(name: str, code: Path, server: PostgresServer, seed: int) -> Iterator[Recorder]:
    asyncio.run(create_database(server.url.replace("+asyncpg", ""), name))
    path = os.pathsep.join(map(str, (code / "src", code / "clients/python/src", HERE)))
    command = [sys.executable, __file__, "--record", _url(server, name), "--seed", str(seed)]
    with subprocess.Popen(
        command, env=os.environ | {"PYTHONPATH": path}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        recorder = Recorder(name, server, process)
        recorder.ask(0, 0)
        yield recorder


def _turns(recorders: dict[str, Recorder], options: argparse.Namespace) -> Iterator[Turn]:
    rng = random.Random(options.seed)
    for number in range(options.rounds + 1):
        for size in options.sizes:
            for name in rng.sample(list(recorders), len(recorders)):
                turn = recorders[name].turn(size, options.events)
                yield turn if number else turn._replace(size=-size)  # the first round warms up


async def _record(url: str, seed: int) -> None:
    """Fill a database, then record what each line of the input says: the size, how many groups."""
    engine = create_engine(Settings(database_url=url))
    await migrations.upgrade(engine)
    database, rng = Database(async_sessionmaker(engine)), random.Random(seed)
    tombstones = Tombstones(database)
    for _ in range(FILLED // AT_ONCE):
        await append(database, _group(rng, AT_ONCE), 0, tombstones)
    async with database.reading() as connection:
        for sql in ("VACUUM ANALYZE", "CHECKPOINT"):
            await connection.exec_driver_sql(sql)
    for line in sys.stdin:
        size, count = map(int, line.split())
        for group in [_group(rng, size) for _ in range(count)]:
            await append(database, group, 0, tombstones)
        sys.stdout.write("done\n")
        sys.stdout.flush()
    await engine.dispose()


def _group(rng: random.Random, size: int) -> list[LogEntry]:
    now, made = datetime.now(UTC), []
    for _ in range(size):
        reader, kblock = f"user-{rng.randrange(READERS):04}", f"kblock-{rng.randrange(KBLOCKS):05}"
        [action] = rng.choices(ACTIONS, SHARES)
        dwell = rng.randrange(500, 60_000) if action == "view" else None
        event = str(uuid7()), reader, kblock, action, dwell, None, None, now, None, None, None
        made.append(LogEntry(*event))
    return made


def _report(turns: Sequence[Turn], sizes: Sequence[int], names: Sequence[str]) -> str:
    lines = [
        "| groups of | revision | PostgreSQL µs an event | bytes of the write-ahead log |",
        "|---:|---|---:|---:|",
    ]
    for size in sizes:
        of_size = {n: [t for t in turns if t.name == n and t.size == size] for n in names}
        for name, own in of_size.items():
            cpu, wal = _shown([t.cpu for t in own], ".1f"), _shown([t.wal for t in own], ",.0f")
            lines.append(f"| {size:,} | {name} | {cpu} | {wal} |")
        if len(names) > 1:
            pairs = list(zip(of_size[NOW], of_size[BEFORE], strict=True))
            cpu = _shown([now.cpu / before.cpu for now, before in pairs], ".2f")
            wal = _shown([now.wal / before.wal for now, before in pairs], ".2f")
            lines.append(f"| {size:,} | now ÷ before | {cpu} | {wal} |")
    return "\n".join(lines) + "\n"


def _shown(values: Sequence[float], form: str) -> str:
    return f"{median(values):{form}} ({min(values):{form}}–{max(values):{form}})"


if __name__ == "__main__":
    sys.exit(main())

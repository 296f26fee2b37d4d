"""The figures of the dashboard over a long log with many served pages, on SQLite.

    python -m benchmarks.figures
    python -m benchmarks.figures --events 100000 --slates 10000

Each query of the dashboard is asked several times through the service, without HTTP. The figures
are the seconds on the clock and the seconds of computing, the median of the runs; on a busy machine
only the latter can be compared. Events and pages are spread over 90 days; half of the events come
from pages. The window is the last 30 days, and the whole log, in which the limits of 20,000 pages
and 100,000 events apply.
"""

import argparse
import asyncio
import json
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.ext.asyncio import async_sessionmaker

from harken import migrations
from harken.config import Settings
from harken.database import create_engine
from harken.models.types import utc_text
from harken.services.evaluation.position_bias import position_bias
from harken.services.feed.service import FeedService

if TYPE_CHECKING:
    from harken.services.record.figures.impressions import Dimension

DAYS = 90
PAGE = 20
KBLOCKS = 5_000
READERS = 2_000
NOW = datetime.now(UTC)
FEEDS = (("cosmos", "chronological"), ("personal", "personal"), ("personal", "learned"))

Ask = Callable[[], Awaitable[Any]]


def main() -> int:
    options = _parse()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "harken.db"
        found = asyncio.run(_measured(file, options))
    sys.stdout.write(_table(found))
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.figures",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--slates", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3)
    return parser.parse_args()


async def _measured(file: Path, options: argparse.Namespace) -> dict[str, list[float]]:
    settings = Settings(database_url=f"sqlite+aiosqlite:///{file}")
    engine = create_engine(settings)
    try:
        await migrations.upgrade(engine)
        _fill(file, options.events, options.slates)
        service = FeedService(async_sessionmaker(engine))
        found = {name: await _timed(ask, options.runs) for name, ask in _questions(service).items()}
        await service.close()
    finally:
        await engine.dispose()
    return found


def _questions(service: FeedService) -> dict[str, Ask]:
    month, first = NOW - timedelta(days=30), NOW - timedelta(days=DAYS)
    figures = service.figures

    async def position() -> None:
        found = await figures.places.counts(since=month)
        position_bias(found.pairs, found.items)

    questions: dict[str, Ask] = {
        "totals, 30 days beside 30 days": lambda: figures.periods.counts(month),
        "totals, all time": figures.periods.counts,
        "how much is place": position,
        "one K-Block": lambda: figures.single.kblock("k7", month),
        "one reader": lambda: figures.single.reader("u7", month),
        "by position, the whole log": lambda: figures.impressions.by("position", since=first),
    }
    dimensions: tuple[Dimension, ...] = ("feed", "position", "source", "kblock")
    for by in dimensions:
        questions[f"by {by}, 30 days"] = partial(figures.impressions.by, by, since=month)
    return questions


async def _timed(ask: Ask, runs: int) -> list[float]:
    """Return the median seconds on the clock, and of computing."""
    took = []
    for _ in range(runs):
        clock, computing = time.perf_counter(), time.process_time()
        await ask()
        took.append((time.perf_counter() - clock, time.process_time() - computing))
    return [statistics.median(column) for column in zip(*took, strict=True)]


def _fill(file: Path, events: int, slates: int) -> None:
    rng = random.Random(0)
    step = timedelta(days=DAYS) / slates
    pages = []
    for n in range(slates):
        feed, ranking = rng.choice(FEEDS)
        items = [f"k{number}" for number in rng.sample(range(KBLOCKS), PAGE)]
        pages.append((f"p{n}", f"u{rng.randrange(READERS)}", feed, ranking, items, n * step))
    first = NOW - timedelta(days=DAYS)
    with sqlite3.connect(file) as connection:
        connection.executemany(
            "INSERT INTO feed_slates (request_id, first_request_id, user_id, feed, ranking, "
            "settings, revision, position, items, created_at) VALUES (?, ?, ?, ?, ?, '{}', 1, 0, "
            "?, ?)",
            (
                (page, page, user, feed, ranking, json.dumps(items), utc_text(first + at))
                for page, user, feed, ranking, items, at in pages
            ),
        )
        connection.executemany(
            "INSERT INTO feed_interactions (id, user_id, kblock_id, action, request_id, "
            "created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
            _events(rng, events, pages, first),
        )
        minutes = (
            (utc_text((first + timedelta(minutes=n)).replace(second=0, microsecond=0)),)
            for n in range(DAYS * 1_440)
        )
        connection.executemany(
            "INSERT INTO feed_activity_minutes (minute, shard, view_count) VALUES (?, 0, 7)",
            minutes,
        )
        connection.execute("ANALYZE")


def _events(rng: random.Random, events: int, pages: Any, first: datetime) -> Any:
    for n in range(events):
        page, user, _feed, _ranking, items, at = pages[n * len(pages) // events]
        is_of_page = n % 2 == 0
        # What stands first is chosen most.
        kblock = items[min(int(rng.expovariate(0.3)), PAGE - 1)]
        action = rng.choices(("view", "engage", "dismiss"), (8, 2, 1))[0]
        when = utc_text(min(first + at + timedelta(seconds=rng.random() * 60), NOW))
        yield f"e{n}", user, kblock, action, page if is_of_page else None, when, when


def _table(found: dict[str, list[float]]) -> str:
    lines = ["| figure | s | s of computing |", "|---|---:|---:|"]
    lines += [f"| {name} | {clock:.2f} | {cpu:.2f} |" for name, (clock, cpu) in found.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())

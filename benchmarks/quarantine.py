"""Setting a reader with many events aside and releasing them, while others are recorded.

    python -m benchmarks.quarantine --events=300000 --own=100000
    python -m benchmarks.quarantine --database=sqlite --events=50000 --own=5000

The log and the writers are those of `benchmarks.erasure`. `harken quarantine add` and `release` run
in another process. At the end the log is compared with what was acknowledged, `verify` must find no
difference, and nothing may be set aside. An act that fails, or takes longer than `--limit` seconds,
ends the measurement with an error.
"""

import asyncio
import json
import random
import sys
from collections.abc import Awaitable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from sqlalchemy.ext.asyncio import async_sessionmaker

from benchmarks.erasure import ERASED, Writers, fill, opened, options_of
from benchmarks.servers import run_harken
from harken import migrations
from harken.config import Settings
from harken.database import Database, create_engine
from harken.services.record.persistence import FeedFeedbackPersistence

if TYPE_CHECKING:
    from collections.abc import Callable


def main() -> int:
    options = options_of(__doc__)
    with ExitStack() as stack:
        found = asyncio.run(_measure(opened(stack, options.database), options))
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    return 1 if found["differences"] or found["aside"] or found["lost"] else 0


async def _measure(url: str, options: Any) -> dict[str, Any]:
    engine = create_engine(Settings(database_url=url))
    await migrations.upgrade(engine)
    draw = random.Random(options.seed)
    sessions = async_sessionmaker(engine)
    async with FeedFeedbackPersistence(sessions) as record:
        await fill(record, Database(sessions), draw, options)
        writers = Writers(record, draw, options.kblocks, options.limit)
        found: dict[str, dict[str, float]] = {}

        def act(verb: str, *arguments: str) -> Awaitable[None]:
            return run_harken(url, "quarantine", verb, "reader", *arguments)

        phases: list[tuple[str, Callable[[], Awaitable[None]]]] = [
            ("before", lambda: asyncio.sleep(options.seconds)),
            (
                "setting_aside",
                lambda: act("add", ERASED, "--confirm"),
            ),
            ("releasing", lambda: act("release", ERASED)),
        ]
        for phase, work in phases:
            found[phase] = await writers.during(phase, work())
        verification = await record.verify()
    await engine.dispose()
    expected = options.events + options.own + sum(int(each["events"]) for each in found.values())
    return {
        "database": options.database, "others": options.events, "own": options.own, **found,
        "differences": verification.differences, "aside": verification.set_aside,
        "lost": expected - verification.events,
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())

"""The life of a trial by its commands: what docs/promotion.md shows.

    python -m benchmarks.trial_life

A SQLite database in a temporary folder has a feed of 24 K-Blocks and two models. The one in service
puts the oldest K-Blocks first, the candidate the newest. Each reader comes once, sees 10 K-Blocks,
and engages with each of the 18 newest with probability .7, whatever its place, and with no other.
`harken models trial` runs as a process between them. So that days pass, all times of the past are
moved back. Swapped pairs and interleavings are not seeded: figures differ from run to run.
"""

import asyncio
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.support.age_models import age_model
from tests.support.trial_life import let_pass, readers_of

from harken import migrations
from harken.config import Settings
from harken.database import create_engine

STEP = ("models", "trial", "--readers", "200", "--window-days", "2")
GATE, TRIAL = range(100), range(1_000, 1_300)
WANTED, ENGAGES = 18, 0.7


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite+aiosqlite:///{Path(folder) / 'trial.db'}"
        asyncio.run(_open(url))
        _say("nobody came yet", url)
        asyncio.run(_visit(url, GATE))
        _say(f"{len(GATE)} readers came", url)
        asyncio.run(_visit(url, TRIAL))
        _say(f"{len(TRIAL)} readers came, half of them into the trial", url)
        asyncio.run(let_pass(url, 3))
        _say("three days later", url)
        _say("on the next day", url)
        asyncio.run(let_pass(url, 30))
        _say("30 days later", url)
    return 0


def _wanted(seed: int = 0) -> Callable[[int], bool]:
    """Return what tells by its rank from the newest whether a reader engages with a K-Block."""
    chance = random.Random(seed)
    return lambda rank: rank < WANTED and chance.random() < ENGAGES


async def _open(url: str) -> None:
    engine = create_engine(Settings(database_url=url))
    await migrations.upgrade(engine)
    await engine.dispose()
    async with readers_of(url, _wanted()) as readers:
        await readers.open()
        models = readers.service.registry.models
        await models.promote(await readers.model(age_model(newest_first=False)))
        candidate = age_model(newest_first=True, without=("user_similarity",))
        await readers.model(candidate)


async def _visit(url: str, numbers: Sequence[int]) -> None:
    async with readers_of(url, _wanted(numbers[0])) as readers:
        await readers.visit(numbers)


def _say(when: str, url: str) -> None:
    """Run the command, and print it with its output."""
    settings = {"HARKEN_DATABASE_URL": url, "HARKEN_PROMOTION": "trial", "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "-m", "harken", *STEP],
        env=os.environ | settings, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr)
    sys.stdout.write(f"# {when}\n$ harken {' '.join(STEP)}\n{done.stdout}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

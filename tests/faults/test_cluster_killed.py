"""All of it at once: every part is killed under load, and every event that was acknowledged counts.

Events come by a broker and by both services, many of them twice or by both ways, with bad ones
among them. Old events are archived meanwhile. The parts that are killed, each once: services,
consumer, broker, a run of the archive, and the primary, for which a synchronous standby takes over.
"""

import asyncio
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import select

from harken.database import Database
from harken.services.integrity.archive import file_register
from harken.services.integrity.archive.event_files import read
from harken.services.record.persistence import FeedFeedbackPersistence
from harken.services.record.transaction import LOG
from tests.conftest import session_factory_for
from tests.faults import SOAK
from tests.support.cluster import Cluster, cluster, restart
from tests.support.cluster_load import ClusterLoad, drawn_events
from tests.support.consumer import Consumer
from tests.support.drills import report
from tests.support.waiting import until

EVENTS = 200_000
OLD = EVENTS // 10
MOST_SECONDS = 1_200


@pytest.mark.skipif(not SOAK, reason="takes minutes; HARKEN_TEST_SOAK=1 runs it")
@pytest.mark.slow
@pytest.mark.timeout(2 * MOST_SECONDS)
async def test_every_acknowledged_event_counts_once_whatever_is_killed(tmp_path: Path) -> None:
    began = time.monotonic()
    old, new = drawn_events(OLD, old=True), drawn_events(EVENTS - OLD)
    async with cluster() as parts, recording(parts.database_url) as (record, database):
        async with ClusterLoad(parts, old, record).running():
            pass
        load = ClusterLoad(parts, new, record)
        async with load.running():
            await kill_each(parts, load, tmp_path / "archive")
        await archived(parts.database_url, tmp_path / "archive")
        assert await asyncio.to_thread(parts.consumer.terminate) == 0
        await rest_consumed(parts)
        dead = {body for body, _ in await parts.broker.dead_letters()}

        async with database.reading() as connection:
            logged = (await connection.execute(select(LOG.c.id))).scalars().all()
            files = await file_register.registered(connection)
        assert Counter(logged) == Counter(new.ids)
        filed = Counter(row["interaction_id"] for file in files for row in read(file))
        assert filed == Counter(old.ids)
        found = await record.verify()
        assert (found.differences, found.archived, found.events) == (0, OLD, EVENTS - OLD)
        # A repeat of an archived event that is delivered after the begin of the log is refused.
        assert dead - set(old.bodies) == set(old.poison) | set(new.poison)
        assert load.rejected == load.poisoned
    report(
        "all parts killed once",
        seconds=time.monotonic() - began, events=EVENTS, published=load.published,
        refused=load.refused, interrupted=load.interrupted,
        publishing_interrupted=load.publishing_interrupted, reads=load.reads,
    )  # fmt: skip


@asynccontextmanager
async def recording(url: str) -> AsyncIterator[tuple[FeedFeedbackPersistence, Database]]:
    async with session_factory_for(url) as factory, FeedFeedbackPersistence(factory) as record:
        yield record, Database(factory)


async def kill_each(parts: Cluster, load: ClusterLoad, folder: Path) -> None:
    """Kill one part after another, each when some more events have been recorded."""
    one, other = parts.services
    kills: list[Callable[[], Awaitable[object]]] = [
        lambda: restart(one),
        lambda: restart(parts.consumer),
        lambda: interrupted(parts.database_url, folder),
        lambda: restart(parts.broker),
        parts.fail_over,
        lambda: restart(other),
    ]
    random.Random(5).shuffle(kills)
    for number, kill in enumerate(kills, 1):
        await load.until_recorded(number / (len(kills) + 1))
        await kill()


async def rest_consumed(parts: Cluster) -> None:
    """Consume until no message waits."""
    consumer = Consumer(parts.database_url, parts.broker.url, "--until-empty", "--json")
    # In a thread, since the database's address is served by this one.
    await asyncio.to_thread(consumer.__enter__)
    try:
        await until(lambda: '"dead_letter"' in consumer.output, MOST_SECONDS)
    finally:
        await asyncio.to_thread(consumer.__exit__, None, None, None)


async def archiving(url: str, folder: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "harken", "archive", "--days", "30", "--out", str(folder),
        env=os.environ | {"HARKEN_DATABASE_URL": url},
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def interrupted(url: str, folder: Path) -> None:
    """Archive, and kill the run when it has written its first file."""
    process = await archiving(url, folder)
    while not has_files(folder):
        assert process.returncode is None, "it ended before it was killed"
        await asyncio.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    await process.communicate()


def has_files(folder: Path) -> bool:
    return any(folder.glob("day=*/*.parquet"))


async def archived(url: str, folder: Path) -> None:
    """Archive to the end."""
    process = await archiving(url, folder)
    _out, said = await process.communicate()
    assert process.returncode == 0, said

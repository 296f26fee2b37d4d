"""Load, and whether the log is what was sent.

`Load` are clients of a server over HTTP. Run as a program, this is one writer of many:

    python -m tests.support.load DATABASE_URL WRITER

It writes the line `ready` when it has a connection, begins when it reads a line, and writes a JSON
object with the numbers of `accepted` and `duplicates` at the end. What each writer sends follows
from its number alone, so a test can recount it.
"""

import asyncio
import json
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import uuid4

import httpx
from sqlalchemy.ext.asyncio import async_sessionmaker

from harken.config import Settings
from harken.database import create_engine
from harken.domain.feedback import FeedbackAction, Interaction
from harken.services.record.persistence import FeedFeedbackPersistence
from tests.faults import SOAK

ACTIONS = [action.value for action in FeedbackAction]

# Clients over HTTP

CLIENTS = 16
MOST_EVENTS = 50_000  # a fault that never comes must not fill the disk
PROGRESS_SECONDS = 120
REQUEST_SECONDS = 60


@dataclass
class Load:
    """Clients that post events and send each again, with its id, until it is acknowledged.

    `reachable` is set while the server can be reached; without it, the server always can, and a
    connection that breaks is an error. Answers other than 200 and, where `may_refuse`, a proper
    503 are errors. Each client waits for `pause_seconds` between two events.
    """

    url: str
    reachable: asyncio.Event | None = None
    may_refuse: bool = False
    clients: int = CLIENTS
    pause_seconds: float = 0
    sent: dict[str, dict[str, Any]] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    duplicates: int = 0
    interrupted: int = 0
    refused: int = 0
    _enough: bool = False
    _progress: asyncio.Condition = field(default_factory=asyncio.Condition)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the clients; at the end, return when every event that was sent is acknowledged."""
        limits = httpx.Limits(max_connections=self.clients)
        async with (
            httpx.AsyncClient(
                base_url=self.url, timeout=REQUEST_SECONDS, limits=limits, trust_env=False
            ) as client,
            asyncio.TaskGroup() as group,
        ):
            for number in range(self.clients):
                group.create_task(self._send(client, random.Random(number)))
            yield
            self._enough = True

    async def until(self, reached: Callable[[], bool]) -> None:
        """Wait until the clients have reached something."""
        async with asyncio.timeout(PROGRESS_SECONDS), self._progress:
            await self._progress.wait_for(reached)

    async def until_acknowledged(self, more: int) -> None:
        """Wait until so many more events are acknowledged."""
        goal = len(self.acknowledged) + more
        await self.until(lambda: len(self.acknowledged) >= goal)

    async def until_refused(self, more: int) -> None:
        """Wait until so many more events are refused."""
        goal = self.refused + more
        await self.until(lambda: self.refused >= goal)

    async def _send(self, client: httpx.AsyncClient, chance: random.Random) -> None:
        while not self._enough and len(self.sent) < MOST_EVENTS:
            event = {**_event(chance, users=20, kblocks=10), "interaction_id": str(uuid4())}
            self.sent[event["interaction_id"]] = event
            while not await self._attempt(client, event):
                pass
            self.acknowledged.add(event["interaction_id"])
            await self._tell()
            await asyncio.sleep(self.pause_seconds)

    async def _attempt(self, client: httpx.AsyncClient, event: dict[str, Any]) -> bool:
        try:
            answer = await client.post("/api/feed/feedback/record", json=event)
        except httpx.TransportError:
            if self.reachable is None:
                raise
            self.interrupted += 1
            await self.reachable.wait()
            return False
        if answer.status_code == 503 and self.may_refuse:
            assert_refusal(answer)
            self.refused += 1
            await self._tell()
            return False
        assert answer.status_code == 200, f"{answer.status_code}: {answer.text}"
        body = answer.json()
        assert body["success"] is True
        assert body["interaction_id"] == event["interaction_id"]
        self.duplicates += body.get("duplicate", False)
        return True

    async def _tell(self) -> None:
        async with self._progress:
            self._progress.notify_all()


def assert_refusal(answer: httpx.Response) -> None:
    """Check a 503: it says when to try again, in a problem document."""
    assert answer.status_code == 503, f"{answer.status_code}: {answer.text}"
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["status"] == 503


async def assert_recorded(
    persistence: FeedFeedbackPersistence, sent: dict[str, dict[str, Any]]
) -> None:
    """Check that the log has each event once, nothing else, and that the statistics agree."""
    logged = [entry async for page in persistence.entries() for entry in page]
    ids = [entry.id for entry in logged]
    assert len(ids) == len(set(ids))
    assert set(sent) - set(ids) == set(), "sent and acknowledged, but not in the log"
    assert set(ids) - set(sent) == set(), "in the log, but never sent"
    for entry in logged:
        for name in ("user_id", "kblock_id", "action", "dwell_time_ms"):
            assert getattr(entry, name) == sent[entry.id].get(name)

    found = await persistence.verify()
    assert found.differences == 0, found.examples
    assert found.events == len(sent)
    actions = Counter(event["action"] for event in sent.values())
    dwells = [
        event["dwell_time_ms"]
        for event in sent.values()
        if event["action"] == "view" and "dwell_time_ms" in event
    ]
    analytics = await persistence.get_analytics()
    assert analytics["totals"] == {
        "views": actions["view"],
        "engagements": actions["engage"],
        "dismissals": actions["dismiss"],
        "avg_dwell_time_sec": sum(dwells) / (1000 * len(dwells)),
    }


def _event(chance: random.Random, users: int, kblocks: int) -> dict[str, Any]:
    """Make an event; K-Blocks are as popular as the inverse of their rank."""
    weights = [1 / rank for rank in range(1, kblocks + 1)]
    event: dict[str, Any] = {
        "user_id": f"user-{chance.randrange(users)}",
        "kblock_id": f"kblock-{chance.choices(range(kblocks), weights)[0]}",
        "action": chance.choices(ACTIONS, (6, 2, 1, 1))[0],
    }
    if event["action"] == "view" and chance.random() < 0.5:
        event["dwell_time_ms"] = chance.randrange(60_000)
    return event


# Writers in processes

WRITERS = 16 if SOAK else 8
EVENTS = 2_000  # of each writer
USERS = 100
KBLOCKS = 200
TASKS = 4  # of each writer
EPOCH = datetime(2025, 12, 25, 10, tzinfo=UTC)


class Sending(NamedTuple):
    """An event in the order of a writer's work, and whether somebody sends it once more."""

    event: dict[str, Any]
    twice: bool


def events_of(writer: int) -> list[dict[str, Any]]:
    """Return the events that are a writer's own, each once."""
    chance = random.Random(writer)
    return [
        {
            **_event(chance, USERS, KBLOCKS),
            "interaction_id": f"{writer}-{number}",
            "occurred_at": EPOCH + timedelta(seconds=chance.randrange(600)),
        }
        for number in range(EVENTS)
    ]


def sendings_of(writer: int) -> list[Sending]:
    """Return all that a writer sends, in its order.

    Every tenth event of a writer is sent twice: of four, one right again, one at the end, and two
    by the next writer, at about the same time.
    """
    sendings, late = [], []
    neighbours = events_of((writer - 1) % WRITERS)
    for number, event in enumerate(events_of(writer)):
        sendings.append(Sending(event, number % 10 == 0))
        if number % 40 == 0:
            sendings.append(Sending(event, twice=True))
        elif number % 40 == 10:
            late.append(Sending(event, twice=True))
        elif number % 10 == 0:
            sendings.append(Sending(neighbours[number], twice=True))
    return sendings + late


async def write(database_url: str, writer: int) -> Counter[str]:
    """Send what is a writer's to send, as batches and one by one."""
    engine = create_engine(Settings(database_url=database_url))
    counted: Counter[str] = Counter()
    try:
        async with FeedFeedbackPersistence(async_sessionmaker(engine)) as persistence:
            await persistence.get_attention_score("nobody", "nothing")
            print("ready", flush=True)
            sys.stdin.readline()
            pieces = iter(_pieces(writer))
            async with asyncio.TaskGroup() as group:
                for _ in range(TASKS):
                    group.create_task(_work(persistence, pieces, counted))
    finally:
        await engine.dispose()
    return counted


def _pieces(writer: int) -> list[tuple[bool, list[Sending]]]:
    """Cut a writer's work into batches (True) and events to be sent one by one (False)."""
    chance = random.Random(writer)
    sendings = sendings_of(writer)
    pieces = []
    start = 0
    while start < len(sendings):
        batch = chance.random() < 0.5
        size = chance.randint(1, 100 if batch else 20)
        pieces.append((batch, sendings[start : start + size]))
        start += size
    return pieces


async def _work(persistence: FeedFeedbackPersistence, pieces: Any, counted: Counter[str]) -> None:
    for batch, sendings in pieces:
        if batch:
            result = await persistence.record_batch([sending.event for sending in sendings])
            if result.rejected:
                raise AssertionError(result.rejected)
            counted["accepted"] += result.accepted
            counted["duplicates"] += result.duplicates
            continue
        # All at once, as requests come in.
        for duplicate in await asyncio.gather(*(_record(persistence, each) for each in sendings)):
            counted["duplicates" if duplicate else "accepted"] += 1


async def _record(persistence: FeedFeedbackPersistence, sending: Sending) -> bool:
    if sending.twice:
        return (await persistence.record(Interaction.parse(sending.event))).duplicate
    await persistence.record_interaction(**sending.event)
    return False


if __name__ == "__main__":
    print(json.dumps(asyncio.run(write(sys.argv[1], int(sys.argv[2])))))

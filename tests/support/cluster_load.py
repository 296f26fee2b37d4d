"""The load of a cluster: events by a broker and by services, repeats and bad ones among them."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import nats
from nats.errors import Error as NatsError
from nats.js import JetStreamContext

from harken.errors import DatabaseUnavailable
from harken.services.record.persistence import FeedFeedbackPersistence
from tests.support.brokers import SUBJECT
from tests.support.cluster import Cluster
from tests.support.load import assert_refusal

CLIENTS = 8
"""Clients of each service."""
REQUEST_SECONDS = 60
AGAIN_SECONDS = 0.1
LOOK_SECONDS = 0.02
READ_SECONDS = 0.1
PUBLISHED_AT_ONCE = 250
AHEAD = 0.1
ACTIONS = ("view", "engage", "dismiss", "contradict")
POISON = (b"", b"not json", b"[]", b'{"user_id":"ada"}', b"\xff\xfe", b'{"a":' * 300, b"null")
BAD_EVENT = {"user_id": "ada", "action": "view"}
OLD_DAYS = 5

Event = dict[str, Any]


@dataclass(frozen=True)
class Drawn:
    """What is sent: messages for the broker, and batches for services.

    ids: those of all events, each once.
    bodies: all messages with events, each once.
    poison: the messages that hold no event, each kind once.
    """

    ids: list[str]
    messages: list[bytes]
    batches: list[list[Event]]
    bodies: list[bytes]
    poison: list[bytes]


def drawn_events(count: int, *, old: bool = False) -> Drawn:
    """Draw events: half go to the broker, half to services, one in twenty to both.

    Those that are `old` happened between 40 and 45 days ago.
    """
    chance = random.Random(count)
    events = [_event(number, chance, old=old) for number in range(count)]
    chance.shuffle(events)
    half = count // 2
    shared = count // 20
    bodies = [json.dumps(event).encode() for event in events[: half + shared]]
    messages = [body for body in bodies for _ in range(chance.choice((1, 1, 1, 2, 3)))]
    poison = chance.choices(POISON, k=max(count // 50, len(POISON)))
    messages += poison
    chance.shuffle(messages)
    rest = events[half:]
    rest += chance.sample(rest, len(rest) // 10)
    chance.shuffle(rest)
    batches = list(_batches(rest, chance))
    ids = [event["interaction_id"] for event in events]
    return Drawn(ids, messages, batches, bodies, sorted(set(poison)))


def _event(number: int, chance: random.Random, *, old: bool) -> Event:
    event: Event = {
        "interaction_id": f"{'old' if old else 'new'}-{number}",
        "user_id": f"reader-{chance.randrange(500)}",
        "kblock_id": f"kblock-{int(chance.paretovariate(0.8)) % 300}",
        "action": chance.choices(ACTIONS, (6, 2, 1, 1))[0],
    }
    if old:
        at = datetime.now(UTC) - timedelta(days=40, hours=chance.randrange(24 * OLD_DAYS))
        event["occurred_at"] = at.isoformat()
    return event


def _batches(events: list[Event], chance: random.Random) -> Iterator[list[Event]]:
    start = 0
    while start < len(events):
        size = chance.choice((1, 1, 1, 1, 10, 50))
        batch = events[start : start + size]
        start += size
        yield [*batch, BAD_EVENT] if size > 1 and chance.random() < 0.2 else batch


class _Left:
    """The batches of a service that were not sent yet; `share` is that of the events that were."""

    def __init__(self, batches: Sequence[list[Event]]) -> None:
        self._batches = list(batches)
        self._events = sum(map(len, batches))
        self.share = 0.0

    def take(self) -> list[Event] | None:
        """Return the next batch to send; None if there is none."""
        if not self._batches:
            return None
        batch = self._batches.pop()
        self.share += len(batch) / self._events
        return batch


@dataclass
class ClusterLoad:
    """Sends what was drawn, and each again until it is acknowledged.

    What is not acknowledged is a 503, a connection that breaks, or a broker that does not answer;
    other answers than these and 200 are errors. Services and broker are sent to at one pace: none
    gets more than `AHEAD` of its part before the others' events are recorded. Pages and analytics
    are read meanwhile; a read has to see what was recorded before it began.
    """

    parts: Cluster
    drawn: Drawn
    record: FeedFeedbackPersistence
    published: int = 0
    rejected: int = 0
    poisoned: int = 0
    refused: int = 0
    interrupted: int = 0
    publishing_interrupted: int = 0
    reads: int = 0
    _recorded: int = 0
    _views: int = 0
    _looked: asyncio.Condition = field(default_factory=asyncio.Condition)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send within the context; at its end, all is acknowledged and recorded."""
        urls = [each.url for each in self.parts.services]
        before = await self.record.count()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch(before))
            group.create_task(self._publish())
            for place, url in enumerate(urls):
                group.create_task(self._serve(url, self.drawn.batches[place :: len(urls)]))
            yield
            await self.until_recorded(1.0)

    async def until_recorded(self, share: float) -> None:
        """Wait until a share of the events is recorded."""
        async with self._looked:
            await self._looked.wait_for(lambda: self._recorded >= share * len(self.drawn.ids))

    async def _watch(self, before: int) -> None:
        while self._recorded < len(self.drawn.ids):
            with suppress(DatabaseUnavailable):  # what it still had of the old primary
                counts = await self.record.counts()
                self._recorded, self._views = sum(counts.values()) - before, counts["view"]
            async with self._looked:
                self._looked.notify_all()
            await asyncio.sleep(LOOK_SECONDS)

    async def _serve(self, url: str, batches: Sequence[list[Event]]) -> None:
        left = _Left(batches)
        async with (
            httpx.AsyncClient(base_url=url, timeout=REQUEST_SECONDS, trust_env=False) as client,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(CLIENTS):
                group.create_task(self._send(client, left))
            group.create_task(self._read(client))

    async def _read(self, client: httpx.AsyncClient) -> None:
        while self._recorded < len(self.drawn.ids):
            least = self._views
            analytics = await self._answer(client.get("/api/feed/analytics"))
            page = await self._answer(
                client.get("/api/feed/cosmos", params={"user_id": "reader-1"})
            )
            self.reads += 2
            if analytics is not None:
                assert analytics.json()["totals"]["views"] >= least
            if page is not None:
                assert page.json()["items"] == []  # there are no K-Blocks
            await asyncio.sleep(READ_SECONDS)

    async def _send(self, client: httpx.AsyncClient, left: "_Left") -> None:
        while True:
            await self.until_recorded(left.share - AHEAD)
            if (batch := left.take()) is None:
                return
            while not await self._attempt(client, batch):  # noqa: ASYNC110 — what another process answers
                await asyncio.sleep(AGAIN_SECONDS)

    async def _attempt(self, client: httpx.AsyncClient, batch: list[Event]) -> bool:
        path, sent = "/api/feed/feedback/batch", {"events": batch}
        if len(batch) == 1:
            path, sent = "/api/feed/feedback/record", batch[0]
        answer = await self._answer(client.post(path, json=sent))
        if answer is None:
            return False
        if len(batch) > 1:
            said = answer.json()
            bad = batch.count(BAD_EVENT)
            assert said["accepted"] + said["duplicates"] == len(batch) - bad, said
            self.poisoned += bad
            self.rejected += len(said["rejected"])
        return True

    async def _answer(self, request: Awaitable[httpx.Response]) -> httpx.Response | None:
        """Return an answer with the status 200; None if there was none, or a 503."""
        try:
            answer = await request
        except httpx.TransportError:
            self.interrupted += 1
            return None
        if answer.status_code == 503:
            assert_refusal(answer)
            self.refused += 1
            return None
        assert answer.status_code == 200, f"{answer.status_code}: {answer.text}"
        return answer

    async def _publish(self) -> None:
        left = list(self.drawn.messages)
        while left:
            try:
                client = await nats.connect(
                    self.parts.broker.url, allow_reconnect=False, error_cb=_ignore
                )
            except (OSError, NatsError):
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            try:
                await self._publish_to(client.jetstream(), left)
            except (OSError, TimeoutError, NatsError):
                self.publishing_interrupted += 1
            finally:
                await client.close()

    async def _publish_to(self, stream: JetStreamContext, left: list[bytes]) -> None:
        while left:
            await self.until_recorded(1 - len(left) / len(self.drawn.messages) - AHEAD)
            some = left[-PUBLISHED_AT_ONCE:]
            await asyncio.gather(*(stream.publish(SUBJECT, body) for body in some))
            del left[-PUBLISHED_AT_ONCE:]
            self.published += len(some)


async def _ignore(_error: Exception) -> None:
    """Who publishes sees the error, too."""

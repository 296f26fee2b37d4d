"""Brokers and consumers are killed: each good event once, each bad message a dead letter."""

import asyncio
import json
import random
from collections import Counter
from functools import partial
from typing import Any

import pytest

from harken.services.record.persistence import FeedFeedbackPersistence
from tests.faults import SOAK
from tests.support.brokers import Broker, KafkaServer, NatsServer
from tests.support.consumer import Consumer
from tests.support.waiting import until

EVENTS = 100_000 if SOAK else 3_000
CONSUMER_KILLS, BROKER_KILLS = (5, 2) if SOAK else (2, 1)
BATCH = 500 if SOAK else 50
MOST_SECONDS = 600
POISON = (b"", b"not json", b"[]", b'{"user_id":"ada"}', b"\xff\xfe", b'{"a":' * 300, b"null")

BROKERS = [pytest.param(NatsServer, id="nats"), pytest.param(KafkaServer, id="kafka")]


def messages() -> tuple[list[bytes], Counter[tuple[str, str]], Counter[bytes]]:
    """Return messages in their order, the events that are to be counted, and the bad messages."""
    drawn = random.Random(7)
    good: Counter[tuple[str, str]] = Counter()
    bodies: list[bytes] = []
    for number in range(EVENTS):
        event: dict[str, Any] = {
            "user_id": f"reader-{number % 13}", "kblock_id": f"k{number % 29}", "action": "view",
        }  # fmt: skip
        has_id = number % 2 == 0  # the others get one of their place
        if has_id:
            event["interaction_id"] = f"event-{number}"
        body = json.dumps(event).encode()
        bodies += [body] * (drawn.choice((1, 1, 1, 2, 3)) if has_id else 1)
        good[event["user_id"], event["kblock_id"]] += 1
    bad = Counter(drawn.choices(POISON, k=EVENTS // 50))
    bodies += bad.elements()
    drawn.shuffle(bodies)
    return bodies, good, bad


@pytest.mark.slow
@pytest.mark.parametrize("kind", BROKERS)
@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
async def test_each_event_once_and_each_bad_message_a_dead_letter(
    kind: type[Broker], database_url: str, persistence: FeedFeedbackPersistence
) -> None:
    bodies, good, bad = messages()
    kills = ["consumer"] * CONSUMER_KILLS + ["broker"] * BROKER_KILLS
    random.Random(3).shuffle(kills)
    with kind() as broker, Consumer(database_url, broker.url, "--batch", str(BATCH)) as consumer:
        await broker.publish(bodies)
        for round_, victim in enumerate(kills, 1):
            reached = EVENTS * round_ // (len(kills) + 1)
            await until(partial(_has_counted, persistence, reached), MOST_SECONDS)
            await asyncio.to_thread((consumer if victim == "consumer" else broker).kill)
            await asyncio.to_thread((consumer if victim == "consumer" else broker).start)
        await until(partial(_has_counted, persistence, EVENTS), MOST_SECONDS)
        assert consumer.terminate() == 0
        with Consumer(database_url, broker.url, "--until-empty", "--json") as rest:
            await until(lambda: '"dead_letter"' in rest.output, MOST_SECONDS)
        dead = await broker.dead_letters()

    counted = [entry async for page in persistence.entries() for entry in page]
    assert Counter((each.user_id, each.kblock_id) for each in counted) == good
    # A broker that was killed may deliver a bad message again: then it is there twice.
    assert {body for body, _ in dead} == set(bad)
    assert all(Counter(body for body, _ in dead)[body] >= number for body, number in bad.items())
    assert all(reason for _, reason in dead)
    assert not (await persistence.verify()).differences


async def _has_counted(persistence: FeedFeedbackPersistence, least: int) -> bool:
    return await persistence.count() >= least

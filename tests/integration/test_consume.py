"""`harken consume` on a real NATS server; `tests/faults/test_stream_killed.py` has Kafka, too."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from harken.domain.feedback import FeedbackAction
from harken.services.integrity.erasure import Erasure
from harken.services.record.admission.subjects import Subject
from harken.services.record.persistence import FeedFeedbackPersistence
from tests.conftest import session_factory_for
from tests.support.brokers import NatsServer
from tests.support.consumer import Consumer
from tests.support.waiting import until

RULES = Path(__file__).parents[2] / "deploy" / "prometheus" / "alerts.yml"


@pytest.fixture(scope="module")
def nats_server() -> Iterator[NatsServer]:
    with NatsServer() as server:
        yield server


@pytest.fixture
def streamed(nats_server: NatsServer) -> Iterator[NatsServer]:
    yield nats_server
    asyncio.run(nats_server.clear())


def body(**fields: Any) -> bytes:
    return json.dumps({"user_id": "ada", "kblock_id": "one", "action": "view"} | fields).encode()


def rest_of(url: str, server: NatsServer, *options: str) -> str:
    """Consume what is there, and return what the command wrote."""
    with Consumer(url, server.url, "--until-empty", *options) as consumer:
        asyncio.run(_ended(consumer))
        return consumer.output


async def _ended(consumer: Consumer) -> None:
    # What was sent to a consumer that had just ended is sent again after some seconds.
    await until(lambda: "Recorded:" in consumer.output, 120)


def test_events_repeats_bad_messages_and_erased_readers(
    database_url: str, streamed: NatsServer
) -> None:
    with Consumer(database_url, streamed.url) as consumer:
        assert consumer.terminate() == 0
    asyncio.run(
        streamed.publish(
            [
                body(interaction_id="a"),
                body(interaction_id="a"),
                body(interaction_id="a", kblock_id="other"),
                body(),
                body(),
                body(user_id="gone"),
                body(action="adore"),
                b"no event",
            ]
        )
    )
    asyncio.run(_erase(database_url, "gone"))
    assert "Recorded: 3. Already recorded: 1. Of erased readers: 1. Dead letters: 3." in rest_of(
        database_url, streamed
    )
    dead = dict(asyncio.run(streamed.dead_letters()))
    assert (
        "already recorded with other content" in dead[body(interaction_id="a", kblock_id="other")]
    )
    assert "action" in dead[body(action="adore")]
    assert dead[b"no event"].startswith("The body is not JSON")
    assert not any(b"gone" in each for each in dead)
    assert "Recorded: 0. Already recorded: 0." in rest_of(database_url, streamed)


async def _erase(url: str, reader: str) -> None:
    async with session_factory_for(url) as factory:
        async with FeedFeedbackPersistence(factory) as record:
            await record.record_interaction(reader, "one", FeedbackAction.VIEW)
        await Erasure(factory).erase(Subject.READER, reader)


async def test_metrics_tell_what_waits_and_what_became_of_it(
    database_url: str, streamed: NatsServer, persistence: FeedFeedbackPersistence
) -> None:
    with Consumer(database_url, streamed.url, "--metrics-port", "0") as consumer:
        await streamed.publish([*(body(kblock_id=f"k{i}") for i in range(300)), b"bad"])
        address = re.search(r"http://\S+/metrics", consumer.output)
        assert address is not None
        async with httpx.AsyncClient(trust_env=False) as client:

            async def text() -> str:
                return (await client.get(address[0])).text

            await until(lambda: _is_counted(text))
            await until(lambda: _has(text, "harken_stream_lag_messages 0.0"))
            alerts = RULES.read_text("utf-8")
            for name in set(re.findall(r"harken_stream_\w+", alerts)):
                assert name in await text()
    assert (await persistence.counts())[FeedbackAction.VIEW] == 300


async def _is_counted(text: Any) -> bool:
    found = await text()
    return all(
        f'harken_stream_messages_total{{outcome="{name}"}} {number}.0' in found
        for name, number in (("recorded", 300), ("dead_letter", 1), ("duplicate", 0))
    )


async def _has(text: Any, line: str) -> bool:
    return line in await text()


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_what_cannot_be_consumed_is_said(database_url: str, streamed: NatsServer) -> None:
    missing = Consumer(database_url, streamed.url, "--no-create", "--subject", "nobody.keeps")
    with pytest.raises(RuntimeError, match=r"no stream keeps nobody\.keeps; --create makes one"):
        missing.start()
    silent = Consumer(database_url, "nats://127.0.0.1:1")
    with pytest.raises(RuntimeError, match=r"NATS at 127\.0\.0\.1:1 does not answer"):
        silent.start()

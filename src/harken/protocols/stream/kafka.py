"""Kafka: a consumer group that commits its offsets after the database did."""

import asyncio
import logging
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage, Topic
from faststream.kafka.security import parse_security
from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512

from harken.errors import InvalidInput, Problem
from harken.protocols.stream.address import Sasl, StreamAddress
from harken.protocols.stream.deliveries import Deliveries
from harken.protocols.stream.messages import DeadLetter, Message
from harken.protocols.stream.options import StreamOptions, header_text, library_log

LAG_SECONDS = 5.0
_PROOFS = {
    Sasl.PLAIN: SASLPlaintext, Sasl.SCRAM_256: SASLScram256, Sasl.SCRAM_512: SASLScram512,
}  # fmt: skip


class Kafka:
    """The messages of a topic, for one consumer group."""

    errors: ClassVar[tuple[type[Exception], ...]] = (KafkaError,)

    def __init__(self, address: StreamAddress, options: StreamOptions) -> None:
        self._address, self._options = address, options
        self._security = _security(address)
        self._broker = KafkaBroker(
            list(address.servers),
            client_id="harken",
            acks="all",
            enable_idempotence=True,
            graceful_timeout=options.closing_seconds,
            security=self._security,
            apply_types=False,
            logger=library_log,
            log_level=logging.DEBUG,
        )
        self._subscriber: Any = None

    async def start(self, deliveries: Deliveries) -> None:
        """Connect, and hand batches to `deliveries` from now on.

        Raises InvalidInput if there is no such topic, or KafkaError.
        """
        options = self._options
        await self._prepare_topics()

        async def handle(messages: Sequence[Message]) -> None:
            await deliveries.handle(messages, self._bury)

        self._subscriber = self._broker.subscriber(
            Topic(options.subject, declare=False),
            group_id=options.group,
            batch=True,
            max_records=options.batch,
            auto_offset_reset="earliest",
            # Another policy would lose a batch whose handling failed.
            ack_policy=AckPolicy.NACK_ON_ERROR,
            decoder=_messages,
        )
        self._subscriber(handle)
        await self._broker.start()

    async def _prepare_topics(self) -> None:
        """Make missing topics, if that is wanted. Raises InvalidInput, or KafkaError."""
        admin = AIOKafkaAdminClient(
            bootstrap_servers=list(self._address.servers), **parse_security(self._security)
        )
        await admin.start()
        try:
            known = set(await admin.list_topics())
            missing = sorted({self._options.subject, self._options.dead_letters} - known)
            if missing and not self._options.create:
                raise InvalidInput(
                    Problem("subject", f"there is no topic {missing[0]}; --create makes one")
                )
            await admin.create_topics(
                [NewTopic(name, num_partitions=1, replication_factor=1) for name in missing]
            )
        finally:
            await admin.close()

    async def _bury(self, dead: DeadLetter) -> None:
        await self._broker.publish(
            dead.message.body, self._options.dead_letters, headers=header_text(dead)
        )

    async def lag(self) -> int | None:
        """Return the number of messages that are not acknowledged; None if it is not known."""
        consumer = self._subscriber.consumer if self._subscriber else None
        numbers = consumer.partitions_for_topic(self._options.subject) if consumer else None
        if not consumer or not numbers:
            return None
        partitions = [TopicPartition(self._options.subject, number) for number in numbers]
        try:
            async with asyncio.timeout(LAG_SECONDS):
                ends = await consumer.end_offsets(partitions)
                begins = await consumer.beginning_offsets(partitions)
                done = {each: await consumer.committed(each) for each in partitions}
        except (KafkaError, TimeoutError):
            return None
        return int(sum(ends[each] - max(done[each] or 0, begins[each]) for each in partitions))

    async def close(self) -> None:
        """Complete the batch in progress, and disconnect."""
        await self._broker.stop()


async def _messages(batch: KafkaMessage) -> list[Message]:
    return [
        Message(each.value or b"", f"{each.topic}:{each.partition}:{each.offset}", _time(each))
        for each in batch.raw_message
    ]


def _time(record: Any) -> datetime | None:
    if record.timestamp is None or record.timestamp < 0:
        return None
    return datetime.fromtimestamp(record.timestamp / 1_000, UTC)


def _security(address: StreamAddress) -> BaseSecurity:
    context = ssl.create_default_context() if address.is_encrypted else None
    if address.user is None:
        return BaseSecurity(ssl_context=context)
    return _PROOFS[address.sasl](address.user, address.password or "", ssl_context=context)

"""NATS JetStream: a durable consumer that pulls batches."""

import logging
from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from faststream import AckPolicy
from faststream.message import StreamMessage
from faststream.nats import JStream, NatsBroker, PullSub
from faststream.nats.security import NatsSecurity, NatsToken, NatsUserPassword
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig
from nats.js.errors import NotFoundError

from harken.errors import InvalidInput, Problem
from harken.protocols.stream.address import StreamAddress
from harken.protocols.stream.deliveries import Deliveries
from harken.protocols.stream.messages import DeadLetter, Message
from harken.protocols.stream.options import StreamOptions, header_text, library_log

COLLECTED_WITHIN = 0.2
"""Seconds in which a batch is collected that does not become full."""
ACK_SECONDS = 12.0
"""After so many seconds without an acknowledgement, a message is delivered again: so long may those
wait that were sent to a consumer which had just ended. More than `deliveries.LONGEST_PAUSE`."""


class JetStream:
    """The messages of a subject, for one durable consumer."""

    errors: ClassVar[tuple[type[Exception], ...]] = (NatsError,)

    def __init__(self, address: StreamAddress, options: StreamOptions) -> None:
        self._options = options
        self._broker = NatsBroker(
            [f"nats://{server}" for server in address.servers],
            name="harken",
            security=_security(address),
            max_reconnect_attempts=-1,
            connect_timeout=5,
            graceful_timeout=options.closing_seconds,
            apply_types=False,
            logger=library_log,
            log_level=logging.DEBUG,
        )
        self._context: JetStreamContext | None = None
        self._stream = ""

    async def start(self, deliveries: Deliveries) -> None:
        """Connect, and hand batches to `deliveries` from now on.

        Raises InvalidInput if no stream keeps the subject or its dead letters, or NatsError.
        """
        options = self._options
        context = self._context = (await self._broker.connect()).jetstream()
        self._stream = await _stream_of(context, options.subject, create=options.create)
        await _stream_of(context, options.dead_letters, create=options.create)
        subscriber = self._broker.subscriber(
            options.subject,
            durable=options.group,
            stream=JStream(self._stream, declare=False),
            pull_sub=PullSub(options.batch, COLLECTED_WITHIN, batch=True),
            config=ConsumerConfig(ack_wait=ACK_SECONDS, max_ack_pending=10 * options.batch),
            # Another policy would lose a batch whose handling failed.
            ack_policy=AckPolicy.NACK_ON_ERROR,
            decoder=_messages,
        )

        async def handle(messages: Sequence[Message]) -> None:
            await deliveries.handle(messages, partial(_bury, context, options.dead_letters))

        subscriber(handle)
        await self._broker.start()

    async def lag(self) -> int | None:
        """Return the number of messages that are not acknowledged; None if it is not known."""
        if self._context is None:
            return None
        try:
            info = await self._context.consumer_info(self._stream, self._options.group)
        except NatsError:
            return None
        return (info.num_pending or 0) + (info.num_ack_pending or 0)

    async def close(self) -> None:
        """Complete the batch in progress, and disconnect."""
        await self._broker.stop()


async def _bury(context: JetStreamContext, subject: str, dead: DeadLetter) -> None:
    # The server drops what it got under the same id in the last minutes.
    headers = {"Nats-Msg-Id": dead.message.place, **header_text(dead)}
    await context.publish(subject, dead.message.body, headers=headers)


async def _messages(batch: StreamMessage[list[Msg]]) -> list[Message]:
    found = []
    for each in batch.raw_message:
        about = each.metadata
        place = f"{about.stream}:{about.sequence.stream}"
        found.append(Message(each.data, place, about.timestamp))
    return found


async def _stream_of(context: JetStreamContext, subject: str, *, create: bool) -> str:
    """Return the name of the stream that keeps a subject; with `create` it is made if none does."""
    try:
        return await context.find_stream_name_by_subject(subject)
    except NotFoundError:
        if not create:
            raise InvalidInput(
                Problem("subject", f"no stream keeps {subject}; --create makes one")
            ) from None
    name = subject.replace(".", "-")
    await context.add_stream(name=name, subjects=[subject])
    return name


def _security(address: StreamAddress) -> NatsSecurity:
    if address.user and address.password:
        return NatsUserPassword(address.user, address.password, use_ssl=address.is_encrypted)
    if address.user:
        return NatsToken(address.user, use_ssl=address.is_encrypted)
    return NatsSecurity(use_ssl=address.is_encrypted)

"""The process of `harken consume`: from its start to a signal, or to the end of the stream."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import ClassVar, Protocol

from harken.errors import MissingExtra, Unreachable
from harken.protocols.stream.address import Kind, StreamAddress
from harken.protocols.stream.deliveries import Deliveries
from harken.protocols.stream.figures import StreamFigures
from harken.protocols.stream.options import StreamOptions
from harken.services.record.persistence import FeedFeedbackPersistence

EXTRA = "stream"
ANSWERED_WITHIN = 15.0
LAG_EVERY = 5.0
LAG_EVERY_UNTIL_EMPTY = 0.2


class Stream(Protocol):
    """The messages of a broker for one group."""

    errors: ClassVar[tuple[type[Exception], ...]]
    """What its library raises if the broker does not answer, or refuses."""

    async def start(self, deliveries: Deliveries) -> None:
        """Connect, and hand batches to `deliveries` from now on."""

    async def lag(self) -> int | None:
        """Return the number of messages that are not acknowledged; None if it is not known."""

    async def close(self) -> None:
        """Complete the batch in progress, and disconnect."""


def stream_at(address: StreamAddress, options: StreamOptions) -> Stream:
    """Return the stream at an address, which is not connected yet. Raises MissingExtra."""
    try:
        if address.kind is Kind.NATS:
            from harken.protocols.stream.jetstream import JetStream  # noqa: PLC0415 — an extra

            return JetStream(address, options)
        from harken.protocols.stream.kafka import Kafka  # noqa: PLC0415 — an extra
    except ImportError:
        raise MissingExtra("harken consume", EXTRA) from None
    return Kafka(address, options)


async def consume(
    address: StreamAddress,
    options: StreamOptions,
    record: FeedFeedbackPersistence,
    figures: StreamFigures,
    *,
    until_empty: bool = False,
    started: Callable[[], None] = lambda: None,
) -> None:
    """Record the events of a stream until SIGINT or SIGTERM, or until no message waits.

    Raises MissingExtra, InvalidInput for a missing stream or topic, or Unreachable. A broker that
    goes away later is waited for.
    """
    deliveries = Deliveries(record, figures)
    stream = stream_at(address, options)
    with _signals(deliveries.stopping):
        async with _started(stream, deliveries, address):
            started()
            await _watch(stream, deliveries, figures, until_empty=until_empty)


@asynccontextmanager
async def _started(
    stream: Stream, deliveries: Deliveries, address: StreamAddress
) -> AsyncIterator[None]:
    try:
        try:
            async with asyncio.timeout(ANSWERED_WITHIN):
                await stream.start(deliveries)
        except Exception as error:
            if not isinstance(error, (OSError, TimeoutError, *stream.errors)):
                raise
            raise Unreachable(f"{address} does not answer: {error!r}") from None
        yield
    finally:
        deliveries.stopping.set()
        await stream.close()


async def _watch(
    stream: Stream, deliveries: Deliveries, figures: StreamFigures, *, until_empty: bool
) -> None:
    every = LAG_EVERY_UNTIL_EMPTY if until_empty else LAG_EVERY
    while not deliveries.stopping.is_set():
        lag = await stream.lag()
        figures.waiting(lag)
        if until_empty and lag == 0:
            return
        await deliveries.rest(every)


@contextlib.contextmanager
def _signals(stopping: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    kinds = (signal.SIGINT, signal.SIGTERM)
    for each in kinds:
        loop.add_signal_handler(each, stopping.set)
    try:
        yield
    finally:
        for each in kinds:
            loop.remove_signal_handler(each)

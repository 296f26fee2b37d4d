"""From a batch of messages to the record: what is no event becomes a dead letter."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence

from harken.errors import Erased, HarkenError, InvalidInput, Unavailable
from harken.protocols.stream.figures import StreamFigures
from harken.protocols.stream.messages import DeadLetter, Message, event_in
from harken.services.record.persistence import FeedFeedbackPersistence

log = logging.getLogger(__name__)

LONGEST_PAUSE = 8.0
"""Seconds. Shorter than the time after which a broker delivers what it holds for unread."""

Bury = Callable[[DeadLetter], Awaitable[None]]
"""Puts a message into the place for dead letters; returns when it is stored there."""


class Deliveries:
    """Records the events of batches. A batch whose handling raises has to be delivered again."""

    def __init__(self, record: FeedFeedbackPersistence, figures: StreamFigures) -> None:
        self._record = record
        self._figures = figures
        self._failures = 0
        self.stopping = asyncio.Event()
        """Set when the consumer ends: it cuts pauses short."""

    async def handle(self, messages: Sequence[Message], bury: Bury) -> None:
        """Record a batch; returns when it may be acknowledged.

        Raises what kept it from being recorded, after a pause that grows with each failure.
        """
        try:
            dead = await self._recorded(messages)
            for each in dead:
                await bury(each)
        except Exception as error:
            await self._pause(error)
            raise
        self._failures = 0
        self._figures.count("dead_letter", len(dead))

    async def _recorded(self, messages: Sequence[Message]) -> list[DeadLetter]:
        """Record the events of messages, and return those that hold none."""
        dead, events, senders = [], [], []
        for message in messages:
            try:
                events.append(event_in(message))
            except InvalidInput as error:
                dead.append(DeadLetter(message, str(error)))
            else:
                senders.append(message)
        result = await self._record.record_batch(events)
        refused = [each.error for each in result.rejected]
        for unavailable in (error for error in refused if isinstance(error, Unavailable)):
            raise unavailable
        dead += [
            DeadLetter(senders[each.index], str(each.error))
            for each in result.rejected
            # A dead letter would keep what was to be forgotten.
            if not isinstance(each.error, Erased)
        ]
        self._figures.count("recorded", result.accepted)
        self._figures.count("duplicate", result.duplicates)
        self._figures.count("erased", sum(isinstance(error, Erased) for error in refused))
        return dead

    async def _pause(self, error: Exception) -> None:
        self._failures += 1
        self._figures.failed()
        pause = min(2.0 ** (self._failures - 2), LONGEST_PAUSE)
        what = str(error) if isinstance(error, HarkenError) else repr(error)
        log.warning("A batch is delivered again, in %s s at the earliest: %s", pause, what)
        await self.rest(pause)

    async def rest(self, seconds: float) -> None:
        """Wait for some seconds, or until the consumer ends."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.stopping.wait()

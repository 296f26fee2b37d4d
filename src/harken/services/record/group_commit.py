"""Many callers, one transaction: whoever waits while a commit runs shares the next one."""

import asyncio
import math
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple

from harken.database import Failure, classify, translate
from harken.domain.feedback import LogEntry
from harken.errors import Closed, DatabaseUnavailable, HarkenError, InvalidInput, Problem, QueueFull
from harken.services.record.transaction import Outcome

GROUP_SIZE = 1_000  # entries in a transaction, unless one caller alone brings more

# Entries that have to wait before a second transaction begins beside one that runs. Fewer would
# split a group that had better stay whole.
ENOUGH = 16

# Pauses before the attempts after the first: 10 ms outlive a deadlock, all of them together
# (some three seconds) a restart of the database's connection pooler, or of a small database.
RETRY_SECONDS = (0.01, 0.05, 0.25, 0.7, 2.0)

Append = Callable[[list[LogEntry], int], Awaitable[list[Outcome]]]
"""Commits entries, as the writer of that number; two calls under way are never of one writer."""


class _Submission(NamedTuple):
    entries: list[LogEntry]
    outcomes: asyncio.Future[list[Outcome]]


class GroupCommit:
    """A queue before `append`, drained by a task for as long as anything waits in it.

    There is no pause to let a group grow: a group is what arrived while the one before was being
    committed, so a lone event waits for nobody and a crowd shares the cost of its fsync. With
    several writers, the next group is put together and sent while the database commits one.
    """

    def __init__(
        self,
        append: Append,
        queue_limit: int,
        writers: int = 1,
        patience: float | None = None,
    ) -> None:
        """Commit by `append`; a group is given up when its attempts took `patience` seconds."""
        self._append = append
        self._patience = math.inf if patience is None else patience
        self._writers = writers
        self._idle_writers = list(range(writers))
        self._queue_limit = queue_limit
        self._queue: deque[_Submission] = deque()
        self._depth = 0
        self._drains: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def depth(self) -> int:
        """Entries that wait for their commit, or are being committed."""
        return self._depth

    async def submit(self, entries: list[LogEntry]) -> list[Outcome]:
        """Commit entries and return one outcome each, in their order.

        A caller that is cancelled stops waiting, its entries are committed all the same.
        Raises QueueFull, Closed, DatabaseUnavailable or SchemaMismatch; after the last two, what
        was submitted may still have been committed, never only part of one entry.
        """
        if self._closed:
            raise Closed("this service is shutting down; send the event again, with its id")
        if self._depth and self._depth + len(entries) > self._queue_limit:
            raise QueueFull(f"{self._depth} events are waiting already; try again shortly")
        submission = _Submission(entries, asyncio.get_running_loop().create_future())
        self._queue.append(submission)
        self._depth += len(entries)
        if len(self._idle_writers) == self._writers or (
            self._idle_writers and self._waiting() >= ENOUGH
        ):
            self._start_drain()
        return await submission.outcomes

    async def close(self) -> None:
        """Take no more entries, and return when those that wait are committed.

        A database that does not answer is not tried again. Who is cancelled here gives up what
        waits.
        """
        self._closed = True
        if self._drains:
            try:
                await asyncio.wait(self._drains)
            except asyncio.CancelledError:
                for drain in self._drains:
                    drain.cancel()
                raise

    def _waiting(self) -> int:
        # Counting stops early: a queue may be long, and this is asked for every event.
        waiting = 0
        for submission in self._queue:
            waiting += len(submission.entries)
            if waiting >= ENOUGH:
                break
        return waiting

    def _start_drain(self) -> None:
        writer = self._idle_writers.pop()
        drain = asyncio.create_task(self._drain(writer), name=f"harken-group-commit-{writer}")
        self._drains.add(drain)
        drain.add_done_callback(self._drains.discard)

    async def _drain(self, writer: int) -> None:
        try:
            while self._queue:
                await self._commit_group(self._next_group(), writer)
        except asyncio.CancelledError:
            # The event loop is ending, and with it all who wait.
            _cancel(self._queue)
            self._queue.clear()
            raise
        finally:
            # Nothing is awaited since the queue was found empty: who submits next starts a drain.
            self._idle_writers.append(writer)

    async def _commit_group(self, group: list[_Submission], writer: int) -> None:
        try:
            outcomes = await self._commit([each for one in group for each in one.entries], writer)
        except DatabaseUnavailable as error:
            # Who waits behind this group would only find out the same, as long again.
            group += self._queue
            self._queue.clear()
            _fail(group, error)
        except Exception as error:  # noqa: BLE001 — each caller gets it, the queue goes on
            _fail(group, error)
        except asyncio.CancelledError:
            _cancel(group)
            raise
        else:
            _answer(group, outcomes)
        finally:
            self._depth -= sum(len(each.entries) for each in group)

    def _next_group(self) -> list[_Submission]:
        group = [self._queue.popleft()]
        size = len(group[0].entries)
        while self._queue and size + len(self._queue[0].entries) <= GROUP_SIZE:
            group.append(self._queue.popleft())
            size += len(group[-1].entries)
        return group

    async def _commit(self, entries: list[LogEntry], writer: int) -> list[Outcome]:
        # Retrying is safe after a connection that broke in mid-commit too: the ids are the same.
        give_up_at = time.monotonic() + self._patience
        for pause in (*RETRY_SECONDS, None):
            try:
                return await self._append(entries, writer)
            except Exception as error:
                failure = classify(error)
                if failure is Failure.DATA:
                    return await self._divide(entries, writer, error)
                is_passing = failure is Failure.RETRY or (
                    failure is Failure.LOST and not self._closed
                )
                if not is_passing or pause is None or time.monotonic() + pause > give_up_at:
                    raise translate(error) from error
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 — no secret
        raise AssertionError("the last attempt returns or raises")

    async def _divide(
        self, entries: list[LogEntry], writer: int, error: Exception
    ) -> list[Outcome]:
        """Halve until the entry that the database refuses stands alone, and fails alone."""
        if len(entries) == 1:
            reason = str(getattr(error, "orig", error)).splitlines()[0]
            return [InvalidInput(Problem("", f"the database refuses this event: {reason}"))]
        middle = len(entries) // 2
        first = await self._commit(entries[:middle], writer)
        return first + await self._commit(entries[middle:], writer)


def _answer(group: list[_Submission], outcomes: list[Outcome]) -> None:
    position = 0
    for entries, answer in group:
        if not answer.done():
            answer.set_result(outcomes[position : position + len(entries)])
        position += len(entries)


def _fail(group: list[_Submission], error: Exception) -> None:
    for _, answer in group:
        if not answer.done():
            # Each gets its own: one exception raised in many tasks piles up their tracebacks.
            own = type(error)(*error.args) if isinstance(error, HarkenError) else error
            own.__cause__ = error.__cause__
            answer.set_exception(own)


def _cancel(group: Iterable[_Submission]) -> None:
    for _, answer in group:
        answer.cancel()

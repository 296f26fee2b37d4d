"""Group commit: callers that arrive while a commit runs share the next transaction."""

import asyncio
import math
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple, Protocol

from harken.database import FailureKind, classify, translate
from harken.domain.feedback import LogEntry
from harken.errors import (
    Closed,
    DatabaseUnavailable,
    HarkenError,
    InvalidInput,
    Problem,
    QueueFull,
    first_line,
)
from harken.services.record.admission.outcomes import Outcome

GROUP_SIZE = 1_000  # entries per transaction, unless a single caller submits more

# The number of waiting entries that starts a second transaction while another one runs. Fewer
# entries are better committed as one group.
ENOUGH = 16

# Pauses before retries, in seconds. 10 ms are enough after a deadlock; all of them together (about
# three seconds) are enough for a restart of a connection pooler or of a small database.
RETRY_SECONDS = (0.01, 0.05, 0.25, 0.7, 2.0)

Append = Callable[[list[LogEntry], int], Awaitable[list[Outcome]]]
"""Commits entries as the writer of a number; concurrent calls have different writers."""


class CommitObserver(Protocol):
    """Is told of each transaction that recorded events, or failed to."""

    def __call__(self, events: int, seconds: float, *, is_recorded: bool) -> None:
        """Take the number of events of a transaction, and the time with all its retries."""


class _Submission(NamedTuple):
    entries: list[LogEntry]
    outcomes: asyncio.Future[list[Outcome]]


class GroupCommit:
    """A queue of entries that tasks pass to `append` in groups.

    There is no delay to let a group grow: a group is what arrived during the commit before it. So a
    single event is committed at once, and many events share the cost of one fsync. With several
    writers, the next group is sent while the database commits the one before.
    """

    def __init__(
        self,
        append: Append,
        queue_limit: int,
        writers: int = 1,
        retry_seconds: float | None = None,
    ) -> None:
        """Commit with `append`; a group is not retried after `retry_seconds` since its start."""
        self._append = append
        self._retry_seconds = math.inf if retry_seconds is None else retry_seconds
        self._writers = writers
        self._idle_writers = list(range(writers))
        self._queue_limit = queue_limit
        self._queue: deque[_Submission] = deque()
        self._depth = 0
        self._drains: set[asyncio.Task[None]] = set()
        self._closed = False
        self.observer: CommitObserver | None = None

    @property
    def depth(self) -> int:
        """The number of entries that wait for their commit, or are being committed."""
        return self._depth

    async def submit(self, entries: list[LogEntry]) -> list[Outcome]:
        """Commit entries, and return an outcome for each, in their order.

        If the caller is cancelled, its entries are committed nevertheless. Raises QueueFull,
        Closed, DatabaseUnavailable or SchemaMismatch. After the last two, some of the entries may
        have been committed, but each of them only as a whole.
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
        """Accept no more entries, and return when the waiting ones are committed.

        A commit is not retried if the database does not answer. Cancelling this call discards the
        waiting entries.
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
        # Counting stops early, since the queue may be long and this runs for every event.
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
            # The event loop is ending: all waiting callers are cancelled.
            _cancel(self._queue)
            self._queue.clear()
            raise
        finally:
            # No await since the queue was found empty, so the next caller starts a new drain.
            self._idle_writers.append(writer)

    async def _commit_group(self, group: list[_Submission], writer: int) -> None:
        began, is_recorded = time.perf_counter(), False
        events = sum(len(each.entries) for each in group)
        try:
            outcomes = await self._commit([each for one in group for each in one.entries], writer)
        except DatabaseUnavailable as error:
            # The rest of the queue fails at once, instead of waiting for the same error again.
            group += self._queue
            self._queue.clear()
            _fail(group, error)
        except Exception as error:  # noqa: BLE001 — each caller gets it, the queue continues
            _fail(group, error)
        except asyncio.CancelledError:
            _cancel(group)
            raise
        else:
            is_recorded = True
            _answer(group, outcomes)
        finally:
            if self.observer is not None:
                self.observer(events, time.perf_counter() - began, is_recorded=is_recorded)
            self._depth -= sum(len(each.entries) for each in group)

    def _next_group(self) -> list[_Submission]:
        group = [self._queue.popleft()]
        size = len(group[0].entries)
        while self._queue and size + len(self._queue[0].entries) <= GROUP_SIZE:
            group.append(self._queue.popleft())
            size += len(group[-1].entries)
        return group

    async def _commit(self, entries: list[LogEntry], writer: int) -> list[Outcome]:
        # A retry is safe even if the connection broke during a commit, since the ids are the same.
        give_up_at = time.monotonic() + self._retry_seconds
        for pause in (*RETRY_SECONDS, None):
            try:
                return await self._append(entries, writer)
            except Exception as error:
                failure = classify(error)
                if failure is FailureKind.DATA:
                    return await self._divide(entries, writer, error)
                is_passing = failure is FailureKind.RETRY or (
                    failure is FailureKind.LOST and not self._closed
                )
                if not is_passing or pause is None or time.monotonic() + pause > give_up_at:
                    raise translate(error) from error
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 — no secret
        raise AssertionError("the last attempt returns or raises")

    async def _divide(
        self, entries: list[LogEntry], writer: int, error: Exception
    ) -> list[Outcome]:
        """Commit both halves separately, recursively, until only the refused entry fails."""
        if len(entries) == 1:
            reason = first_line(getattr(error, "orig", error))
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
            # A copy for each caller: an exception raised in many tasks collects their tracebacks.
            own = type(error)(*error.args) if isinstance(error, HarkenError) else error
            own.__cause__ = error.__cause__
            answer.set_exception(own)


def _cancel(group: Iterable[_Submission]) -> None:
    for _, answer in group:
        answer.cancel()

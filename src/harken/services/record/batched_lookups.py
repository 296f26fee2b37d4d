"""Shared round trips: callers that arrive while one is under way share the next one."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Hashable
from typing import Generic, NamedTuple, TypeVar

from harken.errors import DatabaseUnavailable

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

MOST_AT_ONCE = 500


class _Asked(NamedTuple, Generic[K, T]):
    keys: Collection[K]
    answer: asyncio.Future[dict[K, T]]


class BatchedLookups(Generic[K, T]):
    """Answers lookups by key with one query at a time for all waiting callers.

    A query begins after the lookups that it answers, so each lookup sees everything that was
    committed before it. A single lookup starts its query at once. A query is finished even if all
    who asked for it went away, so that `read` may write, too.
    """

    def __init__(self, read: Callable[[list[K]], Awaitable[dict[K, T]]]) -> None:
        self._read = read
        self._waiting: list[_Asked[K, T]] = []
        self._drain: asyncio.Task[None] | None = None

    async def get(self, key: K) -> T | None:
        """Return the value that `read` returns for a key, else None; raises what `read` raises."""
        return (await self.get_all([key])).get(key)

    async def get_all(self, keys: Collection[K]) -> dict[K, T]:
        """Return the values of several keys that have one, perhaps among others.

        The result is shared with other callers. Raises what `read` raises.
        """
        answer: asyncio.Future[dict[K, T]] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Asked(keys, answer))
        if self._drain is None:
            self._drain = asyncio.create_task(self._answer_all(), name="harken-lookups")
        return await answer

    async def idle(self) -> None:
        """Return when no query is under way."""
        if self._drain is not None:
            await asyncio.wait([self._drain])

    async def _answer_all(self) -> None:
        try:
            while self._waiting:
                await self._answer(self._next())
        finally:
            # Nothing was awaited since no caller was found waiting, so the next one starts a task.
            self._drain = None
            for asked in self._waiting:  # only if the event loop is ending
                asked.answer.cancel()

    def _next(self) -> list[_Asked[K, T]]:
        """Take the callers of the next query: at least one, and up to `MOST_AT_ONCE` keys."""
        count = size = 0
        for asked in self._waiting:
            size += len(asked.keys)
            if count and size > MOST_AT_ONCE:
                break
            count += 1
        group, self._waiting = self._waiting[:count], self._waiting[count:]
        return group

    async def _answer(self, group: list[_Asked[K, T]]) -> None:
        try:
            found = await self._read(list(dict.fromkeys(key for one in group for key in one.keys)))
        except Exception as error:  # noqa: BLE001 — each caller gets it, the queue continues
            if isinstance(error, DatabaseUnavailable):
                # Those who wait fail at once, instead of waiting for the same error again.
                group, self._waiting = group + self._waiting, []
            for answer in _unanswered(group):
                answer.set_exception(error)
                answer.exception()  # marked as retrieved, since the caller may be cancelled
        except asyncio.CancelledError:
            for answer in _unanswered(group):
                answer.cancel()
            raise
        else:
            for answer in _unanswered(group):
                answer.set_result(found)


def _unanswered(group: list[_Asked[K, T]]) -> list[asyncio.Future[dict[K, T]]]:
    """Return the futures of the callers that did not go away."""
    return [asked.answer for asked in group if not asked.answer.done()]

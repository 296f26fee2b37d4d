"""Batched lookups: callers that arrive while a query runs share the next one."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

MOST_AT_ONCE = 500


class BatchedLookups(Generic[K, T]):
    """Answers lookups by key with one query at a time for all waiting callers.

    A query begins after the lookups that it answers, so each lookup sees everything that was
    committed before it. A single lookup starts its query at once.
    """

    def __init__(self, read: Callable[[list[K]], Awaitable[dict[K, T]]]) -> None:
        self._read = read
        self._waiting: dict[K, asyncio.Future[T | None]] = {}
        self._drain: asyncio.Task[None] | None = None

    async def get(self, key: K) -> T | None:
        """Return the value that `read` returns for a key, else None; raises what `read` raises."""
        answer = self._waiting.get(key)
        if answer is None:
            answer = self._waiting[key] = asyncio.get_running_loop().create_future()
            if self._drain is None:
                self._drain = asyncio.create_task(self._answer_all(), name="harken-lookups")
        # Shielded, since other callers may wait for the same answer.
        return await asyncio.shield(answer)

    async def _answer_all(self) -> None:
        try:
            while self._waiting:
                keys = list(self._waiting)[:MOST_AT_ONCE]
                await self._answer({key: self._waiting.pop(key) for key in keys})
        finally:
            self._drain = None

    async def _answer(self, asked: dict[K, asyncio.Future[T | None]]) -> None:
        try:
            found = await self._read(list(asked))
        except Exception as error:  # noqa: BLE001 — each caller gets it, the queue continues
            for answer in asked.values():
                answer.set_exception(error)
                answer.exception()  # marked as retrieved, since the caller may be cancelled
        except asyncio.CancelledError:
            for answer in asked.values():
                answer.cancel()
            raise
        else:
            for key, answer in asked.items():
                answer.set_result(found.get(key))

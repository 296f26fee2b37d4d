"""Single flight: work that many wait for is done once at a time, for all of them."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from harken.errors import Closed, HarkenError

log = logging.getLogger(__name__)

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Runs one piece of work at a time, in a task that outlives those who wait for it.

    `name` is that of the task. Belongs to the event loop that first used it.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._task: asyncio.Task[T] | None = None
        self.is_closed = False

    @property
    def is_running(self) -> bool:
        """Whether work is being done now."""
        return self._task is not None and not self._task.done()

    def start(self, work: Callable[[], Coroutine[Any, Any, T]]) -> asyncio.Task[T]:
        """Return the task that is running, or else a new one that does `work`.

        The caller keeps the task: another may begin the next one before the caller goes on. An
        error that nobody waits for is logged, unless it is a HarkenError. Raises Closed.
        """
        if self._task is None or self._task.done():
            if self.is_closed:
                raise Closed(f"{self._name} has stopped")
            self._task = asyncio.get_running_loop().create_task(work(), name=self._name)
            self._task.add_done_callback(_noticed)
        return self._task

    async def finish(self, task: asyncio.Task[T], seconds: float | None = None) -> bool:
        """Wait for a task that `start` returned, at most some seconds; returns whether it ended.

        Cancelling the caller does not cancel the task. Raises what the task raised, and Closed if
        it was stopped.
        """
        done, _ = await asyncio.wait([task], timeout=seconds)
        if done and task.cancelled():
            raise Closed(f"{self._name} has stopped")
        if done:
            task.result()
        return bool(done)

    def stop(self) -> None:
        """Cancel what is running, and start nothing more."""
        self.is_closed = True
        if self._task is not None:
            self._task.cancel()

    async def idle(self) -> None:
        """Return when what is running has ended."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def close(self) -> None:
        """Start nothing more, and return when what is running has ended."""
        self.is_closed = True
        await self.idle()


def _noticed(task: "asyncio.Task[Any]") -> None:
    """Take the error of a task that nobody waited for; the next task tries again."""
    error = None if task.cancelled() else task.exception()
    if error is not None and not isinstance(error, HarkenError):
        log.error("%s failed", task.get_name(), exc_info=error)

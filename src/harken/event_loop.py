"""Long computations on the event loop, which leave room for other requests."""

import asyncio
from collections import deque
from time import perf_counter

AT_ONCE_SECONDS = 0.0005
"""An interruptible computation goes on for so long before other tasks of the loop run.

An answer takes some ten rounds of the loop, so it waits some ten times as long.
"""
ROUNDS_BETWEEN = 4
"""Between two computations in a `Line`, the loop makes so many rounds."""


class Interruptible:
    """Lets other tasks of the event loop run whenever a computation has used up its time.

    It goes by time, not by a count of steps, since one step may cost a thousand times another.
    """

    def __init__(self) -> None:
        self._since = perf_counter()

    async def pause(self) -> None:
        """Let other tasks run, if `AT_ONCE_SECONDS` have passed since they last could."""
        if perf_counter() - self._since > AT_ONCE_SECONDS:
            await asyncio.sleep(0)
            self._since = perf_counter()


class Line:
    """Requests in line for a computation that cannot be interrupted, of some milliseconds.

    Without it, all that became ready at once would compute in the same round of the loop, and every
    other answer would wait for all of them. Belongs to the event loop that first used it.
    """

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_taken = False

    async def turn(self) -> None:
        """Return when it is the caller's turn, who then computes before the next `await`."""
        loop = asyncio.get_running_loop()
        if self._is_taken:
            waiting = loop.create_future()
            self._waiting.append(waiting)
            await waiting
        else:
            self._is_taken = True
            loop.call_soon(self._pass_on, ROUNDS_BETWEEN)

    def _pass_on(self, rounds: int) -> None:
        """Give the turn to the next in line, after so many more rounds of the loop."""
        if rounds == 0:
            while self._waiting and self._waiting[0].done():  # its request was cancelled
                self._waiting.popleft()
            if not self._waiting:
                self._is_taken = False
                return
            self._waiting.popleft().set_result(None)
            rounds = ROUNDS_BETWEEN
        asyncio.get_running_loop().call_soon(self._pass_on, rounds - 1)

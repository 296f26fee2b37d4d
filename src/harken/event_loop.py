"""Long computations on the event loop, which leave room for other requests."""

import asyncio
from time import perf_counter

AT_ONCE_SECONDS = 0.0005
"""An interruptible computation goes on for so long before other tasks of the loop run.

An answer takes some ten rounds of the loop, so it waits some ten times as long.
"""


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

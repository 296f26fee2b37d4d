"""Waiting for a condition, for tests."""

import asyncio
import time
from collections.abc import Callable
from inspect import isawaitable
from typing import Any

WAIT_SECONDS = 60


async def until(holds: Callable[[], Any], seconds: float = WAIT_SECONDS) -> Any:
    """Wait until something holds, and return it."""
    deadline = time.monotonic() + seconds
    while True:
        found = holds()
        if isawaitable(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < deadline, "it never came to hold"
        await asyncio.sleep(0.02)

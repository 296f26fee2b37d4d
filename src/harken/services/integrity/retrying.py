"""Runs a transaction again after a conflict with another one."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from harken.database import FailureKind, classify, translated
from harken.services.record.group_commit import RETRY_SECONDS

T = TypeVar("T")


async def repeated(work: Callable[[], Awaitable[T]]) -> T:
    """Run a transaction; after a conflict, run it again, with pauses of up to 2 seconds.

    Raises what `work` raises; errors of the database become those of Harken.
    """
    with translated():
        for pause in RETRY_SECONDS:
            try:
                return await work()
            except Exception as error:
                if classify(error) is not FailureKind.RETRY:
                    raise
            await asyncio.sleep(pause)
        return await work()

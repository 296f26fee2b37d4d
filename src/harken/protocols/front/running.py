"""What a server does from its start to its end, beside answering requests."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from harken.databases.standbys import observe_reads
from harken.errors import DatabaseUnavailable
from harken.protocols.front.front import Front
from harken.services.feed.service import FeedService
from harken.services.providers import (
    close_providers,
    get_engine,
    get_feed_feedback_persistence,
    get_feed_service,
    get_key_ring,
    setup_providers,
)
from harken.services.registry.writer_slots import WriterSlot

CLOSING_PART = 0.2
"""The part of `shutdown_timeout` in which queued events are committed."""


@asynccontextmanager
async def opened(front: Front) -> AsyncIterator[None]:
    """Load what the first requests would wait for, and close all services at the end."""
    # Objects that exist after the start live until the end. Freezing them keeps the garbage
    # collector from scanning them: each full collection would stop all requests for about 80 ms,
    # about once a second under load.
    gc.disable()
    try:
        await setup_providers()
        await (await get_feed_service()).warm()
        await (await get_key_ring()).current()
        if front.metrics is not None:
            (await get_feed_feedback_persistence()).observe_commits(front.metrics.committed)
            observe_reads(await get_engine(), front.metrics.waited_for_standby)
        gc.freeze()
    finally:
        gc.enable()
    async with _beside_requests(front):
        yield
    gc.unfreeze()
    await close_providers(CLOSING_PART * front.settings.shutdown_timeout)


@asynccontextmanager
async def _beside_requests(front: Front) -> AsyncIterator[None]:
    """Write the log, send traces, hold a writer's slot, share figures, build personal orders."""
    service = await get_feed_service()
    running = [_warming(service)]
    running += [each.running() for each in (front.access_log, front.traces) if each is not None]
    if service.record.has_rivals:
        running.append(WriterSlot(service.registry.leases, service.record).running())
    if front.metrics is not None and front.metrics.is_shared:
        from harken.protocols.telemetry.sampling import sampled  # noqa: PLC0415 — needs metrics

        running.append(sampled(front.metrics, service))
    async with AsyncExitStack() as stack:
        for each in running:
            await stack.enter_async_context(each)
        yield


@asynccontextmanager
async def _warming(service: FeedService) -> AsyncIterator[None]:
    """Load what personal pages would wait for; those that come before that wait for the same."""

    async def warm() -> None:
        with suppress(DatabaseUnavailable):  # then the first personal page tries again
            await service.warm_personal()
            gc.freeze()  # as in `opened`

    task = asyncio.create_task(warm(), name="harken-warming")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])

"""What a process of several tells the others about itself, once a second."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from harken.protocols.telemetry.metrics import Figures, ServiceMetrics
from harken.services.feed.service import FeedService

SAMPLE_SECONDS = 1.0


def figures_of(service: FeedService) -> Figures:
    """Return the figures that need no query."""
    return Figures(service.record.queue_depth, service.catalogue.size, service.catalogue.age)


@asynccontextmanager
async def sampled(metrics: ServiceMetrics, service: FeedService) -> AsyncIterator[None]:
    """Note the figures of this process within the context."""

    async def sample() -> None:
        while True:
            metrics.sample(figures_of(service))
            await asyncio.sleep(SAMPLE_SECONDS)

    task = asyncio.create_task(sample(), name="harken-metrics")
    try:
        yield
    finally:
        task.cancel()
        metrics.sample(figures_of(service))  # the last requests count, too

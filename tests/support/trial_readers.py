"""Readers of a feed that a model orders: what they want is known, and so is what is better."""

import math
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from harken.domain.kblock import KBlock
from harken.services.experiments.promotion.plans import TrialPlan
from harken.services.experiments.promotion.trials import Step
from harken.services.feed.request import FeedRequest
from harken.services.feed.service import FeedService
from harken.services.learning.ranker import Model

FEED = "mine"
ITEMS = 24
PAGE = 10


class Readers:
    """A feed of 24 K-Blocks, and named readers of it.

    `wanted` is called with a K-Block's rank by age, from 0, the newest. Readers engage with all
    that they want, wherever it stands: so a result does not depend on coins.
    """

    def __init__(self, service: FeedService, clock: Any, wanted: Callable[[int], bool]) -> None:
        self.service = service
        self.clock = clock
        self.wanted = wanted
        self.engaged = 0

    async def open(self) -> None:
        """Store the K-Blocks, from an hour to four days old, and the feed."""
        await self.service.kblocks.put(
            [
                KBlock.parse(
                    {"id": f"k{n:02}", "title": f"K {n}", "kind": "mine",
                     "created_at": self.clock.now - timedelta(seconds=math.exp(8 + n / 5))}
                )
                for n in range(ITEMS)
            ]
        )  # fmt: skip
        own = {"field": "kind", "operator": "eq", "value": "mine"}
        await self.service.feeds.put(FEED, {"ranking": "learned", "filters": [own]})

    async def model(self, model: Model, until: datetime | None = None) -> str:
        """Store a model that was trained until a time, by default until now."""
        data = {"until": (until or self.clock.now).isoformat()}
        self.clock.now += timedelta(seconds=1)
        return await self.service.registry.models.add(model, data, {}, "1.0")

    async def visit(self, readers: Sequence[int]) -> None:
        """Let readers see a page each, and engage with what they want."""
        for reader in readers:
            self.clock.now += timedelta(seconds=1)
            user_id = f"reader-{reader}"
            page = await self.service.page(FeedRequest(FEED, user_id, limit=PAGE))
            events = [
                {"user_id": user_id, "kblock_id": item.id, "action": "engage",
                 "request_id": page.request_id, "position": item.position}
                for item in page.items
                if self.wanted(int(item.id[1:]))
            ]  # fmt: skip
            self.engaged += len(events)
            await self.service.record.record_batch(events)

    async def step(self, plan: TrialPlan, model_id: str | None = None) -> Step:
        """Take a step of promotion by trial."""
        return await self.service.trials.step(plan, model_id)

"""Register a custom feed whose filter and score are Python functions, and read it.

HARKEN_DATABASE_URL names the database; the default is `harken.db` in the current folder.
"""

import asyncio

import numpy as np
from numpy.typing import NDArray

from harken.domain.feeds import Feed, FeedRanking
from harken.domain.kblock import KBlock
from harken.services.feed.request import FeedRequest
from harken.services.index.view import Columns
from harken.services.providers import close_providers, get_feed_service


def is_solid(columns: Columns) -> NDArray[np.bool_]:
    """Return whether each K-Block has a small loss; an unknown loss is NaN and fails."""
    return columns.loss < 0.3


def is_overlooked(columns: Columns) -> NDArray[np.float64]:
    """Return a score that is high for K-Blocks with a small loss and few views."""
    return (1 - columns.loss) / (1 + columns.popularity)


OVERLOOKED = Feed(
    "overlooked",
    "solid, and seen by few",
    filters=(is_solid,),
    ranking=FeedRanking("overlooked", "solid and unseen first", {}, is_overlooked),
)


async def main() -> None:
    """Register the feed, store K-Blocks, record a view, read the feed."""
    service = await get_feed_service()
    service.register(OVERLOOKED)

    losses = {"known": 0.0, "unknown": 0.2, "shaky": 0.6}
    await service.kblocks.put(
        [KBlock(id=name, title=name, galois_loss=loss) for name, loss in losses.items()]
    )
    await service.record.record_interaction("ada", "known", "view")

    for item in (await service.page(FeedRequest("overlooked"))).items:
        print(f"{item.score:.2f} {item.title}")

    await close_providers()


if __name__ == "__main__":
    asyncio.run(main())

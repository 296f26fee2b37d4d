"""Register a feed of one's own, whose filter and score are functions, and read it.

The database is the one that HARKEN_DATABASE_URL names, else `harken.db` in the current folder.
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
    """Pass what loses little; an unknown loss is NaN, which is below nothing."""
    return columns.loss < 0.3


def is_overlooked(columns: Columns) -> NDArray[np.float64]:
    """Put first what is solid and was seen by few."""
    return (1 - columns.loss) / (1 + columns.popularity)


OVERLOOKED = Feed(
    "overlooked",
    "solid, and seen by few",
    filters=(is_solid,),
    ranking=FeedRanking("overlooked", "solid and unseen first", {}, is_overlooked),
)


async def main() -> None:
    """Write, record, register, then read."""
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

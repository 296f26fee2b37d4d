"""Store two K-Blocks, record a like for one of them, and read the feed.

HARKEN_DATABASE_URL names the database; the default is `harken.db` in the current folder.
"""

import asyncio

from harken.domain.kblock import KBlock
from harken.services.feed.request import FeedRequest
from harken.services.providers import close_providers, get_feed_service


async def main() -> None:
    """Store K-Blocks, record a like, read the feed."""
    service = await get_feed_service()

    await service.kblocks.put(
        [KBlock(id="hello", title="Hello"), KBlock(id="world", title="World")]
    )
    await service.record.record_interaction("ada", "hello", "engage")

    page = await service.page(FeedRequest("cosmos", user_id="ada", ranking="attention", limit=2))
    for item in page.items:
        print(f"{item.score:.2f} {item.title}")

    await close_providers()


if __name__ == "__main__":
    asyncio.run(main())

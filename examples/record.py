"""Record a view and an engagement, and print the resulting attention score.

HARKEN_DATABASE_URL names the database; the default is `harken.db` in the current folder.
"""

import asyncio

from harken.services.feed.feedback import PersistentAttentionTracker
from harken.services.providers import close_providers, get_feed_feedback_persistence


async def main() -> None:
    """Record two interactions, then read the score."""
    persistence = await get_feed_feedback_persistence()
    tracker = PersistentAttentionTracker(persistence)

    await tracker.record_view("user_123", "kb_abc")
    await tracker.record_engagement("user_123", "kb_abc")

    score = await tracker.get_attention_score("user_123", "kb_abc")
    print(f"Attention score: {score:.4f}")

    await close_providers()


if __name__ == "__main__":
    asyncio.run(main())

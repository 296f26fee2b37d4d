"""Attention trackers: what a feed asks when it wants to know how much an item is worth."""

from collections import Counter
from typing import Protocol

from harken.domain.attention import attention_score
from harken.domain.feedback import FeedbackAction
from harken.services.feed.persistence import FeedFeedbackPersistence

__all__ = [
    "AttentionTracker",
    "AttentionTrackerProtocol",
    "FeedbackAction",
    "InMemoryAttentionTracker",
    "PersistentAttentionTracker",
]


class AttentionTrackerProtocol(Protocol):
    """Records what readers do, and says how much attention a K-Block earned from everybody."""

    async def record_view(self, user_id: str, kblock_id: str) -> None:
        """Count a view."""

    async def record_engagement(self, user_id: str, kblock_id: str) -> None:
        """Count an engagement."""

    async def record_dismissal(self, user_id: str, kblock_id: str) -> None:
        """Count a dismissal."""

    async def get_attention_score(self, user_id: str, kblock_id: str) -> float:
        """Return the score, in [0, 1]; 0 for a K-Block that nobody touched."""

    async def get_stats(self, user_id: str, kblock_id: str) -> dict[str, int]:
        """Return the counts, under `views`, `engagements` and `dismissals`."""


class InMemoryAttentionTracker:
    """Keeps the counts in this object, for tests and for trying things out."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[FeedbackAction]] = {}

    async def record_view(self, user_id: str, kblock_id: str) -> None:  # noqa: ARG002
        """Count a view."""
        self._count(kblock_id, FeedbackAction.VIEW)

    async def record_engagement(self, user_id: str, kblock_id: str) -> None:  # noqa: ARG002
        """Count an engagement."""
        self._count(kblock_id, FeedbackAction.ENGAGE)

    async def record_dismissal(self, user_id: str, kblock_id: str) -> None:  # noqa: ARG002
        """Count a dismissal."""
        self._count(kblock_id, FeedbackAction.DISMISS)

    async def get_attention_score(self, user_id: str, kblock_id: str) -> float:
        """Return the score, in [0, 1]; 0 for a K-Block that nobody touched."""
        return attention_score(**await self.get_stats(user_id, kblock_id))

    async def get_stats(self, user_id: str, kblock_id: str) -> dict[str, int]:  # noqa: ARG002
        """Return the counts, under `views`, `engagements` and `dismissals`."""
        counts = self._counts.get(kblock_id, Counter())
        return {
            "views": counts[FeedbackAction.VIEW],
            "engagements": counts[FeedbackAction.ENGAGE],
            "dismissals": counts[FeedbackAction.DISMISS],
        }

    def _count(self, kblock_id: str, action: FeedbackAction) -> None:
        self._counts.setdefault(kblock_id, Counter())[action] += 1


class PersistentAttentionTracker:
    """Keeps everything in the database, in the log that analytics and learning read too."""

    def __init__(self, persistence: FeedFeedbackPersistence) -> None:
        self._persistence = persistence

    async def record_view(self, user_id: str, kblock_id: str) -> None:
        """Record a view; raises as `FeedFeedbackPersistence.record_interaction` does."""
        await self._persistence.record_interaction(user_id, kblock_id, FeedbackAction.VIEW)

    async def record_engagement(self, user_id: str, kblock_id: str) -> None:
        """Record an engagement; raises likewise."""
        await self._persistence.record_interaction(user_id, kblock_id, FeedbackAction.ENGAGE)

    async def record_dismissal(self, user_id: str, kblock_id: str) -> None:
        """Record a dismissal; raises likewise."""
        await self._persistence.record_interaction(user_id, kblock_id, FeedbackAction.DISMISS)

    async def get_attention_score(self, user_id: str, kblock_id: str) -> float:
        """Return the score, in [0, 1]; 0 for a K-Block that nobody touched."""
        return await self._persistence.get_attention_score(user_id, kblock_id)

    async def get_stats(self, user_id: str, kblock_id: str) -> dict[str, int]:
        """Return the counts, under `views`, `engagements` and `dismissals`."""
        return await self._persistence.get_interaction_stats(user_id, kblock_id)


AttentionTracker = PersistentAttentionTracker

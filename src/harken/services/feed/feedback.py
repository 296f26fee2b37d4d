"""Attention trackers: they record what readers do, and return attention scores."""

from collections import Counter
from typing import Protocol

from harken.domain.attention import (
    DEFAULT_PRIOR,
    attention_score,
    check_prior,
    personal_attention,
)
from harken.domain.feedback import GUEST, FeedbackAction
from harken.services.record.persistence import FeedFeedbackPersistence

__all__ = [
    "AttentionTracker",
    "AttentionTrackerProtocol",
    "FeedbackAction",
    "InMemoryAttentionTracker",
    "PersistentAttentionTracker",
]


class AttentionTrackerProtocol(Protocol):
    """Records what readers do, and returns the attention scores and counts of K-Blocks.

    A score blends that of the reader with that of all readers (`personal_attention`). Counts are
    those of all readers.
    """

    async def record_view(self, user_id: str, kblock_id: str) -> None:
        """Count a view."""

    async def record_engagement(self, user_id: str, kblock_id: str) -> None:
        """Count an engagement."""

    async def record_dismissal(self, user_id: str, kblock_id: str) -> None:
        """Count a dismissal."""

    async def get_attention_score(
        self, user_id: str, kblock_id: str, *, personalized: bool = True
    ) -> float:
        """Return the score, in [0, 1]; 0 for a K-Block that nobody touched.

        It is the score of all readers for a guest, for a reader without interactions with the
        K-Block, and if not `personalized`.
        """

    async def get_stats(self, user_id: str, kblock_id: str) -> dict[str, int]:
        """Return the counts of all readers, under `views`, `engagements` and `dismissals`."""


class InMemoryAttentionTracker:
    """Keeps the counts in memory, for tests and for trials.

    It has no preferences of readers: a profile is never reset or switched off.
    """

    def __init__(self, attention_prior: float = DEFAULT_PRIOR) -> None:
        """Set the prior of personal scores, in interactions.

        Raises InvalidInput unless it is a finite number greater than 0.
        """
        self._prior = check_prior(attention_prior)
        self._counts: dict[str, Counter[FeedbackAction]] = {}
        self._own: dict[tuple[str, str], Counter[FeedbackAction]] = {}

    async def record_view(self, user_id: str, kblock_id: str) -> None:
        """Count a view."""
        self._count(user_id, kblock_id, FeedbackAction.VIEW)

    async def record_engagement(self, user_id: str, kblock_id: str) -> None:
        """Count an engagement."""
        self._count(user_id, kblock_id, FeedbackAction.ENGAGE)

    async def record_dismissal(self, user_id: str, kblock_id: str) -> None:
        """Count a dismissal."""
        self._count(user_id, kblock_id, FeedbackAction.DISMISS)

    async def get_attention_score(
        self, user_id: str, kblock_id: str, *, personalized: bool = True
    ) -> float:
        """Return the score, in [0, 1]; 0 for a K-Block that nobody touched."""
        everybodys = attention_score(**_stats(self._counts.get(kblock_id)))
        if not personalized or user_id == GUEST:
            return everybodys
        own = _stats(self._own.get((user_id, kblock_id)))
        return personal_attention(
            attention_score(**own), everybodys, sum(own.values()), self._prior
        )

    async def get_stats(self, user_id: str, kblock_id: str) -> dict[str, int]:  # noqa: ARG002
        """Return the counts of all readers, under `views`, `engagements` and `dismissals`."""
        return _stats(self._counts.get(kblock_id))

    def _count(self, user_id: str, kblock_id: str, action: FeedbackAction) -> None:
        self._counts.setdefault(kblock_id, Counter())[action] += 1
        self._own.setdefault((user_id, kblock_id), Counter())[action] += 1


def _stats(counts: Counter[FeedbackAction] | None) -> dict[str, int]:
    counts = counts or Counter()
    return {
        "views": counts[FeedbackAction.VIEW],
        "engagements": counts[FeedbackAction.ENGAGE],
        "dismissals": counts[FeedbackAction.DISMISS],
    }


class PersistentAttentionTracker:
    """Keeps everything in the database, in the log that analytics and learning use."""

    def __init__(self, persistence: FeedFeedbackPersistence) -> None:
        self._persistence = persistence

    async def record_view(self, user_id: str, kblock_id: str) -> None:
        """Record a view; raises as `FeedFeedbackPersistence.record_interaction` does."""
        await self._persistence.record_interaction(user_id, kblock_id, FeedbackAction.VIEW)

    async def record_engagement(self, user_id: str, kblock_id: str) -> None:
        """Record an engagement; raises as `FeedFeedbackPersistence.record_interaction` does."""
        await self._persistence.record_interaction(user_id, kblock_id, FeedbackAction.ENGAGE)

    async def record_dismissal(self, user_id: str, kblock_id: str) -> None:
        """Record a dismissal; raises as `FeedFeedbackPersistence.record_interaction` does."""
        await self._persistence.record_interaction(user_id, kblock_id, FeedbackAction.DISMISS)

    async def get_attention_score(
        self, user_id: str, kblock_id: str, *, personalized: bool = True
    ) -> float:
        """Return the score as `FeedFeedbackPersistence.get_attention_score` does."""
        return await self._persistence.get_attention_score(
            user_id, kblock_id, personalized=personalized
        )

    async def get_stats(self, user_id: str, kblock_id: str) -> dict[str, int]:
        """Return the counts of all readers, under `views`, `engagements` and `dismissals`."""
        return await self._persistence.get_interaction_stats(user_id, kblock_id)


AttentionTracker = PersistentAttentionTracker

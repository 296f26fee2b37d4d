"""Attention trackers: what a feed asks when it wants to know how much an item is worth."""

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
    """Records what readers do, and says how much attention a K-Block earned.

    Scores are a reader's own blended with everybody's (`personal_attention`), counts everybody's.
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

        It is everybody's for a guest, for who did nothing there, and if not `personalized`.
        """

    async def get_stats(self, user_id: str, kblock_id: str) -> dict[str, int]:
        """Return everybody's counts, under `views`, `engagements` and `dismissals`."""


class InMemoryAttentionTracker:
    """Keeps the counts in this object, for tests and for trying things out.

    It knows no preferences of readers: nobody resets a profile here, or switches it off.
    """

    def __init__(self, attention_prior: float = DEFAULT_PRIOR) -> None:
        """Take the prior of personal scores, in interactions.

        Raises InvalidInput where that is not a finite number greater than 0.
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
        """Return everybody's counts, under `views`, `engagements` and `dismissals`."""
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

    async def get_attention_score(
        self, user_id: str, kblock_id: str, *, personalized: bool = True
    ) -> float:
        """Return the score as `FeedFeedbackPersistence.get_attention_score` does."""
        return await self._persistence.get_attention_score(
            user_id, kblock_id, personalized=personalized
        )

    async def get_stats(self, user_id: str, kblock_id: str) -> dict[str, int]:
        """Return everybody's counts, under `views`, `engagements` and `dismissals`."""
        return await self._persistence.get_interaction_stats(user_id, kblock_id)


AttentionTracker = PersistentAttentionTracker

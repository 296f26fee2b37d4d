"""What every attention tracker does."""

import pytest

from harken.services.feed.feedback import (
    AttentionTracker,
    AttentionTrackerProtocol,
    InMemoryAttentionTracker,
    PersistentAttentionTracker,
)
from harken.services.feed.persistence import FeedFeedbackPersistence


class TrackerContract:
    """The suite; a subclass says which tracker passes it, by a fixture `tracker`."""

    async def test_counts_are_everybodys(self, tracker: AttentionTrackerProtocol):
        await tracker.record_view("ada", "k")
        await tracker.record_view("ada", "k")
        await tracker.record_engagement("bob", "k")
        await tracker.record_dismissal("cleo", "k")
        expected = {"views": 2, "engagements": 1, "dismissals": 1}
        assert await tracker.get_stats("ada", "k") == expected
        assert await tracker.get_stats("somebody else", "k") == expected

    async def test_scores_follow_the_formula(self, tracker: AttentionTrackerProtocol):
        for _ in range(42):
            await tracker.record_view("u", "k")
        for _ in range(15):
            await tracker.record_engagement("u", "k")
        for _ in range(2):
            await tracker.record_dismissal("u", "k")
        assert await tracker.get_attention_score("u", "k") == pytest.approx(49 / 120, abs=1e-12)

    async def test_an_unknown_kblock_scores_nothing(self, tracker: AttentionTrackerProtocol):
        assert await tracker.get_attention_score("u", "unknown") == 0.0
        assert await tracker.get_stats("u", "unknown") == {
            "views": 0, "engagements": 0, "dismissals": 0,
        }  # fmt: skip


class TestInMemory(TrackerContract):
    @pytest.fixture
    def tracker(self) -> AttentionTrackerProtocol:
        return InMemoryAttentionTracker()

    async def test_asking_about_an_unknown_kblock_stores_nothing(
        self, tracker: InMemoryAttentionTracker
    ):
        await tracker.get_attention_score("u", "unknown")
        await tracker.get_stats("u", "unknown")
        assert not tracker._counts


class TestPersistent(TrackerContract):
    @pytest.fixture
    def tracker(self, persistence: FeedFeedbackPersistence) -> AttentionTrackerProtocol:
        return PersistentAttentionTracker(persistence)


def test_the_tracker_is_the_persistent_one():
    assert AttentionTracker is PersistentAttentionTracker

"""What every attention tracker does."""

import pytest

from harken.domain.attention import attention_score, personal_attention
from harken.domain.feedback import GUEST
from harken.errors import InvalidInput
from harken.services.feed.feedback import (
    AttentionTracker,
    AttentionTrackerProtocol,
    InMemoryAttentionTracker,
    PersistentAttentionTracker,
)
from harken.services.record.persistence import FeedFeedbackPersistence


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

    async def test_who_was_here_gets_their_own_score_by_how_much_they_did(
        self, tracker: AttentionTrackerProtocol
    ):
        await ada_likes_what_others_do_not(tracker)
        everybodys = attention_score(views=4, engagements=2, dismissals=4)
        expected = {
            "ada": personal_attention(attention_score(1, 2, 0), everybodys, 3, 5.0),
            "bob": personal_attention(attention_score(3, 0, 4), everybodys, 7, 5.0),
            "nobody": everybodys,
        }
        for user_id, score in expected.items():
            assert await tracker.get_attention_score(user_id, "k") == score
        assert expected["bob"] < everybodys < expected["ada"]
        # Once more by hand: (3/8)·0.5625 + (5/8)·(1/11).
        assert expected["ada"] == pytest.approx(3 / 8 * 0.5625 + 5 / 8 / 11, abs=1e-12)

    async def test_a_guest_gets_everybodys(self, tracker: AttentionTrackerProtocol):
        await ada_likes_what_others_do_not(tracker)
        await tracker.record_engagement(GUEST, "k")
        everybodys = attention_score(views=4, engagements=3, dismissals=4)
        assert await tracker.get_attention_score(GUEST, "k") == everybodys

    async def test_everybodys_can_be_asked_for(self, tracker: AttentionTrackerProtocol):
        await ada_likes_what_others_do_not(tracker)
        everybodys = attention_score(views=4, engagements=2, dismissals=4)
        for user_id in ("ada", "bob", GUEST):
            score = await tracker.get_attention_score(user_id, "k", personalized=False)
            assert score == everybodys

    async def test_what_readers_did_elsewhere_does_not_count(
        self, tracker: AttentionTrackerProtocol
    ):
        await ada_likes_what_others_do_not(tracker)
        await tracker.record_dismissal("ada", "other")
        await tracker.record_view("bob", "another")
        assert await tracker.get_attention_score("ada", "another") == attention_score(1, 0, 0)


async def ada_likes_what_others_do_not(tracker: AttentionTrackerProtocol) -> None:
    await tracker.record_view("ada", "k")
    for _ in range(2):
        await tracker.record_engagement("ada", "k")
    for _ in range(3):
        await tracker.record_view("bob", "k")
    for _ in range(4):
        await tracker.record_dismissal("bob", "k")


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
        assert not tracker._own

    async def test_its_prior_can_be_given(self):
        tracker = InMemoryAttentionTracker(attention_prior=1.0)
        await ada_likes_what_others_do_not(tracker)
        expected = personal_attention(attention_score(1, 2, 0), attention_score(4, 2, 4), 3, 1.0)
        assert await tracker.get_attention_score("ada", "k") == expected
        with pytest.raises(InvalidInput, match="attention_prior"):
            InMemoryAttentionTracker(attention_prior=0.0)


class TestPersistent(TrackerContract):
    @pytest.fixture
    def tracker(self, persistence: FeedFeedbackPersistence) -> AttentionTrackerProtocol:
        return PersistentAttentionTracker(persistence)


def test_the_tracker_is_the_persistent_one():
    assert AttentionTracker is PersistentAttentionTracker

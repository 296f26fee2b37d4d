"""Whose score it is, on each database: what readers prefer and reset, and the prior."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from harken.database import Database
from harken.domain.attention import attention_score, personal_attention
from harken.domain.preferences import Preferences
from harken.errors import InvalidInput
from harken.services.feed.feedback import InMemoryAttentionTracker
from harken.services.record.persistence import FeedFeedbackPersistence
from harken.services.record.readers import ReaderStore


@pytest.fixture
def readers(session_factory) -> ReaderStore:
    return ReaderStore(Database(session_factory))


async def happened(persistence, user_id: str, minutes_ago: int = 0, **counts: int) -> None:
    """Record so many interactions of each action with the K-Block `k`."""
    at = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    await persistence.record_batch(
        [
            {"user_id": user_id, "kblock_id": "k", "action": action, "occurred_at": at}
            for action, count in counts.items()
            for _ in range(count)
        ]
    )


async def test_an_engaged_reader_scores_above_the_crowd(persistence):
    await happened(persistence, "ada", view=2, engage=3)
    await happened(persistence, "crowd", view=20, dismiss=9)
    everybodys = await persistence.get_attention_score("ada", "k", personalized=False)
    assert everybodys == attention_score(22, 3, 9)
    expected = personal_attention(attention_score(2, 3, 0), everybodys, 5, 5.0)
    assert await persistence.get_attention_score("ada", "k") == expected > everybodys
    assert await persistence.get_attention_score("nobody", "k") == everybodys
    assert await persistence.get_attention_score("ada", "never touched") == 0.0


async def test_a_contradiction_is_no_interaction_that_scores(persistence):
    await happened(persistence, "ada", contradict=4)
    await happened(persistence, "crowd", view=3, engage=1)
    assert await persistence.get_attention_score("ada", "k") == attention_score(3, 1, 0)


async def test_who_switched_it_off_gets_everybodys(persistence, readers):
    await happened(persistence, "ada", engage=3)
    await happened(persistence, "crowd", view=9)
    before = await persistence.get_attention_score("ada", "k")
    await readers.prefer("ada", Preferences(personalized=False))
    assert await persistence.get_attention_score("ada", "k") == attention_score(9, 3, 0) < before
    await readers.prefer("ada", Preferences())
    assert await persistence.get_attention_score("ada", "k") == before


async def test_what_was_before_a_reset_does_not_count(persistence, readers):
    await happened(persistence, "ada", minutes_ago=3, engage=3, view=1, dismiss=1)
    await happened(persistence, "bob", minutes_ago=3, view=9)
    before = await persistence.get_attention_score("bob", "k")
    await readers.reset_profile("ada")
    # Everybody's counts stay.
    assert await persistence.get_attention_score("ada", "k") == attention_score(10, 3, 1)
    assert await persistence.get_attention_score("bob", "k") == before

    await happened(persistence, "ada", view=2, engage=1)
    await happened(persistence, "ada", minutes_ago=1, dismiss=1)  # late: it was before, too
    expected = personal_attention(attention_score(2, 1, 0), attention_score(12, 4, 2), 3, 5.0)
    assert await persistence.get_attention_score("ada", "k") == expected


async def test_who_declared_something_is_asked_about_as_anybody(persistence, readers):
    await happened(persistence, "ada", engage=3)
    await happened(persistence, "crowd", view=9)
    before = await persistence.get_attention_score("ada", "k")
    await readers.declare("ada", ["honesty"])
    assert await persistence.get_attention_score("ada", "k") == before


async def test_the_prior_can_be_given(session_factory):
    async with FeedFeedbackPersistence(session_factory, attention_prior=0.5) as persistence:
        await happened(persistence, "ada", engage=2)
        await happened(persistence, "crowd", view=9)
        expected = personal_attention(attention_score(0, 2, 0), attention_score(9, 2, 0), 2, 0.5)
        assert await persistence.get_attention_score("ada", "k") == expected
    with pytest.raises(InvalidInput, match="attention_prior: must be a finite number"):
        FeedFeedbackPersistence(session_factory, attention_prior=-1.0)


async def test_those_who_ask_at_once_get_each_their_own(persistence):
    memory = InMemoryAttentionTracker()
    record = {
        "view": memory.record_view, "engage": memory.record_engagement,
        "dismiss": memory.record_dismissal,
    }  # fmt: skip
    users = ["guest", "a,b", 'q"u', "ü", "plain", "who did nothing"]
    events = [
        {"user_id": user_id, "kblock_id": f"k{kblock}", "action": action}
        for number, user_id in enumerate(users[:-1])
        for kblock in range(7)
        for action, times in (("view", kblock), ("engage", number), ("dismiss", kblock % 2))
        for _ in range(times)
    ]
    await persistence.record_batch(events)
    for event in events:
        await record[event["action"]](event["user_id"], event["kblock_id"])

    resolved = [
        (user_id, f"k{kblock}", personalized)
        for user_id in users for kblock in range(9) for personalized in (True, False)
    ]  # fmt: skip
    scores = await asyncio.gather(
        *(
            persistence.get_attention_score(user_id, kblock_id, personalized=personalized)
            for user_id, kblock_id, personalized in resolved
        )
    )
    for (user_id, kblock_id, personalized), score in zip(resolved, scores, strict=True):
        assert score == await memory.get_attention_score(
            user_id, kblock_id, personalized=personalized
        ), (user_id, kblock_id, personalized)


async def test_what_cannot_be_an_id_has_no_history_and_takes_nobody_along(persistence):
    await happened(persistence, "ada", engage=3)
    await happened(persistence, "crowd", view=9)
    everybodys = attention_score(9, 3, 0)
    odd = ["", "\x00", "a\ud800", "x" * 65]
    ask = persistence.get_attention_score
    [own, *others] = await asyncio.gather(
        ask("ada", "k"),
        *(ask(each, "k") for each in odd),
        *(ask("ada", each) for each in odd),
        *(ask("ada", each, personalized=False) for each in odd),
    )
    assert own == personal_attention(attention_score(0, 3, 0), everybodys, 3, 5.0)
    assert others == [everybodys] * 4 + [0.0] * 8

"""The container, by the names that the seed document gives."""

import pytest

from harken.domain.attention import attention_score, personal_attention
from harken.services.providers import (
    Container,
    close_providers,
    container,
    get_feed_feedback_persistence,
    setup_providers,
)


async def test_the_record_is_found_by_its_name(database_url, monkeypatch):
    monkeypatch.setenv("HARKEN_DATABASE_URL", database_url)
    await setup_providers()
    record = await container.resolve("feed_feedback_persistence")
    assert record is await get_feed_feedback_persistence()
    await close_providers()


async def test_the_prior_of_personal_scores_is_a_setting(database_url, monkeypatch):
    monkeypatch.setenv("HARKEN_DATABASE_URL", database_url)
    monkeypatch.setenv("HARKEN_ATTENTION_PRIOR", "1.5")
    record = await get_feed_feedback_persistence()
    for user_id, action in (("ada", "engage"), ("bob", "view"), ("bob", "dismiss")):
        await record.record_interaction(user_id, "k", action)
    expected = personal_attention(attention_score(0, 1, 0), attention_score(1, 1, 1), 1, 1.5)
    assert await record.get_attention_score("ada", "k") == expected
    await close_providers()


async def test_a_singleton_is_made_once_and_anything_else_each_time():
    async def make() -> object:
        return object()

    own = Container()
    own.register("one", make, singleton=True)
    own.register("many", make)
    assert await own.resolve("one") is await own.resolve("one")
    assert await own.resolve("many") is not await own.resolve("many")
    with pytest.raises(KeyError):
        await own.resolve("none")

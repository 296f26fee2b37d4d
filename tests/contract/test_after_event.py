"""A page waits for an event that another process recorded."""

import asyncio

import pytest

from harken.domain.feedback import Interaction
from harken.domain.kblock import KBlock
from harken.services.feed.caches import catalogue, known_events, profiles
from harken.services.feed.request import FeedRequest
from harken.services.feed.service import FeedService
from harken.services.record.persistence import FeedFeedbackPersistence
from tests.conftest import session_factory_for


@pytest.fixture
async def service(session_factory, monkeypatch):
    """A service that never reads by itself what others wrote, once it has its index."""
    monkeypatch.setattr(catalogue, "MAX_AGE_SECONDS", 3_600)
    opened = FeedService(session_factory)
    await opened.kblocks.put([KBlock.parse({"id": each, "title": each}) for each in ("a", "b")])
    yield opened
    await opened.close()


@pytest.fixture
async def elsewhere(database_url):
    """A record of another process."""
    async with (
        session_factory_for(database_url) as factory,
        FeedFeedbackPersistence(factory) as opened,
    ):
        yield opened


async def scores(service: FeedService) -> dict[str, float]:
    found = await service.page(FeedRequest("cosmos", ranking="attention"))
    return {item.id: item.attention_score for item in found.items}


async def test_a_page_includes_an_event_of_another_process_and_those_before_it(service, elsewhere):
    assert await scores(service) == {"a": 0, "b": 0}
    await elsewhere.record_interaction("ada", "a", "engage")
    last = await elsewhere.record_interaction("ada", "b", "view")
    assert await scores(service) == {"a": 0, "b": 0}
    assert await service.known_events.include(last)
    found = await scores(service)
    assert found["a"] > found["b"] > 0


async def test_a_page_includes_what_another_process_committed_before_an_event_of_this_one(
    service, elsewhere, monkeypatch
):
    monkeypatch.setattr(profiles, "MAX_AGE_SECONDS", 3_600)
    await scores(service)
    await service.profiles.fresh("ada")
    await elsewhere.record_interaction("bob", "a", "engage")
    last = await service.record.record_interaction("ada", "b", "view")
    assert (await scores(service))["a"] == 0
    assert await service.known_events.include(last)
    assert (await scores(service))["a"] > 0
    assert (await service.profiles.fresh("ada")).affinities.interactions("bob") == 1


async def test_of_one_waited_for_before_nothing_is_read_again(service, elsewhere):
    await scores(service)
    first = await elsewhere.record_interaction("ada", "a", "engage")
    assert await service.known_events.include(first)
    before = await scores(service)
    await elsewhere.record_interaction("ada", "a", "view")
    assert await service.known_events.include(first)
    assert await scores(service) == before
    own = await service.record.record_interaction("ada", "b", "view")
    assert await service.known_events.include(own, pauses=())
    assert (await scores(service))["b"] > 0


async def test_a_page_waits_for_an_event_that_is_on_its_way(service, elsewhere):
    await scores(service)
    event = Interaction.parse(
        {"interaction_id": "soon", "user_id": "ada", "kblock_id": "b", "action": "engage"}
    )
    looked = asyncio.Event()
    find = service.known_events._kblock_of

    async def noted(event_id: str) -> str | None:
        found: str | None = await find(event_id)
        looked.set()
        return found

    service.known_events._kblock_of = noted
    waiting = asyncio.create_task(service.known_events.include("soon", pauses=[0.01] * 1_000))
    await looked.wait()
    await elsewhere.record(event)
    assert await waiting
    assert (await scores(service))["b"] > 0


async def test_an_event_that_does_not_come_is_not_waited_for_longer(service):
    assert sum(known_events.PAUSES) == pytest.approx(2)
    assert not await service.known_events.include("never", pauses=[0.001, 0.001])


async def test_of_many_events_the_oldest_are_forgotten(service, elsewhere, monkeypatch):
    monkeypatch.setattr(known_events, "MOST_KNOWN", 2)
    await scores(service)
    sent = [await elsewhere.record_interaction("ada", "a", "view") for _ in range(3)]
    for each in sent:
        assert await service.known_events.include(each)
    assert list(service.known_events._known) == sent[1:]
    assert await service.known_events.include(sent[0])

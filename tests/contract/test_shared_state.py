"""State that requests share: what changes while one of them waits harms none of them."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import numpy as np
import pytest

from harken.domain.feedback import GUEST
from harken.domain.kblock import KBlock
from harken.domain.times import micros
from harken.errors import DatabaseUnavailable
from harken.event_loop import Interruptible
from harken.services.feed.caches import catalogue, profiles
from harken.services.feed.caches.catalogue import Catalogue
from harken.services.feed.caches.descriptions import Descriptions
from harken.services.feed.request import FeedRequest
from harken.services.feed.service import FeedService
from tests.contract.conftest import NOW

COUNT = 12


@pytest.fixture
async def feeds(session_factory, record, clock):
    service = FeedService(session_factory, record=record, clock=clock)
    await put(service, *(f"k{n}" for n in range(COUNT)))
    yield service
    await service.close()


async def put(service, *ids: str) -> None:
    await service.kblocks.put(
        [KBlock.parse({"id": each, "title": each, "tags": ["a"]}) for each in ids]
    )


async def view(service, user: str, *ids: str, **fields) -> None:
    for each in ids:
        await service.record.record_interaction(user, each, "view", 5_000, **fields)


async def personal(service, user: str = "ada"):
    return await service.page(FeedRequest("personal", user, limit=50))


class Once:
    """Runs something at the first call of a method, before or in place of it."""

    def __init__(self, monkeypatch, owner: type, name: str, work) -> None:
        original, todo = getattr(owner, name), [work]

        async def call(*given):
            if todo:
                await todo.pop()()
            return await original(*given)

        monkeypatch.setattr(owner, name, call)


async def fail() -> None:
    raise DatabaseUnavailable("away")


async def test_kblocks_that_come_while_a_personal_order_is_made_break_nothing(feeds, monkeypatch):
    await view(feeds, "ada", *(f"k{n}" for n in range(6)))
    await personal(feeds)
    models = type(feeds._orders._models)

    async def news() -> None:
        await put(feeds, *(f"new{n}" for n in range(50)))
        await feeds.catalogue.fresh()

    Once(monkeypatch, models, "collaborative", news)
    page = await personal(feeds)
    assert {f"k{n}" for n in range(6, COUNT)} <= {item.id for item in page.items}


async def test_an_event_that_comes_while_the_index_is_loaded_counts(feeds, monkeypatch):
    monkeypatch.setattr(catalogue, "MAX_AGE_SECONDS", 3_600.0)  # nothing else has it read again
    load = Catalogue._load

    async def and_then(*given) -> None:
        await load(*given)
        await view(feeds, "bob", "k3")

    monkeypatch.setattr(Catalogue, "_load", and_then)
    await feeds.catalogue.fresh()
    index = await feeds.catalogue.fresh()
    assert index.popularity.sum() == 1


async def test_an_event_that_comes_while_histories_are_read_counts(feeds, monkeypatch):
    await view(feeds, "ada", "k1")
    # It is reported late, so that no later look at the newest events finds it.
    late = {"occurred_at": NOW - timedelta(days=2)}
    Once(monkeypatch, Descriptions, "of_ids", lambda: view(feeds, "bob", "k3", **late))
    await feeds.profiles.fresh("ada")
    state = await feeds.profiles.fresh("ada")
    assert state.affinities.interactions("bob") == 1


async def test_events_are_not_lost_when_a_look_fails(feeds, monkeypatch):
    await view(feeds, "ada", "k1")
    await feeds.profiles.fresh("ada")
    await view(feeds, "bob", "k3", occurred_at=NOW - timedelta(days=2))
    Once(monkeypatch, Descriptions, "of_ids", fail)
    with pytest.raises(DatabaseUnavailable):
        await feeds.profiles.fresh("ada")
    state = await feeds.profiles.fresh("ada")
    assert state.affinities.interactions("bob") == 1


async def test_a_state_that_could_not_be_built_anew_is_built_by_the_next(feeds, monkeypatch):
    await view(feeds, "bob", "k1", "k2", "k3")
    before = await feeds.profiles.fresh("ada")
    monkeypatch.setattr(profiles, "MOST_EVENTS", 0)
    Once(monkeypatch, Descriptions, "of_ids", fail)
    with pytest.raises(DatabaseUnavailable):
        await feeds.profiles.fresh("ada")
    monkeypatch.undo()
    state = await feeds.profiles.fresh("ada")
    assert state is not before
    assert state.affinities.interactions("bob") == 3  # not twice as many


async def test_events_that_readers_recall_displace_no_recent_ones(feeds, monkeypatch, clock):
    await view(feeds, "ada", *(f"k{n}" for n in range(COUNT)))
    for reader in ("bob", "cyd"):
        await view(feeds, reader, *(f"k{n}" for n in range(COUNT)))
    await view(feeds, "dan", "k1")
    monkeypatch.setattr(profiles, "EVENTS", 2)
    await feeds.profiles.fresh("eve")
    for reader in ("ada", "bob", "cyd"):
        await feeds.profiles.fresh(reader)
    feeds.profiles._looked = float("-inf")  # a second later
    state = await feeds.profiles.fresh("eve")
    assert state.affinities.interactions("dan") == 1
    assert feeds.profiles._observed == 3 * COUNT + 1


async def test_events_of_the_same_time_are_read_once(feeds, monkeypatch):
    await view(feeds, "ada", "k1")
    await feeds.profiles.fresh("ada")
    await view(feeds, "ada", "k2", "k3", "k4")  # the clock stands still
    read = []
    of_reader = feeds.profiles._log.of_reader

    async def noted(*given):
        read.append(given)
        return await of_reader(*given)

    monkeypatch.setattr(feeds.profiles._log, "of_reader", noted)
    state = await feeds.profiles.fresh("ada")
    assert state.affinities.interactions("ada") == 4
    assert not read


async def test_a_request_keeps_the_state_that_has_its_readers_events(feeds, monkeypatch):
    await view(feeds, "ada", *(f"k{n}" for n in range(6)))
    state = await feeds.profiles.fresh("ada")
    monkeypatch.setattr(profiles, "MOST_EVENTS", 0)
    newer = await feeds.profiles.fresh("ada")
    assert newer is not state
    index = await feeds.catalogue.fresh()
    rows = index.newest(index.is_open, COUNT)
    for each in (state, newer):  # both know what they were told
        places = await feeds.profiles.places(each, index, rows)
        assert (places > 0).any()
        assert sorted(feeds.profiles.numbers(each, places)) == sorted(index.number[rows])


async def test_texts_that_are_closed_let_those_go_on_who_wait(feeds):
    texts = feeds.profiles.texts
    waiting = [asyncio.create_task(texts.fresh(10**6)) for _ in range(3)]
    await asyncio.sleep(0)
    await texts.close()
    assert await asyncio.gather(*waiting) == [None] * 3
    await texts.fresh(10**6)  # and nothing begins anew


async def test_requests_that_are_cancelled_count_no_event_twice_and_lose_none(
    feeds, other_process, clock, monkeypatch
):
    monkeypatch.setattr(profiles, "MAX_AGE_SECONDS", 0.0)
    pauses: Iterator[bool] = iter(())
    original = Interruptible.pause

    async def pause(loop) -> None:
        if next(pauses, False):
            raise asyncio.CancelledError  # as by a client that leaves at this moment
        await original(loop)

    readers = ["ada", "bob", "eve"]
    await view(feeds, "ada", "k0")
    await feeds.profiles.fresh("ada")
    monkeypatch.setattr(Interruptible, "pause", pause)
    for user in readers:
        for number in range(6):
            clock.now += timedelta(minutes=1)
            here = feeds if number % 2 else other_process
            await view(here, user, f"k{number}")
    for kept in (3, 0, 5, 1):
        pauses = iter([False] * kept + [True])
        with pytest.raises(asyncio.CancelledError):
            await feeds.profiles.fresh(GUEST)
    state, anew = await feeds.profiles.fresh(GUEST), await other_process.profiles.fresh(GUEST)
    ids = [f"k{number}" for number in range(COUNT)]
    for user in readers:
        found, right = (each.matrix(user, ids, micros(clock.now)) for each in (state, anew))
        np.testing.assert_allclose(found, right, rtol=1e-5)


async def test_the_first_personal_page_of_a_warm_service_builds_nothing(
    feeds, other_process, monkeypatch
):
    await view(feeds, "bob", *(f"k{n}" for n in range(6)))
    await personal(feeds, "eve")
    await feeds.ledger.idle()
    await other_process.warm_personal()
    Once(monkeypatch, profiles.Profiles, "_load", fail)
    assert len((await personal(other_process)).items) == COUNT


async def test_histories_that_nobody_asks_for_are_not_loaded(feeds, monkeypatch):
    await view(feeds, "bob", *(f"k{n}" for n in range(6)))
    await feeds.page(FeedRequest("cosmos", "bob", ranking="weighted"))
    await feeds.ledger.idle()
    Once(monkeypatch, profiles.Profiles, "_load", fail)
    await feeds.warm_personal()

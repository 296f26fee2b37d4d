"""Experiments on each database: states, slots, arms in feeds, and who was exposed."""

import asyncio
import json
import math
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from harken.database import Kind
from harken.domain.preferences import Preferences
from harken.domain.slates import Exposure, Trial
from harken.errors import Erased, InvalidInput, NotFound
from harken.services.experiments.assignment import arm_of
from harken.services.experiments.definitions import State
from harken.services.feed.request import FeedRequest
from harken.services.feed.service import FeedService
from harken.services.integrity.erasure import Erasure
from harken.services.integrity.export import PersonalData
from harken.services.record.admission.subjects import Subject
from harken.services.record.slates import EXPOSURES, SAMPLES
from harken.services.registry.store import MODELS
from tests.contract.conftest import NOW
from tests.contract.test_feed_service import (  # noqa: F401 — fixtures
    ids,
    kblock,
    service,
    soon,
)
from tests.contract.test_learned_feeds import feeds, kept, trees  # noqa: F401 — fixtures

ARMS = [{"name": "old", "ranking": "chronological"}, {"name": "lossless", "ranking": "coherence"}]
AB = {"id": "x", "feeds": ["cosmos"], "arms": ARMS, "metric": "engagements_per_slate"}
SHARED = {"id": "y", "kind": "interleaving", "feeds": ["cosmos"], "arms": ARMS}
READERS = [f"reader {n}" for n in range(12)]
NEWEST = [f"k{n}" for n in range(8)]


@pytest.fixture
async def some(service):  # noqa: F811
    """A service with K-Blocks whose newest have the most loss."""
    await service.kblocks.put(
        [
            kblock(f"k{n}", created_at=NOW - timedelta(days=n), galois_loss=1 - n / 10)
            for n in range(8)
        ]
    )
    return service


async def started(service, **changed):  # noqa: F811
    found = await service.experiments.create(AB | changed)
    return await service.experiments.start(found.id)


async def page(service, user_id=None, **request):  # noqa: F811
    return await service.page(FeedRequest("cosmos", user_id=user_id, **request))


def shown(found):
    return [item.id for item in found.items]


async def exposures(database):
    async with database.reading() as connection:
        rows = await connection.execute(select(EXPOSURES).order_by(EXPOSURES.c.user_id))
        return [dict(row) for row in rows.mappings()]


async def test_states_go_one_way(some):
    experiments = some.experiments
    draft = await experiments.create(AB | {"description": "first"})
    assert (draft.version, draft.state) == (1, State.DRAFT)
    again = await experiments.create(AB)  # a draft is replaced
    assert (again.version, (await experiments.store.get("x")).definition.description) == (1, "")
    with pytest.raises(InvalidInput, match="x, version 1 is draft, not running"):
        await experiments.stop("x")
    assert (await experiments.start("x")).started_at is not None
    with pytest.raises(InvalidInput, match="x, version 1 runs already"):
        await experiments.start("x")
    with pytest.raises(InvalidInput, match="is running, not stopped"):
        await experiments.decide("x", "old")
    stopped = await experiments.stop("x", "enough")
    assert (stopped.state, stopped.stop_reason) == (State.STOPPED, "enough")
    with pytest.raises(InvalidInput, match="was stopped, and is not started again; create a new"):
        await experiments.start("x")
    with pytest.raises(InvalidInput, match="arm: 'newer' is no arm; arms are old, lossless"):
        await experiments.decide("x", "newer")
    decided = await experiments.decide("x", "lossless", "it is better")
    assert decided.decision == {"arm": "lossless", "note": "it is better"}
    second = await experiments.create(AB)
    assert (second.version, second.salt) == (2, "x:2")
    assert (await experiments.store.get("x", 1)).state is State.DECIDED
    with pytest.raises(NotFound, match="there is no experiment 'x' with a version 3"):
        await experiments.store.get("x", 3)
    assert [each.version for each in await experiments.store.listed()] == [2, 1]


async def test_slots_have_one_owner_and_a_feed_has_one_layer(some):
    await started(some, slots=[0, 499])
    await some.experiments.create(AB | {"id": "z", "slots": [400, 600]})
    with pytest.raises(InvalidInput, match="slots: 400 to 499 of the layer 'ranking' belong to x"):
        await some.experiments.start("z")
    await some.experiments.create(AB | {"id": "z", "slots": [500, 999], "layer": "other"})
    with pytest.raises(InvalidInput, match="layer: the feed cosmos is in the layer 'ranking' of x"):
        await some.experiments.start("z")
    await started(some, id="z", slots=[500, 999])
    named = {(await page(some, reader)).trial.experiment_id for reader in READERS}
    assert named == {"x", "z"}
    await some.experiments.stop("x")
    await started(some, id="w", slots=[0, 499])


async def test_of_two_that_start_at_once_one_gets_the_slots(some, other_process):
    for name in ("x", "z"):
        await some.experiments.create(AB | {"id": name})
    starts = some.experiments.start("x"), other_process.experiments.start("z")
    found = await asyncio.gather(*starts, return_exceptions=True)
    assert sorted(type(each).__name__ for each in found) == ["Experiment", "InvalidInput"]
    assert len(await some.experiments.store.running()) == 1


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"feeds": ["nowhere"]}, "feeds: 'nowhere' is unknown"),
        ({"arms": [ARMS[0], {"name": "m", "model": "gone"}]}, "arms.1.model: there is no model"),
        (
            {"arms": [ARMS[0], {"name": "m", "ranking": "trending", "half_life": "5y"}]},
            "arms.1.half_life",
        ),
        (
            {"arms": [ARMS[0], {"name": "m", "ranking": "popularity", "weights": {"recency": 1}}]},
            "arms.1.weights: go with ranking=weighted only",
        ),
        (
            {"arms": [{**ARMS[0], "temperature": 1.0}, ARMS[1]]},
            "arms.0.temperature: needs a ranking by score",
        ),
    ],
)
async def test_what_a_database_cannot_serve_is_refused(some, changed, problem):
    with pytest.raises(InvalidInput) as refused:
        await some.experiments.create(AB | changed)
    assert problem in str(refused.value)
    assert await some.experiments.store.listed() == []


async def test_readers_get_the_arm_of_their_hash_on_all_pages(some, database):
    experiment = await started(some)
    for reader in READERS:
        wanted = arm_of(experiment.salt, reader, experiment.shares)
        first = await page(some, reader, limit=3)
        assert first.trial == Trial("x", 1, wanted)
        order = NEWEST if wanted == "old" else NEWEST[::-1]
        assert shown(first) == order[:3]
        second = await page(some, reader, limit=3, cursor=first.next_cursor)
        assert (shown(second), second.trial) == (order[3:6], first.trial)
        for each in (first, second):
            slate = await some.ledger.slate(each.request_id)
            named = slate["experiment_id"], slate["experiment_version"], slate["arm"]
            assert named == ("x", 1, wanted)
    found = await exposures(database)
    assert [each["user_id"] for each in found] == sorted(READERS)
    assert {each["propensity"] for each in found} == {0.5}
    assert not any(each["is_forced"] for each in found)
    counts = await some.experiments.store.exposed(experiment)
    assert sum(counts.values()) == len(READERS)


async def test_a_named_ranking_is_served_as_asked_and_not_counted(some, database):
    await started(some)
    for asked in (
        {"ranking": "chronological"}, {"ranking": "weighted", "weights": {"recency": 1.0}},
        {"ranking": "coherence", "temperature": 1.0},
    ):  # fmt: skip
        found = await page(some, "ada", **asked)
        assert found.trial is None
        assert (await some.ledger.slate(found.request_id))["experiment_id"] is None
    assert (await some.page(FeedRequest("coherent", user_id="ada"))).trial is None
    assert await exposures(database) == []


async def test_guests_are_sessions(some, database):
    await started(some, eligibility={"readers": "guests"})
    assert (await page(some, "ada")).trial is None
    assert (await page(some)).trial is None
    assert (await page(some, session_id="s1")).trial.guest_session == "s1"
    [found] = await exposures(database)
    assert (found["user_id"], found["guest_session"]) == ("guest", "s1")
    first = await page(some, session_id="s2", limit=2)
    later = await page(some, limit=2, cursor=first.next_cursor)
    for each in (first, later):
        assert (await some.ledger.slate(each.request_id))["session_id"] == "s2"


async def test_testers_force_an_arm_and_are_left_out(some, database):
    experiment = await started(some)
    for reader in ("ada", "ben"):
        await page(some, reader)
    forced = await page(some, "ada", arm="x:lossless")
    assert (shown(forced), forced.trial.is_forced) == (NEWEST[::-1], True)
    assert (await some.ledger.slate(forced.request_id))["settings"]["is_forced"] is True
    assert [each["is_forced"] for each in await exposures(database)] == [True, False]
    assert sum((await some.experiments.store.exposed(experiment)).values()) == 1
    for wrong in ("x:new", "z:old", "old"):
        with pytest.raises(InvalidInput, match="arm: "):
            await page(some, "ada", arm=wrong)
    with pytest.raises(InvalidInput, match="arm: cannot be combined with ranking"):
        await page(some, "ada", arm="x:old", ranking="trending")


async def test_who_switched_personalisation_off_keeps_their_arm(some, database):
    arms = [{"name": "old", "ranking": "chronological"}, {"name": "new", "ranking": "personal"}]
    experiment = await started(some, arms=arms)
    reader = next(each for each in READERS if arm_of("x:1", each, experiment.shares) == "new")
    await some.readers.prefer(reader, Preferences(personalized=False))
    found = await page(some, reader)
    assert (found.trial.arm, found.personalization, shown(found)) == ("new", None, NEWEST)
    [exposed] = await exposures(database)
    assert (exposed["arm"], exposed["is_personalized"]) == ("new", False)


async def test_other_processes_see_what_runs(some, other_process):
    assert (await page(other_process, "ada")).trial is None
    await started(some)

    async def is_in() -> bool:
        return (await page(other_process, "ada")).trial is not None

    await soon(is_in)
    await some.experiments.stop("x")

    async def is_out() -> bool:
        return not await is_in()

    await soon(is_out)


async def test_a_request_asks_for_its_own_caps(some):
    await started(
        some, arms=[ARMS[0], {"name": "m", "ranking": "attention", "explore": "thompson"}]
    )
    for reader in READERS:
        assert (await page(some, reader, most_per_author=1)).trial is not None
    with pytest.raises(InvalidInput, match="most_per_author: must be from 1"):
        await page(some, "ada", most_per_author=0)
    assert len(await some.experiments.store.running()) == 1


async def test_an_arm_may_cap_sources(some):
    await some.kblocks.put([kblock("loud 1"), kblock("loud 2")], source="rss:https://loud.example/")
    capped = {"name": "capped", "ranking": "chronological", "most_per_source": 1}
    experiment = await started(some, arms=[ARMS[0], capped])
    for reader in READERS:
        first = await page(some, reader, limit=4)
        wanted = arm_of(experiment.salt, reader, experiment.shares)
        assert first.trial == Trial("x", 1, wanted)
        count = sum(each.startswith("loud") for each in shown(first))
        assert count == (1 if wanted == "capped" else 2)
    await some.experiments.stop("x")
    with pytest.raises(InvalidInput, match=r"arms.1.most_per_source: must be from 1"):
        await started(some, id="z", arms=[ARMS[0], capped | {"most_per_source": 0}])


async def test_an_interleaved_page_says_whose_each_item_is(some):
    await started(some, **SHARED, metric=None)
    first = await page(some, "ada", limit=4, explain=True)
    assert first.trial == Trial("y", 1, "interleaved", is_interleaved=True)
    second = await page(some, "ada", limit=4, cursor=first.next_cursor, explain=True)
    assert sorted(shown(first) + shown(second)) == NEWEST
    slates = [await some.ledger.slate(each.request_id) for each in (first, second)]
    whose = {
        item: arm
        for slate in slates
        for item, arm in zip(slate["items"], slate["settings"]["arms"], strict=True)
    }
    assert {slate["ranking"] for slate in slates} == {"interleaved"}
    assert set(whose.values()) == {"old", "lossless"}  # the orders are each other's reverse
    assert {whose[each] for each in NEWEST[:4]} == {"old"}
    for item in [*first.items, *second.items]:
        parts = {"recency"} if whose[item.id] == "old" else {"coherence"}
        assert item.explanation.keys() == parts


async def test_caps_and_dismissals_hold_in_interleaved_pages(some):
    await some.kblocks.put([kblock(f"z{n}", author="zoe", galois_loss=0.5) for n in range(4)])
    await started(some, **SHARED, metric=None)
    first = await page(some, "ada", limit=4, most_per_author=1)
    assert sum(item.author == "zoe" for item in first.items) <= 1
    rest = [each for each in NEWEST if each not in shown(first)]
    await some.record.record_interaction("ada", rest[0], "dismiss")
    found, cursor = shown(first), first.next_cursor
    while cursor:
        later = await page(some, "ada", limit=4, cursor=cursor)
        found, cursor = found + shown(later), later.next_cursor
    assert sorted(found) == sorted({*NEWEST, "z0", "z1", "z2", "z3"} - {rest[0]})


async def test_a_model_that_cannot_be_read_stops_its_trial(feeds, trees, database):  # noqa: F811
    model_id, other = await kept(feeds, trees)
    arms = [{"name": "time", "ranking": "chronological"}, {"name": "model", "model": other}]
    experiment = await started(feeds, arms=arms)
    reader = next(each for each in READERS if arm_of("x:1", each, experiment.shares) == "model")
    served = await feeds.page(FeedRequest("cosmos", user_id=reader))
    assert (served.model, served.trial.arm) == (other, "model")
    async with database.transaction(Kind.WRITE) as connection:
        await connection.execute(update(MODELS).values(model="gone"))
    fresh = FeedService(feeds.record._database._sessions)
    found = await fresh.page(FeedRequest("cosmos", user_id=reader))
    assert (found.model, found.trial, found.personalization) == (None, None, None)
    stopped = await fresh.experiments.store.get("x")
    assert stopped.state is State.STOPPED
    assert f"the arm model cannot be served: the model {other}" in str(stopped.stop_reason)
    await fresh.close()
    assert model_id != other


async def test_sampled_pages_keep_what_they_were_drawn_by(some):
    found = await page(some, "ada", ranking="coherence", temperature=0.5, seed=3, limit=3)
    later = await page(some, "ada", limit=3, cursor=found.next_cursor)
    slates = [await some.ledger.slate(each.request_id) for each in (found, later)]
    assert slates[0]["log_sum_exp"] == pytest.approx(slates[1]["log_sum_exp"], abs=1e-12)
    losses = {f"k{n}": 1 - n / 10 for n in range(8)}
    for slate in slates:
        assert slate["scores"] == pytest.approx([1 - losses[each] for each in slate["items"]])
    # The first item's probability follows from its score and the logarithm of the sum.
    first = slates[0]
    odds = pytest.approx(first["scores"][0] / 0.5 - first["log_sum_exp"])
    assert math.log(first["propensities"][0]) == odds


async def test_whole_orders_are_kept_of_a_part_of_first_pages(session_factory, clock, database):
    every = FeedService(session_factory, clock=clock, order_samples=1.0)
    await every.kblocks.put([kblock(f"k{n}", galois_loss=1 - n / 10) for n in range(8)])
    found = await page(every, "ada", ranking="coherence", limit=2)
    await page(every, "ada", limit=2, cursor=found.next_cursor)
    await page(every, "ada")  # by time: it needs no order
    async with database.reading() as connection:
        [row] = (await connection.execute(select(SAMPLES))).all()
    assert (row.request_id, len(row.numbers), len(row.scores)) == (found.request_id, 32, 64)
    await every.close()


async def test_an_erased_reader_leaves_no_exposure(some, session_factory, database):
    await started(some)
    for reader in ("ada", "ben"):
        await page(some, reader)
    pieces = [piece async for piece in PersonalData(session_factory).export("ada")]
    [exported] = json.loads(b"".join(pieces))["exposures"]
    assert exported["experiment_id"] == "x"
    receipt = await Erasure(session_factory).erase(Subject.READER, "ada")
    assert receipt.counts == {"slates": 1, "exposures": 1}
    assert [each["user_id"] for each in await exposures(database)] == ["ben"]
    with pytest.raises(Erased):
        await page(some, "ada")
    trial = Trial("x", 1, "old")
    with pytest.raises(Erased):
        await some.experiments.expose(Exposure(trial, "ada", 0.5))

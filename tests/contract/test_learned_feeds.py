"""Feeds ranked by the model in service: which model, the explanations, and the fallback."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import update

from harken.database import Kind
from harken.domain.kblock import KBlock
from harken.domain.preferences import Preferences
from harken.services.features.names import FAMILIES, NAMES
from harken.services.features.state import Features
from harken.services.feed.request import FeedRequest
from harken.services.feed.service import FeedService
from harken.services.learning.objectives.heads import Head
from harken.services.learning.ranker import PASSED, VIEWED, Example, RankerSettings, train
from harken.services.readers.affinities import Affinities
from harken.services.readers.history import Touch
from harken.services.registry.serving import NO_MODEL, ModelsInService
from harken.services.registry.store import MODELS
from tests.contract.conftest import NOW

HOUR = timedelta(hours=1)
COUNT = 30


@pytest.fixture(scope="module")
def trees():
    """Two models: one prefers new K-Blocks, the other old ones."""
    generator, found = np.random.default_rng(0), []
    for best in (np.argmin, np.argmax):
        examples = []
        for n in range(200):
            matrix = np.zeros((COUNT, len(NAMES)), np.float32)
            # Logarithms of seconds, from minutes to weeks.
            matrix[:, NAMES.index("age")] = generator.uniform(6, 15, COUNT)
            grades = np.full(COUNT, PASSED, np.int8)
            grades[best(matrix[:, NAMES.index("age")])] = VIEWED
            examples.append(Example(n, matrix, grades))
        found.append(
            train(
                examples,
                RankerSettings(
                    rounds=60, fewest=10, least_in_leaf=5, share_of_features=1.0, base_below=0
                ),
            )
        )
    return found


@pytest.fixture
async def feeds(session_factory, record, clock):
    service = FeedService(session_factory, record=record, clock=clock)
    await service.kblocks.put(
        [
            KBlock.parse(
                {"id": f"k{n}", "title": f"K {n}", "tags": [f"t{n % 3}"], "author": "ada",
                 "content": "word " * 50, "created_at": NOW - n * n * HOUR}
            )
            for n in range(COUNT)
        ]
    )  # fmt: skip
    for n in range(8):
        clock.now += timedelta(minutes=1)
        await service.record.record_interaction(f"u{n % 3}", f"k{n}", "view", 5_000)
        await service.record.record_interaction(f"u{n % 3}", f"k{n + 2}", "engage", None, "like")
    yield service
    await service.close()


async def kept(feeds, trees) -> list[str]:
    return [await feeds.registry.models.add(each, {}, {}, "1.0") for each in trees]


async def learned(feeds, **request):
    resolved: dict[str, Any] = {"user_id": "u0", "ranking": "learned", "limit": 100} | request
    return await feeds.page(FeedRequest("cosmos", **resolved))


def shown(page):
    return [(item.id, item.score) for item in page.items]


async def test_without_a_model_it_is_the_personal_order_and_says_so(feeds):
    page = await learned(feeds)
    personal = await feeds.page(FeedRequest("cosmos", user_id="u0", ranking="personal", limit=100))
    assert shown(page) == shown(personal)
    assert (page.model, page.fallback) == (None, NO_MODEL)
    assert page.personalization.startswith(f"{NO_MODEL}, so this is the personal order: ")
    slate = await feeds.ledger.slate(page.request_id)
    assert (slate["ranking"], slate["settings"]["model"]) == ("learned", None)


async def test_a_rollback_restores_the_earlier_order_exactly(feeds, trees):
    first, second = await kept(feeds, trees)
    untouched = [f"k{n}" for n in range(10, COUNT)]
    orders = {}
    for model_id in (first, second):
        await feeds.registry.models.promote(model_id)
        page = await learned(feeds)
        assert (page.model, page.fallback) == (model_id, None)
        assert (await feeds.ledger.slate(page.request_id))["settings"]["model"] == model_id
        orders[model_id] = shown(page)
    new, old = ([each for each, _ in orders[m] if each in untouched] for m in (first, second))
    assert set(new[:5]) < set(untouched[:8])
    assert set(old[:5]) < set(untouched[-8:])
    assert await feeds.registry.models.rollback() == (second, first)
    assert shown(await learned(feeds)) == orders[first]
    assert await feeds.registry.models.rollback() == (first, None)
    assert (await learned(feeds)).model is None


async def test_a_service_that_is_warm_has_the_model(feeds, trees, database):
    [model_id, _] = await kept(feeds, trees)
    await feeds.registry.models.promote(model_id)
    await feeds.warm_personal()
    async with database.transaction(Kind.WRITE) as connection:
        await connection.execute(update(MODELS).values(model="gone"))
    assert (await learned(feeds)).model == model_id


async def test_it_is_the_order_of_the_models_scores_over_the_features_of_the_log(feeds, trees):
    [model_id, _] = await kept(feeds, trees)
    await feeds.registry.models.promote(model_id)
    page = await learned(feeds)
    features = Features(Affinities())
    texts = {item.id: item for item in page.items}
    for n in range(COUNT):
        features.affinities.describe(
            f"k{n}", author="ada", tags=[f"t{n % 3}"], words=50 * 5 // 6,
            created_at=round(texts[f"k{n}"].created_at.timestamp() * 1e6),
        )  # fmt: skip
    async for entries in feeds.record.entries():
        for entry in sorted(entries, key=lambda entry: (entry.created_at, entry.id)):
            features.see(Touch.of(entry))
    ids = [item.id for item in page.items]
    matrix = features.matrix("u0", ids, round(feeds._clock().timestamp() * 1e6))
    seen = 10 * matrix[:, NAMES.index("already_seen")]
    expected = trees[0].score(matrix) + seen
    assert [item.score for item in page.items] == pytest.approx(expected.tolist())
    assert expected.tolist() == sorted(expected.tolist(), reverse=True)


async def test_every_score_is_the_sum_of_what_the_families_add(feeds, trees):
    [model_id, _] = await kept(feeds, trees)
    await feeds.registry.models.promote(model_id)
    plain, explained = await learned(feeds), await learned(feeds, explain=True)
    for item, other in zip(explained.items, plain.items, strict=True):
        assert set(item.explanation) <= {"base", "already_seen", *FAMILIES}
        total = sum(each.contribution for each in item.explanation.values())
        assert total == pytest.approx(other.score, abs=1e-9)
    parts = {
        name: abs(each.contribution)
        for name, each in explained.items[0].explanation.items()
        if name != "base"
    }
    assert max(parts, key=parts.__getitem__) == "recency_and_activity", "which age is one of"


# The personal score as a base


async def based(feeds, trees) -> str:
    """Put a model in service whose trees were grown from the personal score."""
    model_id: str = await feeds.registry.models.add(replace(trees[1], base=1.0), {}, {}, "1.0")
    await feeds.registry.models.promote(model_id)
    return model_id


async def test_a_base_is_shown_as_what_the_personal_score_adds(feeds, trees):
    await based(feeds, trees)
    explained, plain = await learned(feeds, explain=True), await learned(feeds)
    personal = await feeds.page(FeedRequest("cosmos", user_id="u0", ranking="personal", limit=100))
    expected = dict(shown(personal))
    assert dict(shown(explained)) == pytest.approx(dict(shown(plain)))
    for item in explained.items:
        # What the reader saw is lowered once: by the personal score.
        assert "already_seen" not in item.explanation
        part = item.explanation["personal_score"]
        assert (part.weight, part.value) == (1.0, pytest.approx(expected[item.id], abs=1e-5))
        total = sum(each.contribution for each in item.explanation.values())
        assert total == pytest.approx(item.score, abs=1e-9)


# Objectives


@pytest.fixture
def headed(trees):
    """A model of new K-Blocks first, with heads: old ones are engaged with, new ones dismissed."""
    scales = (1.0,) * len(NAMES)
    weights = tuple(1.0 if name == "age" else 0.0 for name in NAMES)
    means = tuple(10.0 if name == "age" else 0.0 for name in NAMES)
    head = Head(
        names=NAMES, means=means, scales=scales, weights=weights, intercept=-1.0, cases=100,
        share=0.3,
    )  # fmt: skip
    other = head.model_copy(update={"weights": tuple(-each for each in weights)})
    return replace(trees[0], heads={"engage": head, "dismiss": other})


@pytest.fixture
async def weighed(session_factory, feeds, headed):
    """Return a function that makes a service with weights of objectives."""
    plain = await feeds.registry.models.add(replace(headed, heads={}), {}, {"verdict": {}}, "1.0")
    model_id = await feeds.registry.models.add(headed, {}, {}, "1.0")
    made = []

    async def service(weights, *, with_heads=True):
        await feeds.registry.models.promote(model_id if with_heads else plain)
        service = FeedService(
            session_factory, record=feeds.record, clock=feeds._clock, objectives=weights
        )
        made.append(service)
        return service

    yield service
    for each in made:
        await each.close()


async def test_without_weights_the_order_is_that_of_the_ranker_to_the_bit(weighed):
    plain = shown(await learned(await weighed({}, with_heads=False)))
    for weights in ({}, {"engage": 0.0}, {"return": 5.0}):
        page = await learned(await weighed(weights))
        assert shown(page) == plain
        assert page.model is not None


@pytest.mark.parametrize("weights", [{"engage": 3.0}, {"dismiss": -3.0}])
async def test_a_weight_moves_what_it_favours_up(weighed, weights):
    before = [each for each, _ in shown(await learned(await weighed({})))]
    after = [each for each, _ in shown(await learned(await weighed(weights)))]
    untouched = {f"k{n}" for n in range(10, COUNT)}
    old = [f"k{n}" for n in range(COUNT - 5, COUNT)]
    before, after = ([each for each in ids if each in untouched] for ids in (before, after))
    assert sum(map(after.index, old)) < sum(map(before.index, old)) - 20
    against = {name: -weight for name, weight in weights.items()}
    service = await weighed(against)
    opposite = [each for each, _ in shown(await learned(service)) if each in untouched]
    assert sum(map(opposite.index, old)) >= sum(map(before.index, old))


async def test_each_weighed_objective_is_explained(weighed):
    service = await weighed({"engage": 0.5, "dismiss": -2.0, "return": 1.0})
    page = await learned(service, explain=True)
    settings = (await service.ledger.slate(page.request_id))["settings"]
    assert settings["objectives"] == {"engage": 0.5, "dismiss": -2.0}
    for item in page.items:
        engage, dismiss = (item.explanation[name] for name in ("engage", "dismiss"))
        assert (engage.weight, dismiss.weight) == (0.5, -2.0)
        assert engage.contribution == pytest.approx(0.5 * engage.value)
        assert "return" not in item.explanation
        total = sum(each.contribution for each in item.explanation.values())
        assert total == pytest.approx(item.score, abs=1e-9)


async def test_later_pages_keep_the_weights_of_the_first(weighed):
    first, second = await weighed({"engage": 2.0}), await weighed({"engage": -2.0})
    whole = await learned(first, explain=True)
    page = await learned(first, limit=7)
    rest = await learned(second, limit=100, cursor=page.next_cursor, explain=True)
    assert [item.id for item in [*page.items, *rest.items]] == [item.id for item in whole.items]
    assert {item.explanation["engage"].weight for item in rest.items} == {2.0}


async def test_a_weight_without_effect_is_logged_once(weighed, caplog):
    service = await weighed({"return": 1.0})
    await learned(service)
    await learned(service)
    [record] = [each for each in caplog.records if "has no effect" in each.message]
    assert "predicts no return" in record.message


async def test_what_the_reader_saw_comes_last(feeds, trees):
    [model_id, _] = await kept(feeds, trees)
    await feeds.registry.models.promote(model_id)
    for n in range(5):
        await feeds.record.record_interaction("eve", f"k{n}", "view")
    ids = [item.id for item in (await learned(feeds, user_id="eve")).items]
    assert sorted(ids[-5:]) == [f"k{n}" for n in range(5)]


async def test_later_pages_go_on_by_the_model_of_the_first(feeds, trees):
    first, second = await kept(feeds, trees)
    await feeds.registry.models.promote(first)
    whole = await learned(feeds, explain=True)
    page = await learned(feeds, limit=7)
    await feeds.registry.models.promote(second)
    found, pages = list(page.items), [page]
    while page.next_cursor:
        page = await learned(feeds, limit=7, cursor=page.next_cursor, explain=True)
        found += page.items
        pages.append(page)
    assert [item.id for item in found] == [item.id for item in whole.items]
    assert [item.score for item in found] == pytest.approx([item.score for item in whole.items])
    assert {page.model for page in pages} == {first}
    assert (await learned(feeds)).model == second


async def test_a_model_that_cannot_be_read_is_no_error(feeds, trees, database):
    [model_id, _] = await kept(feeds, trees)
    await feeds.registry.models.promote(model_id)
    async with database.transaction(Kind.WRITE) as connection:
        await connection.execute(update(MODELS).values(model="tree\nversion=v4\n"))
    page = await learned(feeds)
    assert (page.model, len(page.items)) == (None, COUNT)
    assert "was cut off or changed" in page.fallback


async def test_another_process_sees_a_promotion(feeds, trees, database):
    [model_id, other_id] = await kept(feeds, trees)
    elsewhere = ModelsInService(feeds.registry.models.__class__(database))
    assert (await elsewhere.current()).model_id is None
    await feeds.registry.models.promote(model_id)
    elsewhere._looked = float("-inf")  # a second passes
    assert (await elsewhere.current()).model_id == model_id
    del other_id


async def test_guests_and_who_switched_it_off_get_what_is_for_everybody(feeds, trees):
    [model_id, _] = await kept(feeds, trees)
    await feeds.registry.models.promote(model_id)
    await feeds.readers.prefer("u0", Preferences(personalized=False))
    off, guest = await learned(feeds), await learned(feeds, user_id="guest")
    assert shown(off) == shown(guest)
    assert "it has no interactions of yours" in off.personalization


async def test_candidates_of_the_caller_are_ranked_by_it(feeds, trees):
    [model_id, _] = await kept(feeds, trees)
    before = await feeds.rank(["k12", "k29", "unheard of"], "u0", "learned")
    assert (before.model, before.fallback) == (None, NO_MODEL)
    await feeds.registry.models.promote(model_id)
    ranked = await feeds.rank(["k29", "k12", "k20", "unheard of"], "u0", "learned")
    assert (ranked.model, ranked.fallback, ranked.unknown) == (model_id, None, ["unheard of"])
    known = [each for each in ranked.kblock_ids if each != "unheard of"]
    assert known == ["k12", "k20", "k29"]

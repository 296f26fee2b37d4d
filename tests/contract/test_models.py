"""Which models there are, and which is in service, on each database."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from sqlalchemy import delete, update

from harken.database import Kind
from harken.errors import InvalidModel, NotFound
from harken.services.features.names import NAMES
from harken.services.feed.model_store import MODELS, ModelStore
from harken.services.learning.ranker import PASSED, VIEWED, Example, RankerSettings, train


@pytest.fixture(scope="module")
def trees():
    """Two models."""
    generator, examples = np.random.default_rng(0), []
    for n in range(30):
        grades = np.full(10, PASSED, np.int8)
        grades[n % 10] = VIEWED
        matrix = generator.normal(size=(10, len(NAMES))).astype(np.float32)
        examples.append(Example(n, matrix, grades))
    first = RankerSettings(rounds=2, fewest=10, least_in_leaf=5)
    return [train(examples, settings) for settings in (first, replace(first, seed=1))]


@pytest.fixture
def models(database, clock) -> ModelStore:
    return ModelStore(database, clock)


@pytest.fixture
async def ids(models, clock, trees) -> list[str]:
    """Three models that were written, a minute apart."""
    found = []
    for n in range(3):
        model = trees[n % 2]
        found.append(await models.add(model, {"events": n}, {"verdict": {}}, "1.0"))
        clock.now += timedelta(minutes=1)
    return found


async def serving(models):
    [listed] = [each.id for each in await models.listed() if each.in_service] or [None]
    assert await models.in_service() == listed
    return listed


async def test_a_model_is_kept(models, ids, trees):
    assert ids[0].startswith("learned-20260301-123015-")
    assert [each.id for each in await models.listed()] == ids[::-1]
    found = await models.get(ids[1])
    assert (found.kind, found.code_version, found.data) == ("learned", "1.0", {"events": 1})
    assert found.features["names"] == list(NAMES)
    assert found.details["seed"] == 1
    assert (found.promoted_at, found.in_service) == (None, False)
    matrix = np.random.default_rng(1).normal(size=(9, len(NAMES))).astype(np.float32)
    read = await models.load(ids[1])
    assert read.rank(matrix).tolist() == trees[1].rank(matrix).tolist()


async def test_the_same_within_a_second_is_one(models, trees):
    ids = {await models.add(trees[0], {}, {}, "1.0") for _ in range(2)}
    assert len(ids) == len(await models.listed()) == 1


async def test_a_rollback_restores_the_one_before(models, ids):
    assert await serving(models) is None
    for each in ids:
        assert await models.promote(each)
        assert await models.promote(each)  # which changes nothing
        assert await serving(models) == each
    assert (await models.get(ids[0])).promoted_at is not None
    assert await models.rollback() == (ids[2], ids[1])
    assert await serving(models) == ids[1]
    await models.promote(ids[2])
    assert await models.rollback() == (ids[2], ids[1])
    assert await models.rollback() == (ids[1], ids[0])
    assert await models.rollback() == (ids[0], None)
    assert await serving(models) is None
    with pytest.raises(NotFound, match="nothing to roll back"):
        await models.rollback()


async def test_somebody_elses_promotion_is_not_overtaken(models, ids):
    assert await models.promote(ids[0], instead_of=None)
    assert not await models.promote(ids[1], instead_of=None)
    assert await models.promote(ids[1], instead_of=ids[0])
    assert await serving(models) == ids[1]


async def test_one_is_written_and_put_in_service_at_once(models, trees):
    first = await models.add(trees[0], {}, {}, "1.0", promote=True, instead_of=None)
    assert await serving(models) == first
    await models.add(trees[1], {}, {}, "1.0", promote=True, instead_of=None)
    assert len(await models.listed()) == 2
    assert await serving(models) == first


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("model", "tree", "was cut off or changed"),
        ("features", "[]", "is no ranker that Harken wrote"),
        ("features", "{", "is no ranker that Harken wrote"),
        ("details", "1", "is no ranker that Harken wrote"),
    ],
)
async def test_a_corrupt_one_is_refused(models, ids, database, column, value, message):
    await models.promote(ids[0])
    async with database.transaction(Kind.WRITE) as connection:
        changed = update(MODELS).where(MODELS.c.model_id == ids[1])
        await connection.execute(changed.values({column: value}))
    with pytest.raises(InvalidModel, match=f"model {ids[1]} {message}"):
        await models.promote(ids[1])
    assert await models.in_service() == ids[0]


@pytest.mark.parametrize(
    ("column", "value"),
    [("metrics", "[]"), ("features", "{"), ("metrics", '{"rankings":5}'), ("data", "")],
)
async def test_one_that_cannot_be_read_hides_no_other(models, ids, database, column, value):
    async with database.transaction(Kind.WRITE) as connection:
        changed = update(MODELS).where(MODELS.c.model_id == ids[1])
        await connection.execute(changed.values({column: value}))
    listed = await models.listed()
    assert [each.id for each in listed] == ids[::-1]
    assert [bool(each.problem) for each in listed] == [False, True, False]
    assert (listed[1].data, listed[1].metrics) == ({}, {})
    for call in (models.get, models.load, models.carry):
        with pytest.raises(InvalidModel, match=f"model {ids[1]} is no ranker"):
            await call(ids[1])


async def test_one_is_carried_to_another_database(models, ids, database, trees):
    carried = await models.carry(ids[1])
    before = await models.get(ids[1])
    async with database.transaction(Kind.WRITE) as connection:
        await connection.execute(delete(MODELS).where(MODELS.c.model_id == ids[1]))
    assert await models.take("file", carried) == ids[1]
    assert await models.take("file", carried) == ids[1]
    assert await models.get(ids[1]) == before
    assert await models.promote(ids[1])
    cut = carried.model_copy(update={"text": "tree"})
    with pytest.raises(InvalidModel, match="file was cut off or changed"):
        await models.take("file", cut)


async def test_one_that_is_not_there(models):
    for call in (models.get, models.load, models.carry, models.promote):
        with pytest.raises(NotFound, match="there is no model 'm'"):
            await call("m")

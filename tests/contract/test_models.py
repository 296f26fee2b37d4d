"""The models, and the one in service, on each database."""

import asyncio
import json
from base64 import b64encode
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256

import numpy as np
import pytest
from sqlalchemy import delete, update

from harken.database import Kind
from harken.errors import InvalidModel, NotFound
from harken.services.features.names import NAMES
from harken.services.learning.collaborative import Collaborative, fit
from harken.services.learning.interaction_matrix import Interactions, Interest
from harken.services.learning.neighbours import ItemNeighbours
from harken.services.learning.ranker import PASSED, VIEWED, Example, RankerSettings, train
from harken.services.registry.serving import ModelsInService
from harken.services.registry.store import MODELS, ModelStore
from tests.support.model_texts import first, with_text, with_values


@pytest.fixture(scope="module")
def trees():
    """Two models."""
    generator, examples = np.random.default_rng(0), []
    for n in range(30):
        grades = np.full(10, PASSED, np.int8)
        grades[n % 10] = VIEWED
        matrix = generator.normal(size=(10, len(NAMES))).astype(np.float32)
        examples.append(Example(n, matrix, grades))
    first = RankerSettings(rounds=2, fewest=10, least_in_leaf=5, base_below=0)
    return [train(examples, settings) for settings in (first, replace(first, seed=1))]


@pytest.fixture
def models(database, clock) -> ModelStore:
    return ModelStore(database, clock)


@pytest.fixture
async def ids(models, clock, trees) -> list[str]:
    """Three models, stored a minute apart."""
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
    assert read.score(matrix).tolist() == trees[1].score(matrix).tolist()


async def test_the_same_within_a_second_is_one(models, trees):
    ids = {await models.add(trees[0], {}, {}, "1.0") for _ in range(2)}
    assert len(ids) == len(await models.listed()) == 1


async def test_a_rollback_restores_the_one_before(models, ids):
    assert await serving(models) is None
    for each in ids:
        assert await models.promote(each)
        assert await models.promote(each)  # this changes nothing
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


@pytest.fixture(scope="module")
def factors():
    """Factors of three K-Blocks."""
    interests = [Interest(f"u{n}", f"k{each}") for n in range(9) for each in (n % 3, (n + 1) % 3)]
    return fit(Interactions.from_interests(interests), "factors")


async def test_factors_are_kept_with_their_model_and_are_no_model(models, trees, factors, clock):
    without = await models.add(trees[0], {}, {}, "1.0")
    clock.now += timedelta(minutes=1)
    with_them = await models.add(trees[1], {}, {}, "1.0", promote=True, collaborative=factors)
    clock.now += timedelta(minutes=1)
    found = await models.collaborative(with_them)
    assert found is not None
    assert found.items == factors.items
    assert found.scores({"k1": 1.0}).tolist() == factors.scores({"k1": 1.0}).tolist()
    assert await models.collaborative(without) is None
    assert await models.collaborative("unknown") is None
    assert [each.id for each in await models.listed()] == [with_them, without]
    assert await models.newest() == (await models.get(with_them)).created_at
    with pytest.raises(NotFound):
        await models.get(f"factors-of-{with_them}")
    with pytest.raises(NotFound):
        await models.promote(f"factors-of-{with_them}")
    in_service = ModelsInService(models)
    serving = await in_service.collaborative()
    assert serving is not None
    assert serving.items == factors.items
    assert serving is await in_service.collaborative(with_them)
    assert await in_service.collaborative(without) is None


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("AAAA", "cannot be read"),
        ("no base64", "cannot be read"),
        ("ease", "has no factors or neighbours"),
        ("far away", "cannot be read"),
        (None, "was cut off or changed"),
    ],
)
async def test_factors_that_cannot_be_read_do_not_serve(
    models, trees, factors, database, model, message, caplog
):
    stored = await models.add(trees[0], {}, {}, "1.0", promote=True, collaborative=factors)
    if model == "ease":
        others = fit(Interactions.from_interests([Interest("u", "a"), Interest("u", "b")]), model)
        model = b64encode(others.to_bytes()).decode()
    if model == "far away":  # neighbours of items that are not there
        nowhere = ItemNeighbours(np.array([[7], [0]]), np.ones((2, 1), np.float32))
        model = b64encode(Collaborative(["a", "b"], nowhere).to_bytes()).decode()
    changed = {"model": "A" if model is None else model}
    if model is not None:
        changed["checksum"] = sha256(model.encode()).hexdigest()
    async with database.transaction(Kind.WRITE) as connection:
        where = MODELS.c.kind == "factors"
        await connection.execute(update(MODELS).where(where).values(changed))
    with pytest.raises(InvalidModel, match=message):
        await models.collaborative(stored)
    assert await ModelsInService(models).collaborative() is None
    assert "gives no candidates of its own" in caplog.text
    assert (await ModelsInService(models).current()).model is not None


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
    for call in (models.get, models.load, models.export):
        with pytest.raises(InvalidModel, match=f"model {ids[1]} is no ranker"):
            await call(ids[1])


async def test_one_of_earlier_features_is_refused(models, ids, database):
    carried = await models.export(ids[1])
    earlier = {**carried.features, "version": 1}
    await models.promote(ids[1])
    async with database.transaction(Kind.WRITE) as connection:
        changed = update(MODELS).where(MODELS.c.model_id == ids[1])
        await connection.execute(changed.values(features=json.dumps(earlier)))
    served = await ModelsInService(models).current()
    assert served.model is None
    assert "train another one" in served.reason
    with pytest.raises(InvalidModel, match="has version 1, and 2 and 3 are read"):
        await models.load(ids[1])


async def test_one_is_carried_to_another_database(models, ids, database, trees):
    carried = await models.export(ids[1])
    before = await models.get(ids[1])
    async with database.transaction(Kind.WRITE) as connection:
        await connection.execute(delete(MODELS).where(MODELS.c.model_id == ids[1]))
    assert await models.import_model("file", carried) == ids[1]
    assert await models.import_model("file", carried) == ids[1]
    assert await models.get(ids[1]) == before
    assert await models.promote(ids[1])
    cut = carried.model_copy(update={"text": "tree"})
    with pytest.raises(InvalidModel, match="file was cut off or changed"):
        await models.import_model("file", cut)


async def test_one_that_is_not_there(models):
    for call in (models.get, models.load, models.export, models.promote):
        with pytest.raises(NotFound, match="there is no model 'm'"):
            await call("m")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_values("left_child", first("0")), "tree 0 does not reach each split"),
        (with_values("split_feature", first("999999")), "split_feature should have numbers"),
        (lambda text: text[: len(text) // 2], "has trees that cannot be used"),
    ],
)
async def test_one_that_would_end_the_process_is_refused(
    models, ids, database, change, message, trees
):
    await models.promote(ids[0])
    carried = await models.export(ids[1])
    wild = with_text(carried.archived, change(carried.text))
    taken = carried.model_copy(update={"text": wild.text, "sha256": wild.checksum})
    with pytest.raises(InvalidModel, match=f"file .*{message}"):
        await models.import_model("file", taken)
    # It was written into the database directly, and is in service.
    async with database.transaction(Kind.WRITE) as connection:
        changed = update(MODELS).where(MODELS.c.model_id == ids[0])
        await connection.execute(changed.values(model=wild.text, checksum=wild.checksum))
    assert [each.id for each in await models.listed()] == ids[::-1]
    served = await ModelsInService(models).current()
    assert (served.model_id, served.model) == (ids[0], None)
    assert "the model in service cannot be used" in served.reason
    assert message in served.reason
    await models.promote(ids[2])
    found = (await ModelsInService(models).current()).model
    matrix = np.zeros((3, len(NAMES)), np.float32)
    assert found is not None
    assert found.score(matrix).tolist() == trees[0].score(matrix).tolist()


async def test_one_is_read_once_however_many_ask(models, ids, monkeypatch):
    await models.promote(ids[0])
    reads = []
    load = models.load

    async def counted(model_id):
        reads.append(model_id)
        return await load(model_id)

    monkeypatch.setattr(models, "load", counted)
    serving_it = ModelsInService(models)
    found = await asyncio.gather(*(serving_it.current() for _ in range(10)))
    assert reads == [ids[0]]
    assert {each.model_id for each in found} == {ids[0]}
    # A model that could not be loaded is tried again later.
    await models.promote(ids[1])
    monkeypatch.setattr(models, "load", failing)
    assert (await serving_it.current()).model is None
    monkeypatch.setattr(models, "load", load)
    assert (await serving_it.current()).model is None
    monkeypatch.setattr("harken.services.registry.serving.RETRY_SECONDS", 0.0)
    assert (await serving_it.current()).model is not None


async def failing(model_id):
    raise InvalidModel(model_id, "could not be read by a separate process")

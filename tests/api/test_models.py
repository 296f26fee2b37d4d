"""Models of the learned ranking, over REST."""

import numpy as np
import pytest
from sqlalchemy import update

from harken.database import Database, Kind
from harken.services.features.names import NAMES
from harken.services.learning.ranker import PASSED, VIEWED, Example, RankerSettings, train
from harken.services.registry.store import MODELS, ModelStore

PATH = "/api/models"


@pytest.fixture(scope="module")
def trees():
    generator, grades = np.random.default_rng(0), np.array([VIEWED, *[PASSED] * 9], np.int8)
    examples = [
        Example(n, generator.normal(size=(10, len(NAMES))).astype(np.float32), grades)
        for n in range(30)
    ]
    return train(examples, RankerSettings(rounds=2, fewest=10, least_in_leaf=5))


@pytest.fixture
async def model_id(session_factory, trees):
    return await ModelStore(Database(session_factory)).add(trees, {}, {}, "1.0")


async def test_a_model_is_shown_promoted_and_taken_back(client, model_id):
    assert (await client.get(PATH)).json()["in_service"] is None
    shown = (await client.get(f"{PATH}/{model_id}")).json()
    assert (shown["id"], shown["in_service"], shown["promoted_at"]) == (model_id, False, None)
    assert "model" not in shown
    promoted = await client.post(f"{PATH}/{model_id}/promote")
    assert promoted.status_code == 200
    assert promoted.json()["in_service"] is True
    listed = (await client.get(PATH)).json()
    assert listed["in_service"] == model_id
    assert listed["models"] == [promoted.json()]
    gone = await client.post(f"{PATH}/rollback")
    assert gone.json() == {"before": model_id, "in_service": None}
    assert (await client.post(f"{PATH}/rollback")).status_code == 404


async def test_what_is_refused(client, model_id, session_factory):
    assert (await client.get(f"{PATH}/m")).status_code == 404
    assert (await client.post(f"{PATH}/m/promote")).status_code == 404
    async with Database(session_factory).transaction(Kind.WRITE) as connection:
        await connection.execute(update(MODELS).values(model="tree"))
    refused = await client.post(f"{PATH}/{model_id}/promote")
    assert refused.status_code == 409
    assert "was cut off or changed" in refused.json()["detail"]

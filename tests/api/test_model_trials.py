"""Trials of models over REST: begin one, look at it, and what is refused."""

import pytest

from harken.protocols.api.app import create_app
from tests.api.conftest import client_of
from tests.support.age_models import age_model, models_are_tried_once
from tests.support.trial_life import let_pass, readers_of

pytestmark = pytest.mark.usefixtures(models_are_tried_once.__name__)
PLAN = {"readers": 100, "share": 0.9, "window_days": 1}


def newest(rank):
    return rank < 18


@pytest.fixture
def trees():
    """Models that put the oldest first, and the newest, with other features."""
    return (
        age_model(newest_first=False),
        age_model(newest_first=True, without=("user_similarity",)),
    )


@pytest.fixture
async def by_trial(database_url, monkeypatch):
    """Yield a client of an application that promotes by trial."""
    monkeypatch.setenv("HARKEN_DATABASE_URL", database_url)
    monkeypatch.setenv("HARKEN_PROMOTION", "trial")
    async with client_of(create_app()) as opened:
        yield opened


@pytest.fixture
async def feed(database_url):
    """Open a feed that a model orders."""
    async with readers_of(database_url, newest) as readers:
        await readers.open()


@pytest.fixture
async def models(database_url, trees):
    """Open a feed with two models and 40 readers; returns their ids, the one in service first."""
    async with readers_of(database_url, newest) as readers:
        await readers.open()
        serving, candidate = [await readers.model(each) for each in trees]
        await readers.service.registry.models.promote(serving)
        await readers.visit(range(40))
    return serving, candidate


@pytest.mark.parametrize("database_kind", ["postgresql"])  # tests of commands are on SQLite
async def test_a_trial_is_begun_and_decided(by_trial, models, database_url):
    serving, candidate = models
    path = f"/api/models/{candidate}/trial"
    assert (await by_trial.get("/api/models")).json()["promotion"] == "trial"
    few = (await by_trial.post(path, json={**PLAN, "readers": 1_000_000})).json()
    assert few["trial"] is None
    assert few["said"][0].startswith("Too few readers for a trial of 1000000: ")
    begun = (await by_trial.post(path, json=PLAN)).json()
    assert begun["trial"] == {"id": f"trial-{candidate}"}
    assert begun["readers"]["needed"] == 100
    running = (await by_trial.get(f"/api/experiments/trial-{candidate}")).json()
    assert (running["state"], running["planned_size"]) == ("running", 100)
    async with readers_of(database_url, newest) as readers:
        await readers.visit(range(100, 180))
    early = (await by_trial.post(path)).json()
    assert (early["promoted"], early["trial"]["decision"]["outcome"]) == (None, "continue")
    await let_pass(database_url, 3)
    over = (await by_trial.post(path)).json()
    assert over["promoted"] == candidate
    assert "Promoted: readers choose its items more" in over["said"][0]
    listed = (await by_trial.get("/api/models")).json()
    assert listed["in_service"] == candidate
    assert f"{candidate} is in service" in (await by_trial.post(path)).json()["detail"]
    assert (await by_trial.post(f"/api/models/{serving}/trial")).status_code == 200


@pytest.mark.usefixtures("feed")
async def test_what_is_refused(by_trial):
    path = "/api/models/m/trial"
    for body, problem in [
        ({"share": 0.95}, "share: Input should be less than or equal to 0.9"),
        ({"readers": 5}, "readers: Input should be greater than or equal to 100"),
        ({"window_days": 1.5}, "window_days: "),
        ({"feeds": ["cosmos"]}, "feeds: cosmos is not ordered by a model"),
        ({"slots": 1}, "slots: "),
    ]:
        refused = await by_trial.post(path, json=body)
        assert refused.status_code == 422, refused.text
        said = [f"{each['field']}: {each['message']}" for each in refused.json()["errors"]]
        assert any(each.startswith(problem) for each in said), (problem, said)
    assert (await by_trial.post(path, json={"feeds": ["nowhere"]})).status_code == 404
    assert (await by_trial.post(path)).status_code == 404


async def test_where_models_are_promoted_by_replay_there_are_no_trials(client):
    assert (await client.get("/api/models")).json()["promotion"] == "replay"
    refused = await client.post("/api/models/m/trial", json=PLAN)
    assert refused.status_code == 422
    assert "HARKEN_PROMOTION" in refused.json()["detail"]

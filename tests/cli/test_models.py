"""`harken train` and `harken models`."""

import asyncio
import json
import sys
from datetime import UTC, datetime

import numpy as np
import pytest
from sqlalchemy import insert, update

from harken.database import Database, Kind
from harken.protocols.cli.model_commands import registry
from harken.services.learning.impressions import Event
from harken.services.learning.point_in_time import Slate
from harken.services.learning.ranker import train
from harken.services.record.slates import SLATES
from harken.services.registry.store import MODELS
from tests.cli.conftest import FEW
from tests.conftest import session_factory_for
from tests.support.choices import choices
from tests.support.interaction_files import rows, write

# What these tell does not depend on the database.
on_one_database = pytest.mark.parametrize("database_kind", ["sqlite"])


@pytest.fixture
def filled(harken, tmp_path):
    run = harken("import", "interactions", write(tmp_path / "log.jsonl.gz", rows(choices())))
    assert run.code == 0
    return harken


def test_a_better_one_is_put_in_service_and_taken_back(filled):
    run = filled("train", *FEW, "--promote", "--json")
    assert run.code == 0, run.err
    first = run.json
    assert first["in_service"] is True
    assert first["metrics"]["verdict"]["reason"].startswith("better than personal: ")
    assert first["data"]["examples"] > 200
    assert first["data"]["until"] < first["data"]["measured_until"]
    run = filled("train", *FEW, "--promote")
    assert run.code == 1
    assert "not known to be better than in_service" in run.out
    assert "In service: no." in run.out
    listed = filled("models", "list", "--json").json
    assert listed["in_service"] == first["id"]
    if len(listed["models"]) == 2:  # else both were made in the same second, and are equal
        assert listed["models"][0]["id"][-4:] == first["id"][-4:]
    assert first["id"] in filled("models", "list").out
    shown = filled("models", "show", first["id"])
    assert "candidate" in shown.out
    assert "In service, last promoted at 20" in shown.out
    assert filled("models", "rollback", "--json").json == {
        "before": first["id"], "in_service": None,
    }  # fmt: skip
    assert filled("models", "show", first["id"], "--json").json["in_service"] is False
    assert filled("models", "promote", first["id"]).out == f"{first['id']} is in service.\n"
    assert filled("models", "promote", first["id"], "--json").json["in_service"] is True
    assert "is no longer in service. Now in service: none." in filled("models", "rollback").out
    assert filled("models", "rollback").code == 1


def test_one_that_was_trained_elsewhere_can_serve(filled, tmp_path):
    trained = filled("train", *FEW, "--json").json
    assert filled("models", "export", trained["id"], "a.model").code == 0
    elsewhere = {"HARKEN_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path / 'other.db'}"}
    assert filled("migrate", **elsewhere).code == 0
    assert filled("models", "import", "a.model", "--json", **elsewhere).json == trained
    assert "Imported " in filled("models", "import", "a.model", **elsewhere).out
    assert filled("models", "promote", trained["id"], **elsewhere).code == 0
    for verb in (("import", "none.model"), ("export", trained["id"], "none/a.model")):
        assert "file: none" in filled("models", *verb).err
    assert "is no ranker that Harken wrote" in filled("models", "import", "log.jsonl.gz").err


def test_where_the_one_in_service_cannot_be_read_another_takes_its_place(trained, database_url):
    first = trained("models", "list", "--json").json["in_service"]
    asyncio.run(corrupt(database_url))
    run = trained("models", "promote", first)
    assert run.code == 1
    assert f"model {first} was cut off or changed since it was written" in run.err
    run = trained("train", *FEW, "--promote", "--seed", "1", "--json")
    assert "The model in service cannot be compared" in run.err
    assert (run.code, run.json["in_service"]) == (0, True)
    assert run.json["metrics"]["verdict"]["than"] == "personal"


def test_what_was_shown_is_learned_from(harken, database_url, tmp_path):
    log, slates = shown()
    assert harken("import", "interactions", write(tmp_path / "log.jsonl.gz", rows(log))).code == 0
    asyncio.run(enter(database_url, slates))
    run = harken("train", *FEW, "--json")
    assert run.code == 0, run.err
    data = run.json["data"]
    assert data["sources"]["slates"] > 100
    assert data["sources"]["replay"] > 100
    assert sum(data["sources"].values()) == data["examples"]
    assert data["skipped"] == {"learned": 0, "measured": 0}
    assert data["impressions"] == data["measurable"]
    assert run.json["features"]["names"][-1] == "position"
    shown_again = harken("models", "show", run.json["id"])
    slates = data["sources"]["slates"]
    expected = f"choices, {slates} of them from slates, grown from the personal score."
    assert expected in shown_again.out
    assert run.json["features"]["base"] == {"feature": "personal_score", "weight": 1.0}
    assert "Objectives, on what was measured" in shown_again.out
    assert "engage: too few to learn from: 0 with this outcome" in shown_again.out
    assert f"on {data['impressions']} of {data['measurable']} impressions" in shown_again.out
    assert harken("models", "promote", run.json["id"], "--json").json["in_service"] is True


def shown():
    """Return a log and slates: every other choice came from the second position of a slate."""
    log, slates = [], []
    for number, (each, *_) in enumerate(choices()):
        request = f"r{number}" if number % 2 and each.user_id != "maker" else None
        if request is not None:
            kblock = int(each.kblock_id[1:])
            ids = tuple(f"k{kblock + n}" for n in (1, 0, -1, -2) if kblock + n >= 0)
            slates.append(Slate(request, each.user_id, ids, 0, each.at - 60_000_000))
        log.append(Event(each, None, request))
    return log, slates


async def enter(database_url, slates):
    entered = [
        {
            "request_id": slate.request_id, "first_request_id": slate.request_id,
            "user_id": slate.user_id, "feed": "cosmos", "ranking": "chronological",
            "settings": "{}", "revision": 0, "position": slate.position,
            "items": json.dumps(slate.kblock_ids), "propensities": None,
            "created_at": datetime.fromtimestamp(slate.at / 1e6, UTC),
        }
        for slate in slates
    ]  # fmt: skip
    async with (
        session_factory_for(database_url) as factory,
        Database(factory).transaction(Kind.WRITE) as connection,
    ):
        await connection.execute(insert(SLATES), entered)


async def corrupt(database_url):
    async with (
        session_factory_for(database_url) as factory,
        Database(factory).transaction(Kind.WRITE) as connection,
    ):
        await connection.execute(update(MODELS).values(model="tree"))


@on_one_database
def test_what_learned_from_shuffled_labels_is_kept_and_not_promoted(filled, monkeypatch):
    generator = np.random.default_rng(0)
    monkeypatch.setattr(
        "harken.services.learning.rolling_training.train",
        lambda examples, settings: train(
            [each._replace(grades=generator.permutation(each.grades)) for each in examples],
            settings,
        ),
    )
    run = filled("train", *FEW, "--promote", "--json")
    assert run.code == 1
    assert run.json["in_service"] is False
    assert run.json["metrics"]["verdict"]["is_better"] is False
    assert filled("models", "list", "--json").json["in_service"] is None


def test_without_models_the_list_says_how_to_make_one(harken):
    assert harken("models", "list").out == "There are no models yet. `harken train` makes one.\n"


@on_one_database
def test_what_is_interrupted_writes_nothing(filled, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(registry, "train_and_measure", interrupted)
    run = filled("train", *FEW)
    assert run.code == 130
    assert "nothing was written" in run.err
    assert filled("models", "list", "--json").json == {"in_service": None, "models": []}


@on_one_database
def test_without_lightgbm_the_error_names_the_extra(harken, monkeypatch):
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    run = harken("train")
    assert run.code == 1
    assert "pip install 'harken[learning]'" in run.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train"], "log: has no events to train on"),
        (["train", "--window", "soon"], "'soon' is not a duration"),
        (["models", "show", "m"], "there is no model 'm'"),
        (["models", "promote", "m"], "there is no model 'm'"),
        (["models", "rollback"], "no trained model is in service"),
    ],
)
def test_what_is_refused(harken, arguments, message):
    run = harken(*arguments)
    assert run.code == 1
    assert message in run.err


@on_one_database
def test_what_came_before_is_left_out(filled):
    run = filled("train", *FEW, "--since", "2023-12-20")
    assert run.code == 1
    assert "no impressions to measure in its last 7d" in run.err

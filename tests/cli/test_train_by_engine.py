"""`harken train --engine`: models from the archive and the log, by an engine."""

import sys
from datetime import UTC, datetime, timedelta

import pytest

from harken.services.learning.engines.training_rows import RELATIONAL
from harken.services.personal.sources import most_candidates
from tests.cli.conftest import FEW
from tests.support.choices import choices
from tests.support.interaction_files import rows, write

on_one_database = pytest.mark.parametrize("database_kind", ["sqlite"])
LOG = choices(days=260, count=2_000)  # more K-Blocks than are candidates of a page


@pytest.fixture
def filled(harken, tmp_path):
    run = harken("import", "interactions", write(tmp_path / "log.jsonl.gz", rows(LOG)))
    assert run.code == 0
    return harken


@pytest.fixture
def archived(filled):
    """Take the first 15 days out of the log."""
    begin = datetime.fromtimestamp(LOG[0].touch.at / 1e6, UTC) + timedelta(days=15)
    run = filled("archive", "--before", f"{begin:%Y-%m-%d}", "--out", "old")
    assert run.code == 0, run.err
    return filled


@pytest.mark.slow
def test_engines_train_the_same_model_with_and_without_an_archive(filled):
    whole = filled("train", *FEW, "--engine", "polars", "--json")
    assert whole.code == 0, whole.err
    begin = datetime.fromtimestamp(LOG[0].touch.at / 1e6, UTC) + timedelta(days=15)
    assert filled("archive", "--before", f"{begin:%Y-%m-%d}", "--out", "old").code == 0
    polars, duckdb = (
        filled("train", *FEW, "--engine", each, "--json").json for each in ("polars", "duckdb")
    )
    assert polars["data"]["examples"] == whole.json["data"]["examples"] > 200
    # Neighbours come from the archive, too.
    assert (
        polars["data"]["factored"] == duckdb["data"]["factored"] == whole.json["data"]["factored"]
    )
    assert polars["data"]["factored"] > most_candidates()
    for one, other in ((polars, whole.json), (duckdb, polars)):
        assert one["features"]["names"] == other["features"]["names"] == [*RELATIONAL]
        assert one["details"]["metrics"]["ndcg@10"] == pytest.approx(
            other["details"]["metrics"]["ndcg@10"], abs=1e-6
        )
    measured = [each["metrics"]["rankings"]["candidate"]["ndcg@10"] for each in (polars, duckdb)]
    assert measured[0] == pytest.approx(measured[1], abs=1e-6)
    assert filled("models", "promote", polars["id"]).code == 0
    served = filled("feed", "cosmos", "--user-id", "u1", "--ranking", "learned", "--json")
    assert served.code == 0, served.err


@on_one_database
def test_a_damaged_archive_is_named(archived, tmp_path):
    path = next((tmp_path / "old").rglob("*.parquet"))
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    run = archived("train", *FEW, "--engine", "duckdb")
    assert run.code == 1
    assert f"{path.name} is damaged" in run.err
    path.unlink()
    run = archived("train", *FEW, "--engine", "duckdb")
    assert run.code == 1
    assert "No such file" in run.err


@on_one_database
@pytest.mark.parametrize(
    ("module", "engine", "extra"),
    [
        ("polars", "polars", "engines"),
        ("duckdb", "duckdb", "engines"),
        ("pyspark", "spark", "spark"),
    ],
)
def test_without_an_engine_the_error_names_the_extra(filled, monkeypatch, module, engine, extra):
    monkeypatch.setitem(sys.modules, module, None)
    run = filled("train", *FEW, "--engine", engine)
    assert run.code == 1
    assert f"pip install 'harken[{extra}]'" in run.err


@on_one_database
def test_a_work_folder_has_to_be_there(filled):
    run = filled("train", *FEW, "--engine", "polars", "--work", "nowhere")
    assert run.code == 1
    assert "nowhere: No such file or directory" in run.err


@on_one_database
def test_too_few_choices_are_too_few_for_an_engine(filled):
    run = filled("train", "--fewest", "100000", "--engine", "polars")
    assert run.code == 1
    assert "too few impressions to train on; 100000 are needed" in run.err


@on_one_database
def test_a_master_is_for_spark(filled):
    run = filled("train", *FEW, "--engine", "polars", "--master", "spark://host:7077")
    assert run.code == 1
    assert "--master: is for --engine spark" in run.err

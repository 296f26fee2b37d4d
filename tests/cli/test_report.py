"""`harken report`."""

import sys
from functools import partial

import pytest

from harken.protocols.cli.model_commands import report
from harken.services.evaluation.models_in_service import measure
from harken.services.registry import reporting
from tests.cli.conftest import FEW
from tests.cli.test_models import on_one_database
from tests.support.choices import choices
from tests.support.interaction_files import rows, write


@pytest.fixture
def filled(harken, tmp_path):
    run = harken("import", "interactions", write(tmp_path / "log.jsonl.gz", rows(choices())))
    assert run.code == 0
    return harken


def test_a_report_is_printed_and_kept(trained, monkeypatch):
    run = trained("report", "--json", "--weeks", "3")
    assert run.code == 0
    found = run.json
    assert [week["week"] for week in found["weeks"]] == ["2023-W52", "2024-W01", "2024-W02"]
    [model] = found["models"]
    assert (model["basis"], model["problem"]) == ("held_out", None)
    assert model["impressions"] > 50
    run = trained("report")
    assert run.code == 0
    assert run.out.startswith("Not known: 0.000 engagements per view in 2024-W01")
    assert "Week by week" in run.out
    assert "partial" in run.out
    assert f"{model['model_id']}, held out, 2024-01-06T" in run.out
    assert "− chronological" in run.out
    assert "By ranking" not in run.out  # there are no slates
    assert len(trained("report", "--since", "2024-01-07", "--json").json["weeks"]) == 2
    monkeypatch.setattr(reporting, "measure", partial(measure, most=20))
    assert f": 20 of {model['impressions']} impressions of " in trained("report").out


@on_one_database
def test_a_report_is_written_as_one_file_and_replaces_none(filled, tmp_path):
    file = tmp_path / "report.html"
    run = filled("report", "--html", str(file))
    assert run.code == 0
    assert f"Written to {file}" in run.out.replace("\n", "")
    assert "No experiment: Weeks differ" in run.out
    text = file.read_text("utf-8")
    assert text.startswith("<!doctype html>")
    assert "<svg" in text
    file.write_text("mine")
    refused = filled("report", "--html", str(file))
    assert refused.code == 1
    assert "is already there" in refused.err
    assert file.read_text() == "mine"
    assert filled("report", "--html", str(file), "--force", "--json").json["no_experiment"]
    assert file.read_text("utf-8").startswith("<!doctype html>")


def test_models_that_know_what_was_erased_or_set_aside_are_named(filled, monkeypatch):
    monkeypatch.setattr(reporting, "measure", partial(measure, most=20))
    model_id = filled("train", *FEW, "--json").json["id"]
    before = filled("report", "--json").json
    assert (before["trained_with_erased"], before["trained_with_quarantined"]) == ([], [])
    assert filled("models", "promote", model_id).code == 0
    assert "Models trained with" not in filled("report").out
    assert filled("quarantine", "add", "reader", "u1", "--reason", "a robot").code == 0
    assert filled("user", "erase", "u0", "--yes").code == 0
    found = filled("report", "--json").json
    assert found["trained_with_erased"] == [
        {"model_id": model_id, "erasures": 1, "in_service": True}
    ]
    assert found["trained_with_quarantined"] == [
        {"model_id": model_id, "quarantines": 1, "in_service": True}
    ]
    said = filled("report").out
    for what in ("erased readers or K-Blocks", "what is in quarantine"):
        assert f"Models trained with {what}: {model_id} (in service)." in said


@on_one_database
def test_a_model_that_cannot_be_read_is_named(trained, monkeypatch):
    model_id = trained("models", "list", "--json").json["in_service"]
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    run = trained("report")
    assert run.code == 0
    assert f"{model_id} cannot be measured: The learned ranking needs" in run.out
    assert "pip install 'harken[learning]'" in run.out


def test_an_empty_log(harken):
    run = harken("report")
    assert run.code == 0
    assert run.out.startswith("Not known: a comparison needs two full weeks with views")


@on_one_database
def test_what_is_interrupted_writes_nothing(filled, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(report, "make_report", interrupted)
    run = filled("report")
    assert run.code == 130
    assert "nothing was written" in run.err


@on_one_database
def test_what_is_refused(filled):
    run = filled("report", "--weeks", "2", "--since", "2024-01-01")
    assert run.code == 1
    assert "weeks: give either --since or --weeks" in run.err

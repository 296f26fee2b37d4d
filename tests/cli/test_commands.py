"""The commands `record`, `analytics`, `verify`, `rebuild` and `migrate`, and errors."""

import pytest

from tests.support.postgres import free_port
from tests.support.schema import NEWEST


def test_record_and_read(harken, harken_process):
    first = harken_process(
        "record", "ada", "k1", "view", "--dwell-time-ms", 5000, "--interaction-id", "e1"
    )
    assert (first.code, first.out) == (0, "Recorded: e1\n")
    again = harken(
        "record", "ada", "k1", "view", "--dwell-time-ms", 5000, "--interaction-id", "e1", "--json"
    )
    assert again.json == {"success": True, "interaction_id": "e1", "duplicate": True}
    shown = harken("analytics")
    assert "k1" in shown.out
    assert "Views: 1. Engagements: 0. Dismissals: 0. Mean dwell time: 5.0 s." in shown.out
    assert harken("analytics", "--json").json["totals"]["views"] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["record", "ada", "k", "like"], "harken: action: Input should be 'view'"),
        (["record", "ada", "k", "view", "--metadata", "{"], "metadata: must be a JSON object"),
        (["record", "", "k", "view"], "user_id: String should have at least 1 character"),
        (["analytics", "--limit", "0"], "limit: must be from 1 to 100"),
        (["analytics", "--limit", "101"], "limit: must be from 1 to 100"),
        (
            ["serve", "--host", "0.0.0.0", "--port", str(free_port())],
            "no API key protects it: make one with",
        ),
        (["import", "interactions", "nowhere.csv"], "nowhere.csv: No such file"),
        (["import", "interactions", "a.txt"], "format: must be one of jsonl, csv, tsv, parquet"),
    ],
)
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_what_is_refused_is_a_message(harken, arguments, message):
    run = harken(*arguments)
    assert run.code == 1
    assert message in run.err
    assert run.out == ""


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_several_workers_do_not_get_a_database_in_memory(harken):
    for url in ("sqlite+aiosqlite://", "sqlite:///:memory:"):
        port = str(free_port())
        run = harken("serve", "--workers", "2", "--port", port, HARKEN_DATABASE_URL=url)
        assert run.code == 1
        assert "each process would have a database of its own" in run.err
    assert harken("serve", "--workers", "65").code == 2


def test_verify_and_rebuild(harken):
    harken("record", "ada", "k1", "view")
    run = harken("verify")
    assert run.code == 0
    assert "1 event recounted" in run.out
    assert "0 differences." in run.out
    assert harken("rebuild").out == "The statistics of 1 events were rebuilt.\n"
    assert harken("verify", "--json").json["differences"] == 0


def test_migrate_says_what_it_did(harken):
    assert harken("migrate").out == f"The schema is already the newest: {NEWEST}.\n"


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_the_rest(harken, tmp_path):
    assert harken("--version").out.startswith("harken 0.")
    assert "there is no setting HARKEN_PROT" in harken("verify", HARKEN_PROT="1").err
    elsewhere = f"sqlite+aiosqlite:///{tmp_path / 'none' / 'harken.db'}"
    run = harken("analytics", HARKEN_DATABASE_URL=elsewhere)
    assert run.code == 1
    assert "HARKEN_DATABASE_URL: there is no folder" in run.err
    new = f"sqlite+aiosqlite:///{tmp_path / 'new.db'}"
    assert harken("migrate", HARKEN_DATABASE_URL=new).out == (
        f"The schema was not set up, and is now {NEWEST}.\n"
    )


@pytest.mark.parametrize("database_kind", ["postgresql"])
def test_a_postgresql_that_is_down_is_a_message(harken):
    url = "postgresql+asyncpg://harken:secret@127.0.0.1:1/none"
    for command in ("serve", "verify", "migrate"):
        run = harken(command, HARKEN_DATABASE_URL=url)
        assert run.code == 1
        assert "harken: the database does not answer" in run.err
        assert "secret" not in run.err

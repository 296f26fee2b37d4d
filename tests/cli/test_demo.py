"""`harken demo`, on SQLite files of its own."""

import hashlib
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from harken.services.simulation.demo import Demo

FEW = ("--days", "1", "--readers", "4", "--kblocks", "60", "--seed", "3")


@pytest.fixture(scope="module")
def database_url(tmp_path_factory):
    """The configured database, which no demo touches; it need not be there."""
    return f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('configured')}/harken.db"


def digest(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_what_improved_is_said(harken, tmp_path, database_url):
    file = tmp_path / "demo.db"
    run = harken("demo", *FEW, "--no-serve", "--json", "--database", file)
    assert run.code == 0, run.err
    assert "its readers are simulated" in run.err
    found = run.json
    assert found["simulated"] is True
    assert found["settings"] == {"days": 1, "readers": 4, "kblocks": 60, "seed": 3}
    for day in ("first_day", "last_day"):
        assert list(found[day]) == ["chronological", "trending", "personal"]
        for metrics in found[day].values():
            for name in ("relevance", "ndcg@10"):
                low, high = metrics[name]["interval"]
                assert 0 <= low <= metrics[name]["value"] <= high <= 1
    assert found["look_as"] in {each["user_id"] for each in found["readers"]}
    assert all(each["user_id"].startswith("sim-") for each in found["readers"])
    assert not Path(database_url.partition("///")[2]).exists()
    url = f"sqlite+aiosqlite:///{file}"
    assert "0 differences." in harken("verify", HARKEN_DATABASE_URL=url).out

    # It is over: nothing is played again, whatever else is asked for.
    run = harken("demo", "--no-serve", "--database", file)
    assert run.code == 0, run.err
    assert "goes on with these" in run.err
    assert "Personal less chronological, last day, NDCG@10: " in run.out
    assert "These readers are simulated" in run.out
    again = harken("demo", *FEW, "--no-serve", "--json", "--database", file).json
    assert again == found


def test_a_temporary_database_is_named(harken):
    run = harken("demo", *FEW, "--no-serve", "--json")
    file = Path(run.json["database"])
    assert file.exists()
    shutil.rmtree(file.parent)


def test_data_that_is_not_a_demos_is_refused_and_stays(harken, tmp_path):
    own = tmp_path / "own.db"
    url = f"sqlite+aiosqlite:///{own}"
    assert harken("record", "ada", "k", "view", HARKEN_DATABASE_URL=url).code == 0
    others = tmp_path / "others.db"
    with sqlite3.connect(others) as connection:
        connection.execute("CREATE TABLE kept (value)")
        connection.execute("INSERT INTO kept VALUES (7)")
    connection.close()
    text = tmp_path / "notes.txt"
    text.write_text("My notes, which are no database. " * 100)
    for file, problem in {
        own: "has data that is not a demo's",
        others: "has data that is not a demo's",
        text: "is no SQLite database",
        tmp_path: "is a folder",
        tmp_path / "no" / "demo.db": "there is no folder",
        tmp_path / "what?.db": "must not have a ?",
    }.items():
        before = digest(file) if file.is_file() else None
        run = harken("demo", *FEW, "--no-serve", "--database", file)
        assert run.code == 1
        assert problem in run.err
        assert before == (digest(file) if file.is_file() else None)
    assert harken("analytics", "--json", HARKEN_DATABASE_URL=url).json["totals"]["views"] == 1


def test_what_is_interrupted_says_how_to_go_on(harken, tmp_path, monkeypatch):
    async def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as changed:
        changed.setattr(Demo, "play", interrupted)
        run = harken("demo", *FEW, "--no-serve", "--database", tmp_path / "demo.db")
    assert run.code == 130
    assert f"harken demo --database {tmp_path / 'demo.db'}" in run.err
    assert harken("demo", *FEW, "--no-serve", "--database", tmp_path / "demo.db").code == 0


def test_a_database_without_data_is_filled(harken, tmp_path):
    url = f"sqlite+aiosqlite:///{tmp_path / 'empty.db'}"
    assert harken("migrate", HARKEN_DATABASE_URL=url).code == 0
    assert harken("demo", *FEW, "--no-serve", "--database", tmp_path / "empty.db").code == 0


def test_the_configured_database_is_another_one_afterwards(
    harken, tmp_path, database_url, monkeypatch
):
    monkeypatch.setenv("HARKEN_NOTICE", "mine")
    assert harken("demo", *FEW, "--no-serve", "--database", tmp_path / "demo.db").code == 0
    assert os.environ["HARKEN_DATABASE_URL"] == database_url
    assert os.environ["HARKEN_NOTICE"] == "mine"


def test_it_is_served_at_last(tmp_path):
    file = tmp_path / "demo.db"
    command = [sys.executable, "-m", "harken", "demo", *FEW, "--database", file, "--port", "0"]
    with subprocess.Popen([*map(str, command)], stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            said = ""
            while "Uvicorn running on" not in said:
                line = process.stderr.readline()
                assert line, said
                said += line
            [base] = re.findall(r"http://127\.0\.0\.1:\d+", said)
            [reader] = re.findall(r"/\?feed=personal&user=(sim-\w+)", said)
            url, query = f"{base}/api/feed/personal", {"user_id": reader}
            page = httpx.get(url, params=query, trust_env=False, timeout=60).json()
            assert len(page["items"]) == 20
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0
    assert file.exists()

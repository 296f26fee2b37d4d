"""`harken user export`, `erase` and `readmit`, and `harken kblock`."""

import json
import os
import pty
import stat
import subprocess
import sys

import pytest


def test_a_reader_is_exported_and_erased(harken, tmp_path):
    harken("record", "ada-4711", "k1", "view")
    harken("record", "bob", "k1", "view")
    exported = harken("user", "export", "ada-4711")
    assert len(exported.json["events"]) == 1
    assert harken("user", "export", "ada-4711", "--output", "ada.json").code == 0
    assert len(json.loads((tmp_path / "ada.json").read_text())["events"]) == 1
    assert stat.S_IMODE((tmp_path / "ada.json").stat().st_mode) == 0o600

    assert harken("user", "erase", "ada-4711", "--dry-run").out == (
        "Would remove: 1 events, 1 statistics.\n"
    )
    refused = harken("user", "erase", "ada-4711")
    assert refused.code == 1
    assert "--yes: an erasure cannot be undone, and nobody can be asked here" in refused.err
    assert harken("record", "ada-4711", "k1", "view").code == 0  # there is no tombstone
    erased = harken("user", "erase", "ada-4711", "--yes")
    assert erased.code == 0, erased.err
    assert erased.out.startswith("Removed: 2 events.\nReceipt ")
    assert harken("verify").code == 0
    refused = harken("record", "ada-4711", "k1", "view")
    assert refused.code == 1
    assert "was erased" in refused.err
    assert harken("user", "readmit", "ada-4711").code == 0
    assert harken("record", "ada-4711", "k1", "view").code == 0


def test_the_log_of_a_kblock_is_erased(harken):
    harken("record", "ada", "k1", "view")
    assert harken("kblock", "erase", "k1", "--yes", "--json").json["removed"] == {"events": 1}
    assert harken("record", "ada", "k1", "view").code == 1
    assert harken("kblock", "readmit", "k1").code == 0
    assert harken("record", "ada", "k1", "view").code == 0


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("user", "erase", "nobody", "--yes"), "nothing is held on this reader"),
        (("user", "erase", "guest"), "guest stands for all unknown readers"),
        (("user", "export", "guest"), "guest stands for all unknown readers"),
        (("user", "readmit", "nobody"), "this reader is not erased"),
        (("kblock", "erase", "nothing", "--yes"), "nothing is held on this K-Block"),
        (("user", "erase", "x" * 65), "at most 64"),
        (("user", "export", "ada", "--output", "no/such/file"), "--output: no/such/file"),
    ],
)
def test_what_is_refused_is_a_message(harken, arguments, message):
    run = harken(*arguments)
    assert run.code == 1
    assert message in run.err


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_person_is_asked(harken, database_url, tmp_path):
    """At a terminal: what would be removed is shown, and nothing but a yes erases."""
    harken("record", "ada", "k1", "view")
    for answer, code, said in (("n", 1, "Nothing was erased."), ("y", 0, "Receipt ")):
        printed, ended = _at_a_terminal(database_url, tmp_path, answer, "user", "erase", "ada")
        assert ended == code, printed
        assert "This removes 1 events, 1 statistics." in printed
        assert "Erase everything that is held on this reader? It cannot be undone." in printed
        assert said in printed
        left = harken("user", "export", "ada").json["events"]
        assert len(left) == (1 if code else 0)
    printed, ended = _at_a_terminal(database_url, tmp_path, "y", "user", "erase", "nobody")
    assert ended == 1
    assert "nothing is held on this reader, so nothing was erased; check the id" in printed
    assert "cannot be undone" not in printed


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_an_export_to_a_pipe_that_closes_ends_quietly(harken, database_url, tmp_path):
    harken("record", "ada", "k1", "view")
    exporting = f"{sys.executable} -m harken user export ada | head -c 1"
    done = subprocess.run(
        ["bash", "-c", exporting], env=os.environ | {"HARKEN_DATABASE_URL": database_url},
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("{", "")


def _at_a_terminal(database_url, folder, answer, *arguments):
    """Run a command with a terminal as its input."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "harken", *arguments],
        env=os.environ | {"HARKEN_DATABASE_URL": database_url, "COLUMNS": "200"},
        cwd=folder, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as process:  # fmt: skip
        os.close(theirs)
        os.write(ours, f"{answer}\n".encode())
        printed, _ = process.communicate(timeout=60)
    os.close(ours)
    return printed, process.returncode

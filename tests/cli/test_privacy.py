"""`harken user export`, `erase` and `readmit`, and `harken kblock`."""

import json
import stat

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
    erased = harken("user", "erase", "ada-4711")
    assert erased.code == 0, erased.err
    assert erased.out.startswith("Removed: 1 events.\nReceipt ")
    assert harken("verify").code == 0
    refused = harken("record", "ada-4711", "k1", "view")
    assert refused.code == 1
    assert "was erased" in refused.err
    assert harken("user", "readmit", "ada-4711").code == 0
    assert harken("record", "ada-4711", "k1", "view").code == 0


def test_the_log_of_a_kblock_is_erased(harken):
    harken("record", "ada", "k1", "view")
    assert harken("kblock", "erase", "k1", "--json").json["removed"] == {"events": 1}
    assert harken("record", "ada", "k1", "view").code == 1
    assert harken("kblock", "readmit", "k1").code == 0
    assert harken("record", "ada", "k1", "view").code == 0


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("user", "erase", "nobody"), "nothing is held on this reader"),
        (("user", "erase", "guest"), "guest stands for all unknown readers"),
        (("user", "export", "guest"), "guest stands for all unknown readers"),
        (("user", "readmit", "nobody"), "this reader is not erased"),
        (("kblock", "erase", "nothing"), "nothing is held on this K-Block"),
        (("user", "erase", "x" * 65), "at most 64"),
        (("user", "export", "ada", "--output", "no/such/file"), "--output: no/such/file"),
    ],
)
def test_what_is_refused_is_a_message(harken, arguments, message):
    run = harken(*arguments)
    assert run.code == 1
    assert message in run.err

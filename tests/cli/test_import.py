"""`harken import interactions` and `harken export`."""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.faults import SOAK
from tests.support.interaction_files import write

DESKDROP = Path(__file__).parents[3] / "shared/data/deskdrop/interactions.csv.gz"

EVENTS: list[dict[str, Any]] = [
    {"user_id": "ada", "kblock_id": "k1", "action": "view", "dwell_time_ms": 5000,
     "occurred_at": "2026-01-01T10:00:00+00:00", "position": 0, "request_id": "r1"},
    {"user_id": "ada", "kblock_id": "k1", "action": "engage", "interaction_type": "edit",
     "metadata": {"a": [1, "é"]}, "occurred_at": "2026-01-01T10:01:00+00:00"},
    {"user_id": "bob", "kblock_id": "k2", "action": "view",
     "occurred_at": "2026-01-01T10:02:00+00:00"},
    {"user_id": "bob", "kblock_id": "k2", "action": "view",
     "occurred_at": "2026-01-01T10:02:00+00:00"},
]  # fmt: skip


def counts(run) -> tuple[int, int, int]:
    return run.json["added"], run.json["repeated"], run.json["refused"]


@pytest.mark.parametrize(
    "name", ["log.jsonl", "log.jsonl.gz", "log.csv", "log.csv.gz", "log.tsv", "log.parquet"]
)
def test_a_file_that_is_imported_twice_adds_nothing(harken, tmp_path, name):
    """Equal lines of a file are separate events."""
    file = write(tmp_path / name, EVENTS)
    dry = harken("import", "interactions", file, "--dry-run", "--json")
    assert counts(dry) == (4, 0, 0)
    assert harken("verify", "--json").json["events"] == 0
    assert counts(harken("import", "interactions", file, "--json")) == (4, 0, 0)
    assert counts(harken("import", "interactions", file, "--json")) == (0, 4, 0)
    found = harken("analytics", "--json").json
    assert found["totals"] == {
        "views": 3, "engagements": 1, "dismissals": 0, "avg_dwell_time_sec": 5.0,
    }  # fmt: skip
    assert harken("verify").code == 0


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_dry_run_refuses_what_would_be_refused(harken, tmp_path):
    events = [
        {"user_id": "u", "kblock_id": "k", "action": "view", "occurred_at": at}
        for at in ("0001-01-01T00:00:00+14:00", "9999-12-31T00:00:00Z", "2025-01-01T00:00:00Z")
    ]
    (tmp_path / "far.jsonl").write_text("\n".join(map(json.dumps, events)))
    dry = harken("import", "interactions", "far.jsonl", "--dry-run", "--json")
    wet = harken("import", "interactions", "far.jsonl", "--json")
    assert counts(dry) == counts(wet) == (1, 0, 2)


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_the_same_event_is_the_same_in_every_format(harken, tmp_path):
    for name in ("log.jsonl", "log.csv", "log.parquet"):
        harken("import", "interactions", write(tmp_path / name, EVENTS))
    assert harken("verify", "--json").json["events"] == 4


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize("name", ["out.jsonl", "out.csv.gz", "out.parquet"])
def test_what_was_exported_can_be_imported(harken, tmp_path, name):
    harken("import", "interactions", write(tmp_path / "log.jsonl", EVENTS))
    before = harken("analytics", "--json").json
    assert "4 events written" in harken("export", name).err
    assert [path.name for path in tmp_path.glob("*.part")] == []
    other = {"HARKEN_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path / 'other.db'}"}
    assert counts(harken("import", "interactions", name, "--json", **other)) == (4, 0, 0)
    assert harken("analytics", "--json", **other).json == before
    assert counts(harken("import", "interactions", name, "--json")) == (0, 4, 0)


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_export_to_standard_output_and_between_times(harken, tmp_path):
    harken("import", "interactions", write(tmp_path / "log.jsonl", EVENTS))
    run = harken("export", "-", "--since", "2026-01-01T10:01:00", "--until", "2026-01-01T10:02:00")
    [event] = [json.loads(line) for line in run.out.splitlines()]
    assert event.pop("interaction_id")
    assert event == EVENTS[1]


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_columns_and_values_are_mapped(harken, tmp_path):
    rows = [
        {"when": "2026-01-01 10:00:00", "who": "ada", "what": "k1", "kind": "READ", "note": "x"},
        {"when": "2026-01-01 10:05:00", "who": "ada", "what": "k1", "kind": "CLAP", "note": ""},
    ]
    file = write(tmp_path / "log.csv", rows)
    mapping = [
        "--column", "occurred_at=when", "--column", "user_id=who", "--column", "kblock_id=what",
        "--column", "action=kind", "--action", "READ=view", "--action", "CLAP=engage:applause",
    ]  # fmt: skip
    naive = harken("import", "interactions", file, *mapping)
    assert naive.code == 1
    assert "line 2: occurred_at: has no offset from UTC; give --timezone" in naive.err
    run = harken("import", "interactions", file, *mapping, "--timezone", "Europe/Berlin")
    assert run.code == 0
    assert "who as user_id" in run.out
    assert "Columns ignored: note." in run.out
    first, second = (json.loads(line) for line in harken("export", "-").out.splitlines())
    assert first["occurred_at"] == "2026-01-01T09:00:00+00:00"
    assert (second["action"], second["interaction_type"]) == ("engage", "applause")


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--column", "who=user_id"], "column: 'who=user_id' must be FIELD=COLUMN"),
        (["--action", "CLAP=applaud"], "action: 'CLAP=applaud' must be VALUE=ACTION"),
        (["--timezone", "Mars/Base"], "timezone: 'Mars/Base' is not a time zone"),
        (["--format", "xml"], "format: must be one of jsonl"),
    ],
)
def test_a_wrong_mapping_is_refused(harken, tmp_path, option, message):
    run = harken("import", "interactions", write(tmp_path / "log.csv", EVENTS), *option)
    assert run.code == 1
    assert message in run.err


def test_broken_lines_are_named_and_the_others_recorded(harken, tmp_path):
    good = json.dumps(EVENTS[0]).encode()
    lines = [
        good,
        b"{",
        b"\xff\xfe",
        b"[1]",
        b"",
        json.dumps(EVENTS[1] | {"action": "like it"}).encode(),
        json.dumps(EVENTS[1] | {"occurred_at": "2999-01-01T00:00:00Z"}).encode(),
        b'{"user_id": "\\ud800", "kblock_id": "k", "action": "view"}',
        b"[" * 100_000,
        b'{"a": "' + b"x" * 2_000_000 + b'"}',
        json.dumps(EVENTS[2]).encode(),
    ]
    file = tmp_path / "log.jsonl"
    file.write_bytes(b"\n".join(lines))
    run = harken("import", "interactions", file, "--json")
    assert run.code == 1
    assert counts(run) == (2, 0, 8)
    reasons = dict(run.json["refusals"])
    assert list(reasons) == [2, 3, 4, 6, 7, 8, 9, 10]
    assert reasons[2].startswith("is not JSON")
    assert reasons[3] == "is not UTF-8"
    assert reasons[4] == "is not a JSON object"
    assert reasons[6].startswith("action: Input should be")
    assert reasons[7].startswith("occurred_at: must be between")
    assert reasons[8].startswith("user_id: must not contain lone surrogates")
    assert reasons[10] == "is longer than 1048576 bytes"
    assert harken("verify").code == 0


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_broken_rows_of_csv(harken, tmp_path):
    file = tmp_path / "log.csv"
    file.write_bytes(
        b"user_id,kblock_id,action\nada,k1,view\nada,k1\nada,k\xff,view\n,k1,view\nbob,k1,view\n"
    )
    run = harken("import", "interactions", file, "--json")
    assert counts(run) == (2, 0, 3)
    assert [line for line, _ in run.json["refusals"]] == [3, 4, 5]


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_damaged_archive_is_reported_and_earlier_lines_are_recorded(harken, tmp_path):
    whole = gzip.compress(
        b"".join(
            json.dumps(EVENTS[0] | {"session_id": f"s{i}"}).encode() + b"\n" for i in range(5_000)
        )
    )
    file = tmp_path / "log.jsonl.gz"
    file.write_bytes(whole[: len(whole) // 2])
    run = harken("import", "interactions", file, "--json")
    assert run.code == 1
    assert run.json["added"] > 0
    assert "the file is damaged from here on" in run.json["refusals"][-1][1]
    file.write_bytes(whole)
    again = harken("import", "interactions", file, "--json")
    assert again.json["added"] + again.json["repeated"] == 5_000
    assert harken("verify", "--json").json["events"] == 5_000
    (tmp_path / "log.parquet").write_bytes(b"PAR1 no, it is not")
    assert "file: is not Parquet" in harken("import", "interactions", "log.parquet").err


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_refused_records_are_kept_and_all_are_accounted_for(harken, tmp_path):
    rows = ["NULL,k1,view", "ada,k1,view", '"bob,k1,view', *["cy,k1"] * 25, "", "dan,k1,view"]
    text = "\n".join(["user_id,kblock_id,action", *rows]) + "\n"
    (tmp_path / "log.csv").write_text(text)
    run = harken("import", "interactions", "log.csv", "--rejects", "rejects.jsonl")
    assert run.code == 1
    assert "Records in the file: 29, in 31 lines (1 of the header, 1 blank)." in run.out
    assert "2 added, 0 repeated, 27 refused." in run.out
    assert "25 refused: has … values for … columns" in run.err
    rejects = [json.loads(each) for each in (tmp_path / "rejects.jsonl").read_text().splitlines()]
    assert len(rejects) == 27
    assert rejects[0] == {
        "line": 2,
        "reason": "user_id: 'NULL' means no value; --as-written keeps it",
        "text": "NULL,k1,view\n",
    }
    again = harken("import", "interactions", "log.csv", "--json", "--as-written").json
    assert (again["records"], again["added"], again["repeated"], again["refused"]) == (29, 1, 2, 26)
    assert again["imbalance"] is None
    same = harken("import", "interactions", "log.csv", "--rejects", "log.csv")
    assert "is the file that is imported" in same.err
    assert (tmp_path / "log.csv").read_text() == text


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_the_summary_says_how_a_file_was_read(harken, tmp_path):
    (tmp_path / "log.csv").write_bytes(
        "When;User ID;Item;action\n2024-10-27 02:30;7.0;\u00e9;view\n".encode("cp1252")
    )
    options = ("--column", "occurred_at=When", "--column", "kblock_id=Item")
    run = harken(
        "import", "interactions", "log.csv", *options, "--encoding", "windows-1252",
        "--timezone", "Europe/Berlin",
    )  # fmt: skip
    assert run.code == 0, run.err
    assert "Ids written as fractions, such as 12345.0, read as 12345: 1 (the first" in run.out
    assert "Local times that the clock showed twice, read as the first of both: 1" in run.out
    assert "Values are separated by ';'." in run.out
    assert "User ID as user_id" in run.out
    [event] = map(json.loads, harken("export", "-").out.splitlines())
    assert (event["user_id"], event["kblock_id"]) == ("7", "\u00e9")


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize("name", ["out.jsonl", "out.csv", "out.parquet"])
def test_ids_that_look_like_numbers_survive_an_export(harken, tmp_path, name):
    harken("record", "1.0", "k1", "view")
    harken("export", name)
    assert counts(harken("import", "interactions", name, "--json")) == (0, 1, 0)


def test_an_interrupted_import_goes_on_where_it_was(harken, interrupted_import, tmp_path):
    lines = [
        json.dumps({"user_id": f"u{i}", "kblock_id": "k", "action": "view",
                    "occurred_at": datetime(2026, 1, 1, tzinfo=UTC).isoformat()}) + "\n"
        for i in range(4_000)
    ]  # fmt: skip
    file = tmp_path / "log.jsonl"
    done = interrupted_import(
        "interactions", file,
        first=lines[:2_500],
        # The first chunk is committed when the reader of the file requests the third.
        until=lambda: harken("verify", "--json").json["events"] >= 2_000,
        then=lines[2_500:3_000],
    )  # fmt: skip
    assert done["interrupted"] is True
    assert 2_000 <= done["added"] <= 3_000
    file.write_text("".join(lines))
    run = harken("import", "interactions", file, "--json")
    assert counts(run) == (4_000 - done["added"], done["added"], 0)


@pytest.mark.skipif(not DESKDROP.exists(), reason="the DeskDrop log is not on this machine")
@pytest.mark.skipif(not SOAK, reason="a real log takes long: make soak")
def test_a_real_log(harken):
    """47,883 events of a company's content feed; the publisher's counts."""
    assert counts(harken("import", "interactions", DESKDROP, "--json")) == (47_883, 0, 0)
    assert counts(harken("import", "interactions", DESKDROP, "--json")) == (0, 47_883, 0)
    found = harken("verify", "--json").json
    assert (found["events"], found["differences"]) == (47_883, 0)
    top = harken("analytics", "--json", "--limit", 1).json
    assert top["totals"]["views"] + top["totals"]["engagements"] == 47_883
    assert top["most_engaged_kblocks"][0]["kblock_id"] == "3801064060797809024"

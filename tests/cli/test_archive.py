"""`harken archive`, and what `verify` and `rebuild` say afterwards."""

import json
from datetime import UTC, datetime, timedelta

import pytest


@pytest.fixture
def old_events(harken, tmp_path) -> str:
    """Record ten old events and one of today; return the first day that stays."""
    today = datetime.now(UTC)
    rows = [
        {"user_id": "ada", "kblock_id": f"k{n}", "action": "view", "interaction_id": f"e{n}",
         "occurred_at": (today - timedelta(days=100 + n)).isoformat()}
        for n in range(10)
    ]  # fmt: skip
    rows.append({"user_id": "bob", "kblock_id": "k1", "action": "engage"})
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert harken("import", "interactions", "log.jsonl").code == 0
    return f"{today - timedelta(days=50):%Y-%m-%d}"


def test_old_events_leave_the_log_and_still_count(harken, old_events, tmp_path):
    planned = harken("archive", "--days", "50", "--dry-run")
    assert planned.out == (
        f"Would take 10 events of 10 days, from before {old_events}, out of the log.\n"
    )
    assert harken("archive", "--days", "50", "--dry-run", "--json").json["events"] == 10
    done = harken("archive", "--before", old_events, "--out", "old")
    assert done.code == 0, done.err
    assert done.out.startswith("10 events went from the log to ")
    assert f"which has 10 files.\nThe log is complete since {old_events}.\n" in done.out
    line = (
        f"The log is complete since {old_events} 00:00Z: 10 events from before then are counted "
        "in the baseline."
    )
    verified = harken("verify")
    assert (verified.code, line in verified.out) == (0, True)
    assert line in harken("rebuild").out
    assert harken("verify", "--json").json["archived"] == 10
    assert harken("analytics", "--json").json["totals"]["views"] == 10
    again = harken("import", "interactions", "log.jsonl", "--json")
    assert (again.code, again.json["refused"]) == (1, 10)
    assert "begin of the log" in str(again.json)
    shrunk = harken("archive", "--days", "50", "--out", "old", "--shrink", "--json")
    assert (shrunk.code, shrunk.json["events"]) == (0, 0)
    erased = harken("user", "erase", "ada", "--yes", "--json").json
    assert erased["removed"]["archived_events"] == 10
    assert list((tmp_path / "old").rglob("*.parquet")) == []
    assert harken("verify").code == 0


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "say what stays in the log"),
        (("--days", "50", "--before", "2020-01-01"), "give either --before or --days"),
        (("--before", "2999-01-01"), "must be at least 2 days ago"),
    ],
)
def test_a_begin_that_cannot_be_is_refused(harken, arguments, message):
    refused = harken("archive", *arguments)
    assert refused.code == 1
    assert message in refused.err

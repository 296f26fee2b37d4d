"""`harken quarantine`, and `harken detect` on the configured database."""

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.choices import choices
from tests.support.interaction_files import rows, write

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def few(harken):
    """A log of ada, bob, and twenty more readers."""
    for user in ("ada", "bob"):
        harken("record", user, "k1", "view")
    lines = [
        json.dumps({"user_id": f"u{n}", "kblock_id": "k1", "action": "view"}) for n in range(20)
    ]
    Path("more.jsonl").write_text("\n".join(lines), "utf-8")
    assert harken("import", "interactions", "more.jsonl").code == 0


def test_a_reader_is_set_aside_listed_and_released(harken, few):
    done = harken("quarantine", "add", "reader", "ada", "--reason", "a [test]")
    assert done.code == 0, done.err
    assert done.out.startswith(
        "Set aside: 1 reader. 1 event of 1 reader with 1 K-Block do not count now.\nAct "
    )
    again = harken("quarantine", "add", "reader", "ada").out
    assert "Set aside before, since " in again
    assert "Nothing changed." in again
    assert harken("record", "ada", "k2", "dismiss").code == 0
    assert "23 events recounted, 2 of them set aside" in harken("verify").out
    listed = harken("quarantine", "list")
    assert "reader ada" in listed.out
    assert "a [test]" in listed.out
    [row] = harken("quarantine", "list", "--json").json["quarantines"]
    assert (row["id"], row["events"], row["by"]) == ("ada", 2, "cli")
    assert harken("quarantine", "release", "reader", "ada").code == 0
    assert harken("quarantine", "list").out == "Nothing is set aside.\n"
    acts = harken("quarantine", "list", "--audit", "--json").json["acts"]
    assert [each["act"] for each in acts] == ["release", "quarantine"]
    assert harken("verify").out.count("set aside") == 0


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("add", "reader"), "ids: name at least one reader"),
        (("add", "reader", "nobody"), "not in the log: reader 'nobody'; nothing was set aside"),
        (("add", "reader", "guest"), "guest stands for all unknown readers"),
        (("add", "event", "e" * 65), "at most 64"),
        (("add", "reader", "ada", "--alert", "none"), "there is no alert 'none'"),
        (("add", "reader", "--file", "all.txt"), "22 of 22 events would be set aside"),
        (("release", "session", "s1"), "not set aside: 's1'; nothing was released"),
    ],
)
def test_what_cannot_be_done_is_said(harken, few, arguments, message):
    Path("all.txt").write_text("ada\nbob\n\n" + "".join(f"u{n}\n" for n in range(20)), "utf-8")
    refused = harken("quarantine", *arguments)
    assert refused.code == 1
    assert message in refused.err
    assert harken("quarantine", "list", "--json").json == {"quarantines": []}
    confirmed = harken("quarantine", "add", "reader", "--file", "all.txt", "--confirm")
    assert confirmed.out.startswith("Set aside: 22 readers. 22 events")


def ring(accounts: int) -> list[dict[str, str]]:
    """Four weeks of two hundred readers, and accounts that do the same within seconds."""
    chance = random.Random(3)
    events = [
        {
            "user_id": f"u{chance.randrange(200)}", "kblock_id": f"k{chance.randrange(400)}",
            "action": "view",
            "occurred_at": (NOW - timedelta(seconds=chance.randrange(28 * 86_400))).isoformat(),
        }
        for _ in range(5_000)
    ]  # fmt: skip
    for item in range(12):
        for account in range(accounts):
            at = NOW - timedelta(minutes=50 - 3 * item, seconds=chance.randrange(20))
            events.append(
                {
                    "user_id": f"bot{account}", "kblock_id": f"promoted{item}",
                    "action": "engage", "occurred_at": at.isoformat(),
                }
            )  # fmt: skip
    return events


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_ring_is_found_in_the_database_and_set_aside(harken):
    Path("log.jsonl").write_text("\n".join(json.dumps(each) for each in ring(8)), "utf-8")
    assert harken("import", "interactions", "log.jsonl").code == 0
    assert harken("detect", "--last", "1h", "--dry-run").code == 0
    found = harken("detect", "--last", "2h", "--json").json
    bots = {f"bot{n}" for n in range(8)}
    accused = {each for alert in found["alerts"] for each in alert["members"]}
    assert bots <= accused
    known = harken("detect", "--last", "2h")
    assert f"0 alerts new or open again, {len(found['alerts'])} known." in known.out
    capped = {"HARKEN_QUARANTINE_SCORE": "0.5", "HARKEN_QUARANTINE_DAILY": "3"}
    held = harken("detect", "--last", "2h", "--automatic", **capped)
    assert "Not set aside, because HARKEN_QUARANTINE_DAILY is reached:" in held.out
    free = {"HARKEN_QUARANTINE_SCORE": "0.5", "HARKEN_QUARANTINE_DAILY": "50"}
    acted = harken("detect", "--last", "2h", "--automatic", **free)
    assert "Set aside: " in acted.out
    rows = harken("quarantine", "list", "--json").json["quarantines"]
    assert bots <= {each["id"] for each in rows}
    assert {each["by"] for each in rows} == {"automatic"}
    assert all(each["alert_id"] for each in rows)
    assert not bots & set(harken("detect", "--last", "2h", "--json").json["readers"])
    assert harken("verify").code == 0


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--last", "soon"), "is not a duration"),
        (("--last", "1h", "--since", "2026-01-01"), "give either --since or --last"),
    ],
)
def test_a_wrong_time_is_refused(harken, arguments, message):
    refused = harken("detect", *arguments)
    assert refused.code == 1
    assert message in refused.err


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_an_empty_log_has_no_alerts(harken):
    assert harken("detect").out.startswith("No alerts.")


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_models_and_reports_say_what_was_set_aside(harken, tmp_path):
    """A model that may know a reader in quarantine is marked; a new one leaves the reader out."""
    assert (
        harken("import", "interactions", write(tmp_path / "log.jsonl", rows(choices()))).code == 0
    )
    old = harken("train", "--fewest", "200", "--json").json
    assert (old["quarantines"], old["data"]["left_out"]["events"]) == (0, 0)
    assert "set aside" not in harken("models", "list").out
    assert harken("quarantine", "add", "reader", "u0", "--confirm").code == 0
    assert "knows what is set aside" in harken("models", "list").out
    shown = harken("models", "show", old["id"])
    assert "events that 1 quarantines set aside since." in shown.out
    assert harken("models", "show", old["id"], "--json").json["quarantines"] == 1
    trained = harken("train", "--fewest", "200", "--seed", "1")
    assert "Left out, since it is in quarantine: " in trained.out
    assert "1 reader." in trained.out
    new, known = harken("models", "list", "--json").json["models"]
    assert (new["quarantines"], known["quarantines"]) == (0, 1)
    assert new["data"]["left_out"]["readers"] == 1
    reported = harken("report", "--json").json["left_out"]
    assert reported == new["data"]["left_out"] | {"sessions": 0}
    assert f"{reported['events']} events, 1 reader." in harken("report").out
    assert harken("quarantine", "release", "reader", "u0").code == 0
    assert "set aside" not in harken("models", "list").out
    assert "quarantine" not in harken("report").out

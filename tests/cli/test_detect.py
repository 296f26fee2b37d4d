"""`harken detect` on files."""

import csv
import gzip
import json

import numpy as np
import pytest

from harken.services.integrity.detectors import EventLog
from harken.services.integrity.detectors.event_log import ACTIONS, MICROS
from harken.services.integrity.detectors.findings import iso
from harken.services.simulation.rings import Attack, Strength, plant
from tests.support.audiences import honest_log
from tests.unit.test_series import bursty

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"])
ALERT = {"detector", "kind", "id", "members", "score", "from", "until", "evidence"}


@pytest.fixture(scope="module")
def planted():
    return plant(honest_log(2), Attack(Strength.MINUTES, 20, 4), seed=3)


def write_log(path, log: EventLog, names=("occurred_at", "user_id", "kblock_id", "action")):
    with gzip.open(path, "wt", newline="") as file:
        out = csv.writer(file)
        out.writerow(names)
        for at, reader, kblock, action in zip(
            log.at, log.readers, log.kblocks, log.actions, strict=True
        ):
            out.writerow(
                [int(at) // MICROS, log.reader_ids[reader], log.kblock_ids[kblock], ACTIONS[action]]
            )
    return path


def test_alerts_and_a_score_of_each_reader(harken, planted, tmp_path):
    names = ("when", "who", "what", "action")
    path = write_log(tmp_path / "log.csv.gz", planted.log, names)
    columns = [
        f"--column={field}={name}"
        for field, name in zip(("occurred_at", "user_id", "kblock_id"), names, strict=False)
    ]
    run = harken("detect", "--events", path, *columns, "--json")
    assert run.code == 0, run.err
    assert list(run.json) == ["alerts", "readers"]
    assert set(run.json["readers"]) == set(planted.log.reader_ids)
    assert all(0 <= score <= 1 for score in run.json["readers"].values())
    members = set()
    for alert in run.json["alerts"]:
        assert set(alert) == ALERT
        assert alert["kind"] in {"reader", "session", "kblock", "stream"}
        assert alert["from"] <= alert["until"]
        assert alert["evidence"]["words"]
        assert alert["evidence"]["figures"]
        members |= set(alert["members"])
    assert planted.accounts <= members
    shown = harken("detect", "--events", path, *columns)
    assert "in alerts." in shown.out


def test_refused_lines_are_said_and_the_others_used(harken, tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(
        "user_id,kblock_id,action,time\na,k,view,2025-01-01T00:00:00Z\nb,k,view,never\n"
    )
    run = harken("detect", "--events", path, "--json")
    assert run.code == 1
    assert run.json == {"alerts": [], "readers": {"a": 0.0}}
    assert "Refused lines: 1" in run.err
    assert "'never' must be a time" in harken("detect", "--events", path).err


@pytest.mark.parametrize("header", ["timestamp,value", "time,count", "when,how many"])
def test_counts(harken, tmp_path, header):
    at, counts = bursty(0)
    counts[3_000:3_040] += 900
    path = tmp_path / "counts.csv"
    # As in the files of others: no offset, no T.
    lines = (f"{iso(int(t))[:19].replace('T', ' ')},{c:g}" for t, c in zip(at, counts, strict=True))
    path.write_text("\n".join([header, *lines]))
    run = harken("detect", "--counts", path, "--json")
    assert run.code == 0, run.err
    assert run.json["readers"] == {}
    hits = [
        alert
        for alert in run.json["alerts"]
        if alert["from"] <= iso(int(at[3_040])) and alert["until"] >= iso(int(at[3_000]))
    ]
    assert len(hits) == 1
    assert set(hits[0]) == ALERT
    assert hits[0]["kind"] == "stream"


def test_counts_as_json_lines_with_columns(harken, tmp_path):
    rows = [
        {"t": iso(n * 3_600 * MICROS), "c": 900 if n == 700 else 10 + n % 24, "x": "other"}
        for n in range(1_000)
    ]
    path = tmp_path / "counts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = harken("detect", "--counts", path, "--column=time=t", "--column=count=c", "--json")
    assert [alert["from"] for alert in run.json["alerts"]] == [iso(700 * 3_600 * MICROS)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--events", "a.csv", "--counts", "b.csv"), "give either"),
        (("--counts", "absent.csv"), "No such file"),
        (("--counts", "empty.csv", "--column", "size=x"), "must be time=COLUMN or count=COLUMN"),
        (("--counts", "other.csv"), "has no column for time, count"),
        (("--events", "other.csv"), "has no column for"),
    ],
)
def test_what_cannot_be_read_is_said(harken, tmp_path, arguments, said):
    (tmp_path / "other.csv").write_text("a,b,c\n1,2,3\n")
    run = harken("detect", *arguments)
    assert run.code == 1
    assert said in run.err


def test_counts_that_are_no_counts_are_refused(harken, tmp_path):
    path = tmp_path / "counts.csv"
    path.write_text("time,count\n2025-01-01,5\n2025-01-02,-5\n2025-01-03,many\n2025-01-04,\n")
    run = harken("detect", "--counts", path)
    assert run.code == 1
    assert run.err.count("must be a number of 0 or more") == 3


def test_scores_do_not_depend_on_what_else_is_in_the_file(harken, planted, tmp_path):
    """Columns that Harken does not know are left out."""
    path = write_log(tmp_path / "a.csv.gz", planted.log)
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    other = tmp_path / "b.csv"
    other.write_text("\n".join(f"{line},{n}" for n, line in enumerate(lines)))
    one, two = (harken("detect", "--events", each, "--json").json for each in (path, other))
    assert one == two
    assert np.mean([one["readers"][each] for each in planted.accounts]) > 0.5

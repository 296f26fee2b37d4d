"""`harken evaluate replay`."""

import json
import sys

import pytest

from harken.protocols.cli import progress
from tests.cli.test_import import DESKDROP
from tests.faults import SOAK
from tests.support.interaction_files import rows, write
from tests.support.touches import events

RANKINGS = ["chronological", "popularity", "trending", "attention", "weighted", "personal"]
METRICS = ["hr@5", "hr@10", "mrr", "ndcg@10"]

# The configured database is not opened.
of_a_file = pytest.mark.parametrize("database_kind", ["sqlite"])


@pytest.fixture
def log(tmp_path):
    return write(tmp_path / "log.jsonl.gz", rows(events(8)))


def test_a_file_and_the_log_that_it_became_give_the_same(harken, log):
    """And not even the seconds in which several things happened differ."""
    asked = ["--json", "--ranking", ",".join(RANKINGS)]
    of_file = harken("evaluate", "replay", "--events", log, *asked)
    assert of_file.code == 0
    assert harken("import", "interactions", log).code == 0
    of_log = harken("evaluate", "replay", "--from-log", *asked)
    assert of_log.json == of_file.json
    found = of_file.json
    assert found["events"] == 1_500
    assert list(found["rankings"]) == RANKINGS
    for ranking in found["rankings"].values():
        for slice_ in (ranking, ranking["cold"], ranking["session_first"]):
            for metric in METRICS:
                low, high = slice_["ci"][metric]
                assert 0 <= low <= slice_[metric] <= high <= 1
            assert 0 < slice_["coverage"] <= 1
        assert found["impressions"] == ranking["impressions"] > ranking["cold"]["impressions"] > 0
    assert len(found["pairs"]) == 15 * len(METRICS)
    for pair in found["pairs"]:
        a, b = (found["rankings"][pair[name]][pair["metric"]] for name in "ab")
        assert pair["difference"] == pytest.approx(a - b, abs=2e-6)
        assert pair["interval"][0] <= pair["difference"] <= pair["interval"][1]
        assert 0 < pair["p_value"] <= 1


@of_a_file
def test_tables_for_people(harken, log):
    run = harken("evaluate", "replay", "--events", log, "--ranking", "trending, personal")
    assert run.code == 0
    for words in (
        "impressions of",
        "HR@5",
        "First impression of each session",
        "trending − personal",
        "95 %",
    ):
        assert words in run.out


@of_a_file
def test_the_learned_ranking(harken, log):
    asked = ["--ranking", "learned,personal", "--retrain-every", "14d", "--json"]
    run = harken("evaluate", "replay", "--events", log, *asked)
    assert run.code == 0
    assert list(run.json["rankings"]) == ["learned", "personal"]
    assert any(pair["difference"] != 0 for pair in run.json["pairs"])


@of_a_file
def test_the_learned_ranking_is_the_personal_one_while_there_is_too_little_to_learn(
    harken, tmp_path
):
    short = write(tmp_path / "short.jsonl.gz", rows(events(8, count=800)))
    run = harken("evaluate", "replay", "--events", short, "--ranking", "learned,personal", "--json")
    assert run.code == 0
    assert run.json["impressions"] > 0
    assert all(pair["difference"] == 0 for pair in run.json["pairs"])


@of_a_file
def test_a_long_replay_says_how_far_it_is_on_standard_error_alone(harken, log, monkeypatch):
    asked = ("evaluate", "replay", "--events", log, "--ranking", "personal", "--json")
    short = harken(*asked)
    assert "Replay" not in short.err
    monkeypatch.setattr(progress, "SECONDS", 0.0)
    run = harken(*asked)
    assert "Replay: 1,000 of 1,500 events (67%)\n" in run.err
    assert "Replay: 1,500 of 1,500 events (100%)\n" in run.err
    assert run.json == short.json


@of_a_file
def test_the_help_has_the_whole_default_of_the_rankings(harken, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    words = harken("evaluate", "replay", "--help").out.replace("│", " ").split()
    assert "Default: chronological, popularity, trending, personal." in " ".join(words)


@of_a_file
def test_the_learned_ranking_says_what_it_needs(harken, log, monkeypatch):
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    run = harken("evaluate", "replay", "--events", log, "--ranking", "learned")
    assert run.code == 1
    assert "pip install 'harken[learning]'" in run.err


@of_a_file
def test_only_what_follows_is_scored(harken, log):
    def impressions(*more):
        asked = ("evaluate", "replay", "--events", log, "--ranking", "popularity", "--json")
        return harken(*asked, *more).json["impressions"]

    whole = impressions()
    assert 0 < impressions("--score-from", "2024-01-15T00:00:00Z") < whole
    assert impressions("--score-from", "2024-01-15") == impressions(
        "--score-from", "2024-01-15T02:00:00+02:00"
    )
    assert impressions("--score-from", "2030-01-01") == 0


@of_a_file
def test_columns_are_read_as_by_the_import(harken, tmp_path):
    file = write(
        tmp_path / "log.csv",
        [
            {"when": "2026-01-01 10:00:00", "who": "ada", "slug": "k1", "event": "HIT"},
            {"when": "2026-01-01 10:00:01", "who": "ada", "slug": "k1", "event": "???"},
        ],
    )
    said = ["--column", "occurred_at=when", "--column", "user_id=who", "--column", "kblock_id=slug",
            "--action", "HIT=engage:like", "--timezone", "UTC"]  # fmt: skip
    run = harken("evaluate", "replay", "--events", file, *said, "--json")
    assert run.code == 1
    assert (run.json["events"], run.json["refused"]) == (1, 1)
    assert run.json["refusals"][0][0] == 3
    run = harken("evaluate", "replay", "--events", file, *said)
    assert "slug as kblock_id" in run.out
    assert "line 3" in run.err


@of_a_file
def test_an_event_without_a_time_is_refused(harken, tmp_path):
    file = tmp_path / "log.jsonl"
    file.write_text(json.dumps({"user_id": "a", "kblock_id": "k", "action": "view"}) + "\n")
    run = harken("evaluate", "replay", "--events", file)
    assert run.code == 1
    assert "occurred_at: is required to replay an event" in run.err


def test_a_log_that_is_too_short(harken):
    run = harken("evaluate", "replay", "--from-log")
    assert run.code == 0
    assert "0 impressions" in run.out
    assert "needs 30 days" in run.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from-log", "--ranking", "trendy"], "did you mean trending? known are chronological,"),
        (["--from-log", "--ranking", ","], "must be some of chronological,"),
        ([], "either --events FILE or --from-log"),
        (["--from-log", "--events", "x.csv"], "either --events FILE or --from-log"),
        (["--events", "missing.csv"], "missing.csv"),
        (["--from-log", "--half-life", "soon"], "'soon' is not a duration"),
        (["--from-log", "--half-life", "0h"], "half_life: must be more than 0"),
        (["--from-log", "--retrain-every", "often"], "retrain_every: 'often' is not a duration"),
        (["--from-log", "--retrain-every", "0d"], "retrain_every: must be more than 0"),
    ],
)
@of_a_file
def test_what_is_refused(harken, arguments, message):
    run = harken("evaluate", "replay", *arguments)
    assert run.code == 1
    assert message in run.err


@pytest.mark.skipif(not DESKDROP.exists(), reason=f"{DESKDROP} is not there")
@pytest.mark.skipif(not SOAK, reason="a real log takes long: make soak")
@of_a_file
def test_a_real_log(harken):
    run = harken(
        "evaluate", "replay", "--events", DESKDROP, "--score-from", "2016-07-08T12:11:17Z",
        "--ranking", "personal,trending", "--json",
    )  # fmt: skip
    assert run.json["impressions"] == 6_507
    assert run.json["rankings"]["personal"]["hr@5"] > 0.7
    assert all(pair["interval"][0] > 0 for pair in run.json["pairs"])

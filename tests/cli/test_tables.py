"""Tables at 80 columns: no text is cut, and lines fit."""

import json

import pytest

from harken.protocols.cli.running import console
from tests.cli.test_evaluate_policy import rows as bandit_rows
from tests.support.choices import choices
from tests.support.interaction_files import rows, write

NARROW = 80
LONG = "a-note-whose-id-takes-fifty-characters-as-some-do-"


@pytest.fixture
def narrow(harken, monkeypatch):
    """Run a command on a terminal of 80 columns, and return what it prints."""
    monkeypatch.setattr(console, "width", NARROW)

    def run(*arguments):
        done = harken(*arguments)
        assert done.code == 0, done.err
        assert "…" not in done.out
        drawn = [line for line in done.out.splitlines() if line[:1] in set("┏┃┡│├└")]
        assert drawn
        assert max(map(len, drawn)) <= NARROW
        return done.out

    return run


def test_rankings(narrow, tmp_path):
    log = write(tmp_path / "log.jsonl.gz", rows(choices()))
    asked = ("evaluate", "replay", "--events", log)
    named = ("--ranking", "chronological,popularity,trending,personal")
    out = narrow(*asked, *named)
    assert "chronological" in out
    assert "Coverage" in out


def test_models_and_reports(trained, narrow):
    trained("record", "ada", "k1", "dismiss", "--occurred-at", "2024-01-02T00:00:00Z")
    trained("record", "guest", "k1", "view", "--dwell-time-ms", 3_600_000, "--occurred-at",
            "2024-01-02T00:00:00Z")  # fmt: skip
    [model] = trained("models", "list", "--json").json["models"]
    listed = narrow("models", "list")
    assert model["id"] in listed
    assert f"until {model['data']['until'][:10]}, in service" in listed
    assert "personal" in listed
    assert "candidate" in narrow("models", "show", model["id"])
    out = narrow("report")
    assert "− chronological" in out
    for heading in ("Views", "Engaged,", "Dismissed,", "dwell", "Readers", "Guests"):
        assert heading in out


def test_policies(narrow, tmp_path):
    log = write(tmp_path / "log.csv.gz", bandit_rows())
    assert "doubly robust" in narrow("evaluate", "policy", "--log", log, "--target", "uniform")


@pytest.fixture
def notes(harken, tmp_path):
    titles = {"short": "On merging", LONG: "On rebasing what others have long pulled from you"}
    lines = [{"id": own, "title": title, "tags": ["git"]} for own, title in titles.items()]
    file = tmp_path / "notes.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert harken("import", "jsonl", file).code == 0
    return harken


@pytest.mark.parametrize(
    "arguments",
    [
        ("feed",),
        ("feed", "--ranking", "weighted", "--temperature", 0.1),
        ("feed", "--ranking", "weighted", "--figures"),
        ("feed", "personal", "--figures"),
        ("similar", "short"),
        ("feeds",),
    ],
)
def test_feeds(notes, narrow, arguments):
    out = narrow(*arguments)
    if arguments[0] != "feeds":
        assert "rebasing" in out


def test_ids_go_below_titles_only_where_they_do_not_fit(notes, monkeypatch):
    for width, is_below in ((NARROW, True), (160, False)):
        monkeypatch.setattr(console, "width", width)
        for arguments in (("feed",), ("similar", "short")):
            assert ("Title, id" in notes(*arguments).out) is is_below


def test_what_is_engaged_with(notes, narrow):
    notes("record", "ada", LONG, "engage")
    out = narrow("analytics")
    assert "".join(line.split("│")[1].strip() for line in out.splitlines() if "│" in line) == LONG


def test_a_pipe_has_no_edge(harken_process):
    run = harken_process("feeds", COLUMNS="")
    assert "contradictions │ in conflict with another, most loss first" in run.out
